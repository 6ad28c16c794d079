"""Parts for tests of exporting: time that only moves when told to, a receiver that answers by script, sample spans."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from prethrift_backend.observability._http_poster import compressed
from prethrift_backend.observability._queue import ExportQueue, Limits, Timing
from prethrift_backend.observability.export_protocols import DropReason, Outcome, Reply, Signal
from prethrift_backend.observability.otlp import encode_traces
from prethrift_backend.observability.spans import ProcessResource

TICK_SECONDS = 0.1
SUCCESS = Reply("success")
AWAY = Reply("retry", detail="connection refused")


class SimulatedTime:
    """A clock that moves while somebody waits; ``on_tick`` is what happens meanwhile, ten times a second."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float | None] = []
        self.on_tick: Callable[[], None] = lambda: None

    def wait(self, event: threading.Event, seconds: float | None) -> None:
        """Let time go by until the event is set or the seconds are over."""
        self.waits.append(seconds)
        end = float("inf") if seconds is None else self.now + seconds
        while not event.is_set() and self.now < end:
            self.now = min(end, self.now + TICK_SECONDS)
            self.on_tick()

    def timing(self) -> Timing:
        """Return it as a queue wants it, without chance: each pause has its whole length."""
        return Timing(monotonic=lambda: self.now, wait=self.wait, share=lambda: 1.0)


class ScriptedTransport:
    """A `Transport` that answers by ``script``, then with success; ``sent`` holds what arrived, by request."""

    def __init__(self, *script: Reply, name: str = "otlp") -> None:
        self.name = name
        self.script = list(script)
        self.sent: list[list[ReadableSpan]] = []
        self.timeouts: list[float] = []
        self.closed = 0
        self.answer: Callable[[], Reply] = lambda: self.script.pop(0) if self.script else SUCCESS

    def send(self, spans: Sequence[ReadableSpan], *, timeout_seconds: float) -> Reply:
        """Note the request and answer it."""
        self.sent.append(list(spans))
        self.timeouts.append(timeout_seconds)
        return self.answer()

    def close(self) -> None:
        """Count the calls."""
        self.closed += 1

    @property
    def names(self) -> list[list[str]]:
        """The names of the spans of each request."""
        return [[span.name for span in batch] for batch in self.sent]


@dataclass
class Watched:
    """An `ExportWatch` that keeps what it is told of requests, and adds up what it is told of drops."""

    exports: list[tuple[str, Signal, Outcome, str]] = field(default_factory=list)
    drops: Counter[DropReason] = field(default_factory=Counter)

    def dropped(self, exporter: str, reason: DropReason, count: int) -> None:  # noqa: ARG002 - the protocol's
        """Add up."""
        self.drops[reason] += count

    def exported(self, exporter: str, signal: Signal, outcome: Outcome, detail: str = "") -> None:
        """Keep it."""
        self.exports.append((exporter, signal, outcome, detail))

    @property
    def outcomes(self) -> list[Outcome]:
        """How the requests ended, in order."""
        return [outcome for _, _, outcome, _ in self.exports]

    @property
    def details(self) -> list[str]:
        """What was said of each request."""
        return [detail for *_, detail in self.exports]


class QueueUnderTest:
    """An `ExportQueue` without a thread, on simulated time, before a scripted receiver."""

    def __init__(self, *script: Reply, limits: Limits | None = None) -> None:
        self.time = SimulatedTime()
        self.transport = ScriptedTransport(*script)
        self.watched = Watched()
        self.put_so_far = 0
        self.queue = ExportQueue(
            self.transport, self.watched, redact_span=lambda span: span, limits=limits, timing=self.time.timing()
        )

    def put(self, count: int = 1) -> None:
        """Finish some spans."""
        for _ in range(count):
            self.queue.put(sample_span(str(self.put_so_far)))
            self.put_so_far += 1

    def run_until(self, seconds: float) -> None:
        """Do what the thread does, until the simulated clock shows ``seconds``."""
        while self.time.now < seconds:
            self.queue.cycle()

    @property
    def arrived(self) -> int:
        """How many spans the receiver has been given, those of refused requests too."""
        return sum(len(batch) for batch in self.transport.sent)


