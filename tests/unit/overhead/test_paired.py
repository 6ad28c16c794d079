"""What the comparison of two packages makes of times: ratios, bounds, verdicts, and more processes where it must."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.overhead.paired import (
    FEWEST_PROCESSES,
    MOST_PROCESSES,
    Blocks,
    Bounds,
    base_commit,
    bounds_of,
    change_of,
    compare,
    control_of,
    judge,
)

EVEN = Bounds(0.998, 1.0, 1.002)


def _blocks(head: float, *, twin: float = 1.0, spread: float = 0.0, seed: int = 0, count: int = 40) -> Blocks:
    """Return times of which this tree's are ``head`` times the base's, each off by up to ``spread``."""
    draw = random.Random(seed)

    def times(factor: float) -> list[float]:
        return [10 * factor * (1 + draw.uniform(-spread, spread)) for _ in range(count)]

    return {
        "bare": times(0.1),
        "base": times(1),
        "base_twin": times(twin),
        "head": times(head),
        "head_twin": times(head * twin),
    }


def test_of_twins_the_faster_counts() -> None:
    """What disturbs one of them in a block is nothing that the package did."""
    blocks = {"base": [10.0], "base_twin": [30.0], "head": [22.0], "head_twin": [11.0]}

    assert change_of(blocks) == [1.1]
    assert control_of(blocks) == [2.0, 1 / 3]


def test_the_bounds_hold_the_median() -> None:
    """They are around it, closer with more blocks, and the same from the same values."""
    few = [change_of(_blocks(1.05, spread=0.05, seed=seed, count=10)) for seed in range(5)]
    many = [change_of(_blocks(1.05, spread=0.05, seed=seed, count=200)) for seed in range(5)]

    wide, narrow = bounds_of(few, random.Random(0)), bounds_of(many, random.Random(0))

    assert wide.low <= wide.median <= wide.high
    assert narrow.high - narrow.low < wide.high - wide.low
    assert narrow.low < 1.05 < narrow.high
    assert bounds_of(few, random.Random(0)) == wide


@pytest.mark.parametrize(
    ("change", "control", "verdict"),
    [
        (Bounds(0.99, 1.0, 1.01), EVEN, "pass"),
        (Bounds(1.02, 1.025, 1.03), EVEN, "pass"),
        (Bounds(1.02, 1.03, 1.04), EVEN, "undecided"),
        (Bounds(1.031, 1.05, 1.06), EVEN, "fail"),
        (Bounds(1.031, 1.05, 1.06), Bounds(1.006, 1.01, 1.012), "unfit"),
        (Bounds(0.99, 1.0, 1.01), Bounds(0.99, 1.0, 1.01), "unfit"),
        (Bounds(0.99, 1.0, 1.01), Bounds(1.001, 1.003, 1.004), "pass"),
    ],
)
def test_the_bounds_decide(change: Bounds, control: Bounds, verdict: str) -> None:
    """A change fails only where all of its bounds are beyond the limit, on a machine whose twins are even."""
    assert judge(change, control) == verdict


@pytest.mark.parametrize(
    ("head", "twin", "spread", "verdict", "processes"),
    [
        (1.0, 1.0, 0.01, "pass", FEWEST_PROCESSES),
        (1.05, 1.0, 0.01, "fail", FEWEST_PROCESSES),
        (1.03, 1.0, 0.01, "undecided", MOST_PROCESSES),
        (1.05, 1.02, 0.01, "unfit", MOST_PROCESSES),
    ],
)
def test_processes_are_added_while_nothing_can_be_said(
    head: float, twin: float, spread: float, verdict: str, processes: int
) -> None:
    """What is plain is said after five; what is not, after fifteen; each has a hash seed of its own."""
    seeds: Iterator[int] = iter(range(MOST_PROCESSES))

    def measure(_base: Path, _share: float, *, seed: int) -> Blocks:
        assert seed == next(seeds)
        return _blocks(head, twin=twin, spread=spread, seed=seed)

    comparison = compare(Path(), attempts=1, measure=measure)

    assert (comparison.verdict, comparison.processes) == (verdict, processes)
    assert str(comparison).startswith(f"{verdict}: ")


@pytest.mark.parametrize(
    ("bad_runs", "verdict", "runs"),
    [
        (MOST_PROCESSES, "pass", MOST_PROCESSES + FEWEST_PROCESSES),
        (3 * MOST_PROCESSES, "unfit", 3 * MOST_PROCESSES),
    ],
)
def test_what_an_unfit_machine_said_is_thrown_away(bad_runs: int, verdict: str, runs: int) -> None:
    """All begins anew, three times at most: what disturbed the machine may be over, and none of it is counted."""
    taken = 0

    def measure(_base: Path, _share: float, *, seed: int) -> Blocks:
        nonlocal taken
        taken += 1
        return _blocks(1.0, twin=1.02 if taken <= bad_runs else 1.0, spread=0.01, seed=seed, count=9)

    assert compare(Path(), attempts=3, measure=measure).verdict == verdict
    assert taken == runs


def test_a_base_that_is_asked_for_has_to_be_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that no commit has is an error, and not a run that compares nothing."""
    monkeypatch.setenv("PERF_BASE", "no-such-commit")

    with pytest.raises(ValueError, match="PERF_BASE is 'no-such-commit', which is no commit here"):
        base_commit()
