"""The chain from an event to bytes in the writers' queues: assembly, enrichment, redaction, rendering.

The caller renders, because the values may change afterwards. Lines of this package's own could be left to the writer's
thread, since their values are fixed; but it would hold the interpreter's lock for as long as the rendering of a whole
batch takes, and every request of that moment would wait for it. A line costs its request 3 us instead.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast

import structlog
from opentelemetry.trace import INVALID_SPAN, get_current_span
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from prethrift_backend.observability import context
from prethrift_backend.observability._names import LOG_LINES_DROPPED, LOGGER, TELEMETRY_FAILED
from prethrift_backend.observability._rendering import Render, describe_exception, exception_of
from prethrift_backend.observability._writer import Output, Writer
from prethrift_backend.observability.context import RequestContext
from prethrift_backend.observability.redaction import STANDARD, Plain, Redactor, text_of

# Enriches a line: adds fields to it, or changes them, before they are redacted.
Processor: TypeAlias = Callable[[dict[str, Any]], None]

# Fields that the chain sets itself; a caller's field of the same name is kept as `field_<name>`.
RESERVED: Final = frozenset(
    {"timestamp", "level", "event", "logger", "service", "version", "environment"}
    | {"request_id", "user_id", "trace_id", "span_id", "exception"}
    | {"dd.trace_id", "dd.span_id", "dd.service", "dd.env", "dd.version"}
    | {"left_out"}  # what a line that is too long says of itself
)
_RECORD_ATTRIBUTES: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message"}
_LEVELS: Final = ((50, "critical"), (40, "error"), (30, "warning"), (20, "info"), (0, "debug"))
_URGENT: Final = frozenset({"error", "critical"})
_LOW_64_BITS: Final = 2**64 - 1
# Arbitrary: the longest name of a logger or a user that anybody would choose.
_MAX_NAME: Final = 200


class _Clock:
    """Timestamps of RFC 3339 in UTC with microseconds; the part that changes once a second is kept."""

    __slots__ = ("_prefix", "_second", "_time_ns")

    def __init__(self, time_ns: Callable[[], int]) -> None:
        self._time_ns = time_ns
        self._second = -1
        self._prefix = ""

    def now(self) -> str:
        second, nanoseconds = divmod(self._time_ns(), 1_000_000_000)
        prefix = self._prefix
        if second != self._second:
            prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            # Two threads may both write here. The prefix goes first and this call uses its own copy, so that the worst
            # is a second computed twice.
            self._prefix = prefix
            self._second = second
        return f"{prefix}.{nanoseconds // 1000:06d}Z"


@dataclass(frozen=True, slots=True)
class Sink:
    """One output, the way lines are rendered for it, and what `log_lines_dropped` calls it."""

    output: Output
    render: Render
    name: Literal["stream", "file"] = "stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class LineOptions:
    """What goes into every line of one `Telemetry`, and what may not: its level, static fields, processors, rules."""

    level: int
    static: Mapping[str, str]
    redactor: Redactor = STANDARD
    processors: Sequence[Processor] = ()
    has_datadog_ids: bool = False
    time_ns: Callable[[], int] = time.time_ns


class Pipeline:
    """The chain from an event to bytes in the writers' queues, for one `Telemetry`.

    ``on_drop`` hears of lines that nobody could write, ``on_fault`` of a processor or a line that failed.
    """

    def __init__(
        self,
        sinks: Sequence[Sink],
        options: LineOptions,
        *,
        on_drop: Callable[[int], None],
        on_fault: Callable[[str, Exception], None],
    ) -> None:
        self.level = options.level
        self._options = options
        self._static = dict(options.static)
        self._redact = options.redactor.redact
        self._redact_text = options.redactor.redact_text
        self._now = _Clock(options.time_ns).now
        self._on_drop = on_drop
        self._on_fault = on_fault
        self._loggers: dict[str | None, FilteringBoundLogger] = {}
        self._wrapper = _wrapper(options.level)
        # Two outputs that want the same bytes share the rendering.
        self._routes: dict[Render, list[Writer]] = {}
        for sink in sinks:
            self._routes.setdefault(sink.render, []).append(self._make_writer(sink))

    def _make_writer(self, sink: Sink) -> Writer:
        def describe_loss(count: int) -> bytes:
            line = self._begin("warning", LOGGER, LOG_LINES_DROPPED)
            return sink.render(line | {"output": sink.name, "count": count})

        return Writer(sink.output, on_drop=self._on_drop, describe_loss=describe_loss)

    def logger(self, name: str | None) -> FilteringBoundLogger:
        """Return the bound logger of this name; the same object for the same name."""
        known = self._loggers.get(name)
        return known if known is not None else self._make_logger(name)

    def _make_logger(self, name: str | None) -> FilteringBoundLogger:
        bound = structlog.wrap_logger(
            _Entry(name, self), processors=[_assemble], wrapper_class=self._wrapper, context_class=dict
        )
        made = cast("FilteringBoundLogger", bound.bind())  # resolves structlog's own lazy proxy, once
        self._loggers[name] = made
        return made

    def handle_record(self, record: logging.LogRecord) -> None:
        """Take a record of the standard library through the chain."""
        if record.levelno < self.level:
            return
        fields = {key: value for key, value in record.__dict__.items() if key not in _RECORD_ATTRIBUTES}
        error = exception_of(record.exc_info)
        if record.stack_info:
            fields["stack"] = record.stack_info
        # Levels in between, which libraries make up, are rounded down to one of the five that the contract names.
        level = next((name for number, name in _LEVELS if record.levelno >= number), "debug")
        self.write(level, record.name, _message(record), fields, error)

    def write(
        self, level: str, logger: str | None, event: str, fields: Mapping[str, Any], error: BaseException | None
    ) -> None:
        """Assemble, redact, render and queue one line; a request that keeps breadcrumbs gets it as well."""
        try:
            request = context.current_request()
            line = self._begin(level, logger, event)
            self._add_identity(line, request, _current_ids() or _own_ids(request))
            if error is not None:
                line["exception"] = describe_exception(error, redactor=self._options.redactor)
            self._add_fields(line, event, fields)
            if request is not None and request.breadcrumbs is not None:
                request.breadcrumbs.append(line)
            self._emit(line)
        except Exception as fault:  # noqa: BLE001 - a line that cannot be made is no fault of the code that logs
            self._on_fault("log_line", fault)

    def write_closing(
        self, level: str, event: str, fields: Mapping[str, Any], request: RequestContext | None = None
    ) -> None:
        """Write the one line that tells how a request ended, on the trace of its server span; no breadcrumb.

        Every request pays for it. Only assembly is shortened: the fields are redacted like all others. ``request`` is
        the one of the context unless it is given.
        """
        line: dict[str, Any] = {
            "timestamp": self._now(),
            "level": level,
            "event": event,
            "logger": LOGGER,
            **self._static,
        }
        if request is None:
            request = context.current_request()
        self._add_identity(line, request, _own_ids(request) or _current_ids())
        self._add_fields(line, event, fields)
        self._emit(line)

    def close(self, *, timeout_seconds: float = 2.0) -> None:
        """Write what is queued, for at most ``timeout_seconds`` in all, and stop the threads; repeatable."""
        deadline = time.monotonic() + timeout_seconds
        for writer in self._writers():
            writer.stop()  # all at once: they share the time
        for writer in self._writers():
            writer.close(timeout_seconds=max(0.0, deadline - time.monotonic()))

    def _writers(self) -> list[Writer]:
        return [writer for writers in self._routes.values() for writer in writers]

    def _begin(self, level: str, logger: str | None, event: str) -> dict[str, Any]:
        return {
            "timestamp": self._now(),
            "level": level,
            "event": self._redact_text(event),
            "logger": self._short(logger or LOGGER.partition(".")[0]),
            **self._static,
        }

    def _short(self, name: str) -> str:
        return self._redact_text(name)[:_MAX_NAME]

    def _add_identity(self, line: dict[str, Any], request: RequestContext | None, ids: tuple[str, str] | None) -> None:
        if request is not None:
            line["request_id"] = request.request_id
            if request.user_id is not None:
                line["user_id"] = self._short(text_of(request.user_id))
        if ids is None:
            return
        line["trace_id"], line["span_id"] = ids
        if self._options.has_datadog_ids:  # decimal numbers of 64 bits, as text
            line["dd.trace_id"] = str(int(ids[0], 16) & _LOW_64_BITS)
            line["dd.span_id"] = str(int(ids[1], 16))

    def _add_fields(self, line: dict[str, Any], event: str, fields: Mapping[str, Any]) -> None:
        # The line about a processor that failed must not fail in the same processor.
        if self._options.processors and event != TELEMETRY_FAILED:
            fields = self._enriched(fields)
        if fields:
            _merge(line, self._redact(fields))

    def _enriched(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        enriched = dict(fields)
        for process in self._options.processors:
            try:
                process(enriched)
            except Exception as fault:  # noqa: BLE001 - somebody else's code; the line goes on without it
                self._on_fault("log_processor", fault)
        return enriched

    def _emit(self, line: dict[str, Any]) -> None:
        urgent = line["level"] in _URGENT
        for render, writers in self._routes.items():
            rendered = render(line)
            for writer in writers:
                writer.put(rendered, urgent=urgent)


def _current_ids() -> tuple[str, str] | None:
    """Return trace and span of the current span, as hexadecimal text."""
    span = get_current_span()
    # Sampled or not: an id that leads to no trace still joins the lines of one request across services.
    if span is not INVALID_SPAN:
        ids = span.get_span_context()
        if ids.is_valid:
            return f"{ids.trace_id:032x}", f"{ids.span_id:016x}"
    return None


def _own_ids(request: RequestContext | None) -> tuple[str, str] | None:
    """Return trace and span of the request's own span."""
    if request is not None and request.trace_id is not None and request.span_id is not None:
        return request.trace_id, request.span_id
    return None


