"""Which receivers the settings make, and what is told of them."""

import io
import os
import signal
from typing import Any

import pytest
from pydantic import SecretStr
from tests.support.asgi import Recorder
from tests.support.exporting import ScriptedTransport, Watched, sample_span

from prethrift_backend.config import Settings
from prethrift_backend.observability._export_log import ExportLog
from prethrift_backend.observability._http_poster import HttpPoster
from prethrift_backend.observability._queue import ExportQueue
from prethrift_backend.observability.console_spans import ConsoleTransport
from prethrift_backend.observability.exporters import make_span_sinks, make_transports, open_otlp, queue_lengths
from prethrift_backend.observability.jaeger import JaegerTransport
from prethrift_backend.observability.otlp import OtlpHttp, OtlpTraces
from prethrift_backend.observability.otlp_grpc import OtlpGrpc

DSN = "https://0123456789abcdef0123456789abcdef@o7.ingest.sentry.io/42"


def names(**settings: Any) -> list[str]:
    """Return the names of the receivers that these settings make."""
    return [transport.name for transport in make_transports(Settings.model_validate(settings))]


def test_without_settings_there_is_no_receiver() -> None:
    """Nothing is sent anywhere unless somebody says where."""
    assert names() == []


def test_several_receivers_at_once() -> None:
    """Each setting adds one, under the name that metrics and log lines use."""
    settings = {
        "otlp_endpoint": "http://127.0.0.1:4318",
        "jaeger_endpoint": "http://127.0.0.1:14268",
        "sentry_dsn": DSN,
        "trace_console": True,
    }

    assert names(**settings) == ["otlp", "jaeger", "sentry", "console"]


def test_sentry_may_have_errors_without_traces() -> None:
    """SENTRY_TRACES=false keeps the spans from it."""
    assert names(sentry_dsn=DSN, sentry_traces=False) == []


@pytest.mark.parametrize(
    ("endpoint", "kind"),
    [
        ("http://jaeger:14268", JaegerTransport),
        ("http://jaeger/api/traces", JaegerTransport),
        ("http://jaeger:4318", OtlpTraces),
    ],
)
def test_jaeger_is_spoken_to_as_its_endpoint_asks(endpoint: str, kind: type) -> None:
    """Thrift at its own port or path, OTLP otherwise."""
    [transport] = make_transports(Settings(jaeger_endpoint=endpoint))

    assert isinstance(transport, kind)
    assert transport.name == "jaeger"


@pytest.mark.parametrize("settings", [{"otlp_endpoint": "http://c:4317", "otlp_protocol": "grpc"}])
def test_grpc_is_by_setting(settings: dict[str, Any]) -> None:
    """OTLP_PROTOCOL chooses how the collector is spoken to."""
    assert isinstance(open_otlp(Settings.model_validate(settings)), OtlpGrpc)
    assert isinstance(open_otlp(Settings(otlp_endpoint="http://c:4318")), OtlpHttp)


def test_jaeger_at_the_port_of_grpc_is_grpc() -> None:
    """Port 4317 is OTLP's own for gRPC: HTTP would not be understood there."""
    [transport] = make_transports(Settings(jaeger_endpoint="http://jaeger:4317"))

    assert isinstance(transport, OtlpTraces)
    assert isinstance(transport._connection, OtlpGrpc)


def test_sentry_gets_its_key_in_its_own_header() -> None:
    """The DSN says where its traces go and under which key; the key is in no URL."""
    [transport] = make_transports(Settings(sentry_dsn=SecretStr(DSN)))

    assert isinstance(transport, OtlpTraces)
    assert isinstance(transport._connection, OtlpHttp)
    assert transport._connection._endpoint == "https://o7.ingest.sentry.io/api/42/integration/otlp/v1/traces/"
    header = transport._connection._headers["x-sentry-auth"]
    assert header.startswith("Sentry sentry_key=0123456789abcdef0123456789abcdef, sentry_version=7")


def test_lengths_are_by_receiver() -> None:
    """The gauge shows what waits for each receiver; a test's own sink is none of ours."""
    queue = ExportQueue(ScriptedTransport(name="jaeger"), Watched(), redact_span=lambda span: span)
    queue.put(sample_span())

    assert queue_lengths([queue]) == {("jaeger",): 1.0}


