"""The engine: sharing of runs, limits, schedule, and what a reader sees meanwhile."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager

import pytest
from opentelemetry import context as otel_context
from tests.support.waiting import wait_for_async
from tests.unit.health._parts import FakeClock, Harness, ScriptedCheck, recording_sleep

from prethrift_backend.exceptions import ProbeFailedError
from prethrift_backend.health import (
    CheckCode,
    CheckFailed,
    CheckReport,
    CheckWording,
    HealthCheck,
    HealthEngine,
    HealthRegistry,
    HealthStatus,
)

GOOD, WARN, BAD = HealthStatus.HEALTHY, HealthStatus.DEGRADED, HealthStatus.UNHEALTHY


async def _only(engine: HealthEngine, deadline_seconds: float = 5.0) -> CheckReport:
    (report,) = await engine.refresh(deadline_seconds=deadline_seconds)
    return report


def _engine(check: object, **options: object) -> HealthEngine:
    registry = HealthRegistry()
    registry.register("x", check, **options)  # type: ignore[arg-type] # options of many kinds, checked by register
    return HealthEngine(registry)


@contextmanager
def _blocked_threads() -> Iterator[threading.Event]:
    """Give an event that blocking checks wait for, and set it whatever happens, so that no thread is left."""
    release = threading.Event()
    try:
        yield release
    finally:
        release.set()


async def test_user_check_registers_as_it_stands() -> None:
    """An async function that returns a HealthCheck needs nothing around it."""

    async def check_cache() -> HealthCheck:
        return HealthCheck("anything", WARN, 12.5, "Cache is cold", {"hit_ratio": 0.1})

    report = await _only(_engine(check_cache))

    assert report.check == HealthCheck("x", WARN, 12.5, "Cache is cold", {"hit_ratio": 0.1})
    assert report.public_message == "The check reports degraded service"


async def test_async_check_without_result_is_well() -> None:
    """Returning None means ok, in the registration's words."""
    wording = CheckWording({CheckCode.OK: "Database connection successful"})

    report = await _only(_engine(ScriptedCheck(), wording=wording))

    assert (report.check.status, report.code) == (GOOD, "ok")
    assert report.check.message == report.public_message == "Database connection successful"


async def test_raised_code_gives_status_words_and_details() -> None:
    """CheckFailed says all of it: the code, from it status and sentence, and details."""
    check = ScriptedCheck(CheckFailed(CheckCode.POOL_SATURATED, details={"in_use": 15}))

    report = await _only(_engine(check))

    assert (report.check.status, report.code, report.check.details) == (WARN, "pool_saturated", {"in_use": 15})
    assert report.check.message == "Every pooled connection is in use"


async def test_plain_check_runs_on_a_daemon_thread_of_its_own() -> None:
    """A blocking check is not on the event loop, and not on a thread that others wait for."""
    seen: list[threading.Thread] = []

    report = await _only(_engine(lambda: seen.append(threading.current_thread())))

    assert report.check.status is GOOD
    assert seen[0].daemon
    assert seen[0].name == "health-check-x"


@pytest.mark.parametrize("error", [OSError(), StopIteration(), CheckFailed("not_found")])
async def test_plain_check_that_raises_has_failed(error: Exception) -> None:
    """An exception of a plain function crosses the thread, even one that a future cannot hold."""

    def check() -> None:
        raise error

    assert (await _only(_engine(check))).check.status is BAD


async def test_plain_check_may_hand_over_a_coroutine() -> None:
    """A plain function around an async one works as that would."""
    check = ScriptedCheck(OSError())

    def plain() -> Awaitable[None]:
        return check()

    report = await _only(_engine(plain))

    assert (check.runs, report.code) == (1, "unreachable")


async def test_check_that_cancels_itself_has_failed() -> None:
    """A stray cancellation inside a check is a failure of that check, and reaches nobody else."""

    async def check() -> None:
        raise asyncio.CancelledError

    assert (await _only(_engine(check))).code == "internal"


async def test_disabled_check_is_listed_and_never_runs() -> None:
    """A check that is switched off keeps its place, so that the names are always the same."""
    check = ScriptedCheck()

    report = await _only(_engine(check, enabled=False))

    assert (report.check.status, report.code, report.check.details) == (GOOD, "disabled", {"enabled": False})
    assert check.runs == 0


