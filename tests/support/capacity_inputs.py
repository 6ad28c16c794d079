"""What capacity is reckoned from: scrape, push, spans and lines of the real thing, measured; the settings of ops/."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from tests.overhead.variants.bare import make_app
from tests.overhead.workload import HEADERS, path_of_last
from tests.support.asgi import Recorder, drive, http_scope
from tests.support.collector_config import read_collector_config, seconds_of
from tests.support.exporting import sample_traces, wire_bytes_per_trace

from prethrift_backend.config import Settings
from prethrift_backend.embeddings import ModelEmbeddings
from prethrift_backend.main import Overrides, build
from prethrift_backend.observability import Telemetry, configure, instrument
from prethrift_backend.observability._http_poster import compressed
from prethrift_backend.observability._metric_points import encode_request, read_points
from prethrift_backend.observability._queue import Limits
from prethrift_backend.observability.exposition import MetricsEndpoint
from prethrift_backend.observability.otlp import encode_traces
from prethrift_backend.stores import ImageStore, Postgres

OPS = Path(__file__).parents[2] / "ops"
# Prometheus adds these to what it scrapes of a target: up, scrape_duration_seconds, scrape_samples_scraped,
# scrape_samples_post_metric_relabeling, scrape_series_added (prometheus.io/docs/concepts/jobs_instances).
SERIES_OF_A_TARGET = 5
SPANS_A_TRACE = 4
_TRACES = 512
_LINES = 500
# What each route has answered in a process that has been up for a while.
_STATUSES = ("200", "422", "503")
_SETTINGS = Settings(database_url=SecretStr("postgresql://user:none@127.0.0.1:1/none"), environment="staging")


@dataclass(frozen=True)
class Scrape:
    """A scrape of one process: its series, its bytes as text and compressed, labels and name of a series on average."""

    series: int
    health_series: int
    text_bytes: int
    gzip_bytes: int
    labels: float
    name_bytes: float


@dataclass(frozen=True)
class Inputs:
    """All that is measured; bytes where nothing else is said."""

    idle: Scrape
    busy: Scrape
    push_gzip_bytes: int
    span_bytes: float
    trace_gzip_bytes: float
    line_bytes: float


def measure() -> Inputs:
    """Measure everything once."""
    idle, busy = (asyncio.run(expose(is_busy=is_busy)) for is_busy in (False, True))
    traces = sample_traces(_TRACES)
    spans = [span for trace in traces for span in trace][: Limits().batch_spans]
    lines = access_lines(_LINES)
    return Inputs(
        idle=read_scrape(idle),
        busy=read_scrape(busy),
        push_gzip_bytes=len(compressed(busy.push)),
        span_bytes=len(encode_traces(spans)) / len(spans),
        trace_gzip_bytes=wire_bytes_per_trace(traces),
        line_bytes=len(lines) / _LINES,
    )


class _HealthyDatabase(Postgres):
    """A database that is not asked: its checks pass at once."""

    async def probe(self) -> dict[str, object]:
        """Pass."""
        return {}

    async def probe_vectors(self, dimensions: Mapping[str, int]) -> Mapping[str, object]:
        """Pass."""
        return dimensions


class _HealthyImages(ImageStore):
    """A picture store that is not asked."""

    async def probe(self) -> None:
        """Pass."""


class _HealthyModels(ModelEmbeddings):
    """Models that are not loaded."""

    async def probe(self) -> Mapping[str, object]:
        """Pass."""
        return {}


def _application(telemetry: Telemetry) -> Any:
    """Build the application with its own parts, which are not asked for anything."""
    parts = Overrides(
        telemetry=telemetry,
        postgres=_HealthyDatabase.from_settings(_SETTINGS),
        images=_HealthyImages.from_settings(_SETTINGS),
        embeddings=_HealthyModels.from_settings(_SETTINGS),
    )
    return build(_SETTINGS, overrides=parts)


@dataclass(frozen=True)
class Exposed:
    """What one process shows: /metrics as text and compressed, /health for Prometheus, a push by OTLP."""

    metrics: bytes
    metrics_gzip: bytes
    health: bytes
    push: bytes


async def expose(*, is_busy: bool) -> Exposed:
    """Let the application show itself, not asked for anything yet or with every route answered."""
    telemetry = configure(_SETTINGS, log_stream=io.BytesIO())
    try:
        app = _application(telemetry)
        health = await drive(app, http_scope(path="/health", headers=[(b"accept", b"text/plain;version=0.0.4")]))
        if is_busy:
            await _answer_everything(app, telemetry)
        registry = telemetry.metrics.registry
        answers = [await drive(MetricsEndpoint(registry), _scrape_scope(encoding)) for encoding in (b"", b"gzip")]
        return Exposed(answers[0].body, answers[1].body, health.body, _push(registry))
    finally:
        await telemetry.aclose()


def _scrape_scope(encoding: bytes) -> dict[str, Any]:
    headers = [(b"accept", b"application/openmetrics-text;version=1.0.0"), (b"accept-encoding", encoding)]
    return http_scope(path="/metrics", headers=headers)


async def _answer_everything(app: Any, telemetry: Telemetry) -> None:
    """Count each of the application's routes with each status, as the layer around it does."""
    for method, endpoint in [*await routes_of(app), ("GET", "__unmatched__")]:
        for status in _STATUSES:
            labels = {"method": method, "endpoint": endpoint}
            telemetry.metrics.counter("http_requests_total").labels(**labels, status_code=status).inc(12_345)
            telemetry.metrics.histogram("http_request_duration_seconds").labels(**labels).observe(0.0421)


