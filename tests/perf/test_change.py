"""The telemetry of this tree against that of the commit before the change, and the gate itself, tried."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.overhead.paired import TOLERANCE, Comparison, base_commit, compare, sources_of
from tests.perf.conftest import Figures, mark_unfit

SOURCES = Path(__file__).parents[2] / "src"
UNCHANGED_RUNS, SLOWER_RUNS = 20, 5
EXTRA = 0.05
# Writes to more memory than the caches hold, all the time; ends by itself after five minutes.
LOAD = """
import time
room, end = bytearray(64 << 20), time.monotonic() + 300
while time.monotonic() < end:
    for place in range(0, len(room), 64):
        room[place] = 1
"""


def _hold(comparison: Comparison) -> None:
    """Fail on `fail` alone; a machine that cannot tell is said to be one by the status of the whole run."""
    if comparison.verdict == "unfit":
        mark_unfit(f"the machine is unfit to compare: {comparison}")
    assert comparison.verdict != "fail", str(comparison)


def test_a_change_does_not_slow_requests_down(figures: Figures) -> None:
    """The layer takes no more than 1.03 of what it took before the change; without a history the counts hold alone."""
    commit = base_commit()
    if commit is None:
        figures.take("layer, of an earlier commit: none is here, fetch one or name it by PERF_BASE", 0, "commits")
        return

    with sources_of(commit) as base:
        comparison = compare(base)

    figures.take(f"layer, of commit {commit[:10]}, lower bound", comparison.change.low, "", aim=1 + TOLERANCE)
    figures.take("layer, of the same code, median", comparison.control.median, "")
    _hold(comparison)


def test_more_work_is_found() -> None:
    """5 % more work in the layer fails."""
    comparison = compare(SOURCES, extra_share=EXTRA)

    if comparison.verdict == "unfit":
        mark_unfit(f"the machine is unfit to compare: {comparison}")
    assert comparison.verdict == "fail", str(comparison)


@contextmanager
def _load() -> Iterator[None]:
    """Keep both cores busy within the block."""
    loads = [subprocess.Popen([sys.executable, "-c", LOAD]) for _ in range(2)]
    try:
        yield
    finally:
        for process in loads:
            process.kill()
            process.wait()


@pytest.mark.gates
def test_the_gate_does_not_cry_wolf() -> None:
    """Of 20 runs of unchanged code, with other work on both cores, none fails; of 5 with 5 % more work all do."""
    with _load():
        unchanged = [_told(compare(SOURCES)) for _ in range(UNCHANGED_RUNS)]
        slower = [_told(compare(SOURCES, extra_share=EXTRA)) for _ in range(SLOWER_RUNS)]

    assert unchanged.count("fail") == 0
    assert slower == ["fail"] * SLOWER_RUNS


def _told(comparison: Comparison) -> str:
    print(comparison, flush=True)
    return comparison.verdict
