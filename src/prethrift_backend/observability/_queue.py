"""The bounded queue of finished spans, and the one thread that redacts them, batches them and sends them.

One for each receiver, so that one that is slow or away takes nothing from the others. What does not fit is dropped and
counted. The receiver's silence is the receiver's, not the batch's: the pauses between attempts grow from batch to
batch until one arrives.
"""

from __future__ import annotations

import atexit
import random
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import ReadableSpan

from prethrift_backend.observability._forking import restart_in_children
from prethrift_backend.observability._pace import Pace
from prethrift_backend.observability.export_protocols import DropReason, ExportWatch, Reply, Transport

RedactSpan: TypeAlias = Callable[[ReadableSpan], ReadableSpan]

# No span is so many; a thread that is not to be woken has this many to wait for.
_NEVER: Final = 1 << 62
# What an exit without `close` waits for all receivers together.
_EXIT_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of one queue. The counts are the SDK's own defaults; the times are arbitrary, but for the timeout.

    2 seconds a request leave room for one that hangs and another within the 3 seconds of closing.
    """

    queue_spans: int = 2048
    batch_spans: int = 512
    # A collector takes 4 MiB by gRPC: 512 failures with their stacks would be more, and all refused. Arbitrary: four
    # bytes a character fit.
    batch_characters: int = 1_000_000
    gather_seconds: float = 1.0
    timeout_seconds: float = 2.0
    first_pause_seconds: float = 1.0
    longest_pause_seconds: float = 30.0
    # A receiver may ask for more than our own longest pause, but not for a day.
    longest_retry_after_seconds: float = 300.0
    give_up_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Timing:
    """Where time comes from: a test puts its own in the place of it.

    ``wait`` waits until the event is set or the seconds (None: for ever) are over. ``share`` gives 0 to 1.
    """

    monotonic: Callable[[], float] = time.monotonic
    wait: Callable[[threading.Event, float | None], object] = threading.Event.wait
    share: Callable[[], float] = random.SystemRandom().random


class Backoff:
    """When a receiver may be tried again: each failure in a row doubles the pause, the first success ends it."""

    def __init__(self, limits: Limits, timing: Timing) -> None:
        self._limits = limits
        self._timing = timing
        self._failures = 0
        self.not_before = 0.0

    def note(self, reply: Reply) -> None:
        """Take account of one answer."""
        if reply.outcome != "retry":
            self._failures, self.not_before = 0, 0.0
            return
        pause = self._limits.first_pause_seconds * 2.0 ** min(self._failures, 16)
        pause = min(pause, self._limits.longest_pause_seconds)
        # Half of it is chance: processes that lost their receiver at the same moment do not come back at one.
        pause *= 0.5 + self._timing.share() / 2
        asked = min(reply.retry_after_seconds or 0.0, self._limits.longest_retry_after_seconds)
        self._failures += 1
        self.not_before = self._timing.monotonic() + max(pause, asked)


class ExportQueue:
    """A `SpanSink` in front of one receiver. `start` starts its thread; a test calls `cycle` instead.

    The bound is checked before the put, without a lock: it can be passed by one span a thread. The thread sleeps until
    `put` has seen as many spans as it waits for, so that nearly every put is an append and two comparisons.
    """

    def __init__(
        self,
        transport: Transport,
        watch: ExportWatch,
        *,
        redact_span: RedactSpan,
        limits: Limits | None = None,
        timing: Timing | None = None,
    ) -> None:
        self.name = transport.name
        self._transport = transport
        self._watch = watch
        self._redact_span = redact_span
        self._limits = limits or Limits()
        self._timing = timing or Timing()
        self._deadline: float | None = None
        self._finished = False
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._reset()

    def _reset(self) -> None:
        self._spans: deque[ReadableSpan] = deque()
        self._batch: list[ReadableSpan] = []
        self._backoff = Backoff(self._limits, self._timing)
        self._wake = threading.Event()
        self._wake_at = _NEVER

    def __len__(self) -> int:
        """Return how many spans wait, those that are being sent among them."""
        return len(self._spans) + len(self._batch)

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name=f"prethrift-export-{self.name}", daemon=True)
        self._thread.start()
        restart_in_children(self)
        _close_at_exit(self)

    def put(self, span: ReadableSpan) -> None:
        """Take one span; never waits, never raises."""
        waiting = len(self._spans)
        if self._deadline is not None:
            self._drop("shutdown", 1)
        elif waiting >= self._limits.queue_spans:
            self._drop("queue_full", 1)
        else:
            self._spans.append(span)
            if waiting + 1 >= self._wake_at:
                self._wake.set()
            if self._finished:
                self._give_up_late()

    def close(self, deadline: float) -> None:
        """Send what is there until ``deadline`` (of ``time.monotonic``), give the rest up, and stop; repeatable."""
        first = self.begin_close(deadline)
        # A thread that is stuck was waited for once; a second call, at the end of the process, does not wait again.
        if self._thread is not None and not self._finished:
            seconds = max(0.0, min(first, deadline) - self._timing.monotonic())
            self._thread.join(min(seconds, threading.TIMEOUT_MAX))
        self._finish()

    def begin_close(self, deadline: float) -> float:
        """Let the thread send what it can until ``deadline``, without waiting for it; of two deadlines the first.

        Return the one that holds.
        """
        if self._deadline is None:
            self._deadline = deadline
        self._wake.set()
        return self._deadline

    def restart_after_fork(self) -> None:
        """Start anew in a child: it inherits the queue, whose spans the parent sends, but no thread."""
        self._lock = threading.Lock()  # the parent's may be held, by a thread that is not there
        if self._thread is not None and self._deadline is None:
            self._reset()
            self.start()

    # The thread.

    def _run(self) -> None:
        try:
            with suppress_instrumentation():  # its own requests are no work of the application
                while not self._finished:
                    self.cycle()
        finally:
            self._close_transport()

    def cycle(self) -> None:
        """Wait for spans and send one batch of them; when the queue is closed, send what there is and finish."""
        if self._deadline is None:
            self._gather()
        batch = self._take()
        if batch:
            self._deliver(batch)
        elif self._deadline is not None:
            self._finish()

    def _gather(self) -> None:
        """Sleep until there is a span, then until there are enough for a batch, or a second is over."""
        self._sleep_until(1, None)
        self._sleep_until(self._limits.batch_spans, self._limits.gather_seconds)

    def _sleep_until(self, count: int, seconds: float | None) -> None:
        self._wake.clear()
        self._wake_at = count
        # In this order: a put either sees the count, or was early enough to be seen here.
        if len(self._spans) < count and self._deadline is None:
            self._timing.wait(self._wake, seconds)
        self._wake_at = _NEVER

    def _take(self) -> list[ReadableSpan]:
        """Take a batch out of the queue, redacted: so many spans, or so much text."""
        redacted: list[ReadableSpan] = []
        pace, characters = Pace(), 0
        while len(redacted) < self._limits.batch_spans and characters < self._limits.batch_characters:
            span = self._next_of_batch()
            if span is None:
                break
            redacted.append(self._redact_span(span))
            characters += getattr(redacted[-1], "characters", 0)  # none where there is nothing that could be long
            pace.breathe()
        return redacted

    def _next_of_batch(self) -> ReadableSpan | None:
        with self._lock:
            if not self._spans:
                return None
            self._batch.append(self._spans.popleft())
            return self._batch[-1]

    def _deliver(self, batch: list[ReadableSpan]) -> None:
        """Send a batch, again and again if need be, until it has arrived or is given up."""
        oldest = self._timing.monotonic()
        while not self._finished:
            self._pause()
            reply = self._send(batch)
            if reply.outcome != "retry":
                self._settle(reply, len(batch))
                return
            if self._deadline is not None:
                self._finish()  # it is away: the others would fare no better
            elif self._spans and self._timing.monotonic() - oldest >= self._limits.give_up_seconds:
                self._settle(Reply("failure"), len(batch))
                return

    def _pause(self) -> None:
        """Wait until the receiver may be tried; closing ends the wait."""
        self._wake.clear()
        while self._deadline is None:
            seconds = self._backoff.not_before - self._timing.monotonic()
            if seconds <= 0:
                return
            self._timing.wait(self._wake, seconds)
            self._wake.clear()  # a put that was slow to set it is no reason to try sooner

    def _send(self, batch: list[ReadableSpan]) -> Reply:
        timeout_seconds = self._limits.timeout_seconds
        if self._deadline is not None:
            timeout_seconds = min(timeout_seconds, self._deadline - self._timing.monotonic())
            if timeout_seconds <= 0:
                return Reply("retry", detail="no time was left")
        try:
            reply = self._transport.send(batch, timeout_seconds=timeout_seconds)
        except Exception as error:  # noqa: BLE001 - a transport does not raise; this thread must outlive one that does
            reply = Reply("failure", detail=type(error).__name__)
        self._backoff.note(reply)
        if not self._finished:
            self._watch.exported(self.name, "traces", reply.outcome, reply.detail)
        return reply

    def _settle(self, reply: Reply, count: int) -> None:
        with self._lock:
            if self._finished:
                return  # closing has given it up, and counted it
            self._batch = []
        if reply.outcome == "failure":
            self._drop("failed", count)
        elif reply.rejected:
            self._drop("rejected", min(reply.rejected, count))

    def _finish(self) -> None:
        """Count what is left, once; a thread that is stuck in a request finds nothing more to do after it."""
        with self._lock:
            if self._finished:
                return
            self._finished = True
            left = len(self)
            self._batch = []
            self._spans.clear()
        if left:
            self._drop("shutdown", left)
        if self._thread is None:
            self._close_transport()

    def _give_up_late(self) -> None:
        """Count a span whose put began before the end and was over after it."""
        with self._lock:
            left = len(self._spans)
            self._spans.clear()
        if left:
            self._drop("shutdown", left)

    def _close_transport(self) -> None:
        with suppress(Exception):
            self._transport.close()

    def _drop(self, reason: DropReason, count: int) -> None:
        with suppress(Exception):
            self._watch.dropped(self.name, reason, count)


def close_together(queues: Iterable[ExportQueue], *, deadline: float) -> None:
    """Close several queues, all of them under one deadline."""
    known = tuple(queues)
    for queue in known:
        queue.begin_close(deadline)
    for queue in known:
        queue.close(deadline)


_queues: weakref.WeakSet[ExportQueue] = weakref.WeakSet()
_exit_is_prepared = threading.Event()


def _close_at_exit(queue: ExportQueue) -> None:
    _queues.add(queue)
    if not _exit_is_prepared.is_set():
        _exit_is_prepared.set()
        atexit.register(_close_queues)


def _close_queues() -> None:
    close_together(_queues, deadline=time.monotonic() + _EXIT_SECONDS)
