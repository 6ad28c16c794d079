"""Vectors drawn from a mixture, as those of a real catalogue are: crowds around many centres; and rows with them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text

from prethrift_backend.embeddings import CLIP_DIMENSIONS, TEXT_DIMENSIONS
from prethrift_backend.stores import Postgres

_CENTRES = 200
_SPREAD = 0.6  # of the length of a centre: neighbours overlap, which is what makes the search hard
_ROWS_AT_ONCE = 1000
_WORDS = ("blue", "red", "green", "striped", "dotted", "plain", "dress", "hat", "coat", "skirt", "wool", "linen")

_INSERT = text("""
    INSERT INTO items (id, title, category, price, picture_key, picture_media_type,
                       picture_width, picture_height, picture_bytes, clip_vector, text_vector)
    SELECT gen_random_uuid(), title, 'dress', 10, gen_random_uuid(), 'image/png', 1, 1, 1,
           clip::vector, words::vector
    FROM unnest(CAST(:titles AS text[]), CAST(:clips AS text[]), CAST(:texts AS text[])) AS row (title, clip, words)
""")


class Mixture:
    """A source of unit vectors of shape (n, dimensions), the same ones for the same seed."""

    def __init__(self, dimensions: int, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._centres = _unit(self._rng.standard_normal((_CENTRES, dimensions)))

    def draw(self, count: int) -> NDArray[np.float32]:
        """Draw ``count`` vectors."""
        chosen = self._centres[self._rng.integers(_CENTRES, size=count)]
        noise = _unit(self._rng.standard_normal(chosen.shape)) * _SPREAD
        return _unit(chosen + noise).astype(np.float32)


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    normalised: NDArray[np.float64] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return normalised


def vector_text(vector: NDArray[np.float32]) -> str:
    """Write a vector as pgvector reads it."""
    return "[" + ",".join(f"{value:.7g}" for value in vector) + "]"


async def insert_items(postgres: Postgres, count: int, clip: Mixture) -> None:
    """Insert ``count`` items whose picture vectors come from ``clip``."""
    words, rng = Mixture(TEXT_DIMENSIONS, seed=2), np.random.default_rng(3)
    for start in range(0, count, _ROWS_AT_ONCE):
        size = min(_ROWS_AT_ONCE, count - start)
        async with postgres.begin() as connection:
            rows = {
                "titles": [" ".join(rng.choice(_WORDS, size=3)) for _ in range(size)],
                "clips": [vector_text(vector) for vector in clip.draw(size)],
                "texts": [vector_text(vector) for vector in words.draw(size)],
            }
            await connection.execute(_INSERT, rows)
    async with postgres.begin() as connection:
        await connection.execute(text("ANALYZE items"))


def clip_mixture() -> Mixture:
    """Give the source of the picture vectors."""
    return Mixture(CLIP_DIMENSIONS, seed=1)
