"""Checks that depend on another: what is shown and what runs while that one fails."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.waiting import wait_for_async
from tests.unit.health._parts import Harness, ScriptedCheck, recording_sleep

from prethrift_backend.health import CheckReport, HealthEngine, HealthRegistry, HealthStatus

GOOD, WARN, BAD = HealthStatus.HEALTHY, HealthStatus.DEGRADED, HealthStatus.UNHEALTHY


class _Pair(Harness):
    """A database, pgvector in it with a longer interval, and a third check that depends on pgvector."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.database, self.pgvector, self.index = ScriptedCheck(), ScriptedCheck(), ScriptedCheck()
        self.registry.register("database", self.database)
        self.registry.register("pgvector", self.pgvector, interval_seconds=30, depends_on="database")
        self.registry.register("index", self.index, interval_seconds=30, depends_on="pgvector")

    def told(self) -> list[tuple[str | None, HealthStatus]]:
        return [(report.code, report.settled) for report in self.engine.snapshot()]


async def test_dependent_is_told_at_once_and_does_not_run() -> None:
    """One failure of the database shows in all that depends on it, before their own turn and without their run."""
    pair = _Pair()
    await pair.engine.refresh()

    pair.database.fail()
    await pair.run_checks()

    assert pair.told() == [("unreachable", WARN), ("dependency_failed", WARN), ("dependency_failed", WARN)]
    assert (pair.pgvector.runs, pair.index.runs) == (1, 1)


async def test_dependent_settles_with_what_it_depends_on() -> None:
    """A dependent moves traffic neither earlier nor later than the check that it depends on."""
    pair = _Pair()
    await pair.engine.refresh()
    pair.database.fail()

    await pair.run_checks(2)
    after_two = [settled for _, settled in pair.told()]
    await pair.run_checks()

    assert after_two == [WARN, WARN, WARN]
    assert [settled for _, settled in pair.told()] == [BAD, BAD, BAD]


async def test_dependent_never_runs_while_its_dependency_fails() -> None:
    """However long that takes, and even when it has no result of its own yet."""
    pair = _Pair()
    pair.database.fail()

    await pair.run_checks(20)

    assert (pair.database.runs, pair.pgvector.runs, pair.index.runs) == (20, 0, 0)
    assert pair.told() == [("unreachable", BAD), ("dependency_failed", BAD), ("dependency_failed", BAD)]


async def test_recovery_runs_the_dependents_at_once() -> None:
    """When the database is back its dependents are looked at, long before their interval is over."""
    pair = _Pair()
    await pair.engine.refresh()
    pair.database.fail()
    await pair.run_checks(3)

    pair.database.error = None
    await pair.run_checks()
    await wait_for_async(lambda: pair.pgvector.runs == 2, 5)
    await pair.run_checks()

    assert pair.told()[:2] == [("ok", GOOD), ("ok", GOOD)]


async def test_failure_that_was_not_seen_does_not_count() -> None:
    """The time of an outage adds nothing to the dependents' own counters."""
    pair = _Pair()
    await pair.engine.refresh()
    pair.database.fail()
    await pair.run_checks(3)
    pair.database.error = None
    pair.pgvector.fail()
    await pair.run_checks(2)

    report: CheckReport = pair.engine.snapshot()[1]

    assert (report.code, report.consecutive_failures, report.settled) == ("unreachable", 1, WARN)


async def test_first_run_waits_for_the_dependency() -> None:
    """At the start the dependent waits for the first result of the other, and then decides whether to run."""
    database, pgvector = ScriptedCheck(gate=asyncio.Event()), ScriptedCheck()
    registry, ticks, pauses = HealthRegistry(), asyncio.Event(), list[float]()
    registry.register("database", database, timeout_seconds=30)
    registry.register("pgvector", pgvector, depends_on="database")
    engine = HealthEngine(registry, sleep=recording_sleep(pauses, ticks.wait))
    engine.start()
    await wait_for_async(lambda: database.runs == 1, 5)
    runs_before = pgvector.runs

    assert database.gate is not None
    database.gate.set()
    await wait_for_async(lambda: pgvector.runs == 1, 5)
    await engine.aclose()

    assert (runs_before, database.runs) == (0, 1)


async def test_disabled_dependency_holds_nobody() -> None:
    """A check that is switched off counts as well for those that depend on it."""
    harness, check = Harness(), ScriptedCheck()
    harness.registry.register("database", ScriptedCheck(), enabled=False)
    harness.registry.register("pgvector", check, depends_on="database")

    await harness.run_checks()

    assert check.runs == 1


@pytest.mark.parametrize("name", ["later", "pgvector"])
def test_dependency_must_be_registered_before(name: str) -> None:
    """A name that is not registered yet is refused, so that there is no circle either."""
    registry = HealthRegistry()

    with pytest.raises(ValueError, match=f"cannot depend on '{name}'.*register '{name}' first"):
        registry.register("pgvector", ScriptedCheck(), depends_on=name)
