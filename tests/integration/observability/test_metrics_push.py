"""Metrics of a real application at a real collector, and at one that is away or takes none."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import orjson
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.http_receiver import FaultyReceiver, answer
from tests.support.ports import LOOPBACK
from tests.support.pushed_metrics import Series, pushed_series, scraped_series
from tests.support.rotel import Rotel, running_rotel
from tests.support.rotel_metrics import ReceivedPush, received_pushes
from tests.support.telemetry_app import make_app
from tests.support.waiting import wait_for_async

from prethrift_backend.config import Settings
from prethrift_backend.observability import Telemetry, configure

NEVER_SECONDS = 3600.0
OFTEN_SECONDS = 0.05
# What moves between the last scrape and the last push, a moment later.
MOVING = ("process_", "python_gc", "telemetry_", "event_loop_")


@pytest.fixture(scope="module")
def metrics_rotel() -> Iterator[Rotel]:
    """Run a collector that shows the metrics it gets."""
    with running_rotel(shown="metrics") as collector:
        yield collector


@dataclass(frozen=True)
class Shop:
    """An instrumented application under test, and what it logs."""

    telemetry: Telemetry
    client: httpx.AsyncClient
    stream: io.BytesIO

    async def ask(self, path: str, times: int = 1) -> None:
        """Ask for a path."""
        for _ in range(times):
            await self.client.get(path)

    async def scrape(self) -> dict[Series, float]:
        """Return what /metrics shows."""
        return scraped_series(text_string_to_metric_families((await self.client.get("/metrics")).text))

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log lines of this event."""
        lines = map(orjson.loads, self.stream.getvalue().splitlines())
        return [line for line in lines if line["event"] == name and line.get("signal") == "metrics"]


