"""An event as it may leave: every text through the value rules, every name through the rules for keys.

Sentry's events are deeper than log lines, so that the bounds of `Redactor.redact` would cut stacks; they are walked
here, and have been bounded before, by `_faults` or by Sentry's serializer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from math import isfinite
from typing import Any, Final

from prethrift_backend.observability._pace import Pace
from prethrift_backend.observability._sentry_event import SOURCE_LINES
from prethrift_backend.observability.redaction import MAX_TEXT, REDACTED, Redactor

# Sixteen digits of a span's id may by chance pass for a card number.
_IDS: Final = frozenset({"event_id", "parent_span_id", "request_id", "span_id", "trace_id"})
_HEXADECIMAL: Final = frozenset("0123456789abcdef")
_SIMPLE: Final = (str, int, bool)
# Values of local variables are not asked for. Whatever an event brings of them goes.
_LEFT_OUT: Final = frozenset({"vars"})
_SOURCE_CHARACTERS: Final = 8192
# Names of Sentry's own that hold no secret: most of an event, so they are not looked up each time.
_OPEN: Final = frozenset(
    {"abs_path", "category", "filename", "function", "in_app", "level", "lineno", "message", "module", "type", "value"}
)


class EventRedaction:
    """What makes an event fit to leave, by one `Redactor`; made for one event, used by one thread."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._pace = Pace()

    def redact(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``event``, a plain tree, without secrets and as JSON can hold it; the original is not changed."""
        return self._mapping(event)

    def _mapping(self, mapping: Mapping[Any, Any]) -> dict[str, Any]:
        self._pace.breathe()
        source = self._source(mapping) if "context_line" in mapping else {}
        redacted: dict[str, Any] = {}
        for key, value in mapping.items():
            if key not in _LEFT_OUT and key not in source:
                redacted[self._redactor.redact_text(str(key))] = self._member(str(key), value)
        return {**redacted, **source}

    def _member(self, key: str, value: Any) -> Any:
        if key in _IDS and isinstance(value, str) and _HEXADECIMAL.issuperset(value):
            return value
        if key in _OPEN and type(value) in _SIMPLE:
            return self._redactor.redact_text(value)[:MAX_TEXT] if type(value) is str else value
        if not isinstance(value, (Mapping, list, tuple)):
            return self._leaf(key, value)
        return REDACTED if self._leaf(key, "x") == REDACTED else self._value(value)

    def _leaf(self, key: str, value: Any) -> Any:
        (redacted,) = self._redactor.redact({key: value}).values()
        if isinstance(redacted, (datetime, date, time)):
            return redacted.isoformat()
        return None if isinstance(redacted, float) and not isfinite(redacted) else redacted

    def _value(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return self._mapping(value)
        if isinstance(value, (list, tuple)):
            return self._sequence(value)
        return self._leaf("value", value)

    def _sequence(self, values: Sequence[Any]) -> list[Any]:
        """Return the items; two of which the first is a text are a name and its value, as headers are listed."""
        if len(values) == 2 and isinstance(values[0], str):
            return [self._redactor.redact_text(values[0]), self._member(values[0], values[1])]
        return [self._value(value) for value in values]

    def _source(self, frame: Mapping[str, Any]) -> dict[str, Any]:
        """Return a frame's lines of source, redacted as one text: a key in PEM goes over several lines."""
        before = list(frame.get("pre_context") or ())
        after = list(frame.get("post_context") or ())
        lines = [str(line) for line in (*before, frame["context_line"] or "", *after)]
        text = self._redactor.redact_long_text("\n".join(lines), max_characters=_SOURCE_CHARACTERS)
        redacted = text.split("\n")
        if len(redacted) != len(lines):
            return {"pre_context": [], "context_line": REDACTED, "post_context": []}
        place = len(before)
        return dict(zip(SOURCE_LINES, (redacted[:place], redacted[place], redacted[place + 1 :]), strict=True))
