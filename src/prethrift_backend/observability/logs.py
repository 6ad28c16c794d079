"""One chain for every log line of the process, and one thread that writes.

A line starts at one of our loggers (structlog) or at any logger of the standard library; both go through the same
assembly, the same redaction and the same rendering. The caller renders, because the values may change afterwards, and
puts bytes into a bounded queue; what does not fit is dropped and counted. Nobody who serves a request ever waits for
a disk or a terminal.

`get_logger` may be called at import: the logger it returns looks up the current `Telemetry` at each call, and without
one falls back on the standard library.
"""

from __future__ import annotations

import atexit
import logging
import os
import queue
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Protocol, TypeAlias, cast

import orjson
import structlog
from opentelemetry.trace import INVALID_SPAN, get_current_span
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from prethrift_backend.exceptions import ConfigurationError, ConfigurationFault
from prethrift_backend.observability import context
from prethrift_backend.observability._names import LOGGER
from prethrift_backend.observability.redaction import Plain, redact, redact_long_text, redact_text

Render: TypeAlias = Callable[[dict[str, Any]], bytes]
ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None]

# Fields that the chain sets itself; a caller's field of the same name is kept as `field_<name>`.
RESERVED: Final = frozenset(
    {"timestamp", "level", "event", "logger", "service", "version", "environment"}
    | {"request_id", "user_id", "trace_id", "span_id", "exception"}
)
# Half of the 16,384 bytes that contracts/logs.txt allows a line.
_MAX_STACK_CHARACTERS: Final = 8192
_MAX_LINE_BYTES: Final = 16_384
# At DEBUG these print bodies, headers and signatures of requests; httpx prints whole URLs at INFO.
_CHATTY: Final = ("aiobotocore", "asyncio", "boto3", "botocore", "httpcore", "httpx", "multipart", "PIL", "urllib3")
_UVICORN: Final = ("uvicorn", "uvicorn.error", "uvicorn.asgi")
_RECORD_ATTRIBUTES: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "color_message"}
_REPORTED: Final = "__prethrift_reported__"


class Output(Protocol):
    """Where finished lines go."""

    def write(self, lines: bytes) -> None:
        """Write whole lines at once."""
        ...

    def close(self) -> None:
        """Give back what the output owns."""
        ...


class StreamOutput:
    """A stream of text or bytes that somebody else owns, standard output as a rule."""

    def __init__(self, stream: IO[Any]) -> None:
        self._stream: IO[Any] = getattr(stream, "buffer", stream)
        self._takes_bytes = "b" in getattr(self._stream, "mode", "") or not hasattr(self._stream, "encoding")

    def write(self, lines: bytes) -> None:
        """Write and flush; the stream's own errors reach the caller."""
        self._stream.write(lines if self._takes_bytes else lines.decode())
        self._stream.flush()

    def close(self) -> None:
        """Leave the stream open: it is not ours."""


class FileOutput:
    """A file that is appended to and opened again when it was moved or removed, as log rotation does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = self._open()

    def _open(self) -> int:
        return os.open(self._path, os.O_APPEND | os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o640)

    def _reopen_if_moved(self) -> None:
        with suppress(FileNotFoundError):
            if os.path.samestat(self._path.stat(), os.fstat(self._descriptor)):
                return
        fresh = self._open()
        os.close(self._descriptor)
        self._descriptor = fresh

    def write(self, lines: bytes) -> None:
        """Append all of ``lines``; OSError when the disk refuses."""
        self._reopen_if_moved()
        view = memoryview(lines)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def open_file(path: Path) -> FileOutput:
    """Open ``path`` for log lines, its folder made if need be; ConfigurationError when that cannot be done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileOutput(path)
    except OSError as error:
        rule = f"cannot be opened for appending ({error.strerror})"
        fault = ConfigurationFault("LOG_FILE", str(path), rule, "give a path that this user may write to")
        raise ConfigurationError([fault]) from error


