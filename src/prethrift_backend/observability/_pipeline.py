"""The chain from an event to bytes in the writer's queue: assembly, redaction, rendering.

The caller renders, because the values may change afterwards.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import structlog
from opentelemetry.trace import INVALID_SPAN, get_current_span
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from prethrift_backend.observability import context
from prethrift_backend.observability._names import LOGGER
from prethrift_backend.observability._rendering import Render, describe_exception, exception_of
from prethrift_backend.observability._writer import Output, Writer
from prethrift_backend.observability.redaction import Plain, redact, redact_text

# Fields that the chain sets itself; a caller's field of the same name is kept as `field_<name>`.
RESERVED: Final = frozenset(
    {"timestamp", "level", "event", "logger", "service", "version", "environment"}
    | {"request_id", "user_id", "trace_id", "span_id", "exception"}
)
_RECORD_ATTRIBUTES: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message"}
_LEVELS: Final = ((50, "critical"), (40, "error"), (30, "warning"), (20, "info"), (0, "debug"))


class _Clock:
    """Timestamps of RFC 3339 in UTC with microseconds; the part that changes once a second is kept."""

    __slots__ = ("_prefix", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._prefix = ""

    def now(self) -> str:
        second, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
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
    """One output and the way lines are rendered for it."""

    output: Output
    render: Render


class Pipeline:
    """The chain from an event to bytes in the writer's queue, for one `Telemetry`."""

    def __init__(
        self,
        sinks: Sequence[Sink],
        *,
        level: int,
        static: Mapping[str, str],
        on_drop: Callable[[int], None],
    ) -> None:
        self.level = level
        self._static = dict(static)
        self._renders = tuple(sink.render for sink in sinks)
        self._clock = _Clock()
        self._writer = Writer([sink.output for sink in sinks], on_drop=on_drop)
        self._loggers: dict[str | None, FilteringBoundLogger] = {}
        self._wrapper = structlog.make_filtering_bound_logger(level)

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
        level = next(name for number, name in _LEVELS if record.levelno >= number)
        self.write(level, record.name, _message(record), fields, error)

    def write(
        self, level: str, logger: str | None, event: str, fields: Mapping[str, Any], error: BaseException | None
    ) -> None:
        """Assemble, redact, render and queue one line."""
        line: dict[str, Any] = {
            "timestamp": self._clock.now(),
            "level": level,
            "event": redact_text(event),
            "logger": logger or LOGGER.partition(".")[0],
            **self._static,
        }
        _add_identity(line)
        if error is not None:
            line["exception"] = describe_exception(error)
        if fields:
            _add_fields(line, redact(fields))
        self._writer.put(tuple([render(line) for render in self._renders]), urgent=level in {"error", "critical"})

    def close(self) -> None:
        """Write what is queued and stop the thread; repeatable."""
        self._writer.close()


def _add_identity(line: dict[str, Any]) -> None:
    request = context.current_request()
    if request is not None:
        line["request_id"] = request.request_id
        if request.user_id is not None:
            line["user_id"] = redact_text(str(request.user_id))
    span = get_current_span()
    if span is INVALID_SPAN:
        return
    # Sampled or not: an id that leads to no trace still joins the lines of one request across services.
    ids = span.get_span_context()
    if ids.is_valid:
        line["trace_id"] = f"{ids.trace_id:032x}"
        line["span_id"] = f"{ids.span_id:016x}"


def _add_fields(line: dict[str, Any], fields: dict[str, Plain]) -> None:
    if RESERVED.isdisjoint(fields):
        line.update(fields)
        return
    for key, value in fields.items():
        line[f"field_{key}" if key in RESERVED else key] = value


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - arguments that do not fit the format must not lose the line
        return f"{record.msg} {record.args}"


class _Entry:
    """What structlog wraps: the end of its chain, with one method a level."""

    __slots__ = ("_pipeline", "_write", "name")

    def __init__(self, name: str | None, pipeline: Pipeline) -> None:
        self.name = name
        self._write = pipeline.write

    def _log(self, level: str, event: object, fields: EventDict, error: BaseException | None) -> None:
        self._write(level, self.name, event if type(event) is str else str(event), fields, error)

    debug = info = warning = error = critical = _log


def _assemble(_: WrappedLogger, method: str, fields: EventDict) -> tuple[tuple[Any, ...], dict[str, Any]]:
    event = fields.pop("event", "")
    exc_info = fields.pop("exc_info", None)
    error = exception_of(exc_info) if exc_info else None
    return (method, event, fields, error), {}


def structlog_options(pipeline: Pipeline) -> dict[str, Any]:
    """Return what makes ``structlog.get_logger()``, as other code calls it, end in this pipeline."""
    return {
        "processors": [_assemble],
        "wrapper_class": structlog.make_filtering_bound_logger(pipeline.level),
        "context_class": dict,
        "logger_factory": lambda *args: _Entry(args[0] if args else None, pipeline),
        "cache_logger_on_first_use": False,
    }
