"""One chain for every log line of the process, and one thread that writes.

A line starts at one of our loggers (structlog) or at any logger of the standard library; both go through the same
assembly, the same redaction and the same rendering (`_pipeline`, `_rendering`), and a thread of their own writes them
(`_writer`). Nobody who serves a request ever waits for a disk or a terminal.

`get_logger` may be called at import: the logger it returns looks up the current `Telemetry` at each call, and without
one falls back on the standard library.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from prethrift_backend.observability import context
from prethrift_backend.observability._pipeline import (
    RESERVED,
    LineOptions,
    Pipeline,
    Processor,
    Sink,
    structlog_options,
)
from prethrift_backend.observability._rendering import ConsoleRender, describe_exception, render_json
from prethrift_backend.observability._takeover import StandardHandler, StandardTakeover, mark_reported
from prethrift_backend.observability._writer import FileOutput, Output, StreamOutput, Writer, open_file
from prethrift_backend.observability.redaction import redact, redact_text

__all__ = [
    "RESERVED",
    "ConsoleRender",
    "FileOutput",
    "LineOptions",
    "Logger",
    "Output",
    "Pipeline",
    "Processor",
    "Sink",
    "StandardHandler",
    "StandardTakeover",
    "StreamOutput",
    "Writer",
    "describe_exception",
    "get_logger",
    "mark_reported",
    "open_file",
    "render_json",
    "structlog_options",
]


# Parameters of structlog's own methods; a field of that name would be a TypeError in the code that logs.
_PARAMETERS: Final = frozenset({"self", "event"})


class Logger:
    """A logger that finds the current `Telemetry` at each call; made by `get_logger`.

    Events are static names in the past tense, values are fields: ``log.info("search_completed", result_count=12)``.
    """

    __slots__ = ("_bound", "_name")

    def __init__(self, name: str | None, bound: Mapping[str, Any] | None = None) -> None:
        self._name = name
        self._bound = dict(bound or {})

    def bind(self, /, **fields: Any) -> Logger:
        """Return a logger that adds ``fields`` to each of its lines."""
        return Logger(self._name, {**self._bound, **fields})

    def debug(self, event: str, /, **fields: Any) -> None:
        """Log what only a developer wants to see."""
        self._log("debug", event, fields)

    def info(self, event: str, /, **fields: Any) -> None:
        """Log what happened as it should."""
        self._log("info", event, fields)

    def warning(self, event: str, /, **fields: Any) -> None:
        """Log what a person should look at when there is time."""
        self._log("warning", event, fields)

    def error(self, event: str, /, **fields: Any) -> None:
        """Log what failed."""
        self._log("error", event, fields)

    def critical(self, event: str, /, **fields: Any) -> None:
        """Log what ends the process."""
        self._log("critical", event, fields)

    def exception(self, event: str, /, **fields: Any) -> None:
        """Log what failed, with the exception that is being handled."""
        self._log("error", event, {"exc_info": True, **fields})

    def _log(self, level: str, event: str, fields: dict[str, Any]) -> None:
        signals = context.current_signals()
        if self._bound:
            fields = {**self._bound, **fields}
        if signals is None:
            _log_unconfigured(self._name, level, event, fields)
        else:
            if not _PARAMETERS.isdisjoint(fields):
                fields = {f"field_{key}" if key in _PARAMETERS else key: value for key, value in fields.items()}
            getattr(signals.logger(self._name), level)(event, **fields)


def _log_unconfigured(name: str | None, level: str, event: str, fields: dict[str, Any]) -> None:
    exc_info = fields.pop("exc_info", None)
    number = logging.getLevelNamesMapping()[level.upper()]
    shown = " ".join(f"{key}={value!r}" for key, value in redact(fields).items())
    logging.getLogger(name).log(number, "%s %s", redact_text(event), shown, exc_info=exc_info)


def get_logger(name: str | None = None) -> Logger:
    """Return a logger; it may be made at import and works before and after `configure`."""
    return Logger(name)
