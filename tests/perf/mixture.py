"""Vectors drawn from a mixture, as those of a real catalogue are: crowds around many centres; and rows with them."""

from __future__ import annotations

from typing import Any

import asyncpg
import numpy as np
from numpy.typing import NDArray

from prethrift_backend.catalogue.models import vector_text
from prethrift_backend.embeddings import CLIP_DIMENSIONS, TEXT_DIMENSIONS

_CENTRES = 200
_SPREAD = 0.6  # of the length of a centre: neighbours overlap, which is what makes the search hard
_ROWS_AT_ONCE = 1000
_WORDS = ("blue", "red", "green", "striped", "dotted", "plain", "dress", "hat", "coat", "skirt", "wool", "linen")

_INSERT = """
    INSERT INTO items (id, title, category, price, picture_key, picture_media_type,
                       picture_width, picture_height, picture_bytes, clip_vector, text_vector)
    SELECT gen_random_uuid(), title, 'dress', 10, gen_random_uuid(), 'image/png', 1, 1, 1,
           clip::vector, words::vector
    FROM unnest($1::text[], $2::text[], $3::text[]) AS row (title, clip, words)
"""

_HNSW_INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'items' AND indexdef LIKE '%hnsw%'"


class Mixture:
    """A source of unit vectors of shape (n, dimensions): always the same centres, and draws by the seed."""

    def __init__(self, dimensions: int, *, seed: int) -> None:
        self._centres = _unit(np.random.default_rng(0).standard_normal((_CENTRES, dimensions)))
        self._rng = np.random.default_rng(seed)

    def draw(self, count: int) -> NDArray[np.float32]:
        """Draw ``count`` vectors."""
        chosen = self._centres[self._rng.integers(_CENTRES, size=count)]
        noise = _unit(self._rng.standard_normal(chosen.shape)) * _SPREAD
        return _unit(chosen + noise).astype(np.float32)


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    normalised: NDArray[np.float64] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return normalised


async def insert_items(database_url: str, count: int, clip: Mixture) -> None:
    """Insert ``count`` items whose picture vectors come from ``clip``; the vector indexes are built when all are in.

    Over a connection of its own: the backend's give up on a statement that takes as long as building an index.
    """
    connection = await asyncpg.connect(database_url)
    try:
        definitions = await connection.fetch(_HNSW_INDEXES)
        for name, _ in definitions:
            await connection.execute(f"DROP INDEX {name}")
        await _insert_rows(connection, count, clip)
        await connection.execute("SET maintenance_work_mem = '1GB'")
        for _, definition in definitions:
            await connection.execute(definition)
        await connection.execute("VACUUM ANALYZE items")
    finally:
        await connection.close()


async def _insert_rows(connection: Any, count: int, clip: Mixture) -> None:
    words, rng = Mixture(TEXT_DIMENSIONS, seed=2), np.random.default_rng(3)
    for start in range(0, count, _ROWS_AT_ONCE):
        size = min(_ROWS_AT_ONCE, count - start)
        titles = [" ".join(rng.choice(_WORDS, size=3)) for _ in range(size)]
        clips = [vector_text(vector) for vector in clip.draw(size)]
        texts = [vector_text(vector) for vector in words.draw(size)]
        await connection.execute(_INSERT, titles, clips, texts)


def clip_mixture(*, seed: int) -> Mixture:
    """Give a source of picture vectors."""
    return Mixture(CLIP_DIMENSIONS, seed=seed)
