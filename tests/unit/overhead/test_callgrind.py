"""What is read of callgrind's files, and the slope over two runs."""

from __future__ import annotations

import pytest
from tests.overhead.callgrind import Slopes, slope_of, total_of


def test_the_total_is_read() -> None:
    """It stands in the line of the summary."""
    assert total_of("version: 1\nevents: Ir\nsummary: 2494154810\n\nfn=(1) f\n0 5\ntotals: 2494154810\n") == 2494154810


def test_a_file_without_a_total_is_refused() -> None:
    """The error says which lines were looked for."""
    with pytest.raises(ValueError, match=r"no line 'summary:' or 'totals:'"):
        total_of("version: 1\nevents: Ir\n")


def test_what_both_runs_do_once_is_no_part_of_the_slope() -> None:
    """Imports and the warm-up cancel out, whatever they take."""
    few, many = 2_000_000 + 100 * 70, 2_000_000 + 500 * 70

    assert slope_of(few, many, requests=(100, 500)) == 70


def test_the_telemetry_adds_the_difference_of_the_arms() -> None:
    """Observed less bare."""
    assert Slopes(bare=5.0, observed=75.0).added == 70.0
