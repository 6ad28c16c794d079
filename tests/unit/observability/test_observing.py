"""Watching what telemetries say: who observes, and what they are shown."""

from __future__ import annotations

import io
import json

from opentelemetry.sdk.trace import ReadableSpan

from prethrift_backend.config import Settings
from prethrift_backend.observability import Telemetry, configure, get_logger
from prethrift_backend.observability.metrics import MetricSet
from prethrift_backend.observability.observing import observed_by


class _Seen:
    def __init__(self) -> None:
        self.metrics: list[MetricSet] = []
        self.lines: list[bytes] = []
        self.spans: list[ReadableSpan] = []

    def configured(self, metrics: MetricSet) -> None:
        self.metrics.append(metrics)

    def line(self, line: bytes) -> None:
        self.lines.append(line)
        raise OSError("an observer that fails")

    def span(self, span: ReadableSpan) -> None:
        self.spans.append(span)
        raise OSError("an observer that fails")


def _configured() -> Telemetry:
    settings = Settings(environment="development", log_format="console", trace_sample_rate=1.0)
    return configure(settings, log_stream=io.StringIO())


def _say(telemetry: Telemetry) -> None:
    with telemetry.tracer("shop").start_as_current_span("work", attributes={"password": "hunter2"}):
        get_logger("shop").info("work_done", password="hunter2")


def test_an_observer_is_shown_lines_spans_and_metrics() -> None:
    """What a telemetry says that was made within the block is shown as JSON and redacted, even when it fails there."""
    seen = _Seen()
    with observed_by(seen):
        telemetry = _configured()

    _say(telemetry)
    _say(telemetry)
    telemetry.close()

    assert seen.metrics == [telemetry.metrics]
    assert [json.loads(line)["event"] for line in seen.lines] == ["work_done", "work_done"]
    assert all(line.endswith(b"\n") and b"hunter2" not in line for line in seen.lines)
    assert [(span.name, (span.attributes or {})["password"]) for span in seen.spans] == [("work", "[redacted]")] * 2
    assert telemetry.errors == 0


def test_nobody_observes_what_is_made_outside_of_the_block() -> None:
    """A telemetry that was configured before or after is not shown."""
    seen = _Seen()
    before = _configured()
    with observed_by(seen):
        _say(before)
    after = _configured()
    _say(after)
    after.close()
    before.close()

    assert (seen.metrics, seen.lines, seen.spans) == ([], [], [])
