"""What the backend sends, at a real receiver as ops/otel-collector has it, and what the policies keep of that."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from tests.support.collector_config import certainly_kept, read_collector_config
from tests.support.rotel import ReceivedSpan, Rotel, running_rotel
from tests.support.rotel_metrics import received_pushes
from tests.support.telemetry_app import make_app

from prethrift_backend.config import Settings
from prethrift_backend.observability import configure

FRONT = read_collector_config("front.yaml")
POLICIES = read_collector_config("sampling.yaml").policies()
NAME = "collected-shop"


@pytest.fixture
def receiver() -> Iterator[Rotel]:
    """Run a receiver of OTLP over both protocols, as the front layer is one; it prints all signals."""
    with running_rotel(shown="traces metrics logs") as collector:
        yield collector


async def _ask(paths: list[str], **settings: Any) -> list[httpx.Response]:
    """Serve the paths with these settings and close, which sends the last of everything."""
    values = {"service_name": NAME, "log_format": "json", "otlp_metrics_interval_seconds": 3600.0, **settings}
    telemetry = configure(Settings.model_validate(values))
    transport = httpx.ASGITransport(app=make_app(telemetry), raise_app_exceptions=False)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
            return [await client.get(path) for path in paths]
    finally:
        await telemetry.aclose()


def _trace(receiver: Rotel, answer: httpx.Response) -> list[ReceivedSpan]:
    """Return the spans of an answer's trace, once its server span is there."""
    trace_id = answer.headers["X-Trace-Id"]
    receiver.wait_for(lambda span: span.trace_id == trace_id and span.fields["Kind"] == "SPAN_KIND_SERVER")
    return [span for span in receiver.spans() if span.trace_id == trace_id]


@pytest.mark.parametrize("protocol", sorted(FRONT.tree["receivers"]["otlp"]["protocols"]))
async def test_traces_and_metrics_arrive_by_each_protocol(receiver: Rotel, protocol: str) -> None:
    """Spans and the push of metrics are at the receiver, with the resource by which the second layer is chosen."""
    endpoint = receiver.grpc_endpoint if protocol == "grpc" else receiver.http_endpoint

    [answer] = await _ask(["/items/7"], otlp_endpoint=endpoint, otlp_protocol=protocol)

    spans = _trace(receiver, answer)
    receiver.process.wait_for_output("http_requests_total", 20)
    [push] = received_pushes(receiver.output)
    assert {span.name for span in spans} >= {"GET /items/{item}", "look_up"}
    assert {span.resource["service.name"] for span in spans} == {NAME}
    assert {span.resource["service.instance.id"] for span in spans} == {push.resource["service.instance.id"]}


async def test_the_policies_keep_an_error_and_leave_the_rest_to_chance(receiver: Rotel) -> None:
    """With every request sampled, the whole trace of a failed one is kept; of one that went well only a share."""
    failed, well = await _ask(["/fail", "/items/7"], otlp_endpoint=receiver.http_endpoint, trace_sample_rate=1.0)

    assert certainly_kept(POLICIES, _trace(receiver, failed))
    assert not certainly_kept(POLICIES, _trace(receiver, well))


@pytest.mark.parametrize(("path", "slow_seconds"), [("/fail", 0.0), ("/items/7", 1e-9)], ids=["failed", "slow"])
async def test_the_policies_keep_what_was_sent_late(receiver: Rotel, path: str, slow_seconds: float) -> None:
    """With no request sampled, the server span of a failed or slow one arrives, marked, and is kept."""
    endpoint = receiver.http_endpoint

    [answer] = await _ask([path], otlp_endpoint=endpoint, trace_sample_rate=0.0, trace_slow_seconds=slow_seconds)

    [server] = _trace(receiver, answer)
    assert server.attributes["prethrift.sampled_late"] == "true"
    assert certainly_kept(POLICIES, [server])


async def test_a_line_of_the_file_is_a_log_record_of_its_trace(receiver: Rotel, tmp_path: Path) -> None:
    """Read as node.yaml says, a real line of LOG_FILE arrives with the ids of its trace and its severity."""
    file = tmp_path / "backend.json"
    [answer] = await _ask(["/fail"], log_file=str(file))
    lines = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    [line] = [line for line in lines if line["event"] == "request_completed"]

    request = ParseDict(_as_request(line), ExportLogsServiceRequest())
    async with httpx.AsyncClient(trust_env=False) as client:
        sent = await client.post(
            f"{receiver.http_endpoint}/v1/logs",
            content=request.SerializeToString(),
            headers={"content-type": "application/x-protobuf"},
        )

    assert sent.status_code == 200
    receiver.process.wait_for_output(answer.headers["X-Trace-Id"], 20)
    assert re.search(rf"(?i)trace id\s*: {answer.headers['X-Trace-Id']}", receiver.output)
    assert re.search(rf"(?i)span id\s*: {line['span_id']}", receiver.output)
    assert f"service.name: Str({NAME})" in receiver.output or f"service.name -> Str({NAME})" in receiver.output


def _as_request(line: dict[str, Any]) -> dict[str, Any]:
    """Make of a line what the operators of node.yaml make of it, as OTLP in JSON's shape."""
    parser, *moves = read_collector_config("node.yaml").tree["receivers"]["filelog"]["operators"]
    values = {f"attributes.{name}": value for name, value in line.items()}
    resource = {
        re.fullmatch(r'resource\["(.+)"\]', move["to"])[1]: values.pop(move["from"])  # type: ignore[index] # the schema's
        for move in moves
    }
    ids = {key: values[parser["trace"][key]["parse_from"]] for key in ("trace_id", "span_id")}
    record = {
        "severityText": values[parser["severity"]["parse_from"]],
        "traceId": _base64(ids["trace_id"]),
        "spanId": _base64(ids["span_id"]),
        "body": {"stringValue": line["event"]},
    }
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in resource.items()]
    return {"resourceLogs": [{"resource": {"attributes": attributes}, "scopeLogs": [{"logRecords": [record]}]}]}


def _base64(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()
