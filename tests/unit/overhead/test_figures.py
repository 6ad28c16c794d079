"""The figures of the session `perf`: which verdict a value with bounds gets, and when it fails."""

from __future__ import annotations

import pytest
from tests.overhead.paired import Bounds
from tests.perf.figures import ALLOWANCE, Figure, Figures, bounds_over, table_of


@pytest.mark.parametrize(
    ("low", "high", "verdict", "is_met"),
    [
        (30, 39, "met", True),
        (38, 42, "undecided (38 to 42)", True),
        (41, 45, "over, within the allowance (41 to 45)", True),
        (51, 55, "NOT MET", False),
    ],
)
def test_bounds_decide(low: float, high: float, verdict: str, is_met: bool) -> None:
    """A time fails where its lower bound is beyond budget and allowance; up to there the table says that it is over."""
    figure = Figure("added", (low + high) / 2, "µs", at_most=40, bounds=Bounds(low, (low + high) / 2, high))

    assert (figure.verdict(), figure.is_met) == (verdict, is_met)


def test_without_bounds_the_value_decides() -> None:
    """A count is within its limit or not; no allowance is made for it."""
    assert Figure("runs", 1, "", at_most=1).verdict() == "met"
    assert Figure("runs", 1 + ALLOWANCE / 2, "", at_most=1).verdict() == "NOT MET"


def test_a_ratio_has_no_allowance() -> None:
    """What does not depend on the machine fails as soon as its lower bound is beyond the limit."""
    bounds = Bounds(1.51, 1.55, 1.6)

    assert not Figure("ratio", 1.55, "x", at_most=1.5, bounds=bounds, allowance=0).is_met


def test_a_figure_that_fails_is_in_the_table_all_the_same() -> None:
    """The run fails, and its table shows what of."""
    figures = Figures()

    with pytest.raises(AssertionError, match=r"60 µs, promised is <= 40 \(contracts/overhead.txt: observed_tenth"):
        figures.hold("added", 60, "µs", ("observed_tenth", "added_us"), bounds=Bounds(55, 60, 65))

    assert any("NOT MET" in line for line in table_of(figures.taken))


def test_bounds_are_around_the_median() -> None:
    """Of a few values they reach to the least and to the largest."""
    assert bounds_over([1.0, 2.0, 9.0]) == Bounds(1.0, 2.0, 9.0)
