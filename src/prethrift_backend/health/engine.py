"""Runs the checks in the background and answers from what it last saw.

A reader of the snapshot waits for nothing and causes nothing. Only when results are older than they should be (the
engine was not started, or its schedule is late) does a reader have checks run, and then all readers share one run.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any, Final

from opentelemetry import context as otel_context

from prethrift_backend.health._calls import Caller
from prethrift_backend.health._state import (
    CheckState,
    Verdict,
    dependent_report,
    disabled_report,
    judge,
    verdict_of,
)
from prethrift_backend.health.aggregate import health_of
from prethrift_backend.health.check import CheckCode, CheckReport
from prethrift_backend.health.families import Moment, Readings, readings_of
from prethrift_backend.health.lifecycle import Lifecycle
from prethrift_backend.health.registry import HealthRegistry, Registration
from prethrift_backend.health.status import HealthStatus
from prethrift_backend.observability import get_logger

JITTER: Final = 0.1
"""Share of the interval by which each pause varies, so that many processes do not ask one database at once."""

DOUBT_SHARE: Final = 0.5
"""Share of the interval after which a check runs again whose last result is not yet believed.

Without it, three failures in a row that each use up a time limit of one second would take more than three intervals.
"""

CLOSE_SECONDS: Final = 1.0
"""How long a stop waits for calls that ignore their cancellation. Arbitrary, and short of any orchestrator's limit."""

HEARTBEAT_SECONDS: Final = 5.0
"""How often the supervisor of the schedule shows that it lives. Arbitrary: the shortest interval of our checks."""

# What every instrumentation of OpenTelemetry asks for before it makes a span.
_SUPPRESS_INSTRUMENTATION: Final = "suppress_instrumentation"

_log = get_logger(__name__)


