"""Finished spans as plain values, and the tree that they form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, format_span_id, format_trace_id


def _no_attributes() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened during a span, an exception as a rule."""

    name: str
    time_ns: int
    attributes: Mapping[str, Any] = field(default_factory=_no_attributes)


@dataclass(frozen=True, slots=True)
class SpanLink:
    """Another span that this one names without being its child."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, Any] = field(default_factory=_no_attributes)


@dataclass(frozen=True, slots=True)
class CapturedSpan:
    """One finished span as a receiver gets it, secrets taken out.

    Ids are hexadecimal digits, ``parent_id`` None for the root of what this process did; ``kind`` is internal, server,
    client, producer or consumer; ``status`` is unset, ok or error; times are nanoseconds since the epoch.
    """

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str | None
    attributes: Mapping[str, Any]
    events: tuple[SpanEvent, ...]
    links: tuple[SpanLink, ...]
    status: str
    status_description: str | None
    start_ns: int
    end_ns: int
    scope: str

    @property
    def duration_seconds(self) -> float:
        """How long it took."""
        return (self.end_ns - self.start_ns) / 1e9

    @classmethod
    def of(cls, span: ReadableSpan) -> CapturedSpan:
        """Return the value of an SDK's span, which must be finished; the span is not kept."""
        ids = _context(span)
        scope = span.instrumentation_scope
        return cls(
            name=span.name,
            kind=_kind(span.kind),
            trace_id=format_trace_id(ids.trace_id),
            span_id=format_span_id(ids.span_id),
            parent_id=None if span.parent is None else format_span_id(span.parent.span_id),
            attributes=_frozen(span.attributes),
            events=tuple(SpanEvent(event.name, event.timestamp, _frozen(event.attributes)) for event in span.events),
            links=tuple(
                SpanLink(
                    format_trace_id(link.context.trace_id),
                    format_span_id(link.context.span_id),
                    _frozen(link.attributes),
                )
                for link in span.links
            ),
            status=span.status.status_code.name.lower(),
            status_description=span.status.description,
            start_ns=span.start_time or 0,
            end_ns=span.end_time or 0,
            scope="" if scope is None else scope.name,
        )


def _context(span: ReadableSpan) -> SpanContext:
    ids: SpanContext | None = span.context
    if ids is None:
        raise ValueError(f"span {span.name!r} has no context: only spans of an SDK's tracer can be captured")
    return ids


def _kind(kind: SpanKind) -> str:
    return kind.name.lower()


def _frozen(attributes: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return MappingProxyType(dict(attributes or {}))


@dataclass(frozen=True, slots=True)
class SpanNode:
    """A span and its children, in the order in which they began."""

    span: CapturedSpan
    children: tuple[SpanNode, ...] = ()


def span_tree(spans: Iterable[CapturedSpan]) -> tuple[SpanNode, ...]:
    """Return the roots of ``spans``; a span whose parent is not among them, a caller's for example, is a root."""
    ordered = sorted(spans, key=lambda span: span.start_ns)  # stable: where the clock stands still, the given order
    known = {(span.trace_id, span.span_id) for span in ordered}
    below: dict[tuple[str, str | None], list[CapturedSpan]] = {}
    for span in ordered:
        is_root = (span.trace_id, span.parent_id) not in known
        below.setdefault(("", None) if is_root else (span.trace_id, span.parent_id), []).append(span)

    def nodes(key: tuple[str, str | None]) -> tuple[SpanNode, ...]:
        return tuple(SpanNode(span, nodes((span.trace_id, span.span_id))) for span in below.get(key, ()))

    return nodes(("", None))


def span_outline(spans: Iterable[CapturedSpan]) -> list[str]:
    """Return the names of the tree, two spaces deeper for each generation: easy to compare, easy to read."""

    def lines(nodes: Iterable[SpanNode], depth: int) -> Iterable[str]:
        for node in nodes:
            yield f"{'  ' * depth}{node.span.name}"
            yield from lines(node.children, depth + 1)

    return list(lines(span_tree(spans), 0))


class SpanCollector:
    """A `SpanSink` that keeps finished spans; ``redact`` is applied when they are read, as receivers' threads do."""

    def __init__(self, redact: Callable[[ReadableSpan], ReadableSpan] | None = None) -> None:
        self.redact = redact
        self._spans: list[ReadableSpan] = []

    def put(self, span: ReadableSpan) -> None:
        """Keep one span."""
        self._spans.append(span)

    def close(self, deadline: float) -> None:
        """Do nothing: what was kept stays readable."""

    def clear(self) -> None:
        """Forget what was kept."""
        self._spans.clear()

    def readable(self) -> list[ReadableSpan]:
        """Return the SDK's spans, redacted, in the order in which they began."""
        spans = sorted(self._spans, key=_beginning)
        return spans if self.redact is None else [self.redact(span) for span in spans]

    def spans(self) -> list[CapturedSpan]:
        """Return the spans as values, in the order in which they began."""
        return [CapturedSpan.of(span) for span in self.readable()]


def _beginning(span: ReadableSpan) -> tuple[int, int]:
    # Where the clock stands still the ids tell: those of `CountingIds` grow.
    return span.start_time or 0, _context(span).span_id
