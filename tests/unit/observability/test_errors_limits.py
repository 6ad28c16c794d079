"""How often one kind of fault is reported."""

from __future__ import annotations

import os
import signal

from hypothesis import given
from hypothesis import strategies as st

from prethrift_backend.observability._fault_limits import FaultLimits, Rate
from prethrift_backend.observability.testing import FakeClock

MINUTELY = Rate(at_once=1, every_seconds=60.0)
THREE_AND_MINUTELY = Rate(at_once=3, every_seconds=60.0)


def test_the_first_is_admitted_and_then_one_a_minute() -> None:
    """Each that is admitted says how many were not since the one before."""
    clock = FakeClock()
    limits = FaultLimits(clock.monotonic)
    admitted = []
    for _ in range(121):
        admitted.append(limits.admit("database", MINUTELY))
        clock.tick(1)

    assert [(second, count) for second, count in enumerate(admitted) if count is not None] == [
        (0, 0),
        (60, 59),
        (120, 59),
    ]


def test_what_was_saved_up_may_come_at_once() -> None:
    """After a quiet time as many are admitted together as at the start, and no more."""
    clock = FakeClock()
    limits = FaultLimits(clock.monotonic)
    first = [limits.admit("bug", THREE_AND_MINUTELY) for _ in range(5)]
    clock.tick(3600)
    later = [limits.admit("bug", THREE_AND_MINUTELY) for _ in range(5)]

    assert first == [0, 0, 0, None, None]
    assert later == [2, 0, 0, None, None]


def test_kinds_do_not_meet() -> None:
    """A kind that is over its rate leaves that of another alone."""
    limits = FaultLimits(FakeClock().monotonic)

    assert [limits.admit(kind, MINUTELY) for kind in ("a", "a", "b")] == [0, None, 0]


def test_the_kinds_that_are_kept_are_bounded() -> None:
    """The one that was seen longest ago is forgotten, and is then like a new one."""
    limits = FaultLimits(FakeClock().monotonic, max_kinds=2)
    for kind in ("a", "b", "a", "c"):
        limits.admit(kind, MINUTELY)

    assert len(limits) == 2
    assert (limits.admit("a", MINUTELY), limits.admit("b", MINUTELY)) == (None, 0)


def test_a_forked_child_does_not_wait_for_a_thread_of_its_parent() -> None:
    """A lock that was held when the process forked is nobody's in the child, which has a new one."""
    limits = FaultLimits(FakeClock().monotonic)
    with limits._lock:
        child = os.fork()
        if child == 0:
            signal.alarm(60)  # one that waits for the lock would be there for ever
            os._exit(0 if limits.admit("a", MINUTELY) == 0 else 1)
    pid, status = os.waitpid(child, 0)

    assert (pid, os.waitstatus_to_exitcode(status)) == (child, 0)


@given(pauses=st.lists(st.floats(min_value=0, max_value=200), max_size=200))
def test_no_minute_has_more_than_its_share(pauses: list[float]) -> None:
    """However they come: all are admitted or counted, and in any stretch no more than the rate allows."""
    clock = FakeClock()
    limits = FaultLimits(clock.monotonic)
    times, told, suppressed = [], 0, 0
    for pause in pauses:
        clock.tick(pause)
        count = limits.admit("bug", THREE_AND_MINUTELY)
        if count is None:
            suppressed += 1
        else:
            times.append(clock.monotonic())
            told += count

    assert told <= suppressed
    assert len(times) + suppressed == len(pauses)
    for start, end in zip(times, times[3:], strict=False):
        assert end - start >= 60.0 - 1e-6
