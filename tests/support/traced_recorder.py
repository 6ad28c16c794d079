"""A recorder with spans: time that moves only when it is told to, ids that can be foreseen, errors that are noted."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from tests.support.asgi import Recorder
from tests.support.span_contract import load_span_contract
from tests.support.span_list import SpanList

from prethrift_backend.observability.clock import Ids
from prethrift_backend.observability.context import RequestContext
from prethrift_backend.observability.spans import redacted_span
from prethrift_backend.observability.testing import CountingIds, FakeClock

START_NS = FakeClock().time_ns()


def counted_ids() -> Ids:
    """Return ids that count from 1, where a request's own (``own-1``) can be told from one that is its trace's.

    A trace of such an id is sampled at every rate but 0.
    """
    ids, requests = CountingIds(), count(1)
    return Ids(ids.trace_id, ids.span_id, lambda: f"own-{next(requests)}")


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
        self.clock = FakeClock()
        self.sink = SpanList()
        parts: Any = {"clock": self.clock, "ids": counted_ids(), "span_sinks": [self.sink]}
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