Lines: TypeAlias = tuple[bytes, ...]


class Writer:
    """The bounded queue and the one thread behind it.

    The thread sleeps until a line comes, then waits a moment for more and writes them together: a thread that woke for
    each line would take the interpreter's lock from the server each time. A line at ERROR or above ends the wait.
    The bound is checked before the put, without a lock: it can be passed by one line a thread.
    """

    # 10,000 lines of 500 bytes are 5 MB; 20 ms are too short for a reader to see. Both arbitrary.
    def __init__(
        self,
        outputs: Sequence[Output],
        *,
        on_drop: Callable[[int], None],
        capacity: int = 10_000,
        gather_seconds: float = 0.02,
    ) -> None:
        self._outputs = tuple(outputs)
        self._on_drop = on_drop
        self._capacity = capacity
        self._gather_seconds = gather_seconds
        self._closed = False
        self._start()
        _writers.add(self)
        _prepare_fork()
        # The thread is a daemon, so that one stuck at a dead terminal cannot keep the process alive.
        atexit.register(self.close)

    def _start(self) -> None:
        self._queue: queue.SimpleQueue[Lines | None] = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prethrift-log-writer", daemon=True)
        self._thread.start()

    def put(self, lines: Lines, *, urgent: bool = False) -> None:
        """Hand over one line, rendered once for each output; never waits."""
        if self._closed or self._queue.qsize() >= self._capacity:
            self._drop(1)
            return
        self._queue.put(lines)
        if urgent:
            self._hurry.set()

    def close(self, *, timeout_seconds: float = 2.0) -> None:
        """Write what is queued, for at most ``timeout_seconds``; what is left then counts as dropped."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        self._queue.put(None)
        self._hurry.set()
        self._thread.join(timeout_seconds)
        if self._thread.is_alive():
            self._drop(self._queue.qsize())
            return
        for output in self._outputs:
            output.close()

    def restart_after_fork(self) -> None:
        """Start anew in a child: it inherits the queue, whose lines the parent writes, but no thread."""
        if not self._closed:
            self._start()

    def _run(self) -> None:
        ending = False
        while not ending:
            batch, ending = self._next_batch()
            if batch:
                self._write(batch)

    def _next_batch(self) -> tuple[list[Lines], bool]:
        first = self._queue.get()
        if first is None:
            return [], True
        self._hurry.wait(self._gather_seconds)
        self._hurry.clear()
        batch = [first]
        with suppress(queue.Empty):
            while len(batch) < 1000:
                following = self._queue.get_nowait()
                if following is None:
                    return batch, True
                batch.append(following)
        return batch, False

    def _write(self, batch: list[Lines]) -> None:
        for output, lines in zip(self._outputs, zip(*batch, strict=True), strict=True):
            try:
                output.write(b"".join(lines))
            except Exception:  # noqa: BLE001 - a full disk, a closed pipe: nobody is left to tell but the counter
                self._drop(len(lines))

    def _drop(self, count: int) -> None:
        with suppress(Exception):
            self._on_drop(count)


_writers: weakref.WeakSet[Writer] = weakref.WeakSet()
_fork_is_prepared = threading.Event()


def _prepare_fork() -> None:
    # A hook cannot be taken back, so there is one for all writers, set when the first one starts.
    if not _fork_is_prepared.is_set():
        _fork_is_prepared.set()
        os.register_at_fork(after_in_child=_restart_writers)


def _restart_writers() -> None:
    for writer in tuple(_writers):
        writer.restart_after_fork()


def mark_reported(error: BaseException) -> None:
    """Note on ``error`` that it has its log line, so that the server's own line about it is left out."""
    with suppress(Exception):
        setattr(error, _REPORTED, True)


