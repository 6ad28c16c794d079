"""Spans: which requests are traced, what a caller may decide about that, and where finished spans go.

The provider is the `Telemetry`'s own and never the global one, which can be set only once in a process.

The span of a request is made here and not by the SDK's tracer. Nine requests of ten are not sampled: they cost one
comparison and a `NonRecordingSpan`, under which the SDK records no children and log lines still find their ids. When
such a request fails or is slow, its span is built afterwards from what the ASGI layer knows, with the ids that the log
lines had.
"""

from __future__ import annotations

# For its hook: in a child process the SDK's provider starts a thread pool, whose lock this module frees there. Hooks
# run in the order in which modules ask for them, so it has to have asked before any provider does, or the child hangs.
import concurrent.futures.thread  # noqa: F401 - imported for what it does
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import (
    Event,
    ReadableSpan,
    Span,
    SpanLimits,
    SpanProcessor,
    SynchronousMultiSpanProcessor,
    TracerProvider,
)
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, SamplingResult, TraceIdRatioBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    NoOpTracer,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
)
from opentelemetry.trace import Span as AnySpan

# How the SDK's own tracers make a context manager that also decorates coroutines, at each call anew.
from opentelemetry.util._decorator import _agnosticcontextmanager

from prethrift_backend.config import Settings
from prethrift_backend.observability import context, propagation
from prethrift_backend.observability._names import LOGGER
from prethrift_backend.observability.child_spans import ERROR_TYPE
from prethrift_backend.observability.clock import Clock, Ids
from prethrift_backend.observability.export_protocols import SpanSink
from prethrift_backend.observability.propagation import Propagation
from prethrift_backend.observability.redaction import CAPTURED_TEXT, is_clean

AttributeMap: TypeAlias = Mapping[str, str | bool | int | float]

# OpenTelemetry's word for an error of which nothing more is known: the application has set the status, and no type.
UNNAMED_ERROR: Final = "_OTHER"

BACKGROUND: Final = "background"
SAMPLED_LATE: Final = "prethrift.sampled_late"
USER_ID: Final = "user.id"

_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_NOT_SAMPLED: Final = TraceFlags(TraceFlags.DEFAULT)
_FAILED: Final = Status(StatusCode.ERROR)
_NOT_FAILED: Final = Status(StatusCode.UNSET)
_NO_ATTRIBUTES: Final[AttributeMap] = MappingProxyType({})
_SCOPE: Final = InstrumentationScope(LOGGER, "")

# The lower half of a trace id decides, as it does in TraceIdRatioBased, so that our services agree with others'.
_RATIO_MASK: Final = TraceIdRatioBased.TRACE_ID_LIMIT
# Arbitrary; what a span may hold is the product of this and of CAPTURED_TEXT.
_MAX_ITEMS: Final = 64
# Room for what the ASGI layer itself says of a request; it says less.
_OWN_ITEMS: Final = 16


@dataclass(frozen=True, slots=True)
class Origin:
    """What a caller's headers decide about the trace of its request; nothing, as a rule."""

    trace_id: int | None = None
    parent: SpanContext | None = None
    link: SpanContext | None = None
    client_trace_id: str | None = None


_OURS: Final = Origin()


