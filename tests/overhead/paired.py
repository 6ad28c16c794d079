"""This tree's telemetry against that of another commit, and a verdict that machines and their load do not change.

What is compared is a ratio within a block of a few milliseconds, the median of some dozens of blocks, in several
processes with hash seeds of their own: where a process has its memory makes it one per cent faster or slower for as
long as it lives. The bounds come from a bootstrap over processes and blocks. A run says `pass` where the upper bound is
within the limit, `fail` where the lower one is beyond it, and `undecided` otherwise; it adds processes before it says
so. The twins of one package must be as fast as each other: where they are not, the machine is unfit to tell. Then all
begins anew, a few times, and after that nothing has failed and nothing has passed.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final, Literal, TypeAlias

from tests.overhead.race import ROOT

Verdict: TypeAlias = Literal["pass", "fail", "undecided", "unfit"]
Blocks: TypeAlias = Mapping[str, Sequence[float]]

FEWEST_PROCESSES: Final = 5
MOST_PROCESSES: Final = 15
ATTEMPTS: Final = 3  # where the machine is unfit: what else it does may be over by then
BLOCKS: Final = 80
DRAWS: Final = 1_000
TOLERANCE: Final = 0.03
_CHILD_SECONDS: Final = 300  # two, on cores that nobody else wants


@dataclass(frozen=True, slots=True)
class Bounds:
    """The median of a ratio, and the bounds that it keeps with 95 in 100 (one-sided, each)."""

    low: float
    median: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """What some processes showed: this tree against the base, and each package against itself."""

    change: Bounds
    control: Bounds
    added_us: float
    processes: int
    verdict: Verdict
    limit: float = field(default=1 + TOLERANCE)

    def __str__(self) -> str:
        change, control = self.change, self.control
        return (
            f"{self.verdict}: {change.median:.3f} of the base ({change.low:.3f} to {change.high:.3f}, limit "
            f"{self.limit:g}), control {control.median:.3f} ({control.low:.3f} to {control.high:.3f}), "
            f"{self.added_us:.1f} µs a request, {self.processes} processes"
        )


def change_of(blocks: Blocks) -> list[float]:
    """Return this tree's time over the base's in each block: of twins the faster one."""
    return [min(head) / min(base) for head, base in zip(_pairs(blocks, "head"), _pairs(blocks, "base"), strict=True)]


def control_of(blocks: Blocks) -> list[float]:
    """Return one twin's time over the other's, of both packages."""
    return [a / b for name in ("head", "base") for a, b in _pairs(blocks, name)]


def _pairs(blocks: Blocks, name: str) -> Iterator[tuple[float, float]]:
    return zip(blocks[name], blocks[f"{name}_twin"], strict=True)


def bounds_of(processes: Sequence[Sequence[float]], draw: random.Random) -> Bounds:
    """Return the bounds of the median over processes of the medians over blocks."""
    medians = sorted(
        median(_median_of_sample(process, draw) for process in draw.choices(processes, k=len(processes)))
        for _ in range(DRAWS)
    )
    middle = median(median(process) for process in processes)
    return Bounds(medians[DRAWS // 20], middle, medians[-1 - DRAWS // 20])


def _median_of_sample(values: Sequence[float], draw: random.Random) -> float:
    return median(draw.choices(values, k=len(values)))


def judge(change: Bounds, control: Bounds, *, tolerance: float = TOLERANCE) -> Verdict:
    """Return what the bounds mean; a machine whose control is off, or as wide as half the tolerance, cannot tell."""
    # Bounds of 95 in 100 miss the 1 now and then; a sixth of the tolerance off, which is arbitrary, hides nothing.
    is_even = control.low <= 1 <= control.high or abs(control.median - 1) < tolerance / 6
    if not is_even or control.high - control.low > tolerance / 2:
        return "unfit"
    if change.low > 1 + tolerance:
        return "fail"
    return "pass" if change.high <= 1 + tolerance else "undecided"


def compare(
    base: Path,
    *,
    extra_share: float = 0.0,
    most: int = MOST_PROCESSES,
    attempts: int = ATTEMPTS,
    measure: Callable[..., Blocks] | None = None,
) -> Comparison:
    """Compare this tree with the sources in ``base``; where the machine is unfit, begin anew, so many ``attempts``."""
    measured = partial(measure or _measure, base, extra_share)
    for _ in range(attempts - 1):
        comparison = _compare_once(measured, most)
        if comparison.verdict != "unfit":
            return comparison
    return _compare_once(measured, most)


def _compare_once(measured: Callable[..., Blocks], most: int) -> Comparison:
    """Take some processes; add more, up to ``most``, while nothing can be said."""
    taken: list[Blocks] = []
    draw = random.Random(0)  # the same bounds from the same times
    while True:
        wanted = FEWEST_PROCESSES if not taken else len(taken) + 2
        taken += [measured(seed=seed) for seed in range(len(taken), wanted)]
        comparison = _compared(taken, draw)
        if comparison.verdict in ("pass", "fail") or len(taken) >= most:
            return comparison


def _compared(taken: Sequence[Blocks], draw: random.Random) -> Comparison:
    change = bounds_of([change_of(blocks) for blocks in taken], draw)
    control = bounds_of([control_of(blocks) for blocks in taken], draw)
    added = median(median(blocks["head"]) - median(blocks["bare"]) for blocks in taken)
    return Comparison(change, control, added, len(taken), judge(change, control))


def _measure(base: Path, extra_share: float, *, seed: int) -> Blocks:
    command = [sys.executable, "-m", "tests.overhead.paired_child", str(base), str(extra_share), str(BLOCKS)]
    environ = {**os.environ, "PYTHONHASHSEED": str(seed)}
    run = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=_CHILD_SECONDS
    )
    if run.returncode:
        raise RuntimeError(f"the arms could not be compared (status {run.returncode}): {run.stderr[-2000:]}")
    blocks: Blocks = json.loads(run.stdout)
    return blocks


def _git(*arguments: str) -> str | None:
    """Return what git prints, None where it cannot say."""
    run = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return run.stdout.strip() if run.returncode == 0 else None


def base_commit() -> str | None:
    """Return the commit to compare with: PERF_BASE, or where this branch left origin/main, or the one before.

    None where there is no earlier one; ValueError where PERF_BASE names none.
    """
    asked = os.environ.get("PERF_BASE")
    named = asked or _git("merge-base", "HEAD", "origin/main")
    if named is None or (not asked and named == _git("rev-parse", "HEAD")):
        named = "HEAD~1"
    commit = _git("rev-parse", "--verify", f"{named}^{{commit}}")
    if asked and commit is None:
        raise ValueError(f"PERF_BASE is {asked!r}, which is no commit here: fetch it, or name another")
    return commit


@contextmanager
def sources_of(commit: str) -> Iterator[Path]:
    """Give the sources of a commit in a folder of their own, its contracts beside them, within the block."""
    with TemporaryDirectory(prefix="prethrift-base-") as folder:
        archive = Path(folder) / "base.tar"
        subprocess.run(["git", "archive", "-o", archive, commit, "src", "contracts"], cwd=ROOT, check=True)
        subprocess.run(["tar", "-xf", archive, "-C", folder], check=True)
        yield Path(folder) / "src"
