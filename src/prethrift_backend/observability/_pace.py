"""Long work in a thread, without holding the event loop: done in slices, with a pause after each.

A thread that computes keeps the interpreter's lock until another has waited for it for the switch interval, 5 ms; the
event loop then waits that long at each of its turns. ``sys.setswitchinterval`` would change that for the whole process.
A pause of any length gives the lock up at once: the event loop, if it waits, has it before the pause is over.
"""

from __future__ import annotations

import time
from typing import Final

# Much shorter than what anybody notices of a request, much longer than the change of threads costs.
_SLICE_SECONDS: Final = 0.001
# Arbitrary: the system sleeps some 50 microseconds longer than it is told to. Zero would not do: it gives the lock up,
# and often takes it back before the other thread has woken.
_PAUSE_SECONDS: Final = 0.000_05


class Pace:
    """The slices of one piece of work; used by one thread."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until = time.perf_counter() + _SLICE_SECONDS

    def breathe(self) -> None:
        """Pause where the slice is over; to be called wherever a fraction of a slice has been worked."""
        if time.perf_counter() >= self._until:
            time.sleep(_PAUSE_SECONDS)
            self._until = time.perf_counter() + _SLICE_SECONDS