class Tracing:
    """The spans of one application: sampling, ids, and the sinks that finished spans go to.

    ``is_clean`` says whether a caller's text may be repeated in spans and lines.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        sinks: Sequence[SpanSink],
        resource: Resource,
        clock: Clock,
        ids: Ids,
        is_clean: Callable[[str], bool] = is_clean,
    ) -> None:
        self.sinks = tuple(sinks)
        self.clock = clock
        self.ids = ids
        self.server_limits = _limits(_MAX_ITEMS - _OWN_ITEMS)
        self.processor = SynchronousMultiSpanProcessor()  # type: ignore[no-untyped-call]  # the SDK left it out
        self.processor.add_span_processor(_Hand(self.sinks))
        ratio = TraceIdRatioBased(settings.trace_sample_rate)
        self.provider = TracerProvider(
            resource=resource,
            sampler=_Sampler(ratio),
            shutdown_on_exit=False,
            active_span_processor=self.processor,
            id_generator=_Generator(ids),
            span_limits=_limits(_MAX_ITEMS),
        )
        self.slow_seconds = settings.trace_slow_seconds or float("inf")
        self._bound = ratio.bound
        self._trust = settings.trace_trust
        self._is_clean = is_clean
        self._tracers: dict[str, Tracer] = {}
        self.trace_headers = Propagation(settings.trace_propagate_hosts or "").headers

    def tracer(self, name: str) -> Tracer:
        """Return the tracer of this instrumentation scope; the same object for the same name."""
        known = self._tracers.get(name)
        if known is None:
            known = self._tracers[name] = self.provider.get_tracer(name)
        return known

    def start_server_span(self, identity: Mapping[bytes, Sequence[bytes]]) -> ServerSpan:
        """Start the span of a request or connection whose `propagation.read_identity` is given."""
        origin = self._origin(identity) if identity else _OURS
        trace_id = origin.trace_id or self.ids.trace_id()
        parent = origin.parent
        if parent is None:
            is_sampled, state = trace_id & _RATIO_MASK < self._bound, None
        else:
            is_sampled, state = parent.trace_flags.sampled, parent.trace_state
        return ServerSpan(self, origin, trace_id, is_sampled=is_sampled, state=state)

    def _origin(self, identity: Mapping[bytes, Sequence[bytes]]) -> Origin:
        is_trusted = self._trust == "parent"
        caller = None if self._trust == "ignore" else self._caller(identity, is_trusted=is_trusted)
        client_trace_id = self._client_trace_id(identity.get(propagation.TRACE_ID_HEADER, ()))
        if caller is not None and is_trusted:
            return Origin(caller.trace_id, parent=caller, client_trace_id=client_trace_id)
        if client_trace_id is not None and is_trusted:
            chosen = propagation.parse_trace_id(client_trace_id)
            if chosen is not None:
                return Origin(chosen)
        return Origin(link=caller, client_trace_id=client_trace_id)

    def _caller(self, identity: Mapping[bytes, Sequence[bytes]], *, is_trusted: bool) -> SpanContext | None:
        caller = propagation.parse_traceparent(identity.get(propagation.TRACEPARENT, ()))
        if caller is None or not is_trusted:
            return caller
        state = propagation.parse_tracestate(identity.get(propagation.TRACESTATE, ()))
        if state is None or not self._is_clean(state.to_header()):
            return caller
        return SpanContext(caller.trace_id, caller.span_id, True, caller.trace_flags, state)

    def _client_trace_id(self, values: Sequence[bytes]) -> str | None:
        text = propagation.only_text(values)
        if text is None or not propagation.is_client_trace_id(text) or not self._is_clean(text):
            return None
        return text


def _limits(max_attributes: int) -> SpanLimits:
    # All of them are given: what is not, the SDK reads from the environment, and raises where it cannot.
    return SpanLimits(
        max_attributes=_MAX_ITEMS,
        max_events=_MAX_ITEMS,
        max_links=_MAX_ITEMS,
        max_span_attributes=max_attributes,
        max_event_attributes=_MAX_ITEMS,
        max_link_attributes=_MAX_ITEMS,
        max_attribute_length=CAPTURED_TEXT,
        max_span_attribute_length=CAPTURED_TEXT,
    )


class ServerSpan:
    """The span of one request or connection, from its start to its end; recorded or not.

    ``span`` is the one that is current meanwhile; ``trace_id`` and ``span_id`` are its ids as hexadecimal texts.
    ``is_own_trace`` says that the trace began here, under an id of ours; ``has_ended`` that the span goes to the
    receivers, sampled from the start or late.
    """

    __slots__ = (
        "_context",
        "_events",
        "_origin",
        "_started_ns",
        "_tracing",
        "has_ended",
        "is_own_trace",
        "is_sampled",
        "span",
        "span_id",
        "trace_id",
    )

    span: AnySpan

    def __init__(
        self, tracing: Tracing, origin: Origin, trace_id: int, *, is_sampled: bool, state: TraceState | None
    ) -> None:
        span_id = tracing.ids.span_id()
        self._tracing = tracing
        self._origin = origin
        self._events: tuple[Event, ...] = ()
        self._started_ns = tracing.clock.time_ns()
        self._context = SpanContext(trace_id, span_id, False, _SAMPLED if is_sampled else _NOT_SAMPLED, state)
        self.trace_id = f"{trace_id:032x}"
        self.span_id = f"{span_id:016x}"
        self.is_own_trace = origin.trace_id is None
        self.is_sampled = is_sampled
        self.has_ended = False
        self.span = self._record() if is_sampled else NonRecordingSpan(self._context)

    @property
    def client_trace_id(self) -> str | None:
        """What the caller calls its trace, where that is not the trace's id."""
        return self._origin.client_trace_id

    @property
    def exemplar(self) -> dict[str, str] | None:
        """The ids for a count of this request; None where they would lead to no trace."""
        if self.has_ended and self._tracing.sinks:
            return {"trace_id": self.trace_id, "span_id": self.span_id}
        return None

    def note_exception(self, error: BaseException) -> None:
        """Add an event for an exception that nobody handled: type and message, which the choke point cleans."""
        event = _exception_event(error, self._tracing.clock.time_ns())
        if self.is_sampled:
            self.span.add_event(event.name, event.attributes, event.timestamp)
        else:
            self._events = (event,)

    def end(self, name: str, attributes: AttributeMap, *, seconds: float, has_failed: bool) -> None:
        """End the span after ``seconds``; one that was not sampled is built now, sampled late."""
        self.has_ended = True
        ended_ns = self._started_ns + round(seconds * 1e9)
        if isinstance(self.span, _Recorded):
            self.span.finish(name, attributes, ended_ns, has_failed=has_failed)
        else:
            self._build_late(name, attributes, ended_ns, has_failed=has_failed)

    def add_background(self, attributes: AttributeMap, *, began: float, ended: float, error: Exception | None) -> None:
        """Add a child for the work after the answer; both times in seconds after the start."""
        ended_ns = self._started_ns + round(ended * 1e9)
        self._put(
            ReadableSpan(
                BACKGROUND,
                self._sampled_context(self._tracing.ids.span_id()),
                parent=self._sampled_context(self._context.span_id),
                resource=self._tracing.provider.resource,
                attributes=attributes,
                events=() if error is None else (_exception_event(error, ended_ns),),
                status=_NOT_FAILED if error is None else _FAILED,
                start_time=self._started_ns + round(began * 1e9),
                end_time=ended_ns,
                instrumentation_scope=_SCOPE,
            )
        )

    def _record(self) -> Span:
        span = _Recorded(
            "",
            self._context,
            parent=self._origin.parent,
            resource=self._tracing.provider.resource,
            links=self._links(),
            kind=SpanKind.SERVER,
            span_processor=self._tracing.processor,
            limits=self._tracing.server_limits,
            instrumentation_scope=_SCOPE,
        )
        span.start(self._started_ns)
        return span

    def _build_late(self, name: str, attributes: AttributeMap, ended_ns: int, *, has_failed: bool) -> None:
        self._put(
            ReadableSpan(
                name,
                self._sampled_context(self._context.span_id),
                parent=self._origin.parent,
                resource=self._tracing.provider.resource,
                attributes={**attributes, SAMPLED_LATE: True},
                events=self._events,
                links=self._links(),
                kind=SpanKind.SERVER,
                status=_FAILED if has_failed else _NOT_FAILED,
                start_time=self._started_ns,
                end_time=ended_ns,
                instrumentation_scope=_SCOPE,
            )
        )

    def _put(self, span: ReadableSpan) -> None:
        self._tracing.processor.on_end(span)

    def _links(self) -> tuple[Link, ...]:
        return () if self._origin.link is None else (Link(self._origin.link),)

    def _sampled_context(self, span_id: int) -> SpanContext:
        own = self._context
        return SpanContext(own.trace_id, span_id, is_remote=False, trace_flags=_SAMPLED, trace_state=own.trace_state)


