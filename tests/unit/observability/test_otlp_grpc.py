"""The parts of OTLP over gRPC that need no socket."""

import builtins
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as Packed
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]  # published without types
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # the same

from prethrift_backend.exceptions import ConfigurationError
from prethrift_backend.observability.otlp import TRACES_PATH
from prethrift_backend.observability.otlp_grpc import grpc_target, open_grpc, retry_delay


@pytest.mark.parametrize(
    ("endpoint", "target"),
    [
        ("http://collector:4317", (False, "collector:4317")),
        ("http://collector", (False, "collector:4317")),
        ("https://api.honeycomb.io", (True, "api.honeycomb.io:443")),
        ("https://collector:4317/ignored/path", (True, "collector:4317")),
        ("http://[::1]:4317", (False, "[::1]:4317")),
    ],
)
def test_the_scheme_says_whether_there_is_tls(endpoint: str, target: tuple[bool, str]) -> None:
    """Https is TLS; a port that is left out is that of OTLP, or that of TLS."""
    assert grpc_target(endpoint) == target


def details(seconds: int | None) -> list[tuple[str, str | bytes]]:
    """Return the trailing metadata of a refused call."""
    status = Status(code=8, message="slow down")
    if seconds is not None:
        info, packed = RetryInfo(), Packed()
        info.retry_delay.seconds, info.retry_delay.nanos = seconds, 500_000_000
        packed.Pack(info)
        status.details.append(packed)
    return [("content-type", "application/grpc"), ("grpc-status-details-bin", status.SerializeToString())]


def test_a_retry_delay_is_read() -> None:
    """google.rpc.RetryInfo among the details of a status is what Retry-After is over HTTP."""
    assert retry_delay(details(7)) == 7.5


@pytest.mark.parametrize(
    "metadata", [[], details(None), details(-7), [("grpc-status-details-bin", b"\xff\xff")], [("other", "x")]]
)
def test_no_delay_is_made_up(metadata: Sequence[tuple[str, str | bytes]]) -> None:
    """Without a RetryInfo, with a negative one, or with bytes that are none, there is nothing to wait for."""
    assert not retry_delay(metadata)


class _Called:
    """A channel that keeps how it was called."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}

    def unary_unary(self, _method: str) -> Any:
        """Return the method of a signal."""

        def call(_body: bytes, **options: Any) -> bytes:
            self.options = options
            return b""

        return call


def test_a_call_is_compressed_and_has_its_time() -> None:
    """What the library is told of a call: gzip, the time limit, and the headers with the key."""
    connection, channel = open_grpc("http://collector:4317", headers={"x-honeycomb-team": "key"}), _Called()
    connection._channel = channel

    reply = connection.post(TRACES_PATH, b"spans", timeout_seconds=1.5)

    assert reply.outcome == "success"
    assert channel.options == {
        "timeout": 1.5,
        "metadata": (("x-honeycomb-team", "key"),),
        "compression": grpc.Compression.Gzip,
    }


def test_a_missing_package_is_named_with_its_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without grpcio the start ends with the line that installs it."""
    original = builtins.__import__

    def refuse(name: str, *args: Any, **options: Any) -> object:
        if name == "grpc":
            raise ImportError(name)
        return original(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)

    with pytest.raises(ConfigurationError) as caught:
        open_grpc("http://collector:4317")
    assert str(caught.value) == (
        "OTLP_PROTOCOL='grpc' asks for gRPC, whose package is not installed: "
        "pip install 'prethrift-backend[grpc]', or send OTLP over HTTP, as a rule to port 4318"
    )


def test_the_library_is_not_loaded_for_http() -> None:
    """Telemetry that speaks HTTP does not pay for gRPC, in time or in memory."""
    script = (
        "import sys; from prethrift_backend.config import Settings; "
        "from prethrift_backend.observability import configure; "
        "settings = Settings(otlp_endpoint='http://127.0.0.1:1', otlp_metrics_interval_seconds=0); "
        "configure(settings).close(); "
        "sys.exit('grpc' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
