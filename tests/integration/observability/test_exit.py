"""A process that ends without closing its telemetry."""

import os
import subprocess
import sys

import pytest
from tests.support.http_receiver import Behaviour, FaultyReceiver, answer, hang
from tests.support.ports import LOOPBACK

_JOB = """
from prethrift_backend.config import load_settings
from prethrift_backend.observability import SEARCH_OPERATIONS, configure, get_logger, get_tracer, report_error

configure(load_settings())
with get_tracer("job").start_as_current_span("nightly"):
    SEARCH_OPERATIONS.labels(search_type="text", status="success").inc()
    get_logger("job").info("job_done")
report_error(RuntimeError("as a bug does"))
"""

# Names that are never resolved, as those of a cluster whose DNS is away: no time limit of a connection is about that.
_WITHOUT_DNS = """
import socket, threading
socket.getaddrinfo = lambda *_names, **_options: threading.Event().wait()
"""


def run(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a job to its end."""
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "LOG_FORMAT": "json", **environ},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("behaviour", [answer(200), hang], ids=["answers", "hangs"])
def test_spans_metrics_and_error_events_are_sent(otlp_receiver: FaultyReceiver, behaviour: Behaviour) -> None:
    """A job that forgets to close says all that it has to say, and ends whatever the receivers do."""
    otlp_receiver.behave(behaviour)
    dsn = f"http://0123456789abcdef0123456789abcdef@{LOOPBACK}:{otlp_receiver.port}/1"

    ran = run(_JOB, OTLP_ENDPOINT=otlp_receiver.endpoint, SENTRY_DSN=dsn, TRACE_SAMPLE_RATE="1")

    assert (ran.returncode, ran.stderr) == (0, "")
    assert '"event":"job_done"' in ran.stdout
    paths = {request.path for request in otlp_receiver.requests}
    assert paths == {"/v1/traces", "/v1/metrics", "/api/1/envelope/", "/api/1/integration/otlp/v1/traces/"}


def test_a_name_that_is_never_resolved_holds_nothing() -> None:
    """Where DNS does not answer, no time limit of a request holds; the process ends all the same."""
    ran = run(
        _WITHOUT_DNS + _JOB,
        OTLP_ENDPOINT="http://collector.example:4318",
        JAEGER_ENDPOINT="http://jaeger.example:14268",
        SENTRY_DSN="http://0123456789abcdef0123456789abcdef@sentry.example/1",
        TRACE_SAMPLE_RATE="1",
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert '"event":"job_done"' in ran.stdout
