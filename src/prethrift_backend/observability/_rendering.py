"""How a line becomes bytes: as JSON, or as text for a person, and an exception as a part of it."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, TypeAlias, cast

import orjson
import structlog

from prethrift_backend.observability.redaction import redact_long_text, redact_text

Render: TypeAlias = Callable[[dict[str, Any]], bytes]
ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None]

# Half of the 16,384 bytes that contracts/logs.txt allows a line.
_MAX_STACK_CHARACTERS: Final = 8192
_MAX_LINE_BYTES: Final = 16_384


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


def exception_of(exc_info: object) -> BaseException | None:
    """Return the exception that an ``exc_info`` argument means: itself, a triple, or the one being handled."""
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
