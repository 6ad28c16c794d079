"""What stands between a finished span and a receiver, as protocols: sink, transport, and who is told how it goes.

For each receiver there is one bounded queue and one thread. The request puts a span into the queue and never waits. The
thread redacts, batches, sends, waits between attempts, and gives up by rules that are the same for every receiver; how
a receiver is spoken to is its `Transport`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from opentelemetry.sdk.trace import ReadableSpan

DropReason: TypeAlias = Literal["queue_full", "rejected", "failed", "shutdown"]
Signal: TypeAlias = Literal["traces", "metrics", "errors"]
Outcome: TypeAlias = Literal["success", "partial", "retry", "failure"]


class SpanSink(Protocol):
    """Where finished, sampled spans go; the queue of a receiver, or a test's list."""

    def put(self, span: ReadableSpan) -> None:
        """Take one span; never waits, never raises."""
        ...

    def close(self, deadline: float) -> None:
        """Send what is there until ``deadline`` (of ``time.monotonic``), give the rest up, and stop; repeatable."""
        ...


class ExportWatch(Protocol):
    """Who is told how exporting goes; `Telemetry` counts it, and logs the first of each kind."""

    def dropped(self, exporter: str, reason: DropReason, count: int) -> None:
        """Note spans that reach no receiver."""
        ...

    def exported(self, exporter: str, signal: Signal, outcome: Outcome, detail: str = "") -> None:
        """Note one request to a receiver; ``detail`` says what went wrong, without secrets."""
        ...


@dataclass(frozen=True, slots=True)
class Reply:
    """What a receiver made of one request.

    ``retry`` may be tried again, not before ``retry_after_seconds`` where the receiver named a time. ``rejected`` items
    of a ``partial`` one were refused for good; ``detail`` is the receiver's own word on it, redacted and cut.
    """

    outcome: Outcome
    rejected: int = 0
    retry_after_seconds: float | None = None
    detail: str = ""


class Transport(Protocol):
    """How one receiver is spoken to; used by one thread at a time."""

    @property
    def name(self) -> str:
        """The receiver in metrics and log lines: otlp, jaeger, sentry or console."""
        ...

    def send(self, spans: Sequence[ReadableSpan], *, timeout_seconds: float) -> Reply:
        """Encode and send redacted spans within ``timeout_seconds``; never raises."""
        ...

    def close(self) -> None:
        """Give back connections."""
        ...
