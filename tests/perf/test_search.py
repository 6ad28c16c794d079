"""How well and how fast a search finds."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import count, product
from uuid import UUID

import numpy as np
import pytest
from pydantic import SecretStr
from pytest_benchmark.fixture import BenchmarkFixture
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.perf.conftest import Figures, migrated_database
from tests.perf.mixture import Mixture, clip_mixture, insert_items
from tests.support.databases import PostgresServer

from prethrift_backend.config import Settings
from prethrift_backend.embeddings import ModelEmbeddings, Vector
from prethrift_backend.search import SearchQuery, SearchService
from prethrift_backend.search.repository import nearest_by_picture
from prethrift_backend.stores import Postgres

QUERIES = 100
NEAREST = 10
WARM_UP = 5

_COLOURS = ("blue", "red", "green", "yellow", "black", "white", "pink", "brown", "grey", "purple")
_THINGS = ("striped dress", "dotted hat", "plain coat", "checked skirt", "woollen scarf", "linen shirt")
_QUALITIES = ("", "worn once", "size M", "for winter", "like new")


async def _nearest(postgres: Postgres, vector: Vector, *, exact: bool) -> set[UUID]:
    """Return the ids of the nearest, by a plan that is held to be what it claims to be."""
    async with postgres.begin() as connection:
        await connection.execute(text(f"SET LOCAL enable_{'indexscan' if exact else 'seqscan'} = off"))
        before = await _index_scans(connection)
        found = await nearest_by_picture(connection, vector, NEAREST)
        assert await _index_scans(connection) - before == (0 if exact else 1)
        return set(found)


async def _index_scans(connection: AsyncConnection) -> int:
    """Count this transaction's scans of the index, as PostgreSQL itself counts them."""
    count = "SELECT pg_stat_get_xact_numscans('items_clip_vector_hnsw'::regclass)"
    return int(await connection.scalar(text(count)) or 0)


async def _recall(postgres: Postgres, mixture: Mixture) -> float:
    """Return the mean share of the exact nearest that the index finds."""
    shares = []
    for vector in mixture.draw(QUERIES):
        found = await _nearest(postgres, vector, exact=False)
        wanted = await _nearest(postgres, vector, exact=True)
        shares.append(len(found & wanted) / NEAREST)
    return float(np.mean(shares))


def _words() -> Iterator[str]:
    """Give queries without end, none twice: a vector from the cache would make the search look faster."""
    for number in count():
        for parts in product(_COLOURS, _THINGS, _QUALITIES):
            yield f"{' '.join(parts).strip()} {number or ''}".strip()


def _measure_latency(
    benchmark: BenchmarkFixture, runner: asyncio.Runner, service: SearchService, rounds: int
) -> Sequence[float]:
    """Return the seconds of each search by words, one after the other."""
    words = _words()
    benchmark.pedantic(  # type: ignore[no-untyped-call] # the plugin has no annotation for it
        lambda query: runner.run(service.text(query)),
        setup=lambda: ((SearchQuery(q=next(words)),), {}),
        rounds=rounds,
        warmup_rounds=WARM_UP,
    )
    assert benchmark.stats is not None
    return list(benchmark.stats.stats.data)


def _take_latency(figures: Figures, benchmark: BenchmarkFixture, seconds: Sequence[float], items: int) -> None:
    for share in (50, 95):
        milliseconds = float(np.percentile(seconds, share)) * 1000
        benchmark.extra_info[f"p{share}_ms"] = milliseconds
        figures.take(f"text search over {items:,} items, p{share}", milliseconds, "ms")


@pytest.fixture(scope="module")
def filled(request: pytest.FixtureRequest, runner: asyncio.Runner, server: PostgresServer) -> Iterator[Postgres]:
    """Give a database with as many items as the parameter says."""
    database = migrated_database(server)
    url = runner.run(database.__aenter__())
    runner.run(insert_items(url, request.param, clip_mixture(seed=1)))
    postgres = Postgres.from_settings(Settings(database_url=SecretStr(url)))
    yield postgres
    runner.run(postgres.aclose())
    runner.run(database.__aexit__(None, None, None))


@pytest.mark.parametrize(
    "filled", [5_000, pytest.param(100_000, marks=pytest.mark.bench)], indirect=True, ids=["5000", "100000"]
)
def test_the_index_finds_the_nearest(
    filled: Postgres, runner: asyncio.Runner, figures: Figures, request: pytest.FixtureRequest
) -> None:
    """Of the exact ten nearest the index finds at least 95 of 100."""
    recall = runner.run(_recall(filled, clip_mixture(seed=2)))

    items = int(request.node.callspec.id)
    figures.take(f"recall@10 of HNSW over {items:,} items", recall, "", at_least=0.95)


@pytest.mark.parametrize(
    "filled", [600, pytest.param(100_000, marks=pytest.mark.bench)], indirect=True, ids=["600", "100000"]
)
def test_a_search_by_words_is_quick(
    filled: Postgres,
    models: ModelEmbeddings,
    runner: asyncio.Runner,
    benchmark: BenchmarkFixture,
    figures: Figures,
    request: pytest.FixtureRequest,
) -> None:
    """A search by words, embedding included, over the size of the sample catalogue and over a large one."""
    seconds = _measure_latency(benchmark, runner, SearchService(filled, models), rounds=200)

    _take_latency(figures, benchmark, seconds, int(request.node.callspec.id))
