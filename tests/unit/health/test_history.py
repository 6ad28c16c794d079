"""What is remembered of a check, and who is told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.health._parts import Harness, ScriptedCheck, valid_body

from prethrift_backend.health import CheckHistory, DetailsGate, HealthStatus, Transition

GOOD, WARN, BAD = HealthStatus.HEALTHY, HealthStatus.DEGRADED, HealthStatus.UNHEALTHY


@given(st.lists(st.tuples(st.sampled_from(list(HealthStatus)), st.booleans()), max_size=60))
def test_history_remembers_twenty_and_counts_all(runs: list[tuple[HealthStatus, bool]]) -> None:
    """The ring holds the last twenty changes, oldest first; the counts forget nothing."""
    history = CheckHistory()
    for at, (status, is_change) in enumerate(runs):
        change = Transition(float(at), status, None) if is_change else None
        history = history.after(status, at=float(at), transition=change)

    changes = [(float(at), status) for at, (status, is_change) in enumerate(runs) if is_change]
    assert [(change.at, change.status) for change in history.transitions] == changes[-20:]
    assert history.since == (changes[-1][0] if changes else None)
    assert sum(history.changes.values()) == len(changes)
    assert sum(history.results.values()) == len(runs)
    assert history.last_success_at == max((at for at, (status, _) in enumerate(runs) if status is GOOD), default=None)


async def test_past_is_told_in_details() -> None:
    """Since when, the last success and the changes are there for callers who may see details, by the schema."""
    harness, check = Harness(), ScriptedCheck()
    harness.registry.register("x", check)
    await harness.run_checks(2)  # at :13 and :21
    check.fail()
    await harness.run_checks(4)  # at :29, :37, :45, :53

    details = valid_body(await harness.endpoint.answer("health"))["checks"][0]["details"]

    assert details["consecutive_failures"] == 4
    assert details["since"] == "2026-01-02T03:04:45.000Z"
    assert details["last_success"] == "2026-01-02T03:04:21.000Z"
    assert details["history"] == [
        {"at": "2026-01-02T03:04:13.000Z", "status": "healthy", "code": "ok"},
        {"at": "2026-01-02T03:04:29.000Z", "status": "degraded", "code": "unreachable"},
        {"at": "2026-01-02T03:04:45.000Z", "status": "unhealthy", "code": "unreachable"},
    ]


async def test_past_is_not_for_everybody() -> None:
    """Without the right to details nothing of the past is told."""
    harness = Harness(details=DetailsGate("authorized", token="t"))
    harness.registry.register("x", ScriptedCheck())
    await harness.run_checks()

    body = valid_body(await harness.endpoint.answer("health"))

    assert body["checks"][0]["details"] == {}


async def test_a_flapping_check_keeps_its_body_within_the_schema() -> None:
    """After a hundred changes the body still has the last twenty and is valid."""
    harness, check = Harness(), ScriptedCheck()
    harness.registry.register("x", check)
    for _ in range(50):
        check.error = None
        await harness.run_checks(2)
        check.fail()
        await harness.run_checks(1)

    details = valid_body(await harness.endpoint.answer("health"))["checks"][0]["details"]

    assert len(details["history"]) == 20


async def test_engine_has_the_last_word_on_its_own_details() -> None:
    """A check cannot put values in the place of the engine's, in forms that the schema does not allow."""

    async def check() -> dict[str, object]:
        return {"since": 5, "history": 1, "last_success": True, "age_seconds": "old", "critical": "very", "mine": 1}

    harness = Harness()
    harness.registry.register("x", check)

    details = valid_body(await harness.endpoint.answer("health"))["checks"][0]["details"]

    assert (details["mine"], details["critical"], details["age_seconds"]) == (1, True, 0.0)
