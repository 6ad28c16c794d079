"""The life cycle moves forward only, and signals move it."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from types import FrameType

import pytest
from tests.support.waiting import wait_for_async
from tests.unit.health._parts import FakeClock

from prethrift_backend.health import Lifecycle, Phase, drain_on_signals

Handler = Callable[[int, FrameType | None], object] | signal.Handlers


def test_life_begins_starting() -> None:
    """A new process is not ready."""
    assert Lifecycle().phase is Phase.STARTING


def test_draining_is_sticky() -> None:
    """A late mark_ready() does not bring a leaving process back."""
    lifecycle = Lifecycle()
    lifecycle.start_draining()

    lifecycle.mark_ready()

    assert lifecycle.phase is Phase.DRAINING


def test_grace_ends_with_time_or_with_readiness() -> None:
    """Start-up is excused for so long and not longer."""
    clock = FakeClock()
    slow, quick = (Lifecycle(startup_grace_seconds=60, clock=clock) for _ in range(2))
    quick.mark_ready()
    seen = slow.is_in_startup_grace

    clock.advance(60)

    assert (seen, slow.is_in_startup_grace, quick.is_in_startup_grace) == (True, False, False)


def test_uptime_counts_from_the_beginning() -> None:
    """Uptime is the time since the object was made."""
    clock = FakeClock()
    lifecycle = Lifecycle(clock=clock)

    clock.advance(12.5)

    assert lifecycle.uptime_seconds == 12.5


@dataclass
class Server:
    """Handlers as a server installs them; they keep what they are called with."""

    heard: list[signal.Signals] = field(default_factory=list)

    def handle(self, number: int, _frame: object) -> None:
        """Be the handler."""
        self.heard.append(signal.Signals(number))


@pytest.fixture
def server() -> Iterator[Server]:
    """Put a server's handlers in place, and the test runner's own back at the end."""
    server = Server()
    former = {number: signal.signal(number, server.handle) for number in (signal.SIGTERM, signal.SIGINT)}
    yield server
    for number, handler in former.items():
        signal.signal(number, handler)


async def _drained(lifecycle: Lifecycle, *numbers: signal.Signals, drain_seconds: float = 3600.0) -> None:
    """Receive signals inside the context manager, one after the other, and let the loop see each."""
    with drain_on_signals(lifecycle, drain_seconds=drain_seconds):
        for number in numbers:
            signal.raise_signal(number)
            await asyncio.sleep(0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_at_once_and_reaches_the_server_later(server: Server, number: signal.Signals) -> None:
    """The phase changes in the handler itself; the server hears of the signal when the time is over."""
    lifecycle = Lifecycle()
    with drain_on_signals(lifecycle, drain_seconds=0.05):
        signal.raise_signal(number)
        at_once = (lifecycle.phase, list(server.heard))

        await wait_for_async(lambda: server.heard, 10)

    assert at_once == (Phase.DRAINING, [])
    assert server.heard == [number]


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_the_wait(server: Server, second: signal.Signals) -> None:
    """The server hears of the first signal at once, and of that one only, so that it finishes what is under way."""
    with drain_on_signals(Lifecycle(), drain_seconds=3600):
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(0)
        signal.raise_signal(second)

        assert server.heard == [signal.SIGTERM]


async def test_a_second_signal_before_the_loop_has_run_ends_the_wait(server: Server) -> None:
    """Two signals in one step of the loop are not held back, and nothing is passed on twice."""
    told: list[str] = []
    with drain_on_signals(Lifecycle(), drain_seconds=0.01, on_drain=lambda: told.append("draining")):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(0)

    assert (server.heard, told) == ([signal.SIGTERM], [])


async def test_a_third_signal_goes_to_the_server(server: Server) -> None:
    """Once the wait is over the server decides what more signals mean."""
    await _drained(Lifecycle(), signal.SIGTERM, signal.SIGTERM, signal.SIGINT)

    assert server.heard == [signal.SIGTERM, signal.SIGINT]


async def test_the_drain_is_told_once(server: Server) -> None:
    """`on_drain` is called by the loop, after the phase has changed, for the first signal only."""
    lifecycle, told = Lifecycle(), list[Phase]()
    with drain_on_signals(lifecycle, drain_seconds=3600, on_drain=lambda: told.append(lifecycle.phase)):
        signal.raise_signal(signal.SIGTERM)
        await wait_for_async(lambda: told, 10)
        signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(0)

    assert told == [Phase.DRAINING]


async def test_the_handlers_are_put_back_and_a_held_signal_is_passed_on(server: Server) -> None:
    """A lifespan that ends during the drain leaves no trace, and the server still hears why."""
    await _drained(Lifecycle(), signal.SIGTERM)

    assert signal.getsignal(signal.SIGTERM) == signal.getsignal(signal.SIGINT) == server.handle
    assert server.heard == [signal.SIGTERM]


async def test_a_handler_that_was_put_in_front_stays(server: Server) -> None:
    """Another wrapper is not undone; what it passes on after the end goes straight to the server."""
    lifecycle = Lifecycle()
    with drain_on_signals(lifecycle, drain_seconds=3600):
        ours = signal.getsignal(signal.SIGTERM)
        assert callable(ours)
        front = partial(ours)
        signal.signal(signal.SIGTERM, front)

    kept = signal.getsignal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)

    assert kept is front
    assert (server.heard, lifecycle.phase) == ([signal.SIGTERM], Phase.STARTING)


async def test_zero_seconds_leave_the_signals_alone(server: Server) -> None:
    """Without a drain the server's handlers stay where they are, and readiness is the server's end."""
    lifecycle = Lifecycle()

    await _drained(lifecycle, signal.SIGTERM, drain_seconds=0)

    assert (server.heard, lifecycle.phase) == ([signal.SIGTERM], Phase.STARTING)


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler])
async def test_handlers_that_are_no_servers_are_left_alone(server: Server, handler: Handler) -> None:
    """Where no server would finish the requests, a signal keeps its meaning: Ctrl-C in a test run, for one."""
    signal.signal(signal.SIGTERM, handler)
    with drain_on_signals(Lifecycle(), drain_seconds=3600):
        assert signal.getsignal(signal.SIGTERM) is handler


def test_another_thread_may_not_handle_signals_and_is_left_alone(server: Server) -> None:
    """An application under test runs its lifespan in a thread; nothing is installed and nothing fails."""
    seen: list[object] = []

    async def look() -> None:
        with drain_on_signals(Lifecycle(), drain_seconds=3600):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=asyncio.run, args=(look(),))
    thread.start()
    thread.join()

    assert seen == [server.handle]
