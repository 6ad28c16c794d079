"""Test what an application says of itself: log lines, spans, metrics, error events and OTLP requests, kept in memory.

`capture_telemetry` makes a strict `Telemetry` with a clock that stands still and ids that count, and gives back what it
would have sent; nothing leaves the process. Under pytest the plugin's fixtures do the same: ``captured_telemetry``,
``captured_logs``, ``captured_spans``, ``metric_deltas``, ``captured_errors``, ``captured_otlp``.

For tests only: nothing else in the package imports this.
"""

from prethrift_backend.observability.errors import CapturedEvents
from prethrift_backend.observability.testing._capture import Capture, CaptureError, Mark, capture_telemetry
from prethrift_backend.observability.testing._fakes import CountingIds, FakeClock
from prethrift_backend.observability.testing._otlp import OtlpReceiver, OtlpRequest
from prethrift_backend.observability.testing._spans import (
    CapturedSpan,
    SpanCollector,
    SpanEvent,
    SpanLink,
    SpanNode,
    span_outline,
    span_tree,
)

__all__ = [
    "Capture",
    "CaptureError",
    "CapturedEvents",
    "CapturedSpan",
    "CountingIds",
    "FakeClock",
    "Mark",
    "OtlpReceiver",
    "OtlpRequest",
    "SpanCollector",
    "SpanEvent",
    "SpanLink",
    "SpanNode",
    "capture_telemetry",
    "span_outline",
    "span_tree",
]
