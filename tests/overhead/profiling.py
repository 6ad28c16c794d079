"""Which functions the time of a request goes to, as a profiler sees it, scaled to the time that it takes without."""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.overhead.workload import Client, measure

SHOWN = 40


@dataclass(frozen=True, slots=True)
class Line:
    """One function: its own time and that with what it calls, in microseconds a request."""

    own_us: float
    total_us: float
    calls: float
    function: str


@dataclass(frozen=True, slots=True)
class Profile:
    """The functions that take most, in the thread that serves, and what all threads take together."""

    cpu_us: float
    serving_us: float
    lines: Sequence[Line]


async def profile(client: Client, count: int, *, drain: Callable[[], None]) -> Profile:
    """Send ``count`` requests without a profiler and as many with one; a profiler makes short functions look long."""
    cost = await measure(client, count, drain=drain)
    profiler = cProfile.Profile()
    profiler.enable()
    await client.send(count)
    profiler.disable()
    drain()
    return _scaled(pstats.Stats(profiler), count, cpu_us=cost.cpu_us, serving_us=cost.serving_us)


def _scaled(stats: pstats.Stats, count: int, *, cpu_us: float, serving_us: float) -> Profile:
    found: dict[tuple[str, int, str], tuple[int, int, float, float, object]] = stats.stats  # type: ignore[attr-defined]
    seconds = sum(own for _, _, own, _, _ in found.values())
    scale = serving_us / (seconds / count * 1e6) / count * 1e6
    lines = [
        Line(own * scale, total * scale, calls / count, _named(*where))
        for where, (_, calls, own, total, _) in found.items()
    ]
    return Profile(cpu_us, serving_us, sorted(lines, key=lambda line: -line.own_us)[:SHOWN])


def _named(file: str, number: int, function: str) -> str:
    return function if file == "~" else f"{'/'.join(Path(file).parts[-2:])}:{number} {function}"
