"""A real OTLP collector for tests: rotel, started on free ports of loopback; what it received is read from its log."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from tests.support.processes import LOOPBACK, ServerProcess, free_port

_FIELD = re.compile(r"\s*(Trace ID|Parent ID|ID|Name|Kind|Status code|Status message)\s*: (.*)")
_ATTRIBUTE = re.compile(r"     -> (\S+): (\w+)\((.*)\)$")
_START_SECONDS = 30.0


@dataclass(frozen=True)
class ReceivedSpan:
    """A span as rotel shows it: ``fields`` by rotel's own names, values as text."""

    fields: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    resource: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The span's name."""
        return self.fields["Name"]

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return self.fields["Trace ID"]


@dataclass(frozen=True)
class Rotel:
    """A running collector."""

    process: ServerProcess
    http_port: int
    grpc_port: int

    @property
    def http_endpoint(self) -> str:
        """The base URL of OTLP over HTTP."""
        return f"http://{LOOPBACK}:{self.http_port}"

    @property
    def grpc_endpoint(self) -> str:
        """The endpoint of OTLP over gRPC."""
        return f"http://{LOOPBACK}:{self.grpc_port}"

    @property
    def output(self) -> str:
        """All that it has printed, which is all that it has received."""
        return self.process.output

    def spans(self) -> list[ReceivedSpan]:
        """Return the spans that have arrived so far."""
        return list(_parse(self.output))

    def wait_for(self, wanted: Callable[[ReceivedSpan], bool], *, deadline_seconds: float = 20.0) -> ReceivedSpan:
        """Wait for a span and return it."""
        self.process.wait_for(
            lambda: any(map(wanted, self.spans())), deadline_seconds, what="the span at the collector"
        )
        return next(filter(wanted, self.spans()))


@contextmanager
def running_rotel(*, shown: str = "traces") -> Iterator[Rotel]:
    """Run a collector that prints what it gets of the signals ``shown`` and keeps none; leaving the block ends it.

    ``shown`` is one of ``traces``, ``metrics``, ``logs``, or several with spaces between them.
    """
    http_port, grpc_port = free_port(), free_port()
    with ServerProcess(
        [
            str(executable()),
            *("start", "--debug-log-verbosity", "detailed", "--exporter", "blackhole"),
            *(f"--debug-log={signal}" for signal in shown.split()),
            *("--otlp-http-endpoint", f"{LOOPBACK}:{http_port}", "--otlp-grpc-endpoint", f"{LOOPBACK}:{grpc_port}"),
        ]
    ) as process:
        # It has no health path; any answer says that it listens.
        process.wait_for_http(f"http://{LOOPBACK}:{http_port}/", _START_SECONDS)
        yield Rotel(process, http_port, grpc_port)


def executable() -> Path:
    """Return the path of the collector's program."""
    found = find_spec("rotel")
    if found is None or found.origin is None:
        raise RuntimeError("the collector is missing: install the extra `dev`, which has the package rotel")
    return Path(found.origin).with_name("rotel-agent")


def _parse(output: str) -> Iterator[ReceivedSpan]:
    resource: dict[str, str] = {}
    span: ReceivedSpan | None = None
    attributes: dict[str, str] = {}
    for line in output.splitlines():
        if line.startswith("Resource attributes:"):
            resource = attributes = {}
        elif re.fullmatch(r"Span #\d+", line):
            if span is not None:
                yield span
            span = ReceivedSpan(resource=resource)
        elif line == "Attributes:" and span is not None:
            attributes = span.attributes
        elif match := _ATTRIBUTE.fullmatch(line):
            attributes[match[1]] = match[3]
        elif span is not None and (match := _FIELD.fullmatch(line)):
            span.fields.setdefault(match[1], match[2].strip())
    if span is not None:
        yield span
