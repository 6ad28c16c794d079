"""A Jaeger collector on loopback that decodes what it gets, by classes that Thrift's own compiler made.

They are those of the wheel of OpenTelemetry's last Jaeger exporter. The exporter itself no longer imports beside a
current SDK, so that its generated package is loaded by its path.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import files
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.support.ports import LOOPBACK
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.transport.TTransport import TMemoryBuffer

_WHEEL = "opentelemetry-exporter-jaeger-thrift"
_PACKAGE = "jaeger_thrift_generated"


@cache
def generated_classes() -> ModuleType:
    """Return the module of Batch, Process, Span, Tag, Log and SpanRef."""
    found = next(path for path in files(_WHEEL) or [] if path.match("gen/jaeger/ttypes.py"))
    folder = Path(str(found.locate())).parents[1]
    # The modules import one another by relative names: they want a package around them, and get the folder as one.
    specification = importlib.util.spec_from_file_location(
        _PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert specification is not None
    sys.modules[_PACKAGE] = importlib.util.module_from_spec(specification)
    return importlib.import_module(f"{_PACKAGE}.jaeger.ttypes")


def decode(body: bytes) -> Any:
    """Return the Batch that these bytes are; every byte has to belong to it."""
    buffer = TMemoryBuffer(body)
    batch = generated_classes().Batch()
    batch.read(TBinaryProtocol(buffer))
    assert buffer._buffer.tell() == len(body), "bytes are left over behind the batch"
    batch.validate()
    return batch


def tag_values(tags: list[Any] | None) -> dict[str, Any]:
    """Return the value of each tag by its key, read from the field that its type names."""
    fields = {0: "vStr", 1: "vDouble", 2: "vBool", 3: "vLong", 4: "vBinary"}
    return {tag.key: getattr(tag, fields[tag.vType]) for tag in tags or []}


@dataclass(frozen=True)
class Received:
    """One request to the collector."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def batch(self) -> Any:
        """The decoded batch."""
        return decode(self.body)


@dataclass
class JaegerCollector:
    """What came in, and what the next requests are answered with."""

    endpoint: str
    received: list[Received] = field(default_factory=list)
    status: int = 202
    answer_headers: dict[str, str] = field(default_factory=dict)

    def spans(self) -> list[Any]:
        """Return every span that was received, in order."""
        return [span for request in tuple(self.received) for span in request.batch.spans]


@contextmanager
def jaeger_collector() -> Iterator[JaegerCollector]:
    """Run a collector inside the block; its ``endpoint`` is only scheme, host and port."""
    collector: JaegerCollector

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            collector.received.append(Received(self.path, dict(self.headers.items()), body))
            self.send_response(collector.status)
            for name, value in collector.answer_headers.items():
                self.send_header(name, value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Stay silent."""

    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as server:
        server.daemon_threads = True
        collector = JaegerCollector(f"http://{LOOPBACK}:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()
