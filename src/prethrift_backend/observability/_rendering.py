"""How a line becomes bytes: as JSON, or as text for a person, and an exception as a part of it."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, TypeAlias, cast

import orjson
import structlog

from prethrift_backend.observability.redaction import STANDARD, Redactor, text_of

Render: TypeAlias = Callable[[dict[str, Any]], bytes]
ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType | None]

# Half of the 16,384 bytes that contracts/logs.txt allows a line.
_MAX_STACK_CHARACTERS: Final = 8192
_MAX_LINE_BYTES: Final = 16_384


def describe_exception(error: BaseException, *, redactor: Redactor = STANDARD) -> dict[str, str]:
    """Return type, message and stack of ``error``, redacted, without the values of local variables."""
    kind = type(error)
    try:
        message = str(error)
        stack = "".join(traceback.TracebackException.from_exception(error).format())
    except Exception as fault:  # noqa: BLE001 - an exception that cannot be shown still has a type
        message = stack = f"[cannot be shown: {type(fault).__name__}]"
    return {
        "type": kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}",
        "message": redactor.redact_text(message),
        "stack": redactor.redact_long_text(stack, max_characters=_MAX_STACK_CHARACTERS),
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


_JSON_OPTIONS: Final = orjson.OPT_UTC_Z

# What JSON leaves as it is and a reader may take for the end of a line (U+0085, U+2028, U+2029), a command to the
# terminal (the C1 controls) or a change of direction that shows another text than the one that is there. In UTF-8.
_UNSAFE: Final = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]|\xe2\x81[\xa6-\xa9]")


def _escape(match: re.Match[bytes]) -> bytes:
    return b"\\u%04x" % ord(match.group().decode())


def _encode(line: Mapping[str, Any]) -> bytes:
    try:
        rendered = orjson.dumps(line, option=_JSON_OPTIONS)
    except (TypeError, ValueError):  # half of a surrogate pair, which no UTF-8 can hold
        rendered = orjson.dumps(_without_surrogates(dict(line)), default=text_of, option=_JSON_OPTIONS)
    # The new object is as large as the line; orjson's own keeps up to three times as much until it is written.
    return (rendered if rendered.isascii() and b"\x7f" not in rendered else _UNSAFE.sub(_escape, rendered)) + b"\n"


# What a line without these would be worth is little: they are cut, never left out.
_KEPT: Final[tuple[str, ...]] = (
    *("timestamp", "level", "event", "logger", "service", "version", "environment"),
    *("request_id", "user_id", "trace_id", "span_id", "exception"),
)
# In characters; each may take six bytes as an escape.
_CUT: Final = 256
_CUT_STACK: Final = 512


def _cut(value: Any, characters: int = _CUT) -> Any:
    if isinstance(value, str):
        return value if len(value) <= characters else f"{value[:characters]}[cut]"
    if isinstance(value, dict):  # the exception; of its stack the end says where it was raised
        cut = {key: _cut(part) for key, part in value.items()}
        return cut | {"stack": f"[cut]{value['stack'][-_CUT_STACK:]}"}
    return value


def render_json(line: dict[str, Any]) -> bytes:
    """Return ``line`` as one line of JSON of at most 16,384 bytes; the largest values give way."""
    rendered = _encode(line)
    return rendered if len(rendered) <= _MAX_LINE_BYTES else _render_shortened(line)


def _render_shortened(line: dict[str, Any]) -> bytes:
    kept = {key: line[key] for key in _KEPT if key in line}
    if len(_encode(kept)) > _MAX_LINE_BYTES * 3 // 4:
        kept = {key: _cut(value) for key, value in kept.items()}
    sizes = {key: len(_encode({key: value})) for key, value in line.items() if key not in kept}
    # The names of what is left out, at most ten of them, must find room behind it.
    room = _MAX_LINE_BYTES - _ROOM_FOR_NAMES - len(_encode(kept))
    for key in sorted(sizes, key=sizes.__getitem__):
        room -= sizes[key]
        if room >= 0:
            kept[key] = line[key]
    left_out = sorted(line.keys() - kept.keys())[:10]
    return _encode(kept | {"left_out": [_cut(name, _CUT_NAME) for name in left_out]})


# Of a name in `left_out`, and ten of them with quotation marks and commas, every character an escape of six bytes.
_CUT_NAME: Final = 40
_ROOM_FOR_NAMES: Final = 10 * (6 * _CUT_NAME + 10) + 20


# Everything that moves a cursor, ends a line or turns the direction; a terminal must show it, not do it.
_CONTROLS: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def _shown(text: str) -> str:
    return _CONTROLS.sub(lambda match: match.group().encode("unicode_escape").decode(), text)


_NOT_SHOWN: Final = frozenset(
    {"service", "version", "environment"} | {"dd.service", "dd.env", "dd.version", "dd.trace_id", "dd.span_id"}
)


class ConsoleRender:
    """Render lines for a person at a terminal; the fields that never change are left out."""

    def __init__(self, *, colors: bool) -> None:
        self._renderer = structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=24)

    def __call__(self, line: dict[str, Any]) -> bytes:
        """Return ``line`` as text, its stack below it."""
        shown: dict[str, Any] = {
            _shown(key): _shown(value) if isinstance(value, str) else value
            for key, value in line.items()
            if key not in _NOT_SHOWN
        }
        exception: Any = shown.pop("exception", None)
        text = str(self._renderer(None, line["level"], shown))
        stack = "".join(f"{_shown(part)}\n" for part in exception["stack"].split("\n") if part) if exception else ""
        return f"{text}\n{stack}".encode(errors="backslashreplace")
