"""A clock that stands still until a test moves it, and ids that count."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Final

from prethrift_backend.observability.clock import Clock, Ids

_START: Final = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class _Time:
    """The seconds that have gone by; one number behind both readings, so that they never disagree."""

    __slots__ = ("_passed_ns", "_start_ns")

    def __init__(self, start: datetime) -> None:
        since_epoch = start - datetime.fromtimestamp(0, tz=UTC)
        # Not by timestamp(): a float has no room for nanoseconds since 1970.
        self._start_ns = (since_epoch.days * 86_400 + since_epoch.seconds) * 10**9 + since_epoch.microseconds * 1000
        self._passed_ns = 0

    def time_ns(self) -> int:
        return self._start_ns + self._passed_ns

    def monotonic(self) -> float:
        return self._passed_ns / 1e9

    def pass_by(self, seconds: float) -> None:
        self._passed_ns += round(seconds * 1e9)


class FakeClock(Clock):
    """A clock at 2026-01-02 03:04:05 UTC, or at ``start``, until `tick` moves it."""

    __slots__ = ("_time",)

    _time: _Time

    def __init__(self, start: datetime = _START) -> None:
        time = _Time(start)
        super().__init__(time_ns=time.time_ns, monotonic=time.monotonic)
        object.__setattr__(self, "_time", time)  # the base is frozen

    def tick(self, seconds: float) -> None:
        """Let ``seconds`` go by; ValueError for less than nothing, which no monotonic clock does."""
        if seconds < 0:
            raise ValueError(f"tick({seconds!r}): time does not go back; give 0 or more seconds")
        self._time.pass_by(seconds)


class CountingIds(Ids):
    """Ids that count from 1, each kind for itself; as text they are padded with zeroes to the usual length."""

    __slots__ = ()

    def __init__(self) -> None:
        traces, spans, requests = count(1), count(1), count(1)
        super().__init__(trace_id=traces.__next__, span_id=spans.__next__, request_id=lambda: f"{next(requests):032x}")
