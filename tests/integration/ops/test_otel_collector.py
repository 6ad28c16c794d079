"""The files of ops/otel-collector against the schema of their components, and against what the contracts promise."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
from tests.support.collector_config import (
    FILES,
    OPS,
    read_collector_config,
    schema_faults,
    seconds_of,
    texts,
    variables,
)

from prethrift_backend.config import Settings
from prethrift_backend.contracts import load_contracts
from prethrift_backend.observability._queue import Limits

ROOT = Path(__file__).parents[3]
CONTRACTS = load_contracts()
SECRETS = re.compile(r"(?i)key|team|authorization|token|password|secret")
WHOLLY_VARIABLE = re.compile(r"(Basic )?\$\{env:[A-Z_]+\}")


@pytest.fixture(params=FILES)
def name(request: pytest.FixtureRequest) -> str:
    """Take one file after the other."""
    chosen: str = request.param
    return chosen


def test_the_file_fits_the_schema(name: str) -> None:
    """Every setting is one that the component has, of its type."""
    assert schema_faults(read_collector_config(name).tree) == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("processors", "tail_sampling", "decision_wait"), 12),
        (("processors", "tail_sampling", "num_trace"), 1),
        (("processors", "batch", "timeout"), "soon"),
        (("exporters", "datadog", "api"), {"key": "0123456789abcdef"}),
        (("exporters", "otlphttp/honeycomb", "headers", "x-honeycomb-team"), "0123456789abcdef"),
        (("exporters", "zipkin"), {}),
    ],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else "",
)
def test_the_schema_refuses_what_a_collector_would(place: tuple[str, ...], value: object) -> None:
    """A wrong type, a setting or a component that does not exist, and a key that is written out are faults."""
    tree = copy.deepcopy(read_collector_config("sampling.yaml").tree)
    inner: Any = tree
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value

    assert schema_faults(tree) != []


def test_pipelines_are_of_what_is_defined_and_use_all_of_it(name: str) -> None:
    """A collector refuses to start with an unknown component; one that no pipeline has is a forgotten one."""
    config = read_collector_config(name)

    for place in ("receivers", "processors", "exporters"):
        assert config.used(place) <= config.known(place), place
        assert set(config.tree[place]) <= config.used(place), place
    assert set(config.tree["extensions"]) == set(config.tree["service"]["extensions"])
    stores = {text for path, text in texts(config.tree) if path.endswith(".storage")}
    assert stores <= set(config.tree["extensions"])


def test_connectors_stand_at_both_ends() -> None:
    """What a connector is given goes on in another pipeline."""
    config = read_collector_config("sampling.yaml")

    assert set(config.tree["connectors"]) == config.used("receivers") & config.used("exporters")


def test_memory_is_looked_at_first_and_batches_are_made_last(name: str) -> None:
    """Data is refused before work is done for it, and nothing takes batches apart again."""
    for pipeline, parts in read_collector_config(name).pipelines.items():
        first, *_, last = parts["processors"]

        assert first == "memory_limiter", pipeline
        assert last.partition("/")[0] == "batch", pipeline


def test_no_secret_stands_in_the_file(name: str) -> None:
    """What is called a key, a token or a team is read from the environment, without a default."""
    found = texts(read_collector_config(name).tree)
    keys = [(path, text) for path, text in found if SECRETS.search(path.split(".")[-1])]
    keys = [(path, text) for path, text in keys if not path.endswith((".routing_key", ".boolean_attribute.key"))]

    assert [(path, text) for path, text in keys if not WHOLLY_VARIABLE.fullmatch(text)] == []
    if name == "sampling.yaml":
        assert len(keys) == 4  # Honeycomb's twice, Grafana's, Datadog's


def test_the_receivers_listen_on_loopback_unless_told_otherwise(name: str) -> None:
    """Neither OTLP nor the health extension is open to the network by itself."""
    listening = [text for path, text in texts(read_collector_config(name).tree) if "LISTEN_ADDRESS" in text]

    assert listening
    assert all(text.startswith("${env:LISTEN_ADDRESS:-127.0.0.1}:") for text in listening)


def test_every_variable_is_explained(name: str) -> None:
    """The README says what each environment variable is for."""
    page = (OPS / "README.md").read_text()

    assert {
        variable for variable in variables(read_collector_config(name).tree) if f"`{variable}`" not in page
    } == set()


def test_slow_is_what_the_objective_of_latency_says() -> None:
    """The traces of all requests that used up the budget are kept; the backend sends those that it did not sample."""
    policies = read_collector_config("sampling.yaml").policies()
    rules = (ROOT / "ops/prometheus/rules/recording.yml").read_text()
    bounds = set(re.findall(r'http_request_duration_seconds_bucket\{le="([\d.]+)"\}', rules))

    assert bounds == {f"{policies['latency']['threshold_ms'] / 1000:g}"}
    assert float(bounds.pop()) in CONTRACTS.metrics.family("http_request_duration_seconds").buckets
    assert policies["latency"]["threshold_ms"] / 1000 <= Settings().trace_slow_seconds


def test_what_the_backend_sends_late_is_kept() -> None:
    """The attribute is the one of the contract, and a constant there; errors are kept by their status."""
    policies = read_collector_config("sampling.yaml").policies()
    assert CONTRACTS.spans is not None
    [server] = [span for span in CONTRACTS.spans.spans if span.key == "server"]
    [attribute] = [found for found in server.attributes if found.name == policies["boolean_attribute"]["key"]]

    assert attribute.name == "prethrift.sampled_late"
    assert policies["boolean_attribute"]["value"] is True
    assert policies["status_code"]["status_codes"] == ["ERROR"]
    assert set(policies) == {"status_code", "latency", "boolean_attribute", "probabilistic"}


def test_a_decision_waits_for_the_last_span() -> None:
    """Longer than the last bucket of the durations and the time for which the backend gathers spans."""
    tail = read_collector_config("sampling.yaml").tree["processors"]["tail_sampling"]
    longest = max(CONTRACTS.metrics.family("http_request_duration_seconds").buckets)
    wait_seconds = seconds_of(tail["decision_wait"])

    assert wait_seconds >= longest + Limits().gather_seconds
    assert tail["num_traces"] >= 1.5 * wait_seconds * tail["expected_new_traces_per_sec"]


def test_a_trace_has_one_collector_that_decides() -> None:
    """The front layer leads traces by their id and metrics by their process, to the port of the second layer."""
    front, sampling = read_collector_config("front.yaml"), read_collector_config("sampling.yaml")
    exporters = front.tree["exporters"]

    assert {name: exporters[f"loadbalancing/{name}"]["routing_key"] for name in ("traces", "metrics", "logs")} == {
        "traces": "traceID",
        "metrics": "resource",
        "logs": "traceID",
    }
    assert {found["resolver"]["dns"]["port"] for found in exporters.values()} == {sampling.port("grpc")}
    assert "tail_sampling" not in front.tree["processors"]


def test_only_datadogs_own_figures_are_of_all_traces() -> None:
    """Every exporter of traces is behind the sampling, but for the connector that counts."""
    pipelines = read_collector_config("sampling.yaml").pipelines
    unsampled = [
        parts["exporters"]
        for name, parts in pipelines.items()
        if name.startswith("traces") and "tail_sampling" not in parts["processors"]
    ]

    assert unsampled == [["datadog/connector"]]
    assert set(pipelines["traces"]["exporters"]) == {"otlp/jaeger", "otlphttp/honeycomb", "otlphttp/grafana", "datadog"}


def test_lines_are_read_by_the_names_of_the_contract() -> None:
    """Every field that the reader of LOG_FILE looks at is in contracts/logs.txt, and so is every level it knows."""
    receiver = read_collector_config("node.yaml").tree["receivers"]["filelog"]
    assert CONTRACTS.logs is not None
    fields = {field.name: field for field in CONTRACTS.logs.fields}
    looked_at = {text.removeprefix("attributes.") for _, text in texts(receiver) if text.startswith("attributes.")}
    levels = {"debug", "info", "error", *receiver["operators"][0]["severity"]["mapping"].values()}

    assert looked_at == {"timestamp", "level", "trace_id", "span_id", "service", "version", "environment"}
    assert looked_at <= set(fields)
    assert levels == set(fields["level"].type.values)
    assert CONTRACTS.logs.record.max_bytes is not None
    assert receiver["max_log_size"] == f"{CONTRACTS.logs.record.max_bytes // 1024}KiB"