async def test_crowd_shares_one_run() -> None:
    """Five hundred readers of an expired result cause one run of each check."""
    harness, checks = Harness(), [ScriptedCheck(), ScriptedCheck()]
    for index, check in enumerate(checks):
        harness.registry.register(f"check_{index}", check)
    harness.lifecycle.mark_ready()
    await harness.engine.refresh()
    harness.clock.advance(8)

    answers = await asyncio.gather(*(harness.endpoint.answer("ready") for _ in range(500)))

    assert [check.runs for check in checks] == [2, 2]
    assert len(answers) == 500


async def test_fresh_result_runs_nothing() -> None:
    """Within its lifetime a result is read and nothing is run."""
    harness, check = Harness(), ScriptedCheck()
    harness.registry.register("x", check)
    await harness.engine.refresh()

    for _ in range(100):
        harness.clock.advance(0.07)
        await harness.engine.refresh()

    assert check.runs == 1


async def test_first_reader_may_leave() -> None:
    """The reader who began a run is cancelled; the run goes on, and the others get its result."""
    check = ScriptedCheck(gate=asyncio.Event())
    engine = _engine(check)
    first, *others = [asyncio.create_task(_only(engine)) for _ in range(5)]
    await wait_for_async(lambda: check.runs == 1, 5)

    first.cancel()
    await asyncio.wait({first})
    assert check.gate is not None
    check.gate.set()
    reports = await asyncio.gather(*others)

    assert first.cancelled()
    assert {report.check.status for report in reports} == {GOOD}
    assert check.runs == 1


async def test_failed_run_is_not_kept() -> None:
    """After a run that raised, the next expired read runs the check again."""
    harness, check = Harness(), ScriptedCheck(RuntimeError())
    harness.registry.register("x", check)
    await harness.engine.refresh()

    check.error = None
    await harness.run_checks(2)

    assert check.runs == 3
    assert harness.engine.snapshot()[0].settled is GOOD


async def test_check_that_ignores_cancellation_holds_nobody() -> None:
    """A check that swallows its cancellation times out, is not started again, and the others keep their results."""
    release, runs = asyncio.Event(), 0

    async def stubborn() -> None:
        nonlocal runs
        runs += 1
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    harness = Harness()
    harness.registry.register("stubborn", stubborn, timeout_seconds=0.02)
    harness.registry.register("fine", ScriptedCheck())

    await harness.run_checks(4)
    stubborn_report, fine_report = harness.engine.snapshot()
    await harness.engine.aclose()
    release.set()

    assert (stubborn_report.code, stubborn_report.settled, runs) == ("timeout", BAD, 1)
    assert fine_report.check.status is GOOD


async def test_stuck_thread_is_the_only_one() -> None:
    """A blocking check that hangs keeps one thread, gets no second, and is called again once it has ended."""
    calls: list[int] = []
    with _blocked_threads() as release:

        def check() -> None:
            calls.append(1)
            release.wait()

        harness = Harness()
        harness.registry.register("x", check, timeout_seconds=0.02)
        await harness.run_checks(50)
        stuck = harness.engine.snapshot()[0]
        living = [thread for thread in threading.enumerate() if thread.name == "health-check-x"]

    await wait_for_async(lambda: not living[0].is_alive(), 5)
    await harness.run_checks()

    assert (len(living), stuck.code, len(calls)) == (1, "timeout", 2)
    assert harness.engine.snapshot()[0].check.status is GOOD


async def test_reader_does_not_wait_beyond_its_deadline() -> None:
    """At the deadline finished checks keep their result, and only the unfinished one shows a timeout."""
    slow = ScriptedCheck(gate=asyncio.Event())
    registry = HealthRegistry()
    registry.register("slow", slow, timeout_seconds=60)
    registry.register("quick", ScriptedCheck())
    engine = HealthEngine(registry)

    reports = await engine.refresh(deadline_seconds=0.02)
    await engine.aclose()

    assert [(report.check.name, report.code) for report in reports] == [("slow", "timeout"), ("quick", "ok")]


