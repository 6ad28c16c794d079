"""A process that forks after `configure`: nothing is lost, nothing is sent twice, no two ids are the same."""

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from tests.support.grpc_receiver import running_grpc_receiver
from tests.support.http_receiver import FaultyReceiver

ROOT = Path(__file__).parents[3]


def run_forking(endpoint: str, protocol: str) -> subprocess.CompletedProcess[str]:
    """Run the program that forks, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "tests.support.forking", endpoint, protocol],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def instance(resource: Resource) -> str:
    """Return which process a resource says that it is."""
    found: str = next(pair.value.string_value for pair in resource.attributes if pair.key == "service.instance.id")
    return found


def spans_by_instance(receiver: FaultyReceiver) -> dict[str, list[str]]:
    """Return the names of the spans of each instance."""
    found = defaultdict[str, list[str]](list)
    for request in receiver.requests:
        if request.path == "/v1/traces":
            for about in ExportTraceServiceRequest.FromString(request.body).resource_spans:
                found[instance(about.resource)] += [span.name for scope in about.scope_spans for span in scope.spans]
    return found


def requests_by_instance(receiver: FaultyReceiver) -> dict[str, dict[str, float]]:
    """Return what each instance has counted of requests, by method."""
    found = defaultdict[str, dict[str, float]](dict)
    for request in receiver.requests:
        if request.path == "/v1/metrics":
            for about in ExportMetricsServiceRequest.FromString(request.body).resource_metrics:
                metrics = [metric for scope in about.scope_metrics for metric in scope.metrics]
                points = [p for m in metrics if m.name == "http_requests_total" for p in m.sum.data_points]
                counted = {next(a.value.string_value for a in p.attributes if a.key == "method"): p for p in points}
                found[instance(about.resource)] |= {name: p.as_double for name, p in counted.items() if p.as_double}
    return found


def test_a_forked_process_sends_its_own_lines_spans_and_metrics(otlp_receiver: FaultyReceiver) -> None:
    """The request before the fork arrives once; those of child and parent arrive as those of two instances.

    What an instance says in its spans it says in its metrics, or nobody could get from the one to the other.
    """
    ran = run_forking(otlp_receiver.endpoint, "http")

    assert (ran.returncode, ran.stderr) == (0, "")
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert sorted(line["method"] for line in lines if line["event"] == "request_completed") == ["GET", "POST", "PUT"]
    assert len({line["trace_id"] for line in lines}) == 3
    spans = {name: sorted(names) for name, names in spans_by_instance(otlp_receiver).items()}
    assert sorted(spans.values()) == [["GET", "PUT"], ["POST"]]
    counted = {name: sorted(methods) for name, methods in requests_by_instance(otlp_receiver).items()}
    assert counted == spans


def test_a_forked_process_has_a_channel_of_its_own() -> None:
    """The threads of gRPC stay with the parent; the child opens a channel and sends by that, and the parent goes on."""
    with running_grpc_receiver() as receiver:
        ran = run_forking(receiver.endpoint, "grpc")
        bodies = [body for method, _, body in receiver.calls if "TraceService" in method]

    assert (ran.returncode, ran.stderr) == (0, "")
    sent = [about for body in bodies for about in ExportTraceServiceRequest.FromString(body).resource_spans]
    named = [(instance(about.resource), scope.spans) for about in sent for scope in about.scope_spans]
    names = [(process, span.name) for process, spans in named for span in spans]
    assert sorted(name for _, name in names) == ["GET", "POST", "PUT"]
    assert len({process for process, _ in names}) == 2
