"""`capture_telemetry`: a `Telemetry` whose output stays in memory, and what can be asked of it."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Unpack
from unittest.mock import patch

import orjson
from opentelemetry.sdk import trace as sdk_trace

from prethrift_backend.config import Settings
from prethrift_backend.contracts import MetricsContract
from prethrift_backend.observability.errors import CapturedEvents
from prethrift_backend.observability.setup import PartsGiven, Telemetry, configure
from prethrift_backend.observability.spans import redacted_span
from prethrift_backend.observability.testing._fakes import CountingIds, FakeClock
from prethrift_backend.observability.testing._otlp import OtlpReceiver, OtlpRequest, encoded_request
from prethrift_backend.observability.testing._series import differences, read_series
from prethrift_backend.observability.testing._spans import (
    CapturedSpan,
    SpanCollector,
    SpanNode,
    span_outline,
    span_tree,
)

# The threads behind the queues need milliseconds; a machine that is this late is broken.
_PATIENCE_SECONDS: Final = 10.0
_PAUSE_SECONDS: Final = 0.002


class CaptureError(AssertionError):
    """What a test asked for is not there, or is there more than once; the text says what is."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The figures of one moment, from `Capture.mark`."""

    series: Mapping[str, float]


class Capture:
    """What one `Telemetry` has said so far; made by `capture_telemetry`.

    Every question waits, at most ten seconds, until the threads behind the queues have done what they have to do.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        *,
        stream: io.BytesIO,
        spans: SpanCollector,
        errors: CapturedEvents,
        receiver: OtlpReceiver | None,
    ) -> None:
        self.telemetry = telemetry
        self._stream = stream
        self._spans = spans
        self._errors = errors
        self._receiver = receiver
        self._start = self.mark()

    # Time.

    def tick(self, seconds: float) -> None:
        """Move the clock on; TypeError where the capture was given a clock that runs by itself."""
        clock = self.telemetry.clock
        if not isinstance(clock, FakeClock):
            raise TypeError(f"{type(clock).__name__} runs by itself: only a FakeClock can be moved; leave clock= out")
        clock.tick(seconds)

    def flush(self) -> None:
        """Wait until lines are written, events made and, with ``receive_otlp``, spans arrived; CaptureError if not."""
        _wait(self._events_are_made, what="the error events that are to be made")
        _wait(partial(_is_written, self.telemetry), what="the log lines that are queued to be written")
        if self._receiver is not None:
            _wait(partial(self._has_arrived, self._receiver), what="the spans that are queued to arrive")

    def _events_are_made(self) -> bool:
        reporter = self.telemetry.reporter
        return reporter is None or reporter.flush(time.monotonic() + _PATIENCE_SECONDS)

    def _has_arrived(self, receiver: OtlpReceiver) -> bool:
        wanted = {bytes.fromhex(span.span_id) for span in self._spans.spans()}
        return wanted <= set(receiver.span_ids())

    # Log lines.

    @property
    def raw_lines(self) -> list[bytes]:
        """The rendered lines, as the bytes that a stream gets."""
        self.flush()
        return self._stream.getvalue().splitlines(keepends=True)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The rendered lines, secrets taken out, parsed."""
        return [orjson.loads(line) for line in self.raw_lines]

    def find_lines(self, event: str | None = None, **fields: Any) -> list[dict[str, Any]]:
        """Return the lines of this event whose fields have these values."""
        return [line for line in self.lines if event in (None, line["event"]) and _has(line, fields)]

    def line(self, event: str, **fields: Any) -> dict[str, Any]:
        """Return the one line of this event with these fields; CaptureError where it is not one."""
        found = self.find_lines(event, **fields)
        if len(found) != 1:
            given = ", ".join(line["event"] for line in self.lines) or "none"
            raise CaptureError(f"{len(found)} lines are {event!r} with {fields}, not 1; all events: {given}")
        return found[0]

    # Spans.

    @property
    def spans(self) -> list[CapturedSpan]:
        """The finished spans that were sampled, secrets taken out, in the order in which they began."""
        return self._spans.spans()

    def find_spans(self, name: str | None = None, **fields: Any) -> list[CapturedSpan]:
        """Return the spans of this name whose fields (``kind``, ``status``, ``trace_id``...) have these values."""
        return [
            span
            for span in self.spans
            if name in (None, span.name) and all(getattr(span, key) == value for key, value in fields.items())
        ]

    def span(self, name: str, **fields: Any) -> CapturedSpan:
        """Return the one span of this name with these fields; CaptureError where it is not one."""
        found = self.find_spans(name, **fields)
        if len(found) != 1:
            given = "; ".join(self.span_outline()) or "none"
            raise CaptureError(f"{len(found)} spans are {name!r} with {fields}, not 1; all spans: {given}")
        return found[0]

    def span_tree(self) -> tuple[SpanNode, ...]:
        """Return the spans as trees, roots first."""
        return span_tree(self.spans)

    def span_outline(self) -> list[str]:
        """Return the names of the spans, each two spaces deeper than its parent's."""
        return span_outline(self.spans)

    # Metrics.

    def metric(self, name: str, **labels: str) -> float | None:
        """Return the value of one series, None where there is none; of a histogram, ``name_count`` or ``name_sum``."""
        value: float | None = self.telemetry.metrics.registry.get_sample_value(name, labels)
        return value

    def mark(self) -> Mark:
        """Note the figures of this moment, to be given to `deltas`."""
        return Mark(read_series(self.telemetry.metrics.registry))

    def deltas(self, since: Mark | None = None, *, buckets: bool = False) -> dict[str, float]:
        """Return by how much each series changed since the start or ``since``, under its name as `/metrics` shows it.

        The figures of process, interpreter and event loop move by themselves and are left out, and so are the buckets
        of histograms unless they are asked for.
        """
        before = (since or self._start).series
        return differences(before, self.mark().series, buckets=buckets)

    # What leaves the process otherwise.

    @property
    def error_events(self) -> list[dict[str, Any]]:
        """The error events that Sentry would have got."""
        self.flush()
        return list(self._errors.events)

    @property
    def otlp_requests(self) -> list[OtlpRequest]:
        """The OTLP requests, decoded: those that arrived; without ``receive_otlp`` the one that would be sent."""
        self.flush()
        if self._receiver is not None:
            return self._receiver.requests
        spans = self._spans.readable()
        return [encoded_request(spans)] if spans else []


