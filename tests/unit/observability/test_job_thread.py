"""The thread with a bounded queue that makes and sends error events."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest

from prethrift_backend.observability._job_thread import JobThread

PATIENCE_SECONDS = 10.0


class Bench:
    """Jobs that wait for a gate, and what became of them."""

    def __init__(self, *, capacity: int = 3) -> None:
        self.gate = threading.Event()
        self.begun = threading.Event()
        self.done: list[int] = []
        self.dropped: list[int] = []
        self.jobs: JobThread[int] = JobThread(self._work, name="bench", capacity=capacity, on_drop=self.dropped.append)

    def _work(self, job: int) -> None:
        self.begun.set()
        assert self.gate.wait(PATIENCE_SECONDS)
        if job < 0:
            raise ValueError(job)
        self.done.append(job)

    def is_idle(self) -> bool:
        """Wait for the jobs."""
        return self.jobs.wait_idle(time.monotonic() + PATIENCE_SECONDS)


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Give a thread for jobs, and open its gate at the end."""
    made = Bench()
    yield made
    made.gate.set()
    made.jobs.stop()
    made.jobs.join(time.monotonic() + PATIENCE_SECONDS)


def test_jobs_are_done_in_order(bench: Bench) -> None:
    """One after the other, in a thread that the first one starts."""
    before = threading.active_count()
    bench.gate.set()
    assert threading.active_count() == before

    assert all(bench.jobs.put(job) for job in (1, 2, 3))
    assert bench.is_idle()
    assert bench.done == [1, 2, 3]


def test_what_does_not_fit_is_dropped(bench: Bench) -> None:
    """A full queue refuses at once, and what was taken is still done."""
    taken = [bench.jobs.put(job) for job in range(5)]
    bench.gate.set()

    assert taken == [True, True, True, False, False]
    assert bench.is_idle()
    assert (bench.done, bench.dropped) == ([0, 1, 2], [3, 4])


def test_a_job_that_fails_is_dropped(bench: Bench) -> None:
    """The thread goes on with the next one."""
    bench.gate.set()
    for job in (-1, 2):
        bench.jobs.put(job)

    assert bench.is_idle()
    assert (bench.done, bench.dropped) == ([2], [-1])


def test_closing_does_what_is_there(bench: Bench) -> None:
    """What was taken before `stop` is done; what comes after it is dropped."""
    bench.jobs.put(1)
    bench.jobs.stop()
    bench.jobs.put(2)
    bench.gate.set()
    bench.jobs.join(time.monotonic() + PATIENCE_SECONDS)

    assert (bench.done, bench.dropped) == ([1], [2])


def test_a_job_that_hangs_does_not_hold_the_end(bench: Bench) -> None:
    """At the deadline what has not begun is dropped, and the caller goes on."""
    for job in (1, 2, 3):
        bench.jobs.put(job)
    assert bench.begun.wait(PATIENCE_SECONDS)
    bench.jobs.stop()
    bench.jobs.join(time.monotonic())

    assert (bench.done, bench.dropped) == ([], [2, 3])


def test_the_thread_ends_after_a_job_that_hung(bench: Bench) -> None:
    """Whoever gave up waiting for it took its jobs, and not the word that there are no more."""
    for job in (1, 2):
        bench.jobs.put(job)
    assert bench.begun.wait(PATIENCE_SECONDS)
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "bench")
    bench.jobs.stop()
    bench.jobs.join(time.monotonic())

    bench.gate.set()
    thread.join(PATIENCE_SECONDS)

    assert not thread.is_alive()


def test_waiting_ends_at_its_deadline(bench: Bench) -> None:
    """`wait_idle` says that it waited in vain."""
    bench.jobs.put(1)

    assert bench.jobs.wait_idle(time.monotonic()) is False


def test_a_forked_child_starts_anew(bench: Bench) -> None:
    """The child does its own jobs in a thread of its own, and none of the parent's."""
    bench.jobs.put(1)
    assert bench.begun.wait(PATIENCE_SECONDS)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            bench.gate.set()
            bench.jobs.put(2)
            bench.is_idle()
            os.write(writer, repr(bench.done).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)

    with os.fdopen(reader) as told:
        assert told.read() == "[2]"
