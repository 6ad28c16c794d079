"""How late the loop runs what is due, and what is written when something holds it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.support.asgi import drive
from tests.support.waiting import wait_for, wait_for_async

from prethrift_backend.observability import instrument
from prethrift_backend.observability.loop_lag import INTERVAL_SECONDS, LoopWatch
from prethrift_backend.observability.testing import Capture, capture_telemetry

DEADLINE_SECONDS = 20.0


class Loop:
    """A loop whose timer the test fires, and whose time it sets."""

    def __init__(self) -> None:
        self.now = 100.0
        self.running = True
        self.closed = False
        self.timers: list[tuple[float, Callable[..., None], tuple[Any, ...]]] = []
        self.cancelled = 0

    def call_later(self, delay: float, callback: Callable[..., None], *args: Any, **_context: object) -> Loop:
        """Keep the timer, and be its handle."""
        self.timers.append((delay, callback, args))
        return self

    def cancel(self) -> None:
        """Cancel the timer."""
        self.cancelled += 1

    def is_running(self) -> bool:
        """Say whether somebody runs it."""
        return self.running

    def is_closed(self) -> bool:
        """Say whether it is closed."""
        return self.closed

    def monotonic(self) -> float:
        """Return the time that the test has set."""
        return self.now

    def fire(self, *, late_seconds: float = 0.0) -> None:
        """Run the one timer that is set, so much too late."""
        ((delay, callback, args),) = self.timers
        self.timers.clear()
        self.now += delay + late_seconds
        callback(*args)


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    """Make the loop, and have it be the running one."""
    made = Loop()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: made)
    return made


@contextmanager
def watching(capture: Capture, loop: Loop) -> Iterator[LoopWatch]:
    """Watch the loop; its thread sleeps more than a second before it looks, and the test looks itself."""
    watch = LoopWatch(capture.telemetry, monotonic=loop.monotonic)
    watch.start()
    try:
        yield watch
    finally:
        watch.close()


def test_lateness_is_recorded(captured_telemetry: Capture, loop: Loop) -> None:
    """Each run of the callback is one value: how late it came, never below nothing."""
    with watching(captured_telemetry, loop):
        loop.fire(late_seconds=0.3)
        loop.fire(late_seconds=-0.01)

    assert captured_telemetry.metric("event_loop_lag_seconds_count") == 2
    assert captured_telemetry.metric("event_loop_lag_seconds_sum") == pytest.approx(0.3)


def test_the_callback_is_due_four_times_a_second(captured_telemetry: Capture, loop: Loop) -> None:
    """No more than one timer is set, a quarter of a second ahead."""
    with watching(captured_telemetry, loop):
        loop.fire()

        assert [delay for delay, _, _ in loop.timers] == [INTERVAL_SECONDS]


def test_a_held_loop_is_one_line_with_its_stack(captured_telemetry: Capture, loop: Loop) -> None:
    """However often the thread looks during one stall, there is one line, with the stack of the loop's thread."""
    with watching(captured_telemetry, loop) as watch:
        loop.now += INTERVAL_SECONDS + 1.5
        for _ in range(3):
            watch.look()
        loop.now -= INTERVAL_SECONDS
        loop.fire()

    (line,) = captured_telemetry.find_lines("event_loop_stalled")
    assert (line["level"], line["held_seconds"]) == ("warning", 1.5)
    assert "test_a_held_loop_is_one_line_with_its_stack" in line["stack"]
    assert captured_telemetry.metric("event_loop_stalls_total") == 1


def test_the_next_stall_is_another_line(captured_telemetry: Capture, loop: Loop) -> None:
    """Two stalls with a run in between are two."""
    with watching(captured_telemetry, loop) as watch:
        for _ in range(2):
            loop.now += INTERVAL_SECONDS + 1.0
            watch.look()
            loop.now -= INTERVAL_SECONDS
            loop.fire()

    assert len(captured_telemetry.find_lines("event_loop_stalled")) == 2