def _is_written(telemetry: Telemetry) -> bool:
    return all(writer.is_idle for writer in telemetry._pipeline._writers())


def _has(line: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    missing = object()
    return all(line.get(key, missing) == value for key, value in fields.items())


def _wait(condition: Callable[[], bool], *, what: str) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > end:
            raise CaptureError(f"waited {_PATIENCE_SECONDS:g} s in vain for {what}")
        time.sleep(_PAUSE_SECONDS)


@contextmanager
def capture_telemetry(
    settings: Settings | None = None,
    *,
    contract: MetricsContract | None = None,
    strict: bool = True,
    receive_otlp: bool = False,
    **parts: Unpack[PartsGiven],
) -> Iterator[Capture]:
    """Configure a telemetry for a test, and close it behind the block; what was captured stays readable.

    Without ``settings`` it writes every level and samples everything. Of other settings all hold, but for three things:
    lines are JSON, errors go to the capture, and nothing is sent, whatever receivers are named. ``receive_otlp`` starts
    a receiver on loopback and sends to that, with the headers and the interval of the settings. ``contract`` and
    ``strict`` are those of `configure`; so are the ``parts``, whose ``clock`` and ``ids`` are a `FakeClock` and
    `CountingIds` unless others are given.

    Raises ValueError for ``log_stream`` and ``sentry_transport``, which are the capture's own.
    """
    _refuse_own(parts)
    stream, errors, spans = io.BytesIO(), CapturedEvents(), SpanCollector()
    with ExitStack() as stack:
        receiver = stack.enter_context(OtlpReceiver()) if receive_otlp else None
        given: PartsGiven = {"clock": FakeClock(), "ids": CountingIds(), **parts}
        given["span_sinks"] = [*given.get("span_sinks", ()), spans]
        given["log_stream"], given["sentry_transport"] = stream, errors
        telemetry = configure(_kept_inside(settings, receiver), contract=contract, strict=strict, **given)
        stack.callback(telemetry.close)
        # The spans that the SDK itself makes take a time at each start, event and end, and offer no place for a clock.
        stack.enter_context(patch.object(sdk_trace, "time_ns", telemetry.clock.time_ns))
        spans.redact = partial(redacted_span, redactor=telemetry.redactor)
        yield Capture(telemetry, stream=stream, spans=spans, errors=errors, receiver=receiver)


def _refuse_own(parts: PartsGiven) -> None:
    for name in ("log_stream", "sentry_transport"):
        if name in parts:
            raise ValueError(
                f"{name}= cannot be given: it is where the capture reads from; use configure() for another"
            )


def _kept_inside(settings: Settings | None, receiver: OtlpReceiver | None) -> Settings:
    """Return the settings with everything that would leave the process led elsewhere."""
    chosen = Settings(log_level="DEBUG", trace_sample_rate=1.0) if settings is None else settings
    return chosen.model_copy(
        update={
            "log_format": "json",
            "otlp_endpoint": None if receiver is None else receiver.endpoint,
            "otlp_protocol": "http",
            "jaeger_endpoint": None,
            "trace_console": False,
            "sentry_dsn": None,
            "sentry_spotlight": None,
        }
    )
