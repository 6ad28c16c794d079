"""What is promised of a request holds behind a real uvicorn, with each of its parsers, and not only in a test client.

Point 8: HEAD, OPTIONS, 405 and redirects go through the telemetry as any other request does. Point 17: what a request
leaves behind in its context does not meet the next one on the connection. Points 29 and 30: nothing global is needed.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.ports import LOOPBACK, free_port
from tests.support.processes import ServerProcess
from tests.support.served_app import BODY, PIECES
from tests.support.waiting import wait_for
from websockets.sync.client import connect

ROOT = Path(__file__).parents[3]
DEADLINE_SECONDS = 60.0
UNMATCHED = "__unmatched__"
ITEM = "/items/{item_id}"


@dataclass(frozen=True)
class Served:
    """A server that runs, and where its log lines are."""

    port: int
    log_file: Path

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://{LOOPBACK}:{self.port}"

    def lines(self, **fields: object) -> list[dict[str, Any]]:
        """Return the lines so far that have these fields."""
        whole = self.log_file.read_text().rpartition("\n")[0]  # a line may be on its way just now
        lines = [json.loads(line) for line in whole.splitlines()]
        return [line for line in lines if fields.items() <= line.items()]

    def line_of(self, response: httpx.Response) -> dict[str, Any]:
        """Return the one access line of a response, when it has been written."""
        request_id = response.headers["x-request-id"]
        found = wait_for(lambda: self.lines(event="request_completed", request_id=request_id), DEADLINE_SECONDS)
        assert len(found) == 1
        return found[0]

    def traces_of(self, event: str, request_ids: list[str]) -> dict[str, str]:
        """Return the traces that the lines of an event name, by request."""
        lines = (line for line in self.lines(event=event) if line["request_id"] in request_ids)
        return {line["request_id"]: line["trace_id"] for line in lines}

    def counted(self, **labels: str) -> float:
        """Return the count of requests with these labels."""
        exposition = httpx.get(f"{self.url}/metrics", trust_env=False).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(exposition)
            for sample in family.samples
            if sample.name == "http_requests_total" and labels.items() <= sample.labels.items()
        )


@pytest.fixture(scope="module", params=["httptools", "h11"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Run the server with one parser, for the tests of this file."""
    port, log_file = free_port(), tmp_path_factory.mktemp("served") / "app.log"
    environ = {
        **os.environ,
        "ENVIRONMENT": "development",
        "LOG_LEVEL": "INFO",
        "LOG_FILE": str(log_file),
        "TRACE_SAMPLE_RATE": "1",
    }
    command = [sys.executable, "-m", "tests.support.served_app", str(request.param), str(port)]
    with ServerProcess(command, environ=environ, directory=ROOT) as process:
        process.wait_for_http(f"http://{LOOPBACK}:{port}/metrics", DEADLINE_SECONDS)
        yield Served(port, log_file)


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    """Give a client that keeps its connection."""
    with httpx.Client(base_url=served.url, trust_env=False, timeout=DEADLINE_SECONDS) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "status", "endpoint"),
    [
        ("GET", "/items/5", 200, ITEM),
        ("HEAD", "/items/5", 200, ITEM),
        ("OPTIONS", "/items/5", 405, ITEM),
        ("DELETE", "/items/5", 405, ITEM),
        ("PROPFIND", "/items/5", 405, ITEM),
        ("GET", "/items/five", 422, ITEM),
        ("GET", "/nowhere", 404, UNMATCHED),
        ("GET", "/slash", 307, UNMATCHED),
        ("GET", "/fail", 500, "/fail"),
        ("GET", "/pieces", 200, "/pieces"),
        ("POST", "/take", 200, "/take"),
    ],
)
def test_request_has_its_line_headers_and_count(
    served: Served, client: httpx.Client, method: str, path: str, status: int, endpoint: str
) -> None:
    """Whatever the answer is, it carries both ids, and there is one line and one count of it."""
    label = "_OTHER" if method == "PROPFIND" else method
    labels = {"method": label, "endpoint": endpoint, "status_code": str(status)}
    before = served.counted(**labels)

    response = client.request(method, path)

    line = served.line_of(response)
    assert response.status_code == status
    assert (line["method"], line["endpoint"], line["status_code"]) == (label, endpoint, status)
    assert response.headers.get_list("x-trace-id") == [line["trace_id"]]
    assert response.headers.get_list("x-request-id") == [line["request_id"]]
    assert served.counted(**labels) == before + 1
    assert line["response_bytes"] == len(response.content)


