"""What came of a load: figures of its answers, and their course over time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """What came of one request; ``status`` is 0 where no answer came, and ``error`` says why.

    ``sent_at`` is of the monotonic clock; ``late_seconds`` is how long after its time it left. With
    ``is_repeated`` its kept connection was closed as it left, and it was sent a second time over a new one.
    """

    request_id: str
    kind: str
    sent_at: float
    late_seconds: float
    seconds: float
    status: int
    is_right: bool
    trace_id: str
    error: str = ""
    is_repeated: bool = False

    @property
    def ended_at(self) -> float:
        """When the answer was whole, or the request had failed."""
        return self.sent_at + self.seconds


@dataclass(frozen=True)
class Second:
    """One second of a load: requests that left in it, their latencies, and how many of them failed."""

    at_seconds: float
    sent: int
    failed: int
    median_ms: float
    p99_ms: float


def failures(answers: Iterable[Answer]) -> list[Answer]:
    """Return those that were not answered as their kind is."""
    return [answer for answer in answers if not answer.is_right]


def quantile(values: Collection[float], share: float) -> float:
    """Return the smallest value that this share of all is at or below; nan where there is none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def rate(answers: Sequence[Answer]) -> float:
    """Return how many requests left in a second, from the first to the last."""
    times = [answer.sent_at for answer in answers]
    span = max(times) - min(times) if times else 0.0
    return (len(times) - 1) / span if span else math.nan


def summary(answers: Sequence[Answer]) -> str:
    """Say count, rate, latency and failures in one line."""
    times = [answer.seconds * 1000 for answer in answers]
    return (
        f"{len(answers)} requests, {rate(answers):.1f} a second; median {quantile(times, 0.5):.0f} ms, "
        f"p99 {quantile(times, 0.99):.0f} ms, longest {max(times, default=math.nan):.0f} ms; "
        f"{len(failures(answers))} failed, "
        f"{sum(answer.is_repeated for answer in answers)} sent again over a new connection; left late at p99 by "
        f"{1000 * quantile([answer.late_seconds for answer in answers], 0.99):.0f} ms"
    )


def described(answers: Iterable[Answer], most: int = 5) -> str:
    """Say of answers which statuses and errors they have, the commonest first, with an example each."""
    counted = Counter((answer.kind, answer.status, answer.error) for answer in answers)
    return "; ".join(
        f"{count} times {kind}: {status or error}" for (kind, status, error), count in counted.most_common(most)
    )


def by_second(answers: Iterable[Answer], started_at: float) -> list[Second]:
    """Return the seconds from ``started_at`` on in which requests left, in order."""
    buckets: dict[int, list[Answer]] = {}
    for answer in answers:
        buckets.setdefault(math.floor(answer.sent_at - started_at), []).append(answer)
    return [_second(number, buckets[number]) for number in sorted(buckets)]


def _second(number: int, answers: Sequence[Answer]) -> Second:
    times = [answer.seconds * 1000 for answer in answers]
    return Second(number, len(answers), len(failures(answers)), quantile(times, 0.5), quantile(times, 0.99))