async def routes_of(app: Any) -> list[tuple[str, str]]:
    """Return method and template of the application's routes; asked for below the layer that counts."""
    document = (await drive(app._prethrift_app, http_scope(path="/openapi.json"))).body
    paths: dict[str, dict[str, Any]] = orjson.loads(document)["paths"]
    return [(method.upper(), path) for path, methods in paths.items() if path.startswith("/api/") for method in methods]


def _lines_of_series(text: bytes) -> list[str]:
    """Return the lines of an exposition that are series, without exemplars."""
    lines = [line for line in text.decode().splitlines() if line and not line.startswith("#")]
    return [line.rpartition(" # ")[0] or line for line in lines]


def read_scrape(exposed: Exposed) -> Scrape:
    """Count the series and bytes of what a process shows."""
    series = _lines_of_series(exposed.metrics)
    return Scrape(
        series=len(series),
        health_series=len(_lines_of_series(exposed.health)),
        text_bytes=len(exposed.metrics),
        gzip_bytes=len(exposed.metrics_gzip),
        # and the two that Prometheus gives a target, job and instance
        labels=sum(line.count('="') for line in series) / len(series) + 2,
        name_bytes=sum(map(len, series)) / len(series),
    )


def _push(registry: CollectorRegistry) -> bytes:
    resource = Resource({"service.name": "prethrift-backend", "service.version": "0.1.0"})
    points = read_points(registry.collect())
    return encode_request(points, resource=resource, temporality="cumulative", now_ns=1_764_000_000_000_000_000)


def access_lines(count: int) -> bytes:
    """Return as many lines of requests that the layer has really served, one after the other."""
    recorder = Recorder(environment="staging")
    app = instrument(make_app(1), recorder.telemetry)

    async def ask() -> None:
        for _ in range(count):
            await drive(app, http_scope(path=path_of_last(1), headers=HEADERS))

    asyncio.run(ask())
    return recorder.text().encode()


@dataclass(frozen=True)
class Deployed:
    """What the files of ops/ set."""

    scrape_seconds: float
    health_scrape_seconds: float
    sample_limit: int
    ready_seconds: float
    live_seconds: float
    decision_seconds: float
    num_traces: int
    traces_per_second: int
    kept_share: float
    batch_spans: int
    pool: int
    overflow: int


def deployed() -> Deployed:
    """Read the files of ops/ and the defaults of the settings."""
    backend, health = yaml.safe_load((OPS / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    [container] = yaml.safe_load((OPS / "kubernetes/base/deployment.yaml").read_text())["spec"]["template"]["spec"][
        "containers"
    ]
    sampling = read_collector_config("sampling.yaml")
    tail = sampling.tree["processors"]["tail_sampling"]
    return Deployed(
        scrape_seconds=seconds_of(backend["scrape_interval"]),
        health_scrape_seconds=seconds_of(health["scrape_interval"]),
        sample_limit=backend["sample_limit"],
        ready_seconds=container["readinessProbe"]["periodSeconds"],
        live_seconds=container["livenessProbe"]["periodSeconds"],
        decision_seconds=seconds_of(tail["decision_wait"]),
        num_traces=tail["num_traces"],
        traces_per_second=tail["expected_new_traces_per_sec"],
        kept_share=sampling.policies()["probabilistic"]["sampling_percentage"] / 100,
        batch_spans=sampling.tree["processors"]["batch"]["send_batch_max_size"],
        pool=_SETTINGS.db_pool_size,
        overflow=_SETTINGS.db_max_overflow,
    )


def objectives() -> Iterator[tuple[str, float]]:
    """Yield the objectives of recording.yml: their names, and the share that may miss them."""
    text = (OPS / "prometheus/rules/recording.yml").read_text()
    for name, percent in re.findall(r"^# +(\w+) +([\d.]+) %", text, re.MULTILINE):
        yield name, 1 - float(percent) / 100