def test_the_queue_is_shown_at_the_scrape() -> None:
    """``telemetry_queue_length`` is read when somebody looks."""
    recorder = Recorder(otlp_endpoint="http://127.0.0.1:1", otlp_metrics_interval_seconds=0)
    try:
        assert recorder.sample("telemetry_queue_length", exporter="otlp") == 0
    finally:
        recorder.telemetry.close()


def test_closing_without_spans_asks_nobody() -> None:
    """A process that has nothing to send opens no connection at its end."""
    watched = Watched()
    sinks = make_span_sinks(Settings(otlp_endpoint="http://127.0.0.1:1"), watched, redact_span=lambda span: span)

    for sink in sinks:
        sink.close(float("inf"))

    assert watched.outcomes == []


def test_a_receiver_that_is_away_is_two_lines() -> None:
    """Every request and every lost span counts; the log has the first failure, the first drop and the recovery."""
    recorder = Recorder()
    watch = ExportLog(recorder.telemetry)

    for _ in range(50):
        watch.exported("otlp", "traces", "retry", "connection refused")
        watch.dropped("otlp", "queue_full", 3)
    watch.exported("otlp", "traces", "success")

    assert recorder.sample("telemetry_spans_dropped_total", exporter="otlp", reason="queue_full") == 150
    assert recorder.sample("telemetry_exports_total", exporter="otlp", signal="traces", outcome="retry") == 50
    told = [
        line for line in recorder.lines() if line["event"] in {"export_failed", "spans_dropped", "export_recovered"}
    ]
    assert [line["event"] for line in told] == ["export_failed", "spans_dropped", "export_recovered"]
    assert told[0]["detail"] == "connection refused"


def test_after_a_recovery_the_next_loss_is_news() -> None:
    """A receiver that takes spans again and then loses some has a second line, and another receiver's has none."""
    recorder = Recorder()
    watch = ExportLog(recorder.telemetry)

    watch.dropped("otlp", "queue_full", 1)
    watch.dropped("jaeger", "queue_full", 1)
    watch.exported("otlp", "traces", "success")
    watch.dropped("otlp", "queue_full", 1)
    watch.dropped("jaeger", "queue_full", 1)

    assert [line["exporter"] for line in recorder.lines("spans_dropped")] == ["otlp", "jaeger", "otlp"]


def test_pushed_metrics_do_not_hide_lost_spans() -> None:
    """A success of the other signal to the same receiver does not make the next drop news again."""
    recorder = Recorder()
    watch = ExportLog(recorder.telemetry)

    watch.dropped("otlp", "queue_full", 1)
    watch.exported("otlp", "metrics", "success")
    watch.dropped("otlp", "queue_full", 1)

    assert len(recorder.lines("spans_dropped")) == 1


def test_a_forked_child_does_not_wait_for_what_its_parent_notes() -> None:
    """A thread of the parent that was about to note something does not hold the requests of a child."""
    watch = ExportLog(Recorder().telemetry)
    with watch._lock:
        child = os.fork()
        if child == 0:
            signal.alarm(60)  # one that waits for the lock would be there for ever
            watch.dropped("otlp", "queue_full", 1)
            watch.exported("otlp", "traces", "retry")
            os._exit(0)
    pid, status = os.waitpid(child, 0)

    assert (pid, os.waitstatus_to_exitcode(status)) == (child, 0)


def test_the_console_writes_what_is_left_of_a_secret() -> None:
    """What a developer sees on the screen went through the same choke point."""
    stream = io.StringIO()
    queue = ExportQueue(
        ConsoleTransport(stream), Watched(), redact_span=lambda span: sample_span(f"redacted {span.name}")
    )
    queue.put(sample_span("one"))

    queue.begin_close(float("inf"))
    queue.cycle()

    assert "redacted one" in stream.getvalue()


def test_a_header_of_ours_does_not_come_back() -> None:
    """A poster hides the values of its own headers in what it says of an answer."""
    poster = HttpPoster("http://127.0.0.1:1", headers={"x-honeycomb-team": "hcaik_0123456789"})

    reply = poster._understand(401, {}, b"unknown key hcaik_0123456789", None)

    assert (reply.outcome, reply.detail) == ("failure", "HTTP 401 unknown key [redacted]")
