"""The telemetry of this tree against that of the commit before the change, and the gate itself, tried."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from tests.overhead.paired import FEWEST_PROCESSES, TOLERANCE, Comparison, base_commit, compare, sources_of
from tests.perf.conftest import Figures, mark_unfit

from prethrift_backend.contracts import load_overhead

SOURCES = Path(__file__).parents[2] / "src"
UNCHANGED_RUNS, SLOWER_RUNS = 20, 5
FEWER_RUNS = 2  # of unchanged code under load, short ones, in every run of the session `perf`
EXTRA = 0.05
# What a machine that others want as well may take; on two cores of its own a comparison takes some seconds.
TIMEOUT_SECONDS, GATES_SECONDS = 900, 5_400
pytestmark = pytest.mark.timeout(TIMEOUT_SECONDS)
# Writes to more memory than the caches hold, all the time; ends by itself, should nobody end it.
LOAD = """
import sys, time
room, end = bytearray(64 << 20), time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    for place in range(0, len(room), 64):
        room[place] = 1
"""


def _hold(comparison: Comparison) -> None:
    """Fail on `fail` alone; a machine that cannot tell is said to be one by the status of the whole run."""
    if comparison.verdict == "unfit":
        mark_unfit(f"the machine is unfit to compare: {comparison}")
    assert comparison.verdict != "fail", str(comparison)


def test_a_change_does_not_slow_requests_down(
    figures: Figures, benchmark: BenchmarkFixture, keep: Callable[..., None]
) -> None:
    """The layer takes no more than 1.03 of what it took before the change; without a history the counts hold alone."""
    commit = base_commit()
    if commit is None:
        figures.take("layer, of an earlier commit: none is here, fetch one or name it by PERF_BASE", 0, "commits")
        return

    with sources_of(commit) as base:
        comparison = benchmark.pedantic(compare, (base,))  # type: ignore[no-untyped-call] # the plugin has no annotation

    keep(**asdict(comparison), commit=commit)
    figures.take("layer, of the same code, median", comparison.control.median, "x")
    # Whether it is met is for the verdict to say, and on an unfit machine nobody can.
    at_most = None if comparison.verdict == "unfit" else load_overhead().budget("change").limits["low_ratio"].value
    name = f"layer, of commit {commit[:10]}, lower bound: {comparison.verdict}"
    figures.show(name, comparison.change.low, "x", at_most)
    _hold(comparison)


def test_the_limit_is_the_one_of_the_contract() -> None:
    """What the comparison holds a change to is the budget of overhead.txt."""
    assert load_overhead().budget("change").limits["low_ratio"].value == 1 + TOLERANCE


def test_more_work_is_found(benchmark: BenchmarkFixture, keep: Callable[..., None]) -> None:
    """5 % more work in the layer fails."""
    comparison = benchmark.pedantic(compare, (SOURCES,), {"extra_share": EXTRA})  # type: ignore[no-untyped-call] # the plugin has no annotation

    keep(**asdict(comparison), extra_share=EXTRA)
    # Neither does it fail where this machine lets nobody tell 5 % from 3: only where the gate saw it, and let it pass.
    if comparison.verdict in ("unfit", "undecided"):
        mark_unfit(f"the machine is unfit to compare: {comparison}")
    assert comparison.verdict == "fail", str(comparison)


@contextmanager
def _load(most_seconds: int) -> Iterator[None]:
    """Keep both cores busy within the block; AssertionError where they were not, up to its end."""
    loads = [subprocess.Popen([sys.executable, "-c", LOAD, str(most_seconds)]) for _ in range(2)]
    try:
        yield
        assert [process.poll() for process in loads] == [None, None], "the load ended before what it was put on"
    finally:
        for process in loads:
            process.kill()
            process.wait()


def test_unchanged_code_does_not_fail_under_load() -> None:
    """With other work on both cores unchanged code passes, or nothing can be said; it never fails."""
    with _load(TIMEOUT_SECONDS):
        verdicts = [_told(compare(SOURCES, most=FEWEST_PROCESSES, attempts=1)) for _ in range(FEWER_RUNS)]

    assert "fail" not in verdicts


@pytest.mark.gates
@pytest.mark.timeout(GATES_SECONDS)
def test_the_gate_does_not_cry_wolf() -> None:
    """Of 20 runs of unchanged code, with other work on both cores, none fails."""
    with _load(GATES_SECONDS):
        verdicts = [_told(compare(SOURCES, attempts=1)) for _ in range(UNCHANGED_RUNS)]

    assert verdicts.count("fail") == 0


@pytest.mark.gates
@pytest.mark.timeout(GATES_SECONDS)
def test_the_gate_bites() -> None:
    """Of 5 runs with 5 % more work, none passes, and where the machine can tell, all fail."""
    verdicts = [_told(compare(SOURCES, extra_share=EXTRA)) for _ in range(SLOWER_RUNS)]

    assert "pass" not in verdicts
    if verdicts != ["fail"] * SLOWER_RUNS:
        mark_unfit(f"the machine is unfit to compare: {verdicts}")


def _told(comparison: Comparison) -> str:
    print(comparison, flush=True)
    return comparison.verdict
