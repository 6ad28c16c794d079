"""What a finished span may say: every value in it goes through the one choke point before it leaves the process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode
from uuid import uuid4
from weakref import WeakKeyDictionary

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, SpanContext, Status, TraceState

from prethrift_backend.observability._forking import restart_in_children
from prethrift_backend.observability.redaction import MAX_TEXT, REDACTED, Plain, Redactor, redact_query

INSTANCE_ID: Final = "service.instance.id"

# Arbitrary bounds, with room for everything that we write ourselves; the worst of spans stays near a megabyte.
_MAX_NAME: Final = 256
_MAX_DESCRIPTION: Final = 1024
_MAX_EVENTS: Final = 32
_MAX_LINKS: Final = 32
_MAX_STACK: Final = 8_000
_MAX_CHARACTERS: Final = 16_000
_MAX_TEXT_WHEN_FULL: Final = 128

_STACK: Final = "exception.stacktrace"
# Attributes that hold a URL, or the part of it behind the path: of a query only what is known to be harmless stays.
_URLS: Final = frozenset({"url.full", "http.url", "http.target", "url.path"})
_QUERY: Final = "url.query"
# Texts that are too long for what a redactor remembers by itself, and yet the same again and again.
_RECURRING: Final = frozenset({"db.query.text", "user_agent.original"})
_SPECIAL: Final = _URLS | _RECURRING | {_STACK, _QUERY}
_MAX_REMEMBERED: Final = 512
_MAX_REMEMBERED_TEXT: Final = 1024
_memories: Final[WeakKeyDictionary[Redactor, dict[tuple[str, str], Plain]]] = WeakKeyDictionary()
_COMPOSITE: Final = (list, dict)

# Where a span keeps what became of it, so that several receivers do not do the work again. With the redactor that did
# it: a test may use two.
_KEPT: Final = "_prethrift_redacted"


class ProcessResource(Resource):
    """What spans and pushed metrics say of their process; one object for all of them.

    In a forked child it changes where it stands: from then on the child is an instance of its own, in everything that
    it sends. It knows its hash: the SDK's own writes itself as JSON each time, which is once for every span.
    """

    def __init__(self, attributes: Mapping[str, Any]) -> None:
        self._set(attributes)
        restart_in_children(self)

    def _set(self, attributes: Mapping[str, Any]) -> None:
        super().__init__(attributes)
        self._hash = super().__hash__()

    def merge(self, other: Resource) -> Resource:
        """Merge as the SDK does, but for the instance.

        The SDK merges an id of its own into a provider's resource in a forked child; metrics would not have it.
        """
        others = {key: value for key, value in other.attributes.items() if key != INSTANCE_ID}
        return super().merge(Resource(others, other.schema_url)) if others or other.schema_url else self

    def restart_after_fork(self) -> None:
        """Take a new ``service.instance.id``, where there was one."""
        if INSTANCE_ID in self.attributes:
            self._set({**self.attributes, INSTANCE_ID: str(uuid4())})

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return super().__eq__(other)


class _RedactedSpan(ReadableSpan):
    """A copy of a span, which also says how much the original, and the bounds here, have left out."""

    def __init__(self, *, left_out: tuple[int, int, int] = (0, 0, 0), **fields: Any) -> None:
        super().__init__(**fields)
        self._left_out = left_out

    @property
    def characters(self) -> int:
        """How long the texts in it are together, near enough for the size of a request."""
        own = _characters(self._attributes)  # past the property, which makes a view of it each time
        return own + sum(_characters(event.attributes) for event in self._events) if self._events else own

    @property
    def dropped_attributes(self) -> int:
        return self._left_out[0]

    @property
    def dropped_events(self) -> int:
        return self._left_out[1]

    @property
    def dropped_links(self) -> int:
        return self._left_out[2]


def redacted_span(span: ReadableSpan, *, redactor: Redactor) -> ReadableSpan:
    """Return ``span`` without secrets in its name, attributes, events, links and status; bounded; never raises.

    The resource comes from the settings and stays. A span that cannot be redacted is returned with its ids, kind and
    times alone. The work is done once for each span; two threads that come at the same moment may both do it.
    """
    if getattr(span, "is_clean", False):  # `tracing.FinishedSpan`: nothing in it but what the ASGI layer chose
        return span
    kept = getattr(span, _KEPT, None)
    if kept is not None and kept[0] is redactor:
        copy: ReadableSpan = kept[1]
        return copy
    try:
        copy = _copy(span, redactor)
    except Exception:  # noqa: BLE001 - somebody else's object in an attribute; what it holds may not leave
        copy = _bare(span)
    setattr(span, _KEPT, (redactor, copy))
    return copy


def _copy(span: ReadableSpan, redactor: Redactor) -> ReadableSpan:
    events, links = span.events, span.links
    attributes = _attributes(span.attributes, redactor)
    return _RedactedSpan(
        name=_text(span.name, redactor)[:_MAX_NAME],
        context=_context(span.context, redactor),
        parent=_context(span.parent, redactor),
        resource=span.resource,
        attributes=attributes,
        events=[_event(event, redactor) for event in events[:_MAX_EVENTS]],
        links=[_link(link, redactor) for link in links[:_MAX_LINKS]],
        kind=span.kind,
        status=_status(span.status, redactor),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
        left_out=(
            span.dropped_attributes,
            span.dropped_events + max(0, len(events) - _MAX_EVENTS),
            span.dropped_links + max(0, len(links) - _MAX_LINKS),
        ),
    )


def _bare(span: ReadableSpan) -> ReadableSpan:
    return _RedactedSpan(
        name=REDACTED,
        context=_without_state(span.context),
        parent=_without_state(span.parent),
        resource=span.resource,
        kind=span.kind,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _attributes(attributes: Mapping[str, Any] | None, redactor: Redactor) -> dict[str, Any]:
    if not attributes:
        return {}
    special = _SPECIAL.intersection(attributes)
    if not special:
        return _sendable(redactor.redact(attributes))
    plain = redactor.redact({key: value for key, value in attributes.items() if key not in special})
    for key in special:
        plain[key] = _special(key, attributes[key], redactor)
    return _sendable(plain)


def _special(key: str, value: object, redactor: Redactor) -> Plain:
    """Redact the value of an attribute that wants more, or less work, than the rules alone."""
    if not isinstance(value, str):
        return redactor.redact({key: value})[key]
    if key in _RECURRING:
        return _remembered(key, value, redactor)
    if key == _STACK:
        return redactor.redact_long_text(value, max_characters=_MAX_STACK)
    if key == _QUERY:
        return _query(value)
    return _without_query(redactor.redact({key: value})[key], value, redactor)


def _remembered(key: str, text: str, redactor: Redactor) -> Plain:
    """Redact a text that comes again and again: some ten microseconds the first time, none after it."""
    memory = _memories.setdefault(redactor, {})
    known = memory.get((key, text))
    if known is None:
        if len(memory) >= _MAX_REMEMBERED:  # emptied, not evicted: an order of use would cost more than the rules
            memory.clear()
        known = redactor.redact({key: text})[key]
        if len(text) <= _MAX_REMEMBERED_TEXT:
            memory[key, text] = known
    return known


def _without_query(plain: Plain, original: object, redactor: Redactor) -> Plain:
    """Return a URL with only the harmless part of its query; one that was hidden whole stays hidden."""
    if plain == REDACTED or not isinstance(original, str) or "?" not in original:
        return plain
    place, _, query = original.partition("?")
    kept = _query(query.partition("#")[0])
    return redactor.redact_text(f"{place}?{kept}" if kept else place)


def _query(query: str) -> str:
    return urlencode(redact_query(query.encode()))


def _sendable(attributes: Mapping[str, Plain]) -> dict[str, Any]:
    """Return the attributes in types that OTLP has, their texts cut short where they are too many characters."""
    sendable: dict[str, Any] = {}
    characters = 0
    for key, value in attributes.items():
        kept = _encodable(value)
        kind = type(kept)
        if kind is str and len(kept) > MAX_TEXT and key != _STACK:  # the redactor adds how much it left out
            kept = kept[:MAX_TEXT]
        sendable[key if key.isascii() else _utf8(key)] = kept
        characters += len(kept) if kind is str else len(str(kept)) if kind in _COMPOSITE else 0
    if characters <= _MAX_CHARACTERS:
        return sendable
    return {key: _cut(value) for key, value in sendable.items()}


def _characters(attributes: Mapping[str, Any] | None) -> int:
    return sum([len(value) for value in attributes.values() if type(value) is str]) if attributes else 0


def _encodable(value: Plain) -> Any:
    """Return what OTLP has a type for: dates, which a redactor lets through, become text, as do huge numbers."""
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _utf8(value)  # type: ignore[union-attr,arg-type]  # `kind is` narrows not
    if kind is float or kind is bool or value is None:
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    if isinstance(value, dict):
        return {_utf8(key): _encodable(item) for key, item in value.items()}
    return _utf8(str(value))


def _utf8(text: str) -> str:
    """Return text that UTF-8 has room for: a lone surrogate, as in an undecodable path, would lose a whole batch."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _text(text: str, redactor: Redactor) -> str:
    return _utf8(redactor.redact_text(text))