def test_less_than_a_second_is_no_stall(captured_telemetry: Capture, loop: Loop) -> None:
    """A loop that is late, but not by a second, is in the histogram only."""
    with watching(captured_telemetry, loop) as watch:
        loop.now += INTERVAL_SECONDS + 0.9
        watch.look()
        loop.now -= INTERVAL_SECONDS
        loop.fire()

    assert captured_telemetry.metric("event_loop_stalls_total") == 0
    assert captured_telemetry.find_lines("event_loop_stalled") == []


def test_a_stall_that_the_thread_could_not_see_is_told_without_a_stack(captured_telemetry: Capture, loop: Loop) -> None:
    """Where the hold kept the interpreter's lock, the callback itself tells of it once it runs."""
    with watching(captured_telemetry, loop):
        loop.fire(late_seconds=4.0)

    (line,) = captured_telemetry.find_lines("event_loop_stalled")
    assert line["held_seconds"] == 4.0
    assert "stack" not in line


def test_a_loop_that_nobody_runs_is_not_held(captured_telemetry: Capture, loop: Loop) -> None:
    """Between two runs of one loop, as test runners have them, time passes that no code held."""
    with watching(captured_telemetry, loop) as watch:
        loop.running = False
        loop.now += 30.0
        watch.look()
        loop.running = True
        loop.fire()

    assert captured_telemetry.metric("event_loop_lag_seconds_count") == 0
    assert captured_telemetry.find_lines("event_loop_stalled") == []


def test_the_stack_holds_no_secret_and_no_local_variable(captured_telemetry: Capture, loop: Loop) -> None:
    """What stands in the source of a frame goes through the redaction; the values of variables are not there."""
    canary = "-".join(["canary", "value"])

    def hold(watch: LoopWatch, password: str) -> None:
        watch.look()

    with watching(captured_telemetry, loop) as watch:
        loop.now += INTERVAL_SECONDS + 1.0
        hold(watch, password="hunter2hunter2" + canary)  # this line is shown

    (line,) = captured_telemetry.find_lines("event_loop_stalled")
    assert "in hold" in line["stack"]
    assert "hunter2" not in line["stack"]
    assert "canary-value" not in line["stack"]


def test_the_stack_is_bounded(captured_telemetry: Capture, loop: Loop) -> None:
    """Of a recursion a hundred deep the innermost calls are shown."""

    def dig(depth: int, watch: LoopWatch) -> None:
        if depth:
            dig(depth - 1, watch)
        else:
            watch.look()

    with watching(captured_telemetry, loop) as watch:
        loop.now += INTERVAL_SECONDS + 1.0
        dig(100, watch)

    (line,) = captured_telemetry.find_lines("event_loop_stalled")
    assert len(line["stack"]) <= 4096
    assert "watch.look()" in line["stack"]
    assert "test_the_stack_is_bounded" not in line["stack"]


def test_a_contract_without_the_families_is_no_fault(captured_telemetry: Capture, loop: Loop) -> None:
    """Another team's contract need not have them: the line is written, and nothing fails."""
    captured_telemetry.telemetry.metrics._families.clear()
    with watching(captured_telemetry, loop) as watch:
        loop.fire()
        loop.now += INTERVAL_SECONDS + 1.0
        watch.look()

    assert len(captured_telemetry.find_lines("event_loop_stalled")) == 1


def test_a_fault_in_the_counting_does_not_end_it(monkeypatch: pytest.MonkeyPatch, loop: Loop) -> None:
    """When the metrics are broken the fault is counted, and the timer is set again."""
    with capture_telemetry(strict=False) as capture:
        monkeypatch.setattr(capture.telemetry.metrics, "find", None)
        with watching(capture, loop):
            loop.fire()

            assert len(loop.timers) == 1
        assert capture.telemetry.errors == 1