def describe_exception(error: BaseException) -> dict[str, str]:
    """Return type, message and stack of ``error``, redacted, without the values of local variables."""
    kind = type(error)
    try:
        message = str(error)
        stack = "".join(traceback.TracebackException.from_exception(error).format())
    except Exception as fault:  # noqa: BLE001 - an exception that cannot be shown still has a type
        message = stack = f"[cannot be shown: {type(fault).__name__}]"
    return {
        "type": kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}",
        "message": redact_text(message),
        "stack": redact_long_text(stack, max_characters=_MAX_STACK_CHARACTERS),
    }


def _exception_of(exc_info: object) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple) and len(exc_info) == 3:
        return cast("ExcInfo", exc_info)[1]
    return sys.exc_info()[1] if exc_info else None


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return [_without_surrogates(item) for item in value] if isinstance(value, list) else value


_JSON_OPTIONS: Final = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z


def _encode(line: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(line, option=_JSON_OPTIONS)
    except (TypeError, ValueError):  # half of a surrogate pair, which no UTF-8 can hold
        return orjson.dumps(_without_surrogates(dict(line)), default=str, option=_JSON_OPTIONS)


def render_json(line: dict[str, Any]) -> bytes:
    """Return ``line`` as one line of JSON of at most 16,384 bytes; the largest values give way."""
    rendered = _encode(line)
    if len(rendered) <= _MAX_LINE_BYTES:
        return rendered
    kept: dict[str, Any] = {}
    for key in sorted(line, key=lambda name: len(_encode({"": line[name]}))):
        if len(_encode(kept | {key: line[key]})) <= _MAX_LINE_BYTES - 1024:
            kept[key] = line[key]
    left_out = sorted(line.keys() - kept.keys())
    return _encode({key: kept[key] for key in line if key in kept} | {"left_out": left_out[:10]})


class ConsoleRender:
    """Render lines for a person at a terminal; the fields that never change are left out."""

    def __init__(self, *, colors: bool) -> None:
        self._renderer = structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=24)

    def __call__(self, line: dict[str, Any]) -> bytes:
        """Return ``line`` as text, its stack below it."""
        shown = {key: value for key, value in line.items() if key not in {"service", "version", "environment"}}
        exception = shown.pop("exception", None)
        text = str(self._renderer(None, line["level"], shown))
        stack = f"{exception['stack'].rstrip()}\n" if exception else ""
        return f"{text}\n{stack}".encode(errors="backslashreplace")


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
        error = _exception_of(record.exc_info)
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
    error = _exception_of(exc_info) if exc_info else None
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


_LEVELS: Final = ((50, "critical"), (40, "error"), (30, "warning"), (20, "info"), (0, "debug"))


class StandardHandler(logging.Handler):
    """The root handler: takes the records of every standard-library logger to the current pipeline."""

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the record on; a fault in it is ours to swallow, as `logging` itself would."""
        if _is_repeated(record):
            return
        try:
            signals = context.current_signals()
            if signals is not None:
                signals.handle_record(record)
        except Exception:  # noqa: BLE001 - logging must never raise into the code that logs
            self.handleError(record)


def _is_repeated(record: logging.LogRecord) -> bool:
    """Return whether this is the server's line about an exception that the ASGI layer has reported already."""
    error = _exception_of(record.exc_info) if record.exc_info else None
    return error is not None and record.name.startswith("uvicorn") and getattr(error, _REPORTED, False) is True


def _writes_to_console(handler: logging.Handler) -> bool:
    stream = getattr(handler, "stream", None)
    return isinstance(handler, logging.StreamHandler) and stream in {
        sys.stdout,
        sys.stderr,
        sys.__stdout__,
        sys.__stderr__,
    }


@dataclass(frozen=True, slots=True)
class _Saved:
    """How a logger was before it was taken over."""

    logger: logging.Logger
    level: int
    propagate: bool
    handlers: tuple[logging.Handler, ...]

    @classmethod
    def of(cls, logger: logging.Logger) -> _Saved:
        return cls(logger, logger.level, logger.propagate, tuple(logger.handlers))

    def restore(self) -> None:
        self.logger.setLevel(self.level)
        self.logger.propagate = self.propagate
        for handler in self.handlers:
            self.logger.addHandler(handler)  # one that is there already is not added twice