@asynccontextmanager
async def serving(endpoint: str, **settings: Any) -> AsyncIterator[Shop]:
    """Serve inside the block; leaving it closes the telemetry, which pushes for the last time."""
    stream = io.BytesIO()
    values = {
        "service_name": "pushing-shop",
        "log_format": "json",
        "otlp_endpoint": endpoint,
        "otlp_metrics_interval_seconds": NEVER_SECONDS,
        **settings,
    }
    telemetry = configure(Settings.model_validate(values), log_stream=stream)
    transport = httpx.ASGITransport(app=make_app(telemetry), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
        try:
            yield Shop(telemetry, client, stream)
        finally:
            await telemetry.aclose()


def _of(rotel: Rotel, instance: str) -> list[ReceivedPush]:
    return [push for push in received_pushes(rotel.output) if push.resource["service.instance.id"] == instance]


async def _last_push(rotel: Rotel, is_it: Callable[[ReceivedPush], bool]) -> ReceivedPush:
    """Wait until the collector has printed a push, and return it."""
    await wait_for_async(lambda: any(map(is_it, received_pushes(rotel.output))), 20, what="the push at the collector")
    return next(filter(is_it, received_pushes(rotel.output)))


@pytest.mark.parametrize("protocol", ["http", "grpc"])
async def test_collector_has_what_the_scrape_shows(metrics_rotel: Rotel, protocol: str) -> None:
    """Recorded once, exported twice: every series has the same name, labels and value at the collector."""
    endpoint = metrics_rotel.http_endpoint if protocol == "http" else metrics_rotel.grpc_endpoint

    async with serving(endpoint, otlp_protocol=protocol, service_version=f"1.0-{protocol}") as shop:
        await shop.ask("/items/7", 3)
        await shop.ask("/fail")
        await shop.ask("/nowhere")
        scraped = await shop.scrape()
    push = await _last_push(metrics_rotel, lambda push: push.resource["service.version"] == f"1.0-{protocol}")

    still = {key: value for key, value in scraped.items() if not key[0].startswith(MOVING)}
    assert {key: push.series.get(key) for key in still} == still
    items = frozenset({("method", "GET"), ("endpoint", "/items/{item}"), ("status_code", "200")})
    assert push.series["http_requests_total", items] == 3
    assert push.about["http_request_duration_seconds"]["Unit"] == "s"
    assert {name for name, _ in push.series} >= {"process_resident_memory_bytes", "python_info"}
    assert not shop.events("export_failed")


async def test_exemplar_at_the_collector_leads_to_the_trace(metrics_rotel: Rotel) -> None:
    """The trace id that the response shows is on the point of the metric that counted the request."""
    async with serving(metrics_rotel.http_endpoint, trace_sample_rate=1.0, service_version="1.0-exemplars") as shop:
        trace_id = (await shop.client.get("/items/7")).headers["x-trace-id"]
    await _last_push(metrics_rotel, lambda push: push.resource["service.version"] == "1.0-exemplars")

    assert trace_id in metrics_rotel.output


async def test_delta_is_said_to_be_delta(metrics_rotel: Rotel) -> None:
    """What the setting asks for is what the collector is told."""
    async with serving(
        metrics_rotel.http_endpoint, otlp_metrics_temporality="delta", service_version="1.0-delta"
    ) as shop:
        await shop.ask("/items/7", 2)
    push = await _last_push(metrics_rotel, lambda push: push.resource["service.version"] == "1.0-delta")

    about = push.about["http_requests_total"]
    assert (about["DataType"], about["AggregationTemporality"]) == ("Sum", "AGGREGATION_TEMPORALITY_DELTA")


def _requests(receiver: FaultyReceiver) -> list[float]:
    """Return how many answered requests each push has."""
    bodies = [request.body for request in tuple(receiver.requests) if request.path == "/v1/metrics"]
    pushes = [pushed_series([ExportMetricsServiceRequest.FromString(body)]) for body in bodies]
    return [sum(value for (name, _), value in push.items() if name == "http_requests_total") for push in pushes]


async def test_nothing_is_lost_while_the_collector_is_away(otlp_receiver: FaultyReceiver) -> None:
    """Deltas that could not be sent are in the push that arrives; the failure is one line and so is the recovery."""
    async with serving(
        otlp_receiver.endpoint, otlp_metrics_interval_seconds=OFTEN_SECONDS, otlp_metrics_temporality="delta"
    ) as shop:
        await shop.ask("/items/1", 2)
        await wait_for_async(lambda: sum(_requests(otlp_receiver)) == 2, 20)
        otlp_receiver.stop()
        await shop.ask("/items/1", 3)
        await wait_for_async(lambda: shop.events("export_failed"), 20)
        await shop.ask("/items/1", 4)
        otlp_receiver.start()
        await wait_for_async(lambda: shop.events("export_recovered"), 20)

    assert sum(_requests(otlp_receiver)) == 9
    assert len(shop.events("export_failed")) == 1


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_collector_of_traces_alone_is_left_alone(otlp_receiver: FaultyReceiver, status: int) -> None:
    """A receiver that takes no metrics is asked once, and the log says what to do; its traces go on."""
    otlp_receiver.behave(
        lambda handler: (answer(status) if handler.path == "/v1/metrics" else answer(200))(handler),
    )
    async with serving(
        otlp_receiver.endpoint, otlp_metrics_interval_seconds=OFTEN_SECONDS, trace_sample_rate=1.0
    ) as shop:
        await wait_for_async(lambda: shop.events("export_failed"), 20)
        for number in range(3):
            await shop.ask(f"/items/{number}")
            await wait_for_async(lambda: len(otlp_receiver.span_names) >= 2, 20)

    paths = [request.path for request in otlp_receiver.requests]
    assert paths.count("/v1/metrics") == 1
    assert "/v1/traces" in paths
    [line] = shop.events("export_failed")
    assert f"HTTP {status}" in line["detail"]
    assert "OTLP_METRICS_INTERVAL_SECONDS=0" in line["detail"]


@pytest.fixture
def grpc_without_metrics() -> Iterator[str]:
    """Run a gRPC server that has no service at all, and so none for metrics."""
    with ThreadPoolExecutor(max_workers=1) as threads:
        server = grpc.server(threads)
        port = server.add_insecure_port(f"{LOOPBACK}:0")
        server.start()
        yield f"http://{LOOPBACK}:{port}"
        server.stop(None).wait(10)


async def test_grpc_collector_of_traces_alone_is_left_alone(grpc_without_metrics: str) -> None:
    """UNIMPLEMENTED is gRPC's word for it: told once, with what to do, and not asked again before long."""
    async with serving(
        grpc_without_metrics, otlp_protocol="grpc", otlp_metrics_interval_seconds=OFTEN_SECONDS, trace_sample_rate=0.0
    ) as shop:
        await wait_for_async(lambda: shop.events("export_failed"), 20)
        refused = (
            "telemetry_exports_total",
            frozenset({("exporter", "otlp"), ("signal", "metrics"), ("outcome", "failure")}),
        )
        scraped = await shop.scrape()

    [line] = shop.events("export_failed")
    assert "UNIMPLEMENTED" in line["detail"]
    assert "OTLP_METRICS_INTERVAL_SECONDS=0" in line["detail"]
    assert scraped[refused] == 1


async def test_partial_success_is_told(otlp_receiver: FaultyReceiver) -> None:
    """What the collector says of points that it refused is in the log."""
    # ExportMetricsServiceResponse has the form of that of traces on the wire.
    otlp_receiver.behave(answer(200, b"\n\x0b\x08\x02\x12\x07too old", content_type="application/x-protobuf"))

    async with serving(otlp_receiver.endpoint) as shop:
        await shop.ask("/items/1")

    [line] = shop.events("export_failed")
    assert (line["outcome"], line["detail"]) == ("partial", "too old")
