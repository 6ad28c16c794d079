"""What a record means: findings, items, table, and the status that a run ends with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prethrift_backend.verify.coverage.items import CoverageItem
from prethrift_backend.verify.coverage.judgement import Selected, outcome_of, select, summary_lines, table_lines
from prethrift_backend.verify.coverage.record import CoverageRecord, TestFault
from prethrift_backend.verify.findings import Place
from prethrift_backend.verify.verdict import exit_status

FAMILY = CoverageItem("metrics", "work_total", place=Place("metrics.txt", 3))
PART = CoverageItem("metrics", 'work_total{kind="big"}', place=Place("metrics.txt", 3), of="work_total")
EVENT = CoverageItem("logs", "work_done", stability="beta", place=Place("logs.txt", 5))
SPAN = CoverageItem("spans", "work", stability="development", place=Place("spans.txt", 7))
ITEMS = (FAMILY, PART, EVENT, SPAN)
FULL = CoverageRecord({}, 2, 0, {(item.signal, item.name): f"tests/test_{item.signal}.py::test" for item in ITEMS})
HALF = replace(FULL, exercised={(FAMILY.signal, FAMILY.name): "tests/test_metrics.py::test"})


def _status(record: CoverageRecord, *, stability: Selected = "stable", floor: float = 1.0) -> int:
    return exit_status(outcome_of(select(ITEMS, record, stability=stability), floor=floor), "error")


def test_all_that_is_stable_is_enough() -> None:
    """What is less firm counts where it is asked for."""
    record = replace(FULL, exercised={key: test for key, test in FULL.exercised.items() if key[0] == "metrics"})

    assert [_status(record, stability=one) for one in ("stable", "beta", "all")] == [0, 1, 1]


def test_an_item_that_is_missing_is_a_finding() -> None:
    """An item and a part of one have rules of their own, and the line of the contract."""
    outcome = outcome_of(select(ITEMS, replace(FULL, exercised={}), stability="beta"), floor=1.0)

    found = [(finding.rule, finding.level, finding.name, str(finding.place)) for finding in outcome.findings]
    assert found == [
        ("CV001", "error", "work_total", "metrics.txt:3"),
        ("CV002", "error", 'work_total{kind="big"}', "metrics.txt:3"),
        ("CV001", "error", "work_done", "logs.txt:5"),
    ]
    assert [item.not_observed for item in outcome.items] == ["no test exercises it"] * 3


def test_the_floor_says_how_much_is_enough() -> None:
    """At the floor what is missing is a warning; just below it is an error."""
    assert (_status(HALF, floor=0.5), _status(HALF, floor=0.51)) == (0, 1)
    levels = {one.level for one in outcome_of(select(ITEMS, HALF, stability="stable"), floor=0.5).findings}
    assert levels == {"warning"}


@pytest.mark.parametrize("floor", [0.0, 1.0])
@pytest.mark.parametrize("exit_of_pytest", [0, 5])
def test_a_run_without_tests_is_inconclusive(floor: float, exit_of_pytest: int) -> None:
    """Nothing ran, so nothing is shown, whatever fixtures have done."""
    assert _status(replace(FULL, test_count=0, exit_status=exit_of_pytest), floor=floor) == 3


def test_tests_that_exercise_nothing_are_no_success() -> None:
    """A floor of nothing is reached by nothing, which is inconclusive."""
    assert _status(replace(FULL, exercised={}), floor=0.0) == 3


@pytest.mark.parametrize(("count", "status"), [(2, 1), (2, 2), (0, 2), (0, 3)])
def test_a_run_that_failed_is_a_violation(count: int, status: int) -> None:
    """A failed test, a collection that failed, an error of pytest: all of it counts."""
    record = replace(FULL, test_count=count, exit_status=status)

    assert _status(record) == 1
    assert [one.rule for one in outcome_of(select(ITEMS, record, stability="all"), floor=1.0).findings] == ["CV003"]


def test_a_breach_that_a_test_has_shown_is_a_finding() -> None:
    """With the rule of the record, the test to run again, and the line of the contract."""
    fault = TestFault("tests/test_a.py::test", "LG007", "logs", "work_done", "field 'x' is wrong", "int", "'a'")
    outcome = outcome_of(select(ITEMS, replace(FULL, faults=(fault,)), stability="all"), floor=1.0)

    (finding,) = outcome.findings
    assert finding.message == "field 'x' is wrong (in tests/test_a.py::test)"
    assert (finding.rule, str(finding.place)) == ("LG007", "logs.txt:5")
    assert finding.reproduce == "pytest 'tests/test_a.py::test'"
    assert exit_status(outcome, "error") == 1


def test_what_could_not_be_judged_is_inconclusive() -> None:
    """An observer that failed has not seen the contracts kept."""
    assert _status(replace(FULL, unjudged=("a line could not be judged: KeyError in tests/test_a.py::test",))) == 3


def test_the_table_has_every_item() -> None:
    """With the first test, or a dash."""
    assert list(table_lines(select(ITEMS, HALF, stability="beta"))) == [
        "signal   stability  item                    exercised by",
        "metrics  stable     work_total              tests/test_metrics.py::test",
        'metrics  stable     work_total{kind="big"}  -',
        "logs     beta       work_done               -",
    ]


def test_the_summary_counts_by_signal() -> None:
    """Shares are cut: 100 % is all of them."""
    assert list(summary_lines(select(ITEMS, HALF, stability="beta"))) == [
        "signal   items  exercised  share",
        "metrics  2      1          50.0 %",
        "logs     1      0          0.0 %",
        "all      3      1          33.3 %",
        "2 tests ran",
    ]
