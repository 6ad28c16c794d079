"""Where a process stands in its life: starting, ready, draining. Readiness asks; liveness never does."""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum


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