async def test_late_run_does_not_repaint_a_result_that_is_still_good() -> None:
    """A reader whose deadline passes during a re-run sees the last result, as long as its age allows."""
    harness, check = Harness(deadline_seconds=0.02), ScriptedCheck()
    harness.registry.register("x", check, timeout_seconds=60)
    await harness.engine.refresh()

    check.gate = asyncio.Event()
    harness.clock.advance(70)
    report = await _only(harness.engine, 0.02)
    await harness.engine.aclose()

    assert (check.runs, report.code, report.age_seconds) == (2, "ok", 70)


async def test_old_result_is_stale_whatever_it_said() -> None:
    """When runs have stopped, the last good result is not believed beyond its age limit."""
    harness, check = Harness(deadline_seconds=0.02), ScriptedCheck()
    harness.registry.register("x", check, timeout_seconds=60)
    await harness.engine.refresh()

    check.gate = asyncio.Event()
    harness.clock.advance(76)
    report = await _only(harness.engine, 0.02)
    await harness.engine.aclose()

    assert (report.code, report.settled) == ("stale", BAD)


async def test_result_after_a_stale_one_counts_at_once() -> None:
    """After a gap nothing earlier counts, so that hysteresis neither delays good news nor bad."""
    harness, check = Harness(), ScriptedCheck()
    harness.registry.register("x", check)
    await harness.engine.refresh()

    check.fail()
    harness.clock.advance(100)

    assert (await _only(harness.engine)).settled is BAD


async def test_settled_status_follows_executed_checks_and_not_readers() -> None:
    """Many readers between two runs do not make a check fall faster."""
    harness, check = Harness(), ScriptedCheck()
    harness.registry.register("x", check)
    await harness.engine.refresh()
    check.fail()
    await harness.run_checks()

    await asyncio.gather(*(harness.engine.refresh() for _ in range(20)))
    after_many_readers = harness.engine.snapshot()[0].settled
    await harness.run_checks(2)

    assert (after_many_readers, harness.engine.snapshot()[0].settled) == (WARN, BAD)


async def test_a_result_that_is_not_yet_believed_is_asked_after_sooner() -> None:
    """After the first and the second failure, and after the first success, the pause is half the interval."""
    pauses: list[float] = []
    ticks: asyncio.Queue[None] = asyncio.Queue()
    outcomes = iter([GOOD, BAD, BAD, BAD, GOOD, GOOD])
    registry = HealthRegistry()

    async def check() -> HealthCheck:
        return HealthCheck("x", next(outcomes))

    registry.register("x", check, interval_seconds=10)
    engine = HealthEngine(registry, sleep=recording_sleep(pauses, ticks.get), draw=lambda: 0.5)

    engine.start()
    for run in range(1, 7):
        await wait_for_async(lambda run=run: len(pauses) == run, 5)  # type: ignore[misc] # mypy cannot infer a lambda with a default
        ticks.put_nowait(None) if run < 6 else None
    await engine.aclose()

    assert pauses == pytest.approx([10, 5, 5, 10, 5, 10])


async def test_start_runs_every_check_at_once_and_then_by_its_interval() -> None:
    """The first run does not wait; pauses are the interval, varied by a tenth at most."""
    pauses: list[float] = []
    ticks: asyncio.Queue[None] = asyncio.Queue()
    check, registry, draws = ScriptedCheck(), HealthRegistry(), iter([0.0, 1.0, 0.5])
    registry.register("x", check, interval_seconds=10)
    engine = HealthEngine(registry, sleep=recording_sleep(pauses, ticks.get), draw=lambda: next(draws))

    engine.start()
    for run in (1, 2, 3):
        await wait_for_async(lambda run=run: len(pauses) == run, 5)  # type: ignore[misc] # mypy cannot infer a lambda with a default
        ticks.put_nowait(None) if run < 3 else None
    await engine.aclose()

    assert pauses == pytest.approx([9.0, 11.0, 10.0])
    assert check.runs == 3


async def test_killed_schedule_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    """A schedule that ends is begun again by the supervisor, after a pause, and the log says so."""
    pauses: list[float] = []
    ticks: asyncio.Queue[None] = asyncio.Queue()
    check, registry = ScriptedCheck(), HealthRegistry()
    registry.register("x", check)
    engine = HealthEngine(registry, sleep=recording_sleep(pauses, ticks.get))
    engine.start()
    await wait_for_async(lambda: len(pauses) == 1, 5)

    caplog.clear()
    engine._schedules["x"].cancel()
    await wait_for_async(lambda: len(pauses) == 2, 5)
    ticks.put_nowait(None)
    await wait_for_async(lambda: check.runs == 2, 5)
    await engine.aclose()

    assert [message.split()[0] for message in caplog.messages] == ["health_schedule_restarted"]