class StandardTakeover:
    """Lead every logger of the standard library into the chain, and give them back.

    The root's handlers that print to the console give way, or each line would be there twice; handlers that somebody
    added for another purpose stay. uvicorn sets its loggers up after the application was imported, so the take-over
    may be repeated: `adopt` is called once more when the application starts.
    """

    def __init__(self) -> None:
        self._handler = StandardHandler()
        self._saved: dict[str, _Saved] = {}

    def adopt(self, *, level: int) -> None:
        """Take over the root logger, uvicorn's loggers and the talkative ones."""
        root = logging.getLogger()
        self._save(root)
        for handler in [handler for handler in root.handlers if _writes_to_console(handler)]:
            root.removeHandler(handler)
        root.addHandler(self._handler)
        root.setLevel(level)
        for name in _UVICORN:
            self._redirect(logging.getLogger(name))
        self._silence(logging.getLogger("uvicorn.access"))
        for name in _CHATTY:
            self._calm(logging.getLogger(name), max(level, logging.WARNING))

    def restore(self) -> None:
        """Give everything back as it was found."""
        logging.getLogger().removeHandler(self._handler)
        for saved in self._saved.values():
            saved.restore()
        self._saved.clear()

    def _save(self, logger: logging.Logger) -> None:
        self._saved.setdefault(logger.name, _Saved.of(logger))

    def _redirect(self, logger: logging.Logger) -> None:
        self._save(logger)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.NOTSET)

    def _silence(self, logger: logging.Logger) -> None:
        # Without a handler in reach uvicorn does not even build its line; its raw query string goes nowhere.
        self._save(logger)
        logger.handlers.clear()
        logger.propagate = False

    def _calm(self, logger: logging.Logger, level: int) -> None:
        self._save(logger)
        if logger.level == logging.NOTSET:
            logger.setLevel(level)


class Logger:
    """A logger that finds the current `Telemetry` at each call; made by `get_logger`.

    Events are static names in the past tense, values are fields: ``log.info("search_completed", result_count=12)``.
    """

    __slots__ = ("_bound", "_name")

    def __init__(self, name: str | None, bound: Mapping[str, Any] | None = None) -> None:
        self._name = name
        self._bound = dict(bound or {})

    def bind(self, **fields: Any) -> Logger:
        """Return a logger that adds ``fields`` to each of its lines."""
        return Logger(self._name, {**self._bound, **fields})

    def debug(self, event: str, **fields: Any) -> None:
        """Log what only a developer wants to see."""
        self._log("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Log what happened as it should."""
        self._log("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Log what a person should look at when there is time."""
        self._log("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Log what failed."""
        self._log("error", event, fields)

    def critical(self, event: str, **fields: Any) -> None:
        """Log what ends the process."""
        self._log("critical", event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """Log what failed, with the exception that is being handled."""
        self._log("error", event, {"exc_info": True, **fields})

    def _log(self, level: str, event: str, fields: dict[str, Any]) -> None:
        signals = context.current_signals()
        if self._bound:
            fields = {**self._bound, **fields}
        if signals is None:
            _log_unconfigured(self._name, level, event, fields)
        else:
            getattr(signals.logger(self._name), level)(event, **fields)


def _log_unconfigured(name: str | None, level: str, event: str, fields: dict[str, Any]) -> None:
    exc_info = fields.pop("exc_info", None)
    number = logging.getLevelNamesMapping()[level.upper()]
    shown = " ".join(f"{key}={value!r}" for key, value in redact(fields).items())
    logging.getLogger(name).log(number, "%s %s", redact_text(event), shown, exc_info=exc_info)


def get_logger(name: str | None = None) -> Logger:
    """Return a logger; it may be made at import and works before and after `configure`."""
    return Logger(name)