class HealthEngine:
    """The checks of a registry, run on a schedule.

    ``clock`` is monotonic, ``time_of_day`` gives seconds since the epoch; ``sleep`` is the pause of the schedule;
    ``draw`` gives numbers from 0 to 1 for the jitter.
    Use it on one event loop. It may be read before ``start()`` and after ``aclose()``.
    """

    def __init__(
        self,
        registry: HealthRegistry,
        *,
        clock: Callable[[], float] = time.monotonic,
        time_of_day: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._time_of_day = time_of_day
        self._sleep = sleep
        self._draw = draw
        self._slots: dict[str, _Slot] = {}
        self._schedules: dict[str, asyncio.Task[None]] = {}
        self._supervisor: asyncio.Task[None] | None = None
        self._beat_at: float | None = None
        self._is_closed = False
        self._context = _context_of_checks()

    def start(self) -> None:
        """Begin the schedule on the running loop; every check runs once at once.

        Raises RuntimeError when started twice.
        """
        if self._supervisor is not None:
            raise RuntimeError("the health engine has been started before: one engine is started once; make another")
        self._registry.freeze()
        self._context = _context_of_checks()
        for slot in self._enabled():
            self._schedules[slot.name] = asyncio.create_task(self._schedule(slot))
        self._start_supervisor()

    async def aclose(self) -> None:
        """Stop the schedule and every running check; take at most ``CLOSE_SECONDS``, whatever the checks do."""
        self._is_closed = True
        tasks: list[asyncio.Task[Any]] = [*self._schedules.values()]
        if self._supervisor is not None:
            tasks.append(self._supervisor)
        for slot in self._slots.values():
            tasks.extend(slot.living())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_SECONDS)

    @property
    def check_names(self) -> tuple[str, ...]:
        """Return the names of the registered checks, in the order of registration."""
        return tuple(registration.name for registration in self._registry)

    @property
    def heartbeat_age_seconds(self) -> float | None:
        """Return the time since the supervisor of the schedule last showed life; None before the start."""
        return None if self._beat_at is None else max(0.0, self._clock() - self._beat_at)

    def snapshot(self, names: Iterable[str] | None = None) -> tuple[CheckReport, ...]:
        """Return what is known now, without waiting and without running anything; safe from any thread.

        Of the checks in ``names``, in the order of registration, or of all.
        """
        now = self._clock()
        return tuple(slot.report(now) for slot in self._chosen(names))

    async def refresh(
        self, *, deadline_seconds: float = 2.0, names: Iterable[str] | None = None
    ) -> tuple[CheckReport, ...]:
        """Return the snapshot, after running those checks whose result is older than it should be.

        All callers share one run of a check. Each waits ``deadline_seconds`` at most and may leave earlier without
        harm to the others; a check that has not ended by then is shown as it was, or as timed out when it never was.
        With ``names``, only those checks are looked at.
        """
        self._revive_supervisor()
        now, chosen = self._clock(), None if names is None else frozenset(names)
        expired = [slot for slot in self._chosen(chosen) if slot.is_due(now)]
        if expired:
            # wait() leaves the runs alone when this caller is cancelled, which is what makes them shareable.
            await asyncio.wait({slot.run(self._context) for slot in expired}, timeout=deadline_seconds)
        return self.snapshot(chosen)

    def readings(self, lifecycle: Lifecycle) -> Mapping[str, Readings]:
        """Return the readings of every metric family of health, by its name; safe from any thread, runs nothing."""
        reports = self.snapshot()
        return readings_of(Moment(health_of(reports, lifecycle), reports, self.heartbeat_age_seconds))

    def _slot(self, registration: Registration) -> _Slot:
        slot = self._slots.get(registration.name)
        if slot is None:
            made = _Slot(registration, self._dependency(registration), self._now, self._run_dependents)
            slot = self._slots.setdefault(registration.name, made)
        return slot

    def _dependency(self, registration: Registration) -> _Slot | None:
        return next((self._slot(other) for other in self._registry if other.name == registration.depends_on), None)

    def _chosen(self, names: Iterable[str] | None) -> Collection[_Slot]:
        chosen = None if names is None else frozenset(names)
        return [self._slot(one) for one in self._registry if chosen is None or one.name in chosen]

    def _enabled(self) -> Collection[_Slot]:
        return [slot for slot in self._chosen(None) if slot.registration.enabled]

    def _now(self) -> tuple[float, float]:
        """Return the two times of now: monotonic, and of day in seconds since the epoch."""
        return self._clock(), self._time_of_day()

    def _run_dependents(self, name: str) -> None:
        """Have the checks run that could not while ``name`` failed: their next turn may be long to come."""
        for slot in self._enabled():
            if slot.registration.depends_on == name:
                slot.run(self._context)

    async def _schedule(self, slot: _Slot, *, is_restart: bool = False) -> None:
        if is_restart:  # after a pause, so that a fault which comes back at once does not spin
            await self._sleep(self._pause_seconds(slot))
        while True:
            run = slot.run(self._context)
            await asyncio.wait({run})
            run.result()  # a fault of the engine itself ends this task, and the supervisor sees it
            await self._sleep(self._pause_seconds(slot))

    def _pause_seconds(self, slot: _Slot) -> float:
        share = DOUBT_SHARE if slot.is_in_doubt else 1.0
        return share * slot.registration.interval_seconds * (1 - JITTER + 2 * JITTER * self._draw())

    def _start_supervisor(self) -> None:
        self._beat_at = self._clock()
        self._supervisor = asyncio.create_task(self._supervise())
        self._supervisor.add_done_callback(_error_type)  # looks at the exception, so that asyncio does not complain

    def _revive_supervisor(self) -> None:
        """Begin the supervision again where it has ended; whoever reads the results sees to it."""
        if self._supervisor is not None and self._supervisor.done() and not self._is_closed:
            _log.error("health_supervisor_restarted", error_type=_error_type(self._supervisor))
            self._start_supervisor()

    async def _supervise(self) -> None:
        # A done-callback would be shorter, but it would also revive what a closing loop has just cancelled.
        while True:
            self._beat_at = self._clock()
            await _first_end(self._schedules.values(), HEARTBEAT_SECONDS)
            for name in [name for name, task in self._schedules.items() if task.done()]:
                _log.error("health_schedule_restarted", check=name, error_type=_error_type(self._schedules[name]))
                self._schedules[name] = asyncio.create_task(self._schedule(self._slots[name], is_restart=True))


def _context_of_checks() -> contextvars.Context:
    """Copy the context of now for the checks, with instrumentation switched off.

    A copy, because checks must not inherit the request id or the trace of the request that happened to start them. And
    the statement of a probe is no trace of its own: with spans, probes would be the bulk of what a quiet service sends.
    """
    context = contextvars.copy_context()
    context.run(lambda: otel_context.attach(otel_context.set_value(_SUPPRESS_INSTRUMENTATION, value=True)))
    return context