def _exception_event(error: BaseException, moment_ns: int) -> Event:
    try:
        message = str(error)[:CAPTURED_TEXT]
    except Exception as fault:  # noqa: BLE001 - somebody else's __str__
        message = f"without text: {type(fault).__name__}"
    attributes = {"exception.type": type(error).__qualname__[:200], "exception.message": message}
    return Event("exception", attributes, moment_ns)


class _Recorded(Span):
    """A span of the SDK that is made without its tracer: the ASGI layer has decided that it is sampled.

    What the layer itself says is put over what the application set, at the end and past the SDK's checks of every
    value, which cost half of the span: these values are short and of the right type by themselves.
    """

    _own_name = ""
    _own_attributes: AttributeMap = _NO_ATTRIBUTES

    def finish(self, name: str, attributes: AttributeMap, ended_ns: int, *, has_failed: bool) -> None:
        """End the span as the ASGI layer knows it."""
        self._own_name = name
        self._own_attributes = attributes
        if has_failed:
            self.set_status(_FAILED)
        elif self._status.status_code is StatusCode.ERROR and not self._names_error():
            self._own_attributes = {**attributes, ERROR_TYPE: UNNAMED_ERROR}
        self.end(ended_ns)

    def _names_error(self) -> bool:
        return ERROR_TYPE in self._own_attributes or ERROR_TYPE in (self._attributes or _NO_ATTRIBUTES)

    def _readable_span(self) -> ReadableSpan:
        """Return what the processors get; the SDK has no public way to it, and the tests hold this one."""
        return FinishedSpan(
            self.dropped_attributes,
            is_clean=self._is_clean(),
            name=self._own_name,
            context=self._context,
            parent=self._parent,
            resource=self._resource,
            attributes={**(self._attributes or _NO_ATTRIBUTES), **self._own_attributes},
            events=self._events,
            links=self._links,
            kind=SpanKind.SERVER,
            status=self._status,
            start_time=self._start_time,
            end_time=self._end_time,
            instrumentation_scope=_SCOPE,
        )

    def _is_clean(self) -> bool:
        """Return whether all of it is the layer's own: closed sets, and ids of a caller that were looked at before."""
        own = self._own_attributes
        has_more = self._attributes or self._events or self._links or self._status.description
        return not has_more and USER_ID not in own and not (self._context and self._context.trace_state)