def test_request_id_of_the_client_is_kept(served: Served, client: httpx.Client) -> None:
    """An id that a client sends comes back, and is the line's."""
    response = client.get("/items/1", headers={"X-Request-ID": "checkout-17"})

    assert response.headers["x-request-id"] == "checkout-17"
    assert served.line_of(response)["endpoint"] == ITEM


def _exchange(port: int, sent: bytes) -> str:
    """Send bytes as they are and return everything that comes back until the server closes."""
    with socket.create_connection((LOOPBACK, port), timeout=DEADLINE_SECONDS) as connection:
        connection.sendall(sent)
        received = b""
        while part := connection.recv(65536):
            received += part
    return received.decode()


def _request(target: str, *, last: bool = False, body: bytes = b"") -> bytes:
    method = "POST" if body else "GET"
    framing = f"content-length: {len(body)}\r\n" if body else ""
    closing = "connection: close\r\n" if last else ""
    return f"{method} {target} HTTP/1.1\r\nhost: test\r\n{framing}{closing}\r\n".encode() + body


def _answers(received: str) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the request ids and the bodies of several answers on one connection."""
    parts = received.split("HTTP/1.1 200 OK\r\n")[1:]
    ids = [match[1] for part in parts if (match := re.search(r"(?i)x-request-id: (\S+)", part))]
    return ids, [json.loads(part.partition("\r\n\r\n")[2]) for part in parts]


def test_pipelined_requests_do_not_meet(served: Served) -> None:
    """Requests that come in one piece have a trace and an id of their own, and find nothing of one another."""
    targets = [f"/left/{name}" for name in "abcdef"]
    sent = b"".join(_request(target, last=target is targets[-1]) for target in targets)

    ids, bodies = _answers(_exchange(served.port, sent))

    assert [body["found"] for body in bodies] == [None] * len(targets)
    assert len({body["trace_id"] for body in bodies}) == len(set(ids)) == len(targets)
    pairs = dict(zip(ids, (body["trace_id"] for body in bodies), strict=True))
    wait_for(lambda: served.traces_of("item_seen", ids) == served.traces_of("request_completed", ids) == pairs, 20)


def test_large_bodies_do_not_carry_a_context_over(served: Served) -> None:
    """A body that the server pauses for, and what follows on the connection, start with a clean context."""
    body = b"x" * 3_000_000
    sent = _request("/left/before") + _request("/take", body=body) + _request("/left/after", last=True)

    ids, bodies = _answers(_exchange(served.port, sent))

    assert (bodies[0]["found"], bodies[1], bodies[2]["found"]) == (None, {"bytes": len(body), "found": 0}, None)
    assert len(set(ids)) == 3


def test_failure_in_mid_stream_counts_as_one(served: Served, client: httpx.Client) -> None:
    """An answer that breaks off was sent as 200, and is told as the 500 that it is."""
    with client.stream("GET", "/break-off") as response, pytest.raises(httpx.RemoteProtocolError):
        response.read()

    line = served.line_of(response)
    assert (line["status_code"], line["sent_status_code"], line["error_type"]) == (500, 200, "RuntimeError")


def test_client_that_leaves_is_no_fault(served: Served, client: httpx.Client) -> None:
    """A client that reads a part and leaves is told as 499, and no error line is written."""
    with client.stream("GET", "/for-ever") as response:
        next(response.iter_raw(len(BODY)))

    line = served.line_of(response)
    assert (line["status_code"], line["client_disconnected"]) == (499, True)
    assert served.lines(event="request_failed", request_id=line["request_id"]) == []


def test_stream_is_one_request(served: Served, client: httpx.Client) -> None:
    """An answer in pieces has one line, with all its bytes and a first byte before the last."""
    line = served.line_of(client.get("/pieces"))

    assert line["response_bytes"] == PIECES * len(BODY)
    assert 0 < line["ttfb_ms"] <= line["duration_ms"]


def test_websocket_is_one_connection(served: Served) -> None:
    """A connection has its ids in the handshake, and one line at its end."""
    with connect(f"ws://{LOOPBACK}:{served.port}/echo/hall", proxy=None) as websocket:
        assert websocket.response is not None
        headers = websocket.response.headers
        websocket.send("hello")
        assert websocket.recv(timeout=DEADLINE_SECONDS) == "hello"

    ids = {"request_id": headers["x-request-id"], "trace_id": headers["x-trace-id"]}
    (line,) = wait_for(lambda: served.lines(event="websocket_closed", **ids), DEADLINE_SECONDS)
    assert (line["endpoint"], line["close_code"]) == ("/echo/{room}", 1000)
    assert (line["messages_received"], line["messages_sent"]) == (1, 1)
