"""The loggers of the standard library, led into the chain and given back."""

from __future__ import annotations

import logging
import sys
import warnings
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from prethrift_backend.observability import context
from prethrift_backend.observability._rendering import exception_of

# At DEBUG these print bodies, headers and signatures of requests; httpx prints whole URLs at INFO.
_CHATTY: Final = ("aiobotocore", "asyncio", "boto3", "botocore", "httpcore", "httpx", "multipart", "PIL", "urllib3")
# Warns of each text in a span that it cuts, each time: what a caller sends could fill the log with that.
_REPEATS_ITSELF: Final = "opentelemetry.attributes"
_UVICORN: Final = ("uvicorn", "uvicorn.error", "uvicorn.asgi")
_REPORTED: Final = "__prethrift_reported__"


def mark_reported(error: BaseException) -> None:
    """Note on ``error`` that it has its log line, so that the server's own line about it is left out."""
    with suppress(Exception):
        setattr(error, _REPORTED, True)


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
    error = exception_of(record.exc_info) if record.exc_info else None
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
        self._captures_warnings = False

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
        if level > logging.DEBUG:
            self._calm(logging.getLogger(_REPEATS_ITSELF), max(level, logging.ERROR))
        self._capture_warnings()

    def restore(self) -> None:
        """Give everything back as it was found."""
        if self._captures_warnings:
            logging.captureWarnings(False)
            self._captures_warnings = False
        logging.getLogger().removeHandler(self._handler)
        for saved in self._saved.values():
            saved.restore()
        self._saved.clear()

    def _capture_warnings(self) -> None:
        # Somebody else may have asked for it already; then it is not ours to take back.
        before = warnings.showwarning
        logging.captureWarnings(True)
        self._captures_warnings |= warnings.showwarning is not before

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
