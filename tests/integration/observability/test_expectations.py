"""What experts expect of a service's telemetry, on real parts: the points that no test in memory can show.

The others stand in ``tests/unit/observability/test_expectations.py``.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

from fastapi import FastAPI
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from sqlalchemy import text
from tests.support.asgi import drive, http_scope
from tests.support.http_receiver import FaultyReceiver, Request, answer, hang
from tests.support.telemetry_server import SOON_SECONDS, serving, spans_to
from tests.support.waiting import wait_for

from prethrift_backend.observability import instrument
from prethrift_backend.observability.testing import capture_telemetry
from prethrift_backend.stores import Postgres

TESTS = Path(__file__).parents[2]


def test_point_19_a_request_is_one_line_of_our_own(otlp_receiver: FaultyReceiver) -> None:
    """The server's own access log is off, and nothing prints the raw query string."""
    with serving(**spans_to(otlp_receiver.endpoint)) as server:
        server.client.get("/items/1", params={"token": "canary-in-query", "q": "dress"})
        server.client.get("/nowhere")
        server.end()

        assert len(server.lines("request_completed")) == 2
        assert re.findall(r".*(?:canary-in-query|uvicorn\.access|HTTP/1\.1).*", server.process.output) == []


def test_point_24_each_worker_counts_for_itself_under_a_name_of_its_own(otlp_receiver: FaultyReceiver) -> None:
    """Of two workers each pushes totals under an instance of its own, and no total ever falls."""
    # How a scrape adds workers up, over restarts and kills, is held in tests/integration/workers.
    with serving(
        **spans_to(otlp_receiver.endpoint, OTLP_METRICS_INTERVAL_SECONDS="0.2", WEB_CONCURRENCY="2")
    ) as server:

        def both_have_pushed() -> bool:
            server.client.get("/items/1", headers={"connection": "close"})
            return len([totals for totals in _pushed_totals(otlp_receiver.requests).values() if len(totals) > 3]) == 2

        wait_for(both_have_pushed, SOON_SECONDS, what="pushes of two workers")

    for totals in _pushed_totals(otlp_receiver.requests).values():
        assert totals == sorted(totals)


def _pushed_totals(requests: list[Request]) -> dict[str, list[float]]:
    """Return, for each instance, the sums of http_requests_total in the order in which they came."""
    totals: dict[str, list[float]] = defaultdict(list)
    for request in requests:
        if not request.path.endswith("/v1/metrics"):
            continue
        for resource in ExportMetricsServiceRequest.FromString(request.body).resource_metrics:
            attributes = {pair.key: pair.value.string_value for pair in resource.resource.attributes}
            points = [
                point.as_double
                for scope in resource.scope_metrics
                for metric in scope.metrics
                if metric.name == "http_requests_total"
                for point in metric.sum.data_points
            ]
            totals[attributes["service.instance.id"]].append(sum(points))
    return totals


def test_point_25_memory_and_exit_are_bounded(otlp_receiver: FaultyReceiver) -> None:
    """With a receiver that hangs the queue fills to its bound, the rest is counted, and the process still ends."""
    otlp_receiver.behave(hang)
    with serving(**spans_to(otlp_receiver.endpoint, LOG_LEVEL="WARNING")) as server:
        server.ask(1600)  # two spans each
        server.wait(lambda: server.dropped("queue_full"))

        assert server.figure("telemetry_queue_length", exporter="otlp") <= 2048 + 512
        server.end()


def test_point_26_an_exporter_that_fails_is_seen_and_feeds_nothing_back(otlp_receiver: FaultyReceiver) -> None:
    """Failures are a figure and one line; the exporter's own requests make neither lines nor spans nor counts."""
    otlp_receiver.behave(answer(500))
    with serving(**spans_to(otlp_receiver.endpoint, LOG_LEVEL="DEBUG")) as server:
        for _ in range(3):
            failures = server.exports("failure")
            server.ask(1)
            server.wait(lambda before=failures: server.exports("failure") > before)  # type: ignore[misc] # a default

        server.end()
        assert len(server.lines("export_failed")) == 1
        assert len(server.lines("request_completed")) >= 3
        assert "urllib3" not in server.process.output
    assert set(_span_names(otlp_receiver.requests)) == {"GET /items/{item}", "look_up"}


async def test_point_27_a_statement_is_one_span_without_its_values(migrated_database_url: str) -> None:
    """One span a statement, its text without literals, its number on the request's line, the wait for the pool."""
    postgres = Postgres(migrated_database_url)
    with capture_telemetry() as capture:
        app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})

        @app.get("/cheap")
        async def cheap() -> None:
            async with postgres.connect() as connection:
                for _ in range(3):
                    await connection.execute(text("SELECT id FROM items WHERE price < 987654 AND title <> 'S3CRET'"))

        answered = await drive(instrument(app, capture.telemetry), http_scope(path="/cheap"))
        await postgres.aclose()

        assert answered.status == 200
        assert [span.name for span in capture.find_spans(kind="client")] == ["SELECT items"] * 3
        said = repr(capture.spans) + b"".join(capture.raw_lines).decode()
        assert [word for word in ("987654", "S3CRET") if word in said] == []
        assert capture.line("request_completed")["db_statements"] == 3
        assert capture.metric("db_pool_wait_seconds_count") == 1


def test_point_30_a_real_server_says_what_the_tests_in_memory_say(otlp_receiver: FaultyReceiver) -> None:
    """Behind uvicorn each request is one line, one count and one span, whatever its kind."""
    asked = [("GET", "/items/1", 200), ("HEAD", "/items/1", 405), ("GET", "/nowhere", 404), ("GET", "/fail", 500)]
    with serving(**spans_to(otlp_receiver.endpoint)) as server:
        # A connection for each: uvicorn closes the one of a handler that raised, without a word to the client.
        alone = {"connection": "close"}
        statuses = [server.client.request(method, path, headers=alone).status_code for method, path, _ in asked]
        counted = [server.figure("http_requests_total", status_code=str(status)) for _, _, status in asked]
        server.end()

        assert statuses == [status for _, _, status in asked]
        assert counted == [1] * len(asked)
        lines = server.lines("request_completed")
        assert [line["status_code"] for line in lines] == statuses
    assert sorted(_span_names(otlp_receiver.requests)) == [
        "GET", "GET /fail", "GET /items/{item}", "HEAD /items/{item}", "look_up",
    ]  # fmt: skip


def _span_names(requests: list[Request]) -> list[str]:
    """Return the names of all spans but those for work after an answer, which a busy machine draws out by itself."""
    return [name for request in requests for name in request.span_names if name != "background"]


def test_each_of_the_thirty_points_has_a_test() -> None:
    """The two files together have exactly the points 1 to 30."""
    files = [TESTS / kind / "observability" / "test_expectations.py" for kind in ("unit", "integration")]
    functions = (node for path in files for node in ast.walk(ast.parse(path.read_text())))
    names = (node.name for node in functions if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    points = [int(found.group(1)) for name in names if (found := re.match(r"test_point_(\d\d)_", name))]

    assert sorted(points) == list(range(1, 31))
