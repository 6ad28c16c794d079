"""The files of ops/datadog: their shape, the contracts' names in them, and the tags and ids that really arrive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import yaml
from tests.support.rotel import ReceivedSpan, Rotel, running_rotel
from tests.support.rotel_metrics import received_pushes
from tests.support.telemetry_app import make_app

from prethrift_backend.config import Settings
from prethrift_backend.contracts import load_contracts
from prethrift_backend.observability import configure

OPS = Path(__file__).parents[3] / "ops"
DATADOG = OPS / "datadog"
CONTRACTS = load_contracts()

# The settings as pkg/config/config_template.yaml of DataDog/datadog-agent and docs.datadoghq.com name them; the ones
# of a check as datadog_checks.base has them (checks/openmetrics/v2, utils/http.py, checks/base.py). A setting that is
# not here may exist; it has not been looked up.
AGENT: dict[str, type] = {
    "site": str,
    "env": str,
    "otlp_config.receiver.protocols.grpc.endpoint": str,
    "otlp_config.receiver.protocols.http.endpoint": str,
    "otlp_config.traces.enabled": bool,
    "otlp_config.traces.span_name_as_resource_name": bool,
    "otlp_config.metrics.enabled": bool,
    "otlp_config.metrics.resource_attributes_as_tags": bool,
    "otlp_config.metrics.histograms.mode": str,
    "otlp_config.metrics.sums.cumulative_monotonic_mode": str,
    "otlp_config.logs.enabled": bool,
    "apm_config.enabled": bool,
    "apm_config.compute_stats_by_span_kind": bool,
    "apm_config.peer_tags_aggregation": bool,
    "logs_enabled": bool,
    "logs_config.auto_multi_line_detection": bool,
    "logs_config.close_timeout": int,
}
FILE: dict[str, type] = {"type": str, "path": str, "service": str, "source": str, "start_position": str}
CHECK: dict[str, type] = {
    "openmetrics_endpoint": str,
    "namespace": str,
    "metrics": list,
    "histogram_buckets_as_distributions": bool,
    "collect_histogram_buckets": bool,
    "auth_token.reader.type": str,
    "auth_token.reader.path": str,
    "auth_token.writer.type": str,
    "auth_token.writer.name": str,
    "auth_token.writer.value": str,
    "min_collection_interval": int,
    "timeout": int,
    "max_returned_metrics": int,
    "tags": list,
}


def _read(name: str) -> Any:
    return yaml.safe_load((DATADOG / name).read_text())


AGENT_FILE = _read("datadog.yaml")
[TAILED] = _read("conf.d/prethrift_backend.d/conf.yaml")["logs"]
[SCRAPED] = _read("conf.d/openmetrics.d/conf.yaml")["instances"]


def _leaves(tree: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, type]]:
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", type(value)


@pytest.mark.parametrize(
    ("tree", "known"), [(AGENT_FILE, AGENT), (TAILED, FILE), (SCRAPED, CHECK)], ids=["agent", "logs", "openmetrics"]
)
def test_every_setting_is_known_and_of_its_type(tree: Mapping[str, Any], known: Mapping[str, type]) -> None:
    """A name that the agent does not know would be passed over without a word."""
    assert [(path, kind) for path, kind in _leaves(tree) if known.get(path) is not kind] == []


def test_no_key_stands_in_a_file() -> None:
    """The agent has its key from its environment, and the token of /metrics from a file."""
    files = sorted(DATADOG.rglob("*.yaml"))

    assert len(files) == 3
    assert [path.name for path in files if "api_key" in path.read_text()] == []
    assert SCRAPED["auth_token"]["writer"] == {"type": "header", "name": "Authorization", "value": "Bearer <TOKEN>"}


def test_the_agent_listens_on_loopback() -> None:
    """At the ports of OTLP, for both protocols."""
    protocols = AGENT_FILE["otlp_config"]["receiver"]["protocols"]

    assert {name: part["endpoint"] for name, part in protocols.items()} == {
        "grpc": "127.0.0.1:4317",
        "http": "127.0.0.1:4318",
    }


def test_the_file_that_is_tailed_is_the_one_that_the_page_sets() -> None:
    """LOG_FILE of the README, under the service's default name, and only there: not by OTLP as well."""
    page = (DATADOG / "README.md").read_text()

    assert f"| `LOG_FILE` | `{TAILED['path']}` |" in page
    assert TAILED["service"] == Settings().service_name
    assert AGENT_FILE["logs_enabled"]
    assert not AGENT_FILE["otlp_config"]["logs"]["enabled"]


