"""The examples that users know by heart, with the package's names: logging, metrics, tracing, curl, tail and jq."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests.support.environment import DUMMY_AWS
from tests.support.ports import LOOPBACK, free_port
from tests.support.processes import ServerProcess
from tests.support.waiting import wait_for

from prethrift_backend.observability import (
    SEARCH_OPERATIONS,
    get_logger,
    get_tracer,
    track_embedding_operation,
    track_search_operation,
)
from prethrift_backend.observability.testing import Capture, OtlpReceiver

DEADLINE_SECONDS = 30.0
UNREACHABLE = "127.0.0.1:9"

# The whole backend but for its models, which take seconds to load and which no example here needs.
APPLICATION = """
from prethrift_backend.config import load_settings
from prethrift_backend.embeddings import NullEmbeddings
from prethrift_backend.main import Overrides, build

app = build(load_settings(), overrides=Overrides(embeddings=NullEmbeddings()))
"""


def test_structured_logging(captured_telemetry: Capture) -> None:
    """An event with fields is one line with these fields."""
    logger = get_logger(__name__)

    logger.info("user_login", user_id="user-7", ip="192.0.2.1")

    line = captured_telemetry.line("user_login")
    assert (line["user_id"], line["ip"], line["level"], line["logger"]) == ("user-7", "192.0.2.1", "info", __name__)


async def test_custom_metrics(captured_telemetry: Capture) -> None:
    """A counter by its labels, and both operations as context managers."""
    SEARCH_OPERATIONS.labels(search_type="visual", status="success").inc()

    async with track_search_operation("text_search"):
        pass
    async with track_embedding_operation("clip"):
        pass

    changed = captured_telemetry.deltas()
    assert changed['search_operations_total{search_type="visual",status="success"}'] == 1
    assert changed['search_operations_total{search_type="text",status="success"}'] == 1
    assert changed['embedding_operations_total{operation_type="clip",status="success"}'] == 1


def test_custom_tracing(captured_telemetry: Capture) -> None:
    """A span of one's own, with an attribute of one's own."""
    tracer = get_tracer(__name__)

    with tracer.start_as_current_span("custom_operation") as span:
        span.set_attribute("user.id", "user-7")

    assert captured_telemetry.span("custom_operation").attributes == {"user.id": "user-7"}
    assert captured_telemetry.span("custom_operation").scope == __name__


@dataclass
class Running:
    """A server in a folder, and the collector that it sends to."""

    url: str
    folder: Path
    collector: OtlpReceiver
    process: ServerProcess

    @property
    def log(self) -> Path:
        """The file of LOG_FILE."""
        return self.folder / "logs" / "app.log"

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines of the file so far."""
        whole = self.log.read_text().rpartition("\n")[0] if self.log.exists() else ""
        return [json.loads(line) for line in whole.splitlines()]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run the backend with LOG_FILE=logs/app.log and a collector; its database is away, and it serves all the same."""
    folder, port = tmp_path_factory.mktemp("seed"), free_port()
    (folder / "application.py").write_text(APPLICATION)
    with OtlpReceiver() as collector:
        environ = {
            "PATH": os.environ["PATH"],
            **DUMMY_AWS,
            "LOG_FILE": "logs/app.log",
            "OTLP_ENDPOINT": collector.endpoint,
            "DATABASE_URL": f"postgresql://nobody@{UNREACHABLE}/none",
            "AWS_ENDPOINT_URL_S3": f"http://{UNREACHABLE}",
        }
        command = [sys.executable, "-m", "uvicorn", "application:app", "--port", str(port)]
        with ServerProcess(command, environ=environ, directory=folder) as process:
            url = f"http://{LOOPBACK}:{port}"
            process.wait_for_http(f"{url}/health/live", DEADLINE_SECONDS)
            yield Running(url, folder, collector, process)


def curl(url: str, *options: str) -> int:
    """Ask ``url`` with curl, or with the same headers where there is none, and return the status."""
    if shutil.which("curl") is None:
        headers = dict(option.split(": ", 1) for option in options if ": " in option)
        return httpx.get(url, headers=headers, trust_env=False).status_code
    command = ["curl", "-sS", "--noproxy", "*", "-o", os.devnull, "-w", "%{http_code}", *options, url]
    return int(subprocess.check_output(command, text=True, timeout=60))


def test_a_trace_id_of_the_callers_is_found_in_log_and_trace(running: Running) -> None:
    """`curl -H "X-Trace-Id: test-trace-123"`: the word is on the access line and on the span of that request."""
    assert curl(f"{running.url}/openapi.json", "-H", "X-Trace-Id: test-trace-123") == 200

    (line,) = wait_for(lambda: _lines_of(running, "test-trace-123"), DEADLINE_SECONDS, what="the access line")
    (span,) = wait_for(lambda: _spans_of(running, "test-trace-123"), DEADLINE_SECONDS, what="the span")
    assert line["event"] == "request_completed"
    assert (line["trace_id"], line["span_id"]) == (span.trace_id.hex(), span.span_id.hex())


def _lines_of(running: Running, client_trace_id: str) -> list[dict[str, Any]]:
    return [line for line in running.lines() if line.get("client_trace_id") == client_trace_id]


def _spans_of(running: Running, client_trace_id: str) -> list[Span]:
    spans = [span for request in running.collector.requests for span in request.spans]
    return [span for span in spans if _is_servers(span) and ("client_trace_id", client_trace_id) in _texts(span)]


def _is_servers(span: Span) -> bool:
    # Work that went on after the answer is a span too, and has the caller's word as well.
    return span.kind == Span.SPAN_KIND_SERVER


def _texts(span: Span) -> list[tuple[str, str]]:
    return [(pair.key, pair.value.string_value) for pair in span.attributes]


def test_the_log_file_can_be_followed_and_read(running: Running) -> None:
    """`tail -f logs/app.log | jq .` shows the lines as they come; without jq, Python's own tool reads each of them."""
    # To a terminal jq writes line by line by itself; here it writes to a file.
    by_python = f"while read -r line; do printf '%s' \"$line\" | {sys.executable} -m json.tool; done"
    reader = "jq --unbuffered ." if shutil.which("jq") else by_python
    with ServerProcess(["sh", "-c", f"tail -n +1 -f logs/app.log | {reader}"], directory=running.folder) as follow:
        follow.wait_for_output('"event": ', DEADLINE_SECONDS)

        assert curl(f"{running.url}/seen-by-tail") == 404
        follow.wait_for_output('"endpoint": "__unmatched__"', DEADLINE_SECONDS)
