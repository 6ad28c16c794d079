"""A monitor that says for how long the event loop was held at most.

It ticks every few milliseconds on the loop itself. Between two ticks the wall clock shows how long the loop did not
get round to the tick: because a callback of ours ran, or because another thread of ours held the GIL. But the wall
clock also runs while the kernel gives the core to another process, and on a shared machine that is most of what it
would show. So each gap is the smaller of two figures: the wall clock, and the CPU time of this whole process. Time
that others took is in the first but not in the second. The CPU time of the loop's thread alone would not do: a thread
that holds the GIL for 300 ms, as an import does, costs the loop's thread nothing while it stands still. What is missed:
a hold that waits without computing (a blocking read); what may be seen too much: two threads that compute at once
without the GIL, hence the smaller of the two.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

# Arbitrary: well below the holds that matter, and cheap.
TICK_SECONDS = 0.002


@dataclass(slots=True)
class LoopHolds:
    """The gaps between ticks, in seconds, as long as the monitor ran."""

    gaps_seconds: list[float] = field(default_factory=list)

    @property
    def longest_ms(self) -> float:
        """The longest hold, in milliseconds; the tick's own pause counts in it."""
        return max(self.gaps_seconds, default=0.0) * 1000


@contextlib.asynccontextmanager
async def watch_loop() -> AsyncIterator[LoopHolds]:
    """Watch the running loop inside the block."""
    holds = LoopHolds()
    watching = asyncio.create_task(_tick(holds))
    await asyncio.sleep(0)
    try:
        yield holds
        # A hold that just ended is seen by the next tick only.
        await asyncio.sleep(2 * TICK_SECONDS)
    finally:
        watching.cancel()


async def _tick(holds: LoopHolds) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    while True:
        await asyncio.sleep(TICK_SECONDS)
        now_wall, now_cpu = time.perf_counter(), time.process_time()
        holds.gaps_seconds.append(min(now_wall - wall, now_cpu - cpu))
        wall, cpu = now_wall, now_cpu