def test_the_check_scrapes_what_the_contract_has() -> None:
    """Path, interval and timeout are those of its line SCRAPE, the limit Prometheus'; stable families are all there."""
    scrape = CONTRACTS.metrics.scrape
    assert scrape is not None
    names = {family.name.removesuffix("_total"): family for family in CONTRACTS.metrics.families}
    [job] = [
        job
        for job in yaml.safe_load((OPS / "prometheus/prometheus.yml").read_text())["scrape_configs"]
        if job["job_name"] == scrape.job
    ]

    assert httpx.URL(SCRAPED["openmetrics_endpoint"]).path == scrape.path
    assert SCRAPED["min_collection_interval"] == scrape.interval_seconds
    assert SCRAPED["timeout"] == scrape.timeout_seconds
    assert SCRAPED["max_returned_metrics"] == job["sample_limit"]
    assert set(SCRAPED["metrics"]) <= set(names)
    assert {name for name, family in names.items() if family.stability == "stable"} <= set(SCRAPED["metrics"])
    assert f"service:{Settings().service_name}" in SCRAPED["tags"]


@pytest.fixture
def receiver() -> Iterator[Rotel]:
    """Run a receiver of OTLP in the agent's place."""
    with running_rotel(shown="traces metrics") as collector:
        yield collector


async def _serve(receiver: Rotel, log_file: Path, rate: float) -> httpx.Response:
    settings = Settings(
        service_name="tagged-shop",
        service_version="3.2.1",
        environment="staging",
        log_datadog=True,
        log_file=str(log_file),
        log_format="json",
        otlp_endpoint=receiver.http_endpoint,
        otlp_metrics_interval_seconds=3600.0,
        otlp_metrics_temporality="delta",
        trace_sample_rate=rate,
    )
    telemetry = configure(settings)
    transport = httpx.ASGITransport(app=make_app(telemetry), raise_app_exceptions=False)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
            return await client.get("/fail")
    finally:
        await telemetry.aclose()


def _tags(fields: Mapping[str, str], service: str, version: str, environment: str) -> tuple[str, str, str]:
    return fields[service], fields[version], fields[environment]


def _server_span(receiver: Rotel, trace_id: str) -> ReceivedSpan:
    return receiver.wait_for(lambda span: span.trace_id == trace_id and span.fields["Kind"] == "SPAN_KIND_SERVER")


@pytest.mark.parametrize("rate", [1.0, 0.0], ids=["sampled", "sampled late"])
async def test_tags_and_ids_are_the_same_in_line_span_and_metric(receiver: Rotel, tmp_path: Path, rate: float) -> None:
    """Line, resource of the span and resource of the push tell one service; the line's decimal ids are the span's."""
    log_file = tmp_path / "backend.json"

    answer = await _serve(receiver, log_file, rate)

    span = _server_span(receiver, answer.headers["X-Trace-Id"])
    receiver.process.wait_for_output("http_requests_total", 20)
    [push] = received_pushes(receiver.output)
    lines = [orjson.loads(line) for line in log_file.read_bytes().splitlines()]
    [line] = [line for line in lines if line["event"] == "request_completed"]
    expected = ("tagged-shop", "3.2.1", "staging")
    resource = ("service.name", "service.version", "deployment.environment.name")
    assert _tags(span.resource, *resource) == _tags(push.resource, *resource) == expected
    assert _tags(line, "dd.service", "dd.version", "dd.env") == expected
    assert _tags(line, "service", "version", "environment") == expected
    assert int(line["dd.trace_id"]) == int(span.trace_id[16:], 16)
    assert int(line["dd.span_id"]) == int(span.fields["ID"], 16)
    assert line["trace_id"] == span.trace_id
    assert int(span.trace_id[:16], 16) > 0  # 128 bits, of which Datadog's own id is the half
