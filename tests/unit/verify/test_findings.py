"""The values that every check returns, and what an outcome of them means."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.findings import ADDED, BLIND, CLEAN, LOUDER, OUTCOME, REMOVED, RUN

from prethrift_backend.verify.findings import Finding, Item, Outcome, Place
from prethrift_backend.verify.rules import RULES, Rule, make_table
from prethrift_backend.verify.verdict import FailOn, exit_status, reasons, states, summary, tally


def test_the_fingerprint_outlives_an_edit() -> None:
    """A finding keeps its fingerprint when its line moves or its words change."""
    moved = replace(REMOVED, place=Place("elsewhere.txt", 99), message="other words", level="info")

    assert moved.fingerprint == REMOVED.fingerprint


def test_the_fingerprint_is_the_same_in_every_version() -> None:
    """Code scanning knows old findings by it, so its making never changes."""
    assert REMOVED.fingerprint == "2bd5e005301adecff903d0ebfeb18f5de021b4be52cd3fe996b6f902aa27629a"


@pytest.mark.parametrize(
    "changes", [{"rule": "M002"}, {"signal": "logs"}, {"name": "http_request_total"}, {"part": "method"}]
)
def test_the_fingerprint_tells_faults_apart(changes: dict[str, str]) -> None:
    """Another rule, signal or item, or another part of it, is another finding."""
    other = replace(REMOVED, **changes)  # type: ignore[arg-type] # one field each, of a type that it has

    assert other.fingerprint != REMOVED.fingerprint


def test_the_parts_of_a_fingerprint_do_not_run_together() -> None:
    """What ends one part does not begin the next, and a lone surrogate is no obstacle."""
    findings = [
        Finding("A", "info", "logs", '", "x', ""),
        Finding('A"', "info", "logs", ', "x', ""),
        Finding("A", "info", "logs", "\ud800", ""),
    ]

    assert len({finding.fingerprint for finding in findings}) == 3


def test_a_place_reads_as_editors_have_it() -> None:
    """Path, line and column with colons between, as far as they are known."""
    assert [str(Place("a.txt")), str(Place("a.txt", 3)), str(Place("a.txt", 3, 7))] == ["a.txt", "a.txt:3", "a.txt:3:7"]


def test_no_two_rules_have_one_id() -> None:
    """An id that is taken is refused by name, wherever the other one stands."""
    with pytest.raises(ValueError, match="rule 'X001' is there twice"):
        make_table([[Rule("X001", "one", "error")], [Rule("X001", "two", "error")]])


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_every_rule_explains_itself(rule: Rule) -> None:
    """A rule has a title on one line and a help that says more."""
    assert rule.title
    assert "\n" not in rule.title
    assert rule.help


@pytest.mark.parametrize(
    ("findings", "fail_on", "status"),
    [
        ((), "error", 0),
        ((ADDED, LOUDER), "error", 0),
        ((ADDED, LOUDER), "warning", 1),
        ((ADDED,), "warning", 0),
        ((ADDED,), "info", 1),
        ((REMOVED,), "error", 1),
        ((REMOVED,), "none", 0),
    ],
)
def test_the_exit_status_is_the_verdict(findings: tuple[Finding, ...], fail_on: FailOn, status: int) -> None:
    """1 where a finding is as bad as asked for or worse, 0 otherwise."""
    assert exit_status(replace(CLEAN, findings=findings), fail_on) == status


@pytest.mark.parametrize("fail_on", ["error", "none"])
@pytest.mark.parametrize(
    "outcome", [BLIND, Outcome("lint"), replace(CLEAN, inconclusive=("the server does not answer",))]
)
def test_nothing_seen_is_never_a_success(outcome: Outcome, fail_on: FailOn) -> None:
    """Without items, with none observed, or with a reason not to know, the status is 3 whatever counts as failure."""
    assert exit_status(outcome, fail_on) == 3
    assert reasons(outcome)


def test_a_violation_outweighs_what_was_not_seen() -> None:
    """A run that found an error and then lost the server is violated."""
    outcome = replace(BLIND, findings=(REMOVED,), inconclusive=("time is up",))

    assert exit_status(outcome, "error") == 1


def test_each_item_ends_in_one_state() -> None:
    """Failed, passed or not observed; a warning fails no item unless it counts."""
    assert [state for _, state in states(OUTCOME, "error")] == ["failed", "passed", "not observed", "passed"]
    assert [state for _, state in states(OUTCOME, "warning")] == ["failed", "failed", "not observed", "passed"]


def test_an_excused_item_has_a_state_of_its_own() -> None:
    """What only an exception covers has not passed."""
    assert tally(replace(OUTCOME, findings=()), "error") == {
        "passed": 2,
        "failed": 0,
        "excused": 1,
        "not observed": 1,
    }


def test_an_item_that_was_not_observed_and_yet_breaks_a_rule_failed() -> None:
    """A finding says more than a missing observation."""
    item = Item("metrics", REMOVED.name, not_observed="not in the scrape")

    assert states(Outcome("verify", (REMOVED,), items=(item,)), "error") == [(item, "failed")]


def test_the_summary_is_one_line_of_counts() -> None:
    """Verdict, findings by level, items by state."""
    assert summary(OUTCOME, RUN) == (
        "violated: 1 error, 1 warning, 1 info; 4 items: 2 passed, 1 failed, 1 not observed"
    )
    assert summary(CLEAN, RUN) == "verified: 0 errors, 0 warnings, 0 info; 1 item: 1 passed"
