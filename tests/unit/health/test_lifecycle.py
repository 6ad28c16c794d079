"""The life cycle moves forward only."""

from __future__ import annotations

from tests.unit.health._parts import FakeClock

from prethrift_backend.health import Lifecycle, Phase


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
