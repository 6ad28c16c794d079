"""A recorder with spans: time that moves only when it is told to, ids that can be foreseen, errors that are noted."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from tests.support.asgi import Recorder
from tests.support.span_contract import load_span_contract
from tests.support.span_list import SpanList

from prethrift_backend.observability.clock import Clock, Ids
from prethrift_backend.observability.context import RequestContext
from prethrift_backend.observability.spans import redacted_span

START_NS = 1_800_000_000_000_000_000


class SteppedTime:
    """Two clocks that agree: seconds since the start, and nanoseconds since the epoch."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.clock = Clock(time_ns=lambda: START_NS + round(self.seconds * 1e9), monotonic=lambda: self.seconds)

    def advance(self, seconds: float) -> None:
        """Let time go by."""
        self.seconds += seconds


def counted_ids() -> Ids:
    """Return ids that count from 1: the first trace is 0…01, the first span 0…01, the first request id ``own-1``.

    Such a trace is sampled at every rate but 0.
    """
    traces, spans, requests = count(1), count(1), count(1)
    return Ids(lambda: next(traces), lambda: next(spans), lambda: f"own-{next(requests)}")


@dataclass
class NotedErrors:
    """An error reporter that keeps what it is given; ``traces`` are the ids of the requests."""

    errors: list[tuple[str, str]] = field(default_factory=list)
    traces: list[str | None] = field(default_factory=list)

    def capture(self, error: BaseException, *, event: str, request: RequestContext | None, **_: Any) -> str | None:
        """Note an error under the event of its line."""
        self.errors.append((event, type(error).__name__))
        self.traces.append(None if request is None else request.trace_id)
        return None

    def enter(self) -> None:
        """Do nothing."""

    def leave(self) -> None:
        """Do nothing."""

    def flush(self, _deadline: float) -> bool:
        """Have nothing to send."""
        return True

    def close(self, deadline: float) -> None:
        """Do nothing: nothing is to be sent."""


class TracedRecorder(Recorder):
    """A recorder whose spans are kept in a list, under simulated time and counted ids."""

    def __init__(self, *, trace_sample_rate: float = 1.0, **settings: Any) -> None:
        self.time = SteppedTime()
        self.sink = SpanList()
        parts: Any = {"clock": self.time.clock, "ids": counted_ids(), "span_sinks": [self.sink]}
        super().__init__(log_level="DEBUG", parts=parts, trace_sample_rate=trace_sample_rate, **settings)
        self.errors = NotedErrors()
        self.telemetry.reporter = self.errors

    @property
    def spans(self) -> list[ReadableSpan]:
        """Every span as a receiver gets it, held to ``contracts/spans.txt``."""
        contract = load_span_contract()
        spans = [redacted_span(span, redactor=self.telemetry.redactor) for span in self.sink.spans]
        for span in spans:
            contract.check(span)
        return spans
