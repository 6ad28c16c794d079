"""Hysteresis and age, without engine or clock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.health._parts import ScriptedCheck

from prethrift_backend.health import HealthCheck, HealthStatus, Registration
from prethrift_backend.health._calls import Outcome
from prethrift_backend.health._state import CheckState, Verdict, judge, shown_details

GOOD, WARN, BAD = HealthStatus.HEALTHY, HealthStatus.DEGRADED, HealthStatus.UNHEALTHY
REGISTRATION = Registration("x", ScriptedCheck())
LETTERS = {"+": GOOD, "~": WARN, "-": BAD}


def _settled_after(results: list[HealthStatus]) -> HealthStatus:
    state = CheckState()
    for index, status in enumerate(results):
        state = state.after(Verdict(HealthCheck("x", status), None), now=float(index), is_first=index == 0)
    return state.settled


@pytest.mark.parametrize(
    ("results", "settled"),
    [
        ("+", GOOD),
        ("-", BAD),  # the first result counts at once
        ("+-", WARN),
        ("+--", WARN),
        ("+---", BAD),
        ("+--+--", WARN),  # interleaved: the counter starts again
        ("+--+--+--", WARN),
        ("+--~--", WARN),  # a degraded result is no failure
        ("+---+", BAD),
        ("+---++", GOOD),
        ("+---+-+", BAD),  # the way back starts again as well
        ("+---+~", WARN),
        ("-+", BAD),
        ("-++", GOOD),
        ("-++-", WARN),
        ("~", WARN),
        ("+~", WARN),
        ("~+", GOOD),
    ],
)
def test_settled_status_needs_results_in_a_row(results: str, settled: HealthStatus) -> None:
    """Three failures in a row to fall, two successes in a row to rise, and either resets the other."""
    assert _settled_after([LETTERS[letter] for letter in results]) is settled


@given(st.lists(st.sampled_from([GOOD, WARN, BAD]), min_size=1, max_size=40))
def test_settled_status_agrees_with_a_slow_reading_of_the_rule(results: list[HealthStatus]) -> None:
    """Whatever the sequence: fallen means that the last three were bad, or that no two since then were not."""
    has_fallen = results[0] is BAD
    for end in range(2, len(results) + 1):
        seen = results[:end]
        has_fallen = BAD in seen[-2:] if has_fallen else len(seen) >= 3 and set(seen[-3:]) == {BAD}

    assert (_settled_after(results) is BAD) == has_fallen


def test_age_is_judged_at_reading() -> None:
    """One and the same state is good within its age limit and stale beyond it."""
    state = CheckState().after(Verdict(HealthCheck("x", GOOD), None), now=100.0, is_first=True)

    young = state.report(REGISTRATION, 100.0 + REGISTRATION.max_age_seconds)
    old = state.report(REGISTRATION, 100.1 + REGISTRATION.max_age_seconds)

    assert (young.settled, young.code) == (GOOD, None)
    assert (old.settled, old.check.status, old.code) == (BAD, BAD, "stale")


def test_age_limit_is_three_intervals_and_the_time_limit() -> None:
    """The limit exceeds interval and run time, so that a result does not flap between its runs."""
    registration = Registration("x", ScriptedCheck(), interval_seconds=30, timeout_seconds=2)

    assert registration.max_age_seconds == 92
    assert registration.ttl_seconds < registration.max_age_seconds


def test_only_numbers_booleans_and_words_are_details() -> None:
    """Any other value is replaced, so that nobody can put a text with a secret there."""
    details = shown_details(
        {"n": 1, "x": 0.5, "b": True, "w": "clip-ViT-B-32", "url": "http://u:p@h", "o": [1], "nan": float("nan"), "": 1}
    )

    assert details == {
        "n": 1, "x": 0.5, "b": True, "w": "clip-ViT-B-32", "url": "withheld", "o": "withheld", "nan": "withheld",
    }  # fmt: skip


@pytest.mark.parametrize("value", [False, True, "ok", 1, HealthCheck("x", GOOD, message=None)])  # type: ignore[arg-type] # what untyped code may do
def test_result_that_was_not_agreed_on_is_not_well(value: object) -> None:
    """A check that returns anything but None or a HealthCheck has failed."""
    verdict = judge(REGISTRATION, Outcome(value), duration_ms=1.0)

    assert (verdict.check.status, verdict.code) == (BAD, "internal")
