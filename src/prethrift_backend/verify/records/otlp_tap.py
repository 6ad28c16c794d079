"""A receiver of traces for the time of a run: OTLP over HTTP, as protobuf or JSON, gzipped or not.

Source: the OTLP specification 1.5 (opentelemetry.io/docs/specs/otlp). Metrics and logs are taken and forgotten, so
that a service which sends them to the same place is not disturbed.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import socket
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from threading import Lock, Thread
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from prethrift_backend.verify.live.client import LiveUsageError
from prethrift_backend.verify.records.values import ObservedSpan, from_otlp

_TRACES: Final = "/v1/traces"
_JSON: Final = "application/json"
_PROTOBUF: Final = "application/x-protobuf"
# All arbitrary: exporters send 512 spans at once as a rule, and a run lasts some seconds.
_BODY_BYTES_MAX: Final = 4 * 1024 * 1024
_SENDERS_MAX: Final = 16
_SPANS_MAX: Final = 100_000
_IDLE_SECONDS: Final = 30
# In JSON these are hexadecimal, where JSON of protobuf has base64 for bytes.
_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId"})


class OtlpTap:
    """Listens until it is closed; `spans` returns what has arrived."""

    def __init__(self, host: str, port: int) -> None:
        """Begin to listen.

        Raises LiveUsageError where that cannot be done, as when another receiver has the port.
        """
        self._spans: list[ObservedSpan] = []
        try:
            self._server = _Server((host, port), self._spans)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            message = f"no spans can be received at {host}:{port}: {reason}; give a port of this machine that is free"
            raise LiveUsageError(message) from error
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), name="otlp-tap", daemon=True)
        self._thread.start()

    def spans(self) -> list[ObservedSpan]:
        """Return the spans that have arrived, in their order."""
        return list(self._spans)

    def close(self) -> None:
        """Stop listening, and end the connections that exporters keep."""
        self._server.shutdown()
        self._server.server_close()
        self._server.cut()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], spans: list[ObservedSpan]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.taken = spans
        self._open: set[socket.socket] = set()
        self._taking = Lock()
        super().__init__(address, _Handler)

    def cut(self) -> None:
        """End every connection: an exporter that keeps one would send to nobody."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def take(self, request: ExportTraceServiceRequest) -> None:
        """Keep the spans of an export as far as there is room: two bytes of it make a span."""
        with self._taking:
            self.taken.extend(islice(from_otlp(request), _SPANS_MAX - len(self.taken)))

    def verify_request(self, request: object, client_address: object) -> bool:  # noqa: ARG002 - the base class's names
        """Say whether one more may send: each holds the body that it sends."""
        return len(self._open) < _SENDERS_MAX

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Handle a connection, and know of it for as long as it is there."""
        self._open.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._open.discard(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a service that breaks off a connection is not what is looked at."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS

    def do_POST(self) -> None:
        """Take an export."""
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > _BODY_BYTES_MAX:
            self.close_connection = True
            self._answer(413 if length.isdecimal() else 411)
            return
        body = self.rfile.read(int(length))
        if not self.path.partition("?")[0].rstrip("/").endswith(_TRACES):
            self._answer(200)
            return
        try:
            self.server.take(self._request(body))
        except ValueError:
            self._answer(400)
            return
        self._answer(200)

    @property
    def _media_type(self) -> str:
        return self.headers.get("content-type", _PROTOBUF).partition(";")[0].strip().lower()

    def _request(self, body: bytes) -> ExportTraceServiceRequest:
        plain = _inflated(body) if self.headers.get("content-encoding", "").strip().lower() == "gzip" else body
        return _read_json(plain) if self._media_type == _JSON else _read_protobuf(plain)

    def _answer(self, status: int) -> None:
        is_json = self._media_type == _JSON
        body = b"{}" if is_json else b""
        self.send_response(status)
        self.send_header("content-type", _JSON if is_json else _PROTOBUF)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the standard library's
        """Say nothing: the output of the run is its report."""


def _inflated(body: bytes) -> bytes:
    """Undo gzip; raises ValueError where it is broken or holds too much."""
    inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(body, _BODY_BYTES_MAX)
    except zlib.error as error:
        raise ValueError(f"gzip: {error}") from error
    if not inflater.eof:
        raise ValueError("gzip: it ends too early, or is too large")
    return plain


def _read_protobuf(body: bytes) -> ExportTraceServiceRequest:
    try:
        request: ExportTraceServiceRequest = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise ValueError(str(error)) from error
    return request


def _read_json(body: bytes) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    try:
        tree = _with_base64_ids(json.loads(body))
        if not isinstance(tree, dict):
            raise ValueError("an export is an object")  # noqa: TRY004 - what was sent is wrong, not our type
        json_format.ParseDict(tree, request, ignore_unknown_fields=True)
    except (json_format.ParseError, RecursionError) as error:
        raise ValueError(str(error)) from error
    return request


def _with_base64_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_base64_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _base64_id(item) if key in _IDS else _with_base64_ids(item) for key, item in value.items()}


def _base64_id(value: object) -> str:
    try:
        return base64.b64encode(binascii.unhexlify(str(value))).decode("ascii")
    except binascii.Error as error:
        raise ValueError(f"an id is hexadecimal: {error}") from error
