"""Where a process stands in its life: starting, ready, draining. Readiness asks; liveness never does.

``drain_on_signals`` brings the draining: it goes into the lifespan of any ASGI application under uvicorn.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from types import FrameType
from typing import Final

DRAIN_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
"""What a supervisor and a terminal send to end a process in order."""

Handler = Callable[[int, FrameType | None], object]


class Phase(StrEnum):
    """The three parts of a life, in the only order in which they come."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"


class Lifecycle:
    """The phase of one process, moved forward by whoever composes the application; it never moves back.

    ``startup_grace_seconds`` is how long a start may take before ``/health`` tells what it measures instead of
    "degraded, starting". Two minutes are arbitrary: several times the slowest model load that was measured.
    """

    def __init__(self, *, startup_grace_seconds: float = 120.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started_at = clock()
        self._startup_grace_seconds = startup_grace_seconds
        self._phase = Phase.STARTING

    @property
    def phase(self) -> Phase:
        """Return the phase of now."""
        return self._phase

    @property
    def uptime_seconds(self) -> float:
        """Return the seconds since this object was made, by a clock that is never set back."""
        return max(0.0, self._clock() - self._started_at)

    @property
    def is_in_startup_grace(self) -> bool:
        """Tell whether the process is starting and may still take its time."""
        return self._phase is Phase.STARTING and self.uptime_seconds < self._startup_grace_seconds

    def mark_ready(self) -> None:
        """Say that start-up is over; without effect once draining, since a process that goes does not come back."""
        if self._phase is Phase.STARTING:
            self._phase = Phase.READY

    def start_draining(self) -> None:
        """Say that the process is going: no new traffic. Sticky."""
        self._phase = Phase.DRAINING


@contextmanager
def drain_on_signals(
    lifecycle: Lifecycle, *, drain_seconds: float, on_drain: Callable[[], object] | None = None
) -> Iterator[None]:
    """Let requests go on for ``drain_seconds`` after SIGTERM or SIGINT, and say meanwhile that the process is going.

    Enter it first thing in the application's lifespan, in the main thread, with the event loop running. At the first
    signal readiness turns to "draining" at once, ``on_drain`` is called by the event loop, and the server hears of the
    signal ``drain_seconds`` later: then it stops as it would have without this. A second signal ends the wait, and
    further ones go to the server directly.

    A server closes its socket first and ends the lifespan last, so a flag that is set after the lifespan's ``yield``
    is never seen by anyone. What works is to stand between the signal and the handler that the server has installed,
    which uvicorn does before it starts the lifespan, also in each process of ``--workers``. A handler that is the
    system's or Python's own is left alone: no server would finish the requests, so there is nothing to wait for. With
    0 seconds, or in another thread, which may not handle signals, nothing is done at all.
    """
    if drain_seconds <= 0 or threading.current_thread() is not threading.main_thread():
        yield
        return
    drain = _Drain(lifecycle, drain_seconds, on_drain)
    drain.install()
    try:
        yield
    finally:
        drain.remove()


class _Drain:
    """Holds the first signal back for a while. Its handlers run between any two steps of the main thread's code."""

    def __init__(self, lifecycle: Lifecycle, drain_seconds: float, on_drain: Callable[[], object] | None) -> None:
        self._lifecycle = lifecycle
        self._drain_seconds = drain_seconds
        self._on_drain = on_drain
        self._loop = asyncio.get_running_loop()
        self._former: dict[int, Handler] = {}
        self._holds_the_next = True
        self._held: list[int] = []  # one or none; a list, because its pop() cannot be cut in two by a signal
        self._timer: asyncio.TimerHandle | None = None

    def install(self) -> None:
        for number in DRAIN_SIGNALS:
            former = signal.getsignal(number)
            if callable(former) and former is not signal.default_int_handler:
                self._former[number] = former
                signal.signal(number, self._handle)

    def remove(self) -> None:
        """Put the former handlers back; a signal that is still held back is passed on, not lost."""
        self._holds_the_next = False
        for number, former in self._former.items():
            # Whoever has stood in front of us since goes on calling us, and from now on we only pass on.
            if signal.getsignal(number) == self._handle:
                signal.signal(number, former)
        self._pass_on()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._holds_the_next:
            self._holds_the_next = False
            self._held.append(number)
            self._lifecycle.start_draining()
            # Of the loop's methods only this one may be called from a signal handler; it also wakes the loop.
            self._loop.call_soon_threadsafe(self._begin)
        elif self._held:
            self._pass_on()
        else:
            self._former[number](number, frame)

    def _begin(self) -> None:
        if not self._held:  # the second signal was faster
            return
        self._timer = self._loop.call_later(self._drain_seconds, self._pass_on)
        if self._on_drain is not None:
            self._on_drain()

    def _pass_on(self) -> None:
        """Give the server the first signal, and it alone: uvicorn drops requests when it hears of two SIGINTs."""
        try:
            number = self._held.pop()
        except IndexError:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._former[number](number, None)
