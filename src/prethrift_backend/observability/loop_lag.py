"""How late the event loop runs what is due, and a line with a stack when something holds it.

Latency cannot be explained without it: one blocking call in one handler makes every request of the process slow, and
none of their own spans shows why. Two things watch. A callback on the loop is due every 250 ms and records how late it
ran. A thread sleeps until the callback is a second overdue; if it still is then, the thread looks at where the loop's
own thread stands and writes that down. A loop in good order costs four callbacks and one wake-up a second.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from prethrift_backend.observability._names import (
    EVENT_LOOP_LAG_SECONDS,
    EVENT_LOOP_STALLED,
    EVENT_LOOP_STALLS_TOTAL,
    LOGGER,
)
from prethrift_backend.observability.context import Signals
from prethrift_backend.observability.redaction import redact_long_text

# 60 values between two scrapes, and too seldom to be seen in a profile.
INTERVAL_SECONDS: Final = 0.25
# What the contract of event_loop_stalls_total says: a hold that people notice, and no collection of garbage reaches.
STALL_SECONDS: Final = 1.0

# Arbitrary: a deep stack of one framework. The innermost frames are kept, which hold the loop.
_MAX_FRAMES: Final = 40
# Below what a field of a line may have: the chain would cut the end off, and that is where the loop is held.
_MAX_STACK_CHARACTERS: Final = 4000
_JOIN_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class _Beat:
    """One time at which the callback is due; of all who see that it is overdue, the one with the claim tells of it."""

    due: float
    claim: list[None] = field(default_factory=lambda: [None])

    def take_claim(self) -> bool:
        """Return True to the first caller alone; no lock, which a fork could leave locked for ever."""
        try:
            self.claim.pop()
        except IndexError:
            return False
        return True


class LoopWatch:
    """Watch one event loop for one telemetry, from `start` to `close`; also a context manager.

    `instrument` does this for the lifespan of its application. By hand, with the loop running::

        with LoopWatch(telemetry):
            await serve()

    A loop that is not running is not watched. In the child of a fork nothing is: it has neither loop nor thread.
    ``monotonic`` gives seconds that never go back; it is the thread's time too, so a test that puts its own there
    calls `look` itself.
    """

    # Not the telemetry's own clock: a test that moves that one by ten seconds has not held the loop for ten seconds.
    def __init__(self, signals: Signals, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._signals = signals
        self._monotonic = monotonic
        self._process = os.getpid()
        self._ended = threading.Event()
        self._was_paused = False
        self._beat: _Beat | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._handle: asyncio.TimerHandle | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch the running loop; RuntimeError where there is none, or where it was started before."""
        if self._loop is not None:
            raise RuntimeError("this LoopWatch was started before: one watches one loop once; make another")
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._schedule(self._loop)
        thread = threading.Thread(target=self._guard, name="prethrift-loop-watch", daemon=True)
        try:
            thread.start()
        except RuntimeError as fault:  # the system has no thread left: lateness is recorded still
            self._signals.fail("event_loop_stall", fault)
        else:
            self._thread = thread

    def close(self) -> None:
        """Stop both; repeatable, and nothing happens in the child of a fork."""
        if os.getpid() != self._process:
            return
        self._ended.set()
        if self._handle is not None:
            self._handle.cancel()
        if self._thread is not None:
            self._thread.join(_JOIN_SECONDS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # On the loop.

    # A timer and no task: nothing to be cancelled by a server that cancels all tasks, no warning when a loop is closed.
    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        self._beat = _Beat(self._monotonic() + INTERVAL_SECONDS)
        # An empty context: that of the caller would be kept alive for as long as the loop.
        self._handle = loop.call_later(INTERVAL_SECONDS, self._on_time, loop, context=Context())

    def _on_time(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._ended.is_set() or os.getpid() != self._process:
            return
        try:
            self._record()
        except Exception as fault:  # noqa: BLE001 - counting must not end the counting
            with suppress(Exception):
                self._signals.fail("event_loop_lag", fault)
        self._schedule(loop)

    def _record(self) -> None:
        beat = self._beat
        if beat is None:
            return
        if self._was_paused:  # the loop stood still because nobody ran it; it was not held
            self._was_paused = False
            return
        late_seconds = max(0.0, self._monotonic() - beat.due)
        family = self._signals.metrics.find(EVENT_LOOP_LAG_SECONDS)
        if family is not None:
            family.labels().observe(late_seconds)
        # The thread had no chance to look: the hold kept the interpreter's lock, or the whole process was stopped.
        if late_seconds >= STALL_SECONDS and beat.take_claim():
            self._report(late_seconds, stack=None)

    # On the thread.

    def _guard(self) -> None:
        loop = self._loop
        while loop is not None and not loop.is_closed():
            pause_seconds = self._pause()
            woken = self._monotonic() + pause_seconds
            if self._ended.wait(pause_seconds):
                return
            # A thread that is late itself was held too: by the interpreter's lock, or the whole process was stopped.
            # Where the loop stands now shows nothing of that, so its callback goes first.
            if self._monotonic() - woken < INTERVAL_SECONDS:
                self._look_safely()

    def _look_safely(self) -> None:
        try:
            self.look()
        except Exception as fault:  # noqa: BLE001 - a stack that cannot be shown must not end the watch
            with suppress(Exception):
                self._signals.fail("event_loop_stall", fault)

    def _pause(self) -> float:
        """Return how long until a stall could have come about: a loop in good order moves that on each time."""
        beat = self._beat
        if beat is None:
            return INTERVAL_SECONDS
        return max(INTERVAL_SECONDS, beat.due + STALL_SECONDS - self._monotonic())

    def look(self) -> None:
        """Report the loop if it is a second overdue and nobody has said so of this stall."""
        beat, loop = self._beat, self._loop
        if beat is None or loop is None:
            return
        if not loop.is_running():
            self._was_paused = True
            return
        held_seconds = self._monotonic() - beat.due
        if held_seconds >= STALL_SECONDS and beat is self._beat and beat.take_claim():
            self._report(held_seconds, stack=_stack_of(self._loop_thread))

    def _report(self, held_seconds: float, *, stack: str | None) -> None:
        family = self._signals.metrics.find(EVENT_LOOP_STALLS_TOTAL)
        if family is not None:
            family.labels().inc()
        fields = {"held_seconds": round(held_seconds, 3)}
        shown = {} if stack is None else {"stack": stack}
        self._signals.logger(LOGGER).warning(EVENT_LOOP_STALLED, **fields, **shown)


def _stack_of(thread_id: int) -> str | None:
    """Return where the thread stands, its innermost call last, without the values of variables and without secrets."""
    frame = sys._current_frames().get(thread_id)
    if frame is None:
        return None
    summary = traceback.StackSummary.extract(traceback.walk_stack(frame), limit=_MAX_FRAMES, capture_locals=False)
    summary.reverse()
    return redact_long_text("".join(summary.format()), max_characters=_MAX_STACK_CHARACTERS)