async def test_dead_schedule_shows_as_stale_and_a_reader_revives_the_result() -> None:
    """Without schedule and supervisor the snapshot grows stale; a reader who may wait runs the check itself."""
    clock, check, registry = FakeClock(), ScriptedCheck(), HealthRegistry()
    registry.register("x", check)
    engine = HealthEngine(registry, clock=clock)
    engine.start()
    await wait_for_async(lambda: check.runs == 1, 5)
    await engine.aclose()

    clock.advance(17)
    stale = engine.snapshot()[0]
    revived = await _only(engine)

    assert (stale.code, revived.code) == ("stale", "ok")


async def test_second_start_is_refused() -> None:
    """One engine has one schedule."""
    engine = HealthEngine(HealthRegistry())
    engine.start()

    with pytest.raises(RuntimeError, match="started before"):
        engine.start()
    await engine.aclose()


async def test_close_leaves_no_task() -> None:
    """After aclose() nothing of the engine runs on, even with a check in the middle of its run."""
    before = asyncio.all_tasks()
    check = ScriptedCheck(gate=asyncio.Event())
    engine = _engine(check)
    engine.start()
    await wait_for_async(lambda: check.runs == 1, 5)

    await engine.aclose()

    assert asyncio.all_tasks() == before


async def test_close_of_an_engine_that_never_started_does_nothing() -> None:
    """Closing twice, or without a start, is no error."""
    engine = _engine(ScriptedCheck())

    await engine.aclose()
    await engine.aclose()


def test_process_may_end_while_a_thread_hangs() -> None:
    """The event loop closes although a blocking check never returns; its late answer finds nobody and harms nobody."""
    with _blocked_threads() as release:

        async def main() -> str:
            return str((await _only(_engine(lambda: release.wait() and None, timeout_seconds=0.02))).code)

        code = asyncio.run(main())
    for thread in threading.enumerate():
        if thread.name == "health-check-x":
            thread.join(5)

    assert code == "timeout"


async def test_run_does_not_inherit_the_context_of_its_first_reader(caplog: pytest.LogCaptureFixture) -> None:
    """Neither a check that a request began nor the log line about it carries that request's identity."""
    request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="none")
    seen: list[str] = []

    def note(_: logging.LogRecord) -> bool:
        seen.append(f"log {request_id.get()}")
        return True

    async def check() -> None:
        seen.append(f"check {request_id.get()}")

    caplog.set_level(logging.INFO)
    caplog.handler.addFilter(note)
    engine = _engine(check)
    request_id.set("r1")
    await _only(engine)
    caplog.handler.removeFilter(note)

    assert seen == ["check none", "log none"]


async def test_log_has_one_line_for_each_transition(caplog: pytest.LogCaptureFixture) -> None:
    """The log tells changes of the settled status and is silent about runs that change nothing."""
    caplog.set_level(logging.INFO)
    harness, check = Harness(), ScriptedCheck()
    harness.registry.register("x", check)

    await harness.run_checks(5)
    check.fail()
    await harness.run_checks(5)
    check.error = None
    await harness.run_checks(5)

    lines = [record for record in caplog.records if record.name == "prethrift_backend.health.engine"]
    assert [(line.levelname, *line.getMessage().split()[:4]) for line in lines] == [
        ("INFO", "health_check_changed", "check='x'", "before='unknown'", "after='healthy'"),
        ("WARNING", "health_check_changed", "check='x'", "before='healthy'", "after='degraded'"),
        ("WARNING", "health_check_changed", "check='x'", "before='degraded'", "after='unhealthy'"),
        ("INFO", "health_check_changed", "check='x'", "before='unhealthy'", "after='healthy'"),
    ]


