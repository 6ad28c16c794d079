"""A thread with a bounded queue of jobs, started by the first one."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

Job = TypeVar("Job")


class JobThread(Generic[Job]):
    """Do jobs one after the other in a thread of their own; `put` never waits, and what does not fit is dropped.

    In a forked child it starts anew: the jobs that it inherits are the parent's to do.
    """

    def __init__(
        self, work: Callable[[Job], None], *, name: str, capacity: int, on_drop: Callable[[Job], None]
    ) -> None:
        self._work = work
        self._name = name
        self._capacity = capacity
        self._on_drop = on_drop
        self._is_stopped = False
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()
        self._unfinished = 0

    def put(self, job: Job) -> bool:
        """Hand over ``job``; return whether it was taken."""
        if self._pid != os.getpid():
            self._reset()
        with self._changed:
            is_taken = not self._is_stopped and self._unfinished < self._capacity
            if is_taken:
                self._unfinished += 1
                self._start()  # before the job is there: a thread that has one would begin with it and hold the caller
                self._queue.put(job)
        if not is_taken:
            self._drop(job)
        return is_taken

    def _start(self) -> None:
        if self._thread is None:
            # A daemon, so that one that waits for a dead receiver cannot keep the process alive.
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def wait_idle(self, deadline: float) -> bool:
        """Wait until every job is done or ``deadline`` (of ``time.monotonic``) is over; return which of the two."""
        with self._changed:
            return self._changed.wait_for(lambda: self._unfinished == 0, timeout=max(0.0, deadline - time.monotonic()))

    def stop(self) -> None:
        """Take no further jobs; the thread ends after the last one."""
        with self._changed:
            self._is_stopped = True
            self._queue.put(None)

    def join(self, deadline: float) -> None:
        """Wait for the thread until ``deadline`` (of ``time.monotonic``); what is then not begun is dropped."""
        if self._thread is not None and self._pid == os.getpid():
            self._thread.join(max(0.0, deadline - time.monotonic()))
            self._give_up()

    def _give_up(self) -> None:
        with suppress(queue.Empty):
            while (job := self._queue.get_nowait()) is not None:
                self._finish()
                self._drop(job)
            self._queue.put(None)  # given back: the thread may be in a job, and ends by it

    def _run(self) -> None:
        own = self._queue
        while (job := own.get()) is not None:
            try:
                self._work(job)
            except Exception:  # noqa: BLE001 - a thread has nobody above it; what is lost is counted
                self._drop(job)
            finally:
                self._finish()

    def _finish(self) -> None:
        with self._changed:
            self._unfinished -= 1
            self._changed.notify_all()

    def _drop(self, job: Job) -> None:
        with suppress(Exception):
            self._on_drop(job)
