"""OTLP over gRPC; its library is loaded only where OTLP_PROTOCOL asks for it, since it costs 150 ms and 16 MB."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, Final
from urllib.parse import urlsplit

from prethrift_backend import __version__
from prethrift_backend.exceptions import ConfigurationError, ConfigurationFault
from prethrift_backend.observability._http_poster import is_this_machine, readable, secrets_of
from prethrift_backend.observability.export_protocols import Reply
from prethrift_backend.observability.otlp import METRICS_PATH, TRACES_PATH, read_response

_METHODS: Final[Mapping[str, str]] = {
    TRACES_PATH: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    METRICS_PATH: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}
# May be tried again (OTLP specification 1.5, "Failures"); RESOURCE_EXHAUSTED only where the receiver says when.
_RETRYABLE: Final = frozenset({"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"})
_DETAILS_KEY: Final = "grpc-status-details-bin"
# Trying again is the queue's work. The library's own pause between connections grows to two minutes, in which every
# call fails at once: a receiver that is back would not be found.
_OPTIONS: Final = (
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.primary_user_agent", f"prethrift-backend/{__version__}"),
)


class OtlpGrpc:
    """A collector that speaks OTLP over gRPC: TLS where ``endpoint`` begins with https; its path does not count.

    Without a port it is 4317, with TLS 443. Made by `open_grpc`, which loads the library.
    """

    def __init__(self, endpoint: str, *, headers: Mapping[str, str], grpc: ModuleType) -> None:
        self._grpc = grpc
        self._endpoint = endpoint
        self._metadata = tuple(headers.items())
        self._secrets = secrets_of(headers)
        self._channel: Any = None
        self._process = os.getpid()
        self._abandoned: list[Any] = []

    def post(self, path: str, body: bytes, *, timeout_seconds: float = 2.0) -> Reply:
        """Send ``body``, an encoded request, by the method of this signal; never raises."""
        try:
            answer = self._method(path)(
                body, timeout=timeout_seconds, metadata=self._metadata, compression=self._grpc.Compression.Gzip
            )
        except self._grpc.RpcError as error:
            return self._failed(error)
        except Exception as error:  # noqa: BLE001 - whatever the library raises, the queue behind it goes on
            return Reply("failure", detail=readable(f"{type(error).__name__}: {error}", hiding=self._secrets))
        reply = read_response(answer)
        return Reply(reply.outcome, rejected=reply.rejected, detail=readable(reply.detail, hiding=self._secrets))

    def close(self) -> None:
        """Close the channel; a later post opens a new one."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def _method(self, path: str) -> Callable[..., bytes]:
        # Bytes in, bytes out: the message is encoded already, and its answer is read as over HTTP.
        method: Callable[..., bytes] = self._open_channel().unary_unary(_METHODS[path])
        return method

    def _open_channel(self) -> Any:
        if self._process != os.getpid():
            # The library's threads stayed with the parent. Neither used nor closed nor collected: that would wait for
            # them.
            self._abandoned.append(self._channel)
            self._channel, self._process = None, os.getpid()
        if self._channel is None:
            self._channel = self._connect()
        return self._channel

    def _connect(self) -> Any:
        is_secure, target = grpc_target(self._endpoint)
        here = is_this_machine(urlsplit(self._endpoint).hostname or "")
        options = (*_OPTIONS, ("grpc.enable_http_proxy", 0 if here else 1))
        if is_secure:
            return self._grpc.secure_channel(target, self._grpc.ssl_channel_credentials(), options=options)
        return self._grpc.insecure_channel(target, options=options)

    def _failed(self, error: Any) -> Reply:
        code = error.code().name
        detail = readable(f"{code} {error.details() or ''}", hiding=self._secrets)
        wait_seconds = retry_delay(error.trailing_metadata() or ())
        if code in _RETRYABLE or (code == "RESOURCE_EXHAUSTED" and wait_seconds is not None):
            return Reply("retry", retry_after_seconds=wait_seconds, detail=detail)
        return Reply("failure", detail=detail)


def open_grpc(
    endpoint: str, *, headers: Mapping[str, str] | None = None, asked_by: tuple[str, str] = ("OTLP_PROTOCOL", "grpc")
) -> OtlpGrpc:
    """Load the library and make the connection; nothing is sent yet.

    Raises ConfigurationError where the library is not installed; it names the setting and value ``asked_by``.
    """
    # It prints on standard error by itself, lines that are no JSON; what it has to say comes back as the error as well.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        import grpc  # noqa: PLC0415 - see the head of this file
    except ImportError as error:
        rule = "asks for gRPC, whose package is not installed"
        fix = "pip install 'prethrift-backend[grpc]', or send OTLP over HTTP, as a rule to port 4318"
        raise ConfigurationError([ConfigurationFault(*asked_by, rule, fix)]) from error
    return OtlpGrpc(endpoint, headers=headers or {}, grpc=grpc)


def grpc_target(endpoint: str) -> tuple[bool, str]:
    """Return whether ``endpoint`` wants TLS, and its host and port as gRPC writes them."""
    parts = urlsplit(endpoint)
    is_secure = parts.scheme == "https"
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    return is_secure, f"{shown}:{parts.port or (443 if is_secure else 4317)}"


def retry_delay(metadata: Iterable[tuple[str, str | bytes]]) -> float | None:
    """Return the seconds of the RetryInfo in a call's trailing metadata, None where there is none."""
    details = next((value for key, value in metadata if key == _DETAILS_KEY), None)
    if not isinstance(details, bytes):
        return None
    try:
        # Of the same extra as grpc itself, and published without type information.
        from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped] # noqa: PLC0415
        from google.rpc.status_pb2 import Status  # type: ignore[import-untyped] # noqa: PLC0415

        info = RetryInfo()
        found = any(entry.Unpack(info) for entry in Status.FromString(details).details)
    except Exception:  # noqa: BLE001 - bytes that are no status; the code has said what matters
        return None
    delay = info.retry_delay
    return max(0.0, delay.seconds + delay.nanos / 1e9) if found else None
