"""Many replicas' health engines in virtual time: how often all of them together ask one database.

The engines are the backend's own, with the checks, intervals and jitter of the application; only time is simulated, and
a check takes as long as it is told. An hour of a thousand replicas needs no hour.
"""

from __future__ import annotations

import asyncio
import logging
import random
import selectors
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from prethrift_backend.embeddings import NullEmbeddings
from prethrift_backend.health import HealthEngine, HealthRegistry
from prethrift_backend.main import _register_checks

# Arbitrary, as a database in the same region answers.
CHECK_SECONDS = 0.002
# The checks that ask over the network; the others look at the process itself.
REMOTE = ("database", "pgvector", "s3")


class _VirtualSelector(selectors.SelectSelector):
    """Waits by moving the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """Return what is ready, or let the time go by at once."""
        ready = super().select(0)
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time moves only while nothing is to do, and then at once."""

    def __init__(self) -> None:
        self._virtual = _VirtualSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Return the virtual seconds since the start."""
        return self._virtual.now


@dataclass(frozen=True)
class Reading:
    """Who asks each replica: the seconds between two questions of each asker."""

    every_seconds: tuple[float, ...] = ()


@dataclass(frozen=True)
class Outage:
    """When the database refuses, in seconds of the virtual clock; never, unless it is said."""

    begin: float = float("inf")
    end: float = float("inf")


@dataclass
class ProbeCount:
    """What happened: runs of each check by the second, and questions that were answered."""

    runs: dict[str, Counter[int]] = field(default_factory=lambda: {name: Counter() for name in REMOTE})
    answers: int = 0
    outage: Outage = field(default_factory=Outage)

    def note(self, name: str, at_seconds: float) -> None:
        """Count a run; raise ConnectionRefusedError where the database is asked while it is away."""
        self.runs[name][int(at_seconds)] += 1
        if name != "s3" and self.outage.begin <= at_seconds < self.outage.end:
            raise ConnectionRefusedError("the simulated database is away")

    def per_second(self, name: str, begin: int, end: int) -> float:
        """Return the mean runs of a check a second between two seconds."""
        return sum(self.runs[name][second] for second in range(begin, end)) / (end - begin)

    def peak(self, name: str, begin: int, end: int) -> int:
        """Return the runs of a check in the busiest second between two."""
        return max(self.runs[name][second] for second in range(begin, end))


class _Unused:
    """Stands for the resources of the application, whose checks are not run."""

    probe = probe_vectors = staticmethod(lambda *_: None)


def intervals() -> dict[str, float]:
    """Return the seconds between two runs of each check of the application that asks over the network."""
    return {name: found.interval_seconds for name, found in _registrations().items()}


def _registrations() -> dict[str, Any]:
    unused: Any = _Unused()
    return {found.name: found for found in _register_checks(unused, unused, NullEmbeddings()) if found.name in REMOTE}


def count_probes(
    starts: Sequence[float], *, until_seconds: float, reading: Reading | None = None, outage: Outage | None = None
) -> ProbeCount:
    """Run a replica from each of ``starts`` on, all on one virtual clock, and count."""
    count = ProbeCount(outage=outage or Outage())
    with _silence(), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(_run(starts, until_seconds, reading or Reading(), count))
    return count


@contextmanager
def _silence() -> Iterator[None]:
    """Keep the engines from logging: a thousand of them tell of each change."""
    logger = logging.getLogger("prethrift_backend.health")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


async def _run(starts: Sequence[float], until_seconds: float, reading: Reading, count: ProbeCount) -> None:
    chance = random.Random(1)
    engines = [_engine(count, random.Random(chance.random()).random) for _ in starts]
    tasks = [asyncio.create_task(_start(engine, at)) for engine, at in zip(engines, starts, strict=True)]
    for engine, at in zip(engines, starts, strict=True):
        for seconds in reading.every_seconds:
            # Kubelets and scrapers are not in step with one another.
            first = at + seconds * chance.random()
            tasks.append(asyncio.create_task(_ask(engine, first, seconds, count)))
    await asyncio.sleep(until_seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.gather(*(engine.aclose() for engine in engines))


def _engine(count: ProbeCount, draw: Callable[[], float]) -> HealthEngine:
    registry = HealthRegistry()
    for name, found in _registrations().items():
        registry.register(
            name,
            partial(_check, name, count),
            critical=found.critical,
            interval_seconds=found.interval_seconds,
            timeout_seconds=found.timeout_seconds,
            depends_on=found.depends_on,
        )
    now = asyncio.get_running_loop().time
    return HealthEngine(registry, clock=now, time_of_day=now, draw=draw)


async def _check(name: str, count: ProbeCount) -> None:
    count.note(name, asyncio.get_running_loop().time())
    await asyncio.sleep(CHECK_SECONDS)


async def _start(engine: HealthEngine, at_seconds: float) -> None:
    await asyncio.sleep(at_seconds)
    engine.start()


async def _ask(engine: HealthEngine, first_seconds: float, every_seconds: float, count: ProbeCount) -> None:
    await asyncio.sleep(first_seconds)
    while True:
        await engine.refresh()
        count.answers += 1
        await asyncio.sleep(every_seconds)