def _cut(value: Any) -> Any:
    if isinstance(value, list | dict):
        return str(value)[:_MAX_TEXT_WHEN_FULL]
    return value[:_MAX_TEXT_WHEN_FULL] if isinstance(value, str) else value


def _event(event: Event, redactor: Redactor) -> Event:
    name = _text(event.name, redactor)[:_MAX_NAME]
    return Event(name, _attributes(event.attributes, redactor), event.timestamp)


def _link(link: Link, redactor: Redactor) -> Link:
    context = _context(link.context, redactor)
    return Link(link.context if context is None else context, _attributes(link.attributes, redactor))


def _status(status: Status, redactor: Redactor) -> Status:
    if not status.description:
        return status
    return Status(status.status_code, _text(status.description, redactor)[:_MAX_DESCRIPTION])


def _context(context: SpanContext | None, redactor: Redactor) -> SpanContext | None:
    """Return the ids; a trace state, which a caller may have sent, stays only where nothing in it looks secret."""
    if context is None or not context.trace_state or redactor.is_clean(context.trace_state.to_header()):
        return context
    return _without_state(context)


def _without_state(context: SpanContext | None) -> SpanContext | None:
    if context is None:
        return None
    return SpanContext(context.trace_id, context.span_id, context.is_remote, context.trace_flags, TraceState())
