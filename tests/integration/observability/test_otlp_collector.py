"""Spans of a real application at a real collector, by every way that OTLP has."""

from __future__ import annotations

import io
from typing import Any

import httpx
import pytest
from tests.support.rotel import ReceivedSpan, Rotel
from tests.support.telemetry_app import CANARY, make_app

from prethrift_backend.config import Settings
from prethrift_backend.observability import configure

NAME = "test-shop"


async def serve(paths: list[str], **settings: Any) -> tuple[list[httpx.Response], str]:
    """Ask an instrumented application, close its telemetry, and return the answers and what it logged."""
    stream = io.BytesIO()
    values = {"service_name": NAME, "log_format": "json", "trace_sample_rate": 1.0, **settings}
    telemetry = configure(Settings.model_validate(values), log_stream=stream)
    transport = httpx.ASGITransport(app=make_app(telemetry), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
        answers = [await client.get(path) for path in paths]
    await telemetry.aclose()
    return answers, stream.getvalue().decode()


def of_trace(rotel: Rotel, answer: httpx.Response) -> dict[str, ReceivedSpan]:
    """Return the spans that the collector has of the trace of this answer, by name."""
    trace_id = answer.headers["x-trace-id"]
    rotel.wait_for(lambda span: span.trace_id == trace_id and span.fields["Kind"] == "SPAN_KIND_SERVER")
    return {span.name: span for span in rotel.spans() if span.trace_id == trace_id}


@pytest.mark.parametrize("protocol", ["http", "grpc"])
async def test_a_trace_arrives_whole(rotel: Rotel, protocol: str) -> None:
    """Server span and inner span are at the collector, on the trace that the response names, with their attributes."""
    endpoint = rotel.http_endpoint if protocol == "http" else rotel.grpc_endpoint

    [answer], _ = await serve(["/items/7"], otlp_endpoint=endpoint, otlp_protocol=protocol)

    spans = of_trace(rotel, answer)
    server = spans["GET /items/{item}"]
    assert server.attributes["http.request.method"] == "GET"
    assert server.attributes["http.response.status_code"] == "200"
    assert server.attributes["http.route"] == "/items/{item}"
    assert server.resource["service.name"] == NAME
    assert spans["look_up"].fields["Parent ID"] == server.fields["ID"]
    assert spans["look_up"].attributes["item"] == "7"
    assert spans["look_up"].attributes["password"] == "[redacted]"


@pytest.mark.parametrize("protocol", ["http", "grpc"])
async def test_no_secret_reaches_the_collector(rotel: Rotel, protocol: str) -> None:
    """Attributes, exceptions and query strings with a secret in them arrive without it."""
    endpoint = rotel.http_endpoint if protocol == "http" else rotel.grpc_endpoint

    [answer, _], log = await serve(
        ["/fail", f"/items/8?token={CANARY}"], otlp_endpoint=endpoint, otlp_protocol=protocol, otlp_api_key=CANARY
    )

    [server] = [span for span in of_trace(rotel, answer).values() if span.fields["Kind"] == "SPAN_KIND_SERVER"]
    assert server.fields["Status code"] == "STATUS_CODE_ERROR"
    assert CANARY not in rotel.output
    assert CANARY not in log


async def test_several_receivers_get_the_same_trace(rotel: Rotel, capsys: pytest.CaptureFixture[str]) -> None:
    """A collector by gRPC, a Jaeger by OTLP over HTTP and the console are served at once, each by its own queue."""
    [answer], log = await serve(
        ["/items/9"],
        otlp_endpoint=rotel.grpc_endpoint,
        otlp_protocol="grpc",
        jaeger_endpoint=rotel.http_endpoint,
        trace_console=True,
    )

    trace_id = answer.headers["x-trace-id"]
    rotel.process.wait_for(lambda: sum(s.trace_id == trace_id for s in rotel.spans()) >= 4, 20.0)
    assert capsys.readouterr().err.count(f"trace={trace_id}") == 2
    assert "export_failed" not in log
    assert "spans_dropped" not in log


async def test_a_trace_that_is_not_sampled_is_not_sent(rotel: Rotel) -> None:
    """What the sampler left out costs the collector nothing, while its trace id still stands on the answer."""
    [quiet], _ = await serve(["/items/10"], otlp_endpoint=rotel.http_endpoint, trace_sample_rate=0.0)
    [loud], _ = await serve(["/items/11"], otlp_endpoint=rotel.http_endpoint)

    of_trace(rotel, loud)
    assert quiet.headers["x-trace-id"] not in {span.trace_id for span in rotel.spans()}
