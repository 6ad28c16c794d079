"""What micro-batching is worth."""

from __future__ import annotations

import asyncio
import time
from itertools import count
from statistics import median

from tests.perf.conftest import Figures

from prethrift_backend.embeddings import ModelEmbeddings

AT_ONCE = 64
ROUNDS = 7

_numbers = count()


def _texts() -> list[str]:
    """Give texts that no cache has seen."""
    return [f"blue striped dress number {next(_numbers)}" for _ in range(AT_ONCE)]


async def _one_at_a_time(models: ModelEmbeddings) -> float:
    started = time.perf_counter()
    for text in _texts():
        await models.embed_query(text)
    return time.perf_counter() - started


async def _all_at_once(models: ModelEmbeddings) -> float:
    started = time.perf_counter()
    await asyncio.gather(*(models.embed_query(text) for text in _texts()))
    return time.perf_counter() - started


async def _measure(models: ModelEmbeddings) -> tuple[float, float]:
    """Return the median throughputs, one at a time and all at once; the two take turns, so that both see the noise."""
    pairs = [(await _one_at_a_time(models), await _all_at_once(models)) for _ in range(ROUNDS)]
    one, many = (median(times) for times in zip(*pairs, strict=True))
    return AT_ONCE / one, AT_ONCE / many


def test_batching_multiplies_the_throughput(models: ModelEmbeddings, runner: asyncio.Runner, figures: Figures) -> None:
    """64 texts at once are embedded at three times the rate of one after the other, at least."""
    one, many = runner.run(_measure(models))

    figures.take("text embeddings, one at a time", one, "1/s")
    figures.take("text embeddings, 64 at once", many, "1/s")
    figures.take("micro-batching, ratio of the two", many / one, "x", at_least=3)
