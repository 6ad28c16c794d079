"""OTLP over gRPC, spoken to a real server on loopback."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import grpc
import pytest
from google.protobuf.any_pb2 import Any as Packed
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]  # the same
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # the same
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from tests.support.exporting import sample_span
from tests.support.grpc_receiver import GrpcReceiver, refuse, running_grpc_receiver
from tests.support.ports import LOOPBACK, free_port

from prethrift_backend.observability.otlp import METRICS_PATH, TRACES_PATH, OtlpTraces
from prethrift_backend.observability.otlp_grpc import OtlpGrpc, open_grpc

KEY = "hcaik_canary_0123456789"


@pytest.fixture
def receiver() -> Iterator[GrpcReceiver]:
    """Run a receiver over gRPC that does as the test tells it."""
    with running_grpc_receiver() as running:
        yield running


@pytest.fixture
def connection(receiver: GrpcReceiver) -> Iterator[OtlpGrpc]:
    """Make a connection to the receiver, with a key."""
    made = open_grpc(receiver.endpoint, headers={"x-honeycomb-team": KEY})
    yield made
    made.close()


def retry_info(seconds: int) -> tuple[str, bytes]:
    """Return the trailing metadata in which a receiver says when to come again."""
    info, packed, status = RetryInfo(), Packed(), Status(code=8)
    info.retry_delay.seconds = seconds
    packed.Pack(info)
    status.details.append(packed)
    return "grpc-status-details-bin", status.SerializeToString()


def test_each_signal_has_its_method(receiver: GrpcReceiver, connection: OtlpGrpc) -> None:
    """Traces and metrics go to the Export method of their service, with the key in the metadata."""
    OtlpTraces("otlp", connection).send([sample_span("GET /items")], timeout_seconds=5.0)
    connection.post(METRICS_PATH, b"", timeout_seconds=5.0)

    [(traces, metadata, body), (metrics, _, _)] = receiver.calls
    assert traces == "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    assert metrics == "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
    assert metadata["x-honeycomb-team"] == KEY
    request = ExportTraceServiceRequest.FromString(body)
    assert request.resource_spans[0].scope_spans[0].spans[0].name == "GET /items"


def test_partial_success_is_read(receiver: GrpcReceiver, connection: OtlpGrpc) -> None:
    """What a collector says of spans that it did not take is the same over gRPC."""
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = 4
    response.partial_success.error_message = f"too old, {KEY}"
    receiver.answer = lambda _context: response.SerializeToString()

    reply = connection.post(TRACES_PATH, b"", timeout_seconds=5.0)

    assert (reply.outcome, reply.rejected, reply.detail) == ("partial", 4, "too old, [redacted]")


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (grpc.StatusCode.UNAVAILABLE, "retry"),
        (grpc.StatusCode.ABORTED, "retry"),
        (grpc.StatusCode.DATA_LOSS, "retry"),
        (grpc.StatusCode.CANCELLED, "retry"),
        (grpc.StatusCode.OUT_OF_RANGE, "retry"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "retry"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "failure"),
        (grpc.StatusCode.INVALID_ARGUMENT, "failure"),
        (grpc.StatusCode.UNAUTHENTICATED, "failure"),
        (grpc.StatusCode.UNIMPLEMENTED, "failure"),
        (grpc.StatusCode.INTERNAL, "failure"),
    ],
)
def test_the_status_says_whether_to_try_again(
    receiver: GrpcReceiver, connection: OtlpGrpc, code: grpc.StatusCode, outcome: str
) -> None:
    """The table of the OTLP specification holds."""
    receiver.answer = refuse(code, f"no: {KEY}")

    reply = connection.post(TRACES_PATH, b"", timeout_seconds=5.0)

    assert (reply.outcome, reply.detail) == (outcome, f"{code.name} no: [redacted]")


def test_a_full_receiver_that_says_when_is_tried_then(receiver: GrpcReceiver, connection: OtlpGrpc) -> None:
    """RESOURCE_EXHAUSTED may be tried again only where RetryInfo comes with it."""
    receiver.answer = refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", retry_info(7))

    reply = connection.post(TRACES_PATH, b"", timeout_seconds=5.0)

    assert (reply.outcome, reply.retry_after_seconds) == ("retry", 7.0)


def test_silence_has_an_end(receiver: GrpcReceiver, connection: OtlpGrpc) -> None:
    """A call that is not answered is over when its time is."""
    released = threading.Event()

    def hold(_context: grpc.ServicerContext) -> bytes:
        released.wait(60.0)
        return b""

    receiver.answer = hold
    reply = connection.post(TRACES_PATH, b"", timeout_seconds=0.2)
    released.set()

    assert (reply.outcome, reply.detail[:17]) == ("retry", "DEADLINE_EXCEEDED")


def test_nobody_there_is_tried_again() -> None:
    """A refused connection is UNAVAILABLE."""
    connection = open_grpc(f"http://{LOOPBACK}:{free_port()}")

    reply = connection.post(TRACES_PATH, b"", timeout_seconds=5.0)
    connection.close()

    assert (reply.outcome, reply.detail[:11]) == ("retry", "UNAVAILABLE")


def test_a_closed_connection_can_be_used_again(receiver: GrpcReceiver, connection: OtlpGrpc) -> None:
    """Closing gives the channel back; whoever posts after it gets a new one."""
    connection.close()

    assert connection.post(TRACES_PATH, b"", timeout_seconds=5.0).outcome == "success"
    assert len(receiver.calls) == 1


_TLS_TO_A_PLAIN_PORT = """
import sys
from prethrift_backend.observability.otlp_grpc import open_grpc

print(open_grpc(sys.argv[1]).post("/v1/traces", b"", timeout_seconds=5.0).outcome)
"""


def test_the_library_does_not_print(receiver: GrpcReceiver) -> None:
    """What fails below gRPC is in the reply, and not on standard error beside the lines of the log."""
    endpoint = receiver.endpoint.replace("http:", "https:")

    ran = subprocess.run(
        [sys.executable, "-c", _TLS_TO_A_PLAIN_PORT, endpoint], capture_output=True, text=True, check=True
    )

    assert (ran.stdout, ran.stderr) == ("retry\n", "")