async def _first_end(tasks: Collection[asyncio.Task[None]], timeout_seconds: float) -> None:
    if tasks:
        await asyncio.wait(tasks, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
    else:
        await asyncio.sleep(timeout_seconds)


class _Slot:
    """One check in the engine: its state, its caller, and the run that is going on, if any."""

    def __init__(
        self,
        registration: Registration,
        dependency: _Slot | None,
        now: Callable[[], tuple[float, float]],
        on_recovery: Callable[[str], None],
    ) -> None:
        self.registration = registration
        self.name = registration.name
        self._now = now
        self._on_recovery = on_recovery
        self._dependency = dependency
        self._caller = Caller(registration.name, registration.check)
        self._state = CheckState()
        self._run: asyncio.Task[None] | None = None

    def report(self, now: float) -> CheckReport:
        if not self.registration.enabled:
            return disabled_report(self.registration)
        own = self._state.report(self.registration, now)
        dependency = None if self._dependency is None else self._dependency.report(now)
        if dependency is None or dependency.check.status is not HealthStatus.UNHEALTHY:
            return own
        return dependent_report(self.registration, own, dependency)

    @property
    def is_in_doubt(self) -> bool:
        return self._state.is_in_doubt

    def is_due(self, now: float) -> bool:
        """Tell whether a reader should have the check run before it reads; one that could not run is not due."""
        return self._is_expired(now) and not self._is_blocked(now)

    def _is_expired(self, now: float) -> bool:
        return self.registration.enabled and self._state.is_expired(self.registration, now)

    def _is_blocked(self, now: float) -> bool:
        """Tell whether the check must wait for the check that it depends on: that one has failed, and lately."""
        dependency = self._dependency
        return (
            dependency is not None
            and dependency.report(now).check.status is HealthStatus.UNHEALTHY
            and not dependency.is_due(now)
        )

    def living(self) -> list[asyncio.Task[Any]]:
        return [task for task in (self._run, self._caller.cancel()) if task is not None and not task.done()]

    def run(self, context: contextvars.Context) -> asyncio.Task[None]:
        """Return the run that is going on, or begin one."""
        if self._run is None or self._run.done():
            self._run = asyncio.create_task(self._run_once(context), context=context.copy())
            self._run.add_done_callback(_error_type)  # looks at the exception, so that asyncio does not complain
        return self._run

    async def _run_once(self, context: contextvars.Context) -> None:
        started_at, _ = self._now()
        dependency = self._dependency
        if dependency is not None:
            if dependency.is_due(started_at):
                await asyncio.wait({dependency.run(context)})
            started_at, _ = self._now()
            if self._is_blocked(started_at):
                return  # no result of its own: what a check could not see must not count for or against it
        verdict = await self._verdict(context, started_at)
        now, at = self._now()
        before = self._state
        self._state = before.after(verdict, now=now, is_first=before.is_stale(self.registration, started_at), at=at)
        if before.verdict is None or before.settled is not self._state.settled:
            self._tell(before, verdict)
        if _has_recovered(before, verdict):
            self._on_recovery(self.name)

    async def _verdict(self, context: contextvars.Context, started_at: float) -> Verdict:
        if self._caller.is_stuck:
            return verdict_of(self.registration, CheckCode.TIMEOUT, error_type="StillRunning")
        call = self._caller.call(context.copy())
        try:
            await asyncio.wait({call}, timeout=self.registration.timeout_seconds)
        finally:
            self._caller.cancel()  # asked, not awaited: it may not listen
        duration_ms = (self._now()[0] - started_at) * 1000
        if not call.done():
            return verdict_of(self.registration, CheckCode.TIMEOUT, duration_ms=duration_ms)
        if call.cancelled():
            return verdict_of(
                self.registration, CheckCode.INTERNAL, duration_ms=duration_ms, error_type="CancelledError"
            )
        return judge(self.registration, call.result(), duration_ms=duration_ms)

    def _tell(self, before: CheckState, verdict: Verdict) -> None:
        after = self._state.settled
        write = _log.info if after is HealthStatus.HEALTHY else _log.warning
        write(
            "health_check_changed",
            check=self.name,
            before="unknown" if before.verdict is None else before.settled.value,
            after=after.value,
            code=None if verdict.code is None else verdict.code.value,
            critical=self.registration.critical,
            error_type=verdict.error_type,
        )


def _has_recovered(before: CheckState, verdict: Verdict) -> bool:
    had_failed = before.verdict is not None and before.verdict.check.status is HealthStatus.UNHEALTHY
    return had_failed and verdict.check.status is not HealthStatus.UNHEALTHY


def _error_type(task: asyncio.Task[None]) -> str:
    if task.cancelled():
        return "CancelledError"
    error = task.exception()
    return "None" if error is None else type(error).__name__
