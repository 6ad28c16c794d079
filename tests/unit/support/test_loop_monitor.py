"""The monitor of the event loop sees what it is for, or a test that relies on it would mean nothing."""

import asyncio
import time

from tests.support.loop_monitor import watch_loop


def _burn(cpu_seconds: float) -> None:
    end = time.thread_time() + cpu_seconds
    while time.thread_time() < end:
        pass


def _hold_the_gil(cpu_seconds: float) -> None:
    """Compute in one C call that does not let go of the GIL, for at least so long."""
    digits = 1 << 15
    took = 0.0
    while took < cpu_seconds:
        digits *= 2
        number = 3**digits
        began = time.thread_time()
        _ = number * number
        took = time.thread_time() - began


async def test_a_callback_that_computes_is_seen() -> None:
    """A callback that keeps the loop busy for 80 ms shows as a hold of that length."""
    async with watch_loop() as holds:
        _burn(0.08)

    assert holds.longest_ms >= 80


async def test_a_thread_that_holds_the_gil_is_seen() -> None:
    """The loop stands still although its own thread computes nothing; the monitor must not be fooled."""
    async with watch_loop() as holds:
        await asyncio.to_thread(_hold_the_gil, 0.08)

    assert holds.longest_ms >= 60


async def test_a_loop_that_waits_is_not_held() -> None:
    """Waiting in the loop is no hold, however long it takes."""
    async with watch_loop() as holds:
        await asyncio.sleep(0.1)

    assert holds.longest_ms < 50