class FinishedSpan(ReadableSpan):
    """A finished span whose attributes are a plain dict, and which still knows how many found no room.

    ``is_clean`` says that it holds nothing that the redactor would have to look at: most spans of requests do not, and
    looking costs more than to make them.
    """

    def __init__(self, dropped_attributes: int, *, is_clean: bool, **parts: Any) -> None:
        super().__init__(**parts)
        self.is_clean = is_clean
        self._dropped_attributes = dropped_attributes

    @property
    def dropped_attributes(self) -> int:
        """How many attributes found no room."""
        return self._dropped_attributes


class _Generator(IdGenerator):
    """Give the SDK's own spans their ids from the same source."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids

    def generate_span_id(self) -> int:
        """Return 64 bits, not all zero."""
        return self._ids.span_id()

    def generate_trace_id(self) -> int:
        """Return 128 bits, not all zero."""
        return self._ids.trace_id()


class _Sampler(ParentBased):
    """Follow the parent, and record nothing below a probe: its own span is never exported."""

    def should_sample(self, *args: Any, **options: Any) -> SamplingResult:
        """Return the decision on a span that the SDK is about to make."""
        request = context.current_request()
        if request is not None and request.is_quiet is not None and request.is_quiet():
            return SamplingResult(Decision.DROP)
        return super().should_sample(*args, **options)


class _Hand(SpanProcessor):
    """Hand each finished span to every sink."""

    def __init__(self, sinks: Sequence[SpanSink]) -> None:
        self._sinks = tuple(sinks)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002 - the SDK's signature
        """Keep ours the only server span of a request, when this provider is made the global one as well.

        FastAPI's own telemetry and Starlette's middleware then make one each, inside of ours. The SDK lets nobody
        choose a kind after the start: hence the private name, which a test holds.
        """
        if span.kind is SpanKind.SERVER and type(span) is not _Recorded and context.current_request() is not None:
            span._kind = SpanKind.INTERNAL

    def on_end(self, span: ReadableSpan) -> None:
        """Put a sampled span into the queues."""
        if span.context is not None and span.context.trace_flags.sampled:
            for sink in self._sinks:
                sink.put(span)


class CurrentTracer(Tracer):
    """A tracer that finds the current `Telemetry` at each use; made by `get_tracer`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def start_span(self, *args: Any, **options: Any) -> AnySpan:
        """Start a span that is not current; the caller ends it."""
        return _tracer_now(self._name).start_span(*args, **options)

    @_agnosticcontextmanager
    def start_as_current_span(self, *args: Any, **options: Any) -> Iterator[AnySpan]:
        """Start a span that is current inside the ``with`` block, or in each call of the decorated function."""
        with _tracer_now(self._name).start_as_current_span(*args, **options) as span:
            yield span


_NO_TRACER: Final = NoOpTracer()


def _tracer_now(name: str) -> Tracer:
    signals = context.current_signals()
    return _NO_TRACER if signals is None else signals.tracer(name)


def get_tracer(name: str) -> Tracer:
    """Return a tracer; it may be made at import and does nothing while no `Telemetry` is configured."""
    return CurrentTracer(name)
