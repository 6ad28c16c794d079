"""Runs the checks in the background and answers from what it last saw.

A reader of the snapshot waits for nothing and causes nothing. Only when results are older than they should be (the
engine was not started, or its schedule is late) does a reader have checks run, and then all readers share one run.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final

from prethrift_backend.health._calls import Caller
from prethrift_backend.health._state import CheckState, Verdict, disabled_report, judge, verdict_of
from prethrift_backend.health.check import CheckCode, CheckReport
from prethrift_backend.health.registry import HealthRegistry, Registration
from prethrift_backend.health.status import HealthStatus
from prethrift_backend.observability import get_logger

JITTER: Final = 0.1
"""Share of the interval by which each pause varies, so that many processes do not ask one database at once."""

CLOSE_SECONDS: Final = 1.0
"""How long a stop waits for calls that ignore their cancellation. Arbitrary, and short of any orchestrator's limit."""

_log = get_logger(__name__)


class HealthEngine:
    """The checks of a registry, run on a schedule.

    ``clock`` is monotonic; ``sleep`` is the pause of the schedule; ``draw`` gives numbers from 0 to 1 for the jitter.
    Use it on one event loop. It may be read before ``start()`` and after ``aclose()``.
    """

    def __init__(
        self,
        registry: HealthRegistry,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._sleep = sleep
        self._draw = draw
        self._slots: dict[str, _Slot] = {}
        self._schedules: dict[str, asyncio.Task[None]] = {}
        self._supervisor: asyncio.Task[None] | None = None
        # Checks must not inherit the request id or the trace of the request that happened to start them.
        self._context = contextvars.copy_context()

    def start(self) -> None:
        """Begin the schedule on the running loop; every check runs once at once.

        Raises RuntimeError when started twice.
        """
        if self._supervisor is not None:
            raise RuntimeError("the health engine has been started before: one engine is started once; make another")
        self._registry.freeze()
        self._context = contextvars.copy_context()
        for slot in self._enabled():
            self._schedules[slot.name] = asyncio.create_task(self._schedule(slot))
        self._supervisor = asyncio.create_task(self._supervise())

    async def aclose(self) -> None:
        """Stop the schedule and every running check; take at most ``CLOSE_SECONDS``, whatever the checks do."""
        tasks: list[asyncio.Task[Any]] = [*self._schedules.values()]
        if self._supervisor is not None:
            tasks.append(self._supervisor)
        for slot in self._slots.values():
            tasks.extend(slot.living())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_SECONDS)

    def snapshot(self) -> tuple[CheckReport, ...]:
        """Return what is known now, without waiting and without running anything; safe from any thread."""
        now = self._clock()
        return tuple(self._slot(registration).report(now) for registration in self._registry)

    async def refresh(self, *, deadline_seconds: float = 2.0) -> tuple[CheckReport, ...]:
        """Return the snapshot, after running those checks whose result is older than it should be.

        All callers share one run of a check. Each waits ``deadline_seconds`` at most and may leave earlier without
        harm to the others; a check that has not ended by then is shown as it was, or as timed out when it never was.
        """
        now = self._clock()
        expired = [slot for slot in self._enabled() if slot.is_expired(now)]
        if expired:
            # wait() leaves the runs alone when this caller is cancelled, which is what makes them shareable.
            await asyncio.wait({slot.run(self._context) for slot in expired}, timeout=deadline_seconds)
        return self.snapshot()

    def states(self) -> Mapping[tuple[str, str], float]:
        """Return 1.0 for the state that each check is in and 0.0 for the others, by (check, state)."""
        return {
            (report.check.name, state.value): float(report.check.status is state)
            for report in self.snapshot()
            for state in HealthStatus
        }

    def _slot(self, registration: Registration) -> _Slot:
        slot = self._slots.get(registration.name)
        if slot is None:
            slot = self._slots.setdefault(registration.name, _Slot(registration, self._clock))
        return slot

    def _enabled(self) -> Collection[_Slot]:
        return [self._slot(registration) for registration in self._registry if registration.enabled]

    async def _schedule(self, slot: _Slot, *, is_restart: bool = False) -> None:
        if is_restart:  # after a pause, so that a fault which comes back at once does not spin
            await self._sleep(self._pause_seconds(slot))
        while True:
            run = slot.run(self._context)
            await asyncio.wait({run})
            run.result()  # a fault of the engine itself ends this task, and the supervisor sees it
            await self._sleep(self._pause_seconds(slot))

    def _pause_seconds(self, slot: _Slot) -> float:
        return slot.registration.interval_seconds * (1 - JITTER + 2 * JITTER * self._draw())

    async def _supervise(self) -> None:
        # A done-callback would be shorter, but it would also revive what a closing loop has just cancelled.
        while self._schedules:
            await asyncio.wait(self._schedules.values(), return_when=asyncio.FIRST_COMPLETED)
            for name in [name for name, task in self._schedules.items() if task.done()]:
                _log.error("health_schedule_restarted", check=name, error_type=_error_type(self._schedules[name]))
                self._schedules[name] = asyncio.create_task(self._schedule(self._slots[name], is_restart=True))


class _Slot:
    """One check in the engine: its state, its caller, and the run that is going on, if any."""

    def __init__(self, registration: Registration, clock: Callable[[], float]) -> None:
        self.registration = registration
        self.name = registration.name
        self._clock = clock
        self._caller = Caller(registration.name, registration.check)
        self._state = CheckState()
        self._run: asyncio.Task[None] | None = None

    def report(self, now: float) -> CheckReport:
        if not self.registration.enabled:
            return disabled_report(self.registration)
        return self._state.report(self.registration, now)

    def is_expired(self, now: float) -> bool:
        return self._state.is_expired(self.registration, now)

    def living(self) -> list[asyncio.Task[Any]]:
        return [task for task in (self._run, self._caller.cancel()) if task is not None and not task.done()]

    def run(self, context: contextvars.Context) -> asyncio.Task[None]:
        """Return the run that is going on, or begin one."""
        if self._run is None or self._run.done():
            self._run = asyncio.create_task(self._run_once(context), context=context.copy())
            self._run.add_done_callback(_error_type)  # looks at the exception, so that asyncio does not complain
        return self._run

    async def _run_once(self, context: contextvars.Context) -> None:
        started_at = self._clock()
        verdict = await self._verdict(context, started_at)
        now = self._clock()
        before = self._state
        self._state = before.after(verdict, now=now, is_first=before.is_stale(self.registration, started_at))
        if before.verdict is None or before.settled is not self._state.settled:
            self._tell(before, verdict)

    async def _verdict(self, context: contextvars.Context, started_at: float) -> Verdict:
        if self._caller.is_stuck:
            return verdict_of(self.registration, CheckCode.TIMEOUT, error_type="StillRunning")
        call = self._caller.call(context.copy())
        try:
            await asyncio.wait({call}, timeout=self.registration.timeout_seconds)
        finally:
            self._caller.cancel()  # asked, not awaited: it may not listen
        duration_ms = (self._clock() - started_at) * 1000
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


def _error_type(task: asyncio.Task[None]) -> str:
    if task.cancelled():
        return "CancelledError"
    error = task.exception()
    return "None" if error is None else type(error).__name__