def test_a_system_without_threads_keeps_the_histogram(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started the application starts all the same, and lateness is recorded."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with capture_telemetry(strict=False) as capture:
        watch = LoopWatch(capture.telemetry, monotonic=loop.monotonic)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            watch.start()
        loop.fire()
        watch.close()

        assert capture.metric("event_loop_lag_seconds_count") == 1


def test_closing_cancels_the_timer_and_ends_the_thread(captured_telemetry: Capture, loop: Loop) -> None:
    """After `close`, which may be called twice, nothing is left."""
    with watching(captured_telemetry, loop) as watch:
        thread = watch._thread

        watch.close()

    assert thread is not None
    assert not thread.is_alive()
    assert loop.cancelled


def test_it_never_keeps_a_process_alive(captured_telemetry: Capture, loop: Loop) -> None:
    """The thread is a daemon."""
    with watching(captured_telemetry, loop) as watch:
        assert watch._thread is not None
        assert watch._thread.daemon


def test_in_the_child_of_a_fork_nothing_goes_on(
    captured_telemetry: Capture, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process id: the callback sets no further timer, and closing waits for nothing."""
    with watching(captured_telemetry, loop) as watch, monkeypatch.context() as patch:
        patch.setattr(os, "getpid", os.getppid)
        loop.fire()
        watch.close()

        assert loop.timers == []
        assert captured_telemetry.metric("event_loop_lag_seconds_count") == 0
        assert watch._thread is not None
        assert watch._thread.is_alive()


async def test_one_watch_is_for_one_loop(captured_telemetry: Capture) -> None:
    """A second start is refused, and says what to do."""
    with LoopWatch(captured_telemetry.telemetry) as watch, pytest.raises(RuntimeError, match="make another"):
        watch.start()


async def test_a_real_loop_that_is_held_is_seen_while_it_is(captured_telemetry: Capture) -> None:
    """The loop is held until the counter moves: the thread has seen it, with the stack of what holds it."""
    with LoopWatch(captured_telemetry.telemetry):
        wait_for(lambda: captured_telemetry.metric("event_loop_stalls_total"), DEADLINE_SECONDS)

    (line,) = captured_telemetry.find_lines("event_loop_stalled")
    held_by, outermost = (line["stack"].index(name) for name in ("in wait_for", "in test_a_real_loop_that_is_held"))
    assert held_by > outermost


async def test_two_telemetries_on_two_loops_do_not_meet() -> None:
    """Each loop's lateness is in its own telemetry."""

    def count(capture: Capture) -> float:
        return capture.metric("event_loop_lag_seconds_count") or 0

    async def serve(capture: Capture) -> None:
        with LoopWatch(capture.telemetry):
            await wait_for_async(lambda: count(capture) >= 1, DEADLINE_SECONDS)

    with capture_telemetry() as here, capture_telemetry() as there:
        await asyncio.to_thread(asyncio.run, serve(there))

        assert count(here) == 0


def test_a_loop_that_is_closed_ends_its_thread(captured_telemetry: Capture) -> None:
    """Somebody who forgets `close` has no thread left for long."""
    watch = LoopWatch(captured_telemetry.telemetry)

    async def forget() -> None:
        watch.start()

    asyncio.run(forget())

    thread = watch._thread
    assert thread is not None
    wait_for(lambda: not thread.is_alive(), DEADLINE_SECONDS)


async def test_an_instrumented_application_is_watched_for_its_lifespan(captured_telemetry: Capture) -> None:
    """`instrument` starts the watch with the lifespan and ends it with it."""
    seen: list[list[str]] = []

    async def app(scope: object, receive: object, send: object) -> None:
        seen.append([thread.name for thread in threading.enumerate()])
        await wait_for_async(lambda: captured_telemetry.metric("event_loop_lag_seconds_count"), DEADLINE_SECONDS)

    await drive(instrument(app, captured_telemetry.telemetry), {"type": "lifespan"})

    assert "prethrift-loop-watch" in seen[0]
    assert "prethrift-loop-watch" not in [thread.name for thread in threading.enumerate()]