def sample_span(name: str = "GET /items", **attributes: object) -> ReadableSpan:
    """Return one finished span."""
    return ReadableSpan(
        name=name,
        context=SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED)),
        resource=Resource({}),
        attributes=attributes,  # type: ignore[arg-type]  # whatever a test puts in
        kind=SpanKind.SERVER,
        start_time=1_700_000_000_000_000_000,
        end_time=1_700_000_000_012_500_000,
    )


_RESOURCE = ProcessResource(
    {
        "service.name": "prethrift-backend",
        "service.version": "0.1.0",
        "service.instance.id": "0e0f9a52-9f5b-4c0e-8a39-0cf1ac1d83a5",
        "deployment.environment.name": "production",
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "opentelemetry",
        "telemetry.sdk.version": "1.45.2",
    }
)
_SCOPE = InstrumentationScope("prethrift_backend.observability")
_STATEMENT = (
    "SELECT items.id, items.title, items.description, items.price FROM items "
    "ORDER BY items.image_vector <=> %s LIMIT %s"
)


def sample_traces(count: int, *, seed: int = 1) -> list[list[ReadableSpan]]:
    """Return traces of four spans each, as a search makes them: request, search, embedding, statement.

    Ids, times, addresses and what was searched for differ from trace to trace, as they do in life.
    """
    chance = random.Random(seed)
    return [_sample_trace(chance, 1_764_000_000_000_000_000 + number * 3_700_000) for number in range(count)]


def _sample_trace(chance: random.Random, start_ns: int) -> list[ReadableSpan]:
    trace_id = chance.getrandbits(128)

    def span(
        name: str, kind: SpanKind, parent: ReadableSpan | None, attributes: dict[str, str | int | float]
    ) -> ReadableSpan:
        begin = start_ns + chance.randrange(1_000, 900_000)
        return ReadableSpan(
            name=name,
            context=SpanContext(trace_id, chance.getrandbits(64), is_remote=False, trace_flags=TraceFlags(1)),
            parent=None if parent is None else parent.context,
            resource=_RESOURCE,
            attributes=attributes,
            events=(),
            kind=kind,
            status=Status(StatusCode.UNSET),
            start_time=begin,
            end_time=begin + chance.randrange(900_000, 30_000_000),
            instrumentation_scope=_SCOPE,
        )

    request = span(
        "POST /search/text",
        SpanKind.SERVER,
        None,
        {
            "http.request.method": "POST",
            "url.path": "/search/text",
            "url.scheme": "https",
            "http.route": "/search/text",
            "http.response.status_code": 200,
            "server.address": "api.example.com",
            "client.address": f"192.0.2.{chance.randrange(256)}",
            "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "http.request.id": f"{chance.getrandbits(128):032x}",
        },
    )
    search = span("search text", SpanKind.INTERNAL, request, {"search.type": "text", "search.results": 20})
    embedding = span(
        "embed clip",
        SpanKind.INTERNAL,
        search,
        {"embedding.model": "clip-ViT-B-32", "embedding.batch_size": chance.randrange(1, 9), "embedding.queue_ms": 1},
    )
    statement = span(
        "SELECT items",
        SpanKind.CLIENT,
        search,
        {
            "db.system.name": "postgresql",
            "db.namespace": "prethrift",
            "db.operation.name": "SELECT",
            "db.collection.name": "items",
            "db.query.text": _STATEMENT,
            "server.address": "db.internal",
            "server.port": 5432,
        },
    )
    return [statement, embedding, search, request]


def wire_bytes_per_trace(traces: Sequence[Sequence[ReadableSpan]], *, batch_spans: int = Limits().batch_spans) -> float:
    """Return how many bytes of compressed OTLP body a trace costs, sent in batches of the queue's own size."""
    spans = [span for trace in traces for span in trace]
    batches = [spans[start : start + batch_spans] for start in range(0, len(spans), batch_spans)]
    return sum(len(compressed(encode_traces(batch))) for batch in batches) / len(traces)


def event(name: str, **attributes: object) -> Event:
    """Return an event of a span."""
    return Event(name, attributes, 1_700_000_000_000_000_000)  # type: ignore[arg-type]  # whatever a test puts in