@pytest.mark.parametrize(
    ("word", "code", "status"),
    [
        ("wrong_dimension", "wrong_dimension", BAD),
        ("pool_saturated", "pool_saturated", WARN),
        ("no such word", "internal", BAD),
    ],
)
async def test_owner_of_a_resource_says_why_in_one_word(word: str, code: str, status: HealthStatus) -> None:
    """ProbeFailedError gives code and details; a word outside the closed list is a fault of the probe."""
    check = ScriptedCheck(ProbeFailedError(word, details={"columns": 2, "dsn": "http://u:p@h"}))

    report = await _only(_engine(check))

    assert (report.code, report.check.status) == (code, status)
    assert report.check.details == {"columns": 2, "dsn": "withheld"}


async def test_mapping_is_well_with_details() -> None:
    """A probe that returns figures is well, and they are shown."""

    async def check() -> dict[str, object]:
        return {"pool_in_use": 3, "version": "0.8.1"}

    report = await _only(_engine(check))

    assert (report.check.status, report.code) == (GOOD, "ok")
    assert report.check.details == {"pool_in_use": 3, "version": "0.8.1"}


async def test_names_choose_the_checks() -> None:
    """A reader who asks for some checks has only those run, and gets only those."""
    harness, checks = Harness(), {name: ScriptedCheck() for name in ("a", "b", "c")}
    for name, check in checks.items():
        harness.registry.register(name, check)

    reports = await harness.engine.refresh(names=["c", "a"])

    assert [report.check.name for report in reports] == ["a", "c"]
    assert [check.runs for check in checks.values()] == [1, 0, 1]


async def test_probes_while_a_thread_hangs() -> None:
    """Fifty probes during a hang cost one thread, each gets its answer, and the other checks keep their results."""
    with _blocked_threads() as release:

        def hang() -> None:
            release.wait()

        harness = Harness(deadline_seconds=0.05)
        harness.registry.register("x", hang, timeout_seconds=0.02)
        harness.registry.register("fine", ScriptedCheck())
        harness.lifecycle.mark_ready()
        before = threading.active_count()

        answers = []
        for _ in range(5):
            harness.clock.advance(8)
            answers += await asyncio.gather(*(harness.endpoint.answer("health") for _ in range(10)))
        extra = threading.active_count() - before
        fine = harness.engine.snapshot()[1]

    assert extra <= 1
    assert [answer.status_code for answer in answers[-10:]] == [503] * 10
    assert (len(answers), fine.code) == (50, "ok")


@pytest.mark.parametrize("on_thread", [False, True])
async def test_checks_make_no_spans(on_thread: bool) -> None:
    """Within a check instrumentation is switched off, on the loop and on a thread; outside it is as it was."""
    seen: list[object] = []

    def plain() -> None:
        seen.append(otel_context.get_value("suppress_instrumentation"))

    async def check() -> None:
        plain()

    engine = _engine(plain if on_thread else check)
    await _only(engine)
    engine.start()
    await wait_for_async(lambda: len(seen) == 2, 5)
    await engine.aclose()

    assert seen == [True, True]
    assert otel_context.get_value("suppress_instrumentation") is None


async def test_heartbeat_has_an_age() -> None:
    """None before the start; then the time since the supervisor last woke, which grows when it does not."""
    clock = FakeClock()
    engine = HealthEngine(HealthRegistry(), clock=clock)
    before = engine.heartbeat_age_seconds
    engine.start()
    clock.advance(7)
    after = engine.heartbeat_age_seconds
    await engine.aclose()
    clock.advance(100)

    assert (before, after, engine.heartbeat_age_seconds) == (None, 7, 107)


async def test_killed_supervisor_is_revived_by_a_reader(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever reads sees to it that the schedule is supervised; the log says so once."""
    clock, check, registry = FakeClock(), ScriptedCheck(), HealthRegistry()
    registry.register("x", check)
    engine = HealthEngine(registry, clock=clock)
    engine.start()
    await wait_for_async(lambda: check.runs == 1, 5)
    killed = engine._supervisor
    assert killed is not None
    killed.cancel()
    await asyncio.wait({killed})
    caplog.clear()
    clock.advance(1)

    await engine.refresh()
    await engine.refresh()
    age = engine.heartbeat_age_seconds
    await engine.aclose()
    await engine.refresh()

    assert [message.split()[0] for message in caplog.messages] == ["health_supervisor_restarted"]
    assert age == 0