def _merge(line: dict[str, Any], fields: dict[str, Plain]) -> None:
    if RESERVED.isdisjoint(fields):
        line.update(fields)
        return
    for key, value in fields.items():
        if key == "user_id" and key not in line:  # nobody is bound, so the caller's word on whom it is about stands
            line[key] = str(value)[:_MAX_NAME]
        else:
            line[f"field_{key}" if key in RESERVED else key] = value


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage().rstrip("\n")
    except Exception:  # noqa: BLE001 - arguments that do not fit the format must not lose the line
        return f"{text_of(record.msg)} {text_of(record.args)}"


def _wrapper(level: int) -> type[FilteringBoundLogger]:
    """Return structlog's logger for lines from ``level`` on, which takes a field of any name."""

    class AnyField(structlog.make_filtering_bound_logger(level)):  # type: ignore[misc]  # a class of run time
        def _proxy_to_logger(self, method_name: str, event: str | None = None, /, **fields: Any) -> Any:
            arguments, options = self._process_event(method_name, event, fields)
            return getattr(self._logger, method_name)(*arguments, **options)

    return AnyField


class _Entry:
    """What structlog wraps: the end of its chain, with one method a level."""

    __slots__ = ("_pipeline", "_write", "name")

    def __init__(self, name: str | None, pipeline: Pipeline) -> None:
        self.name = name
        self._write = pipeline.write

    def _log(self, level: str, event: object, fields: EventDict, error: BaseException | None) -> None:
        self._write(level, self.name, event if type(event) is str else text_of(event), fields, error)

    debug = info = warning = error = critical = _log


def _assemble(_: WrappedLogger, method: str, fields: EventDict) -> tuple[tuple[Any, ...], dict[str, Any]]:
    event = fields.pop("event", "")
    exc_info = fields.pop("exc_info", None)
    error = exception_of(exc_info) if exc_info else None
    return (method, event, fields, error), {}


def structlog_options(pipeline: Pipeline) -> dict[str, Any]:
    """Return what makes ``structlog.get_logger()``, as other code calls it, end in this pipeline.

    What other code bound by structlog's own context variables is on its lines.
    """
    return {
        "processors": [structlog.contextvars.merge_contextvars, _assemble],
        "wrapper_class": _wrapper(pipeline.level),
        "context_class": dict,
        "logger_factory": lambda *args: _Entry(args[0] if args else None, pipeline),
        "cache_logger_on_first_use": False,
    }
