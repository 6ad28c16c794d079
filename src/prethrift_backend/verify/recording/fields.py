"""What the values of one field of log lines say of its type: a guess in the words of ``logs.txt``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from prethrift_backend.contracts.values import ValueType
from prethrift_backend.observability.redaction import Redactor
from prethrift_backend.verify.recording.labels import FEW_VALUES, room

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,199}")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,39}")
# What is somebody's own, or different each time: a list of what was seen would name people and machines.
_PERSONAL: Final = re.compile(
    r"(?:^|[_.])(?:id|user|username|name|email|mail|ip|host|hostname|address|client|customer|phone|url|path|message|msg)$"
)
_MEASURED: Final = re.compile(r"(?:^|[_.])(?:seconds|ms|ratio|percent|age|duration|latency|elapsed|took)$")
_DATE_TIME: Final = ValueType("date-time")
# From the narrowest on: each says the whole text.
_FORMS: Final = (
    r"[0-9a-f]{16}",
    r"[0-9a-f]{32}",
    r"[0-9a-f]{40}",
    r"[0-9a-f]{64}",
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
)
_LEVELS: Final = ("debug", "info", "warning", "error", "critical")
_REMEMBERED: Final = 1000


@dataclass(slots=True)
class SeenField:
    """The values of one field in some lines; texts are remembered up to a bound, their longest length always."""

    name: str
    count: int = 0
    types: set[str] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)
    longest: int = 0
    least: float = 0.0
    has_secret: bool = False

    def take(self, value: object, redactor: Redactor) -> None:
        """Take in one value."""
        self.count += 1
        self.types.add(_type(value, self.name))
        if isinstance(value, str):
            self.longest = max(self.longest, len(value))
            if len(self.texts) < _REMEMBERED:
                self.texts.add(value)
        elif isinstance(value, int | float):
            self.least = min(self.least, value)
        self.has_secret = self.has_secret or redactor.redact({self.name: value}) != {self.name: value}

    @property
    def type(self) -> str | None:
        """The words that state the type; None where a contract has none for it."""
        kinds = self.types - {"null"}
        if kinds == {"int", "number"}:
            kinds = {"number"}
        if len(kinds) > 1 or _NAME.fullmatch(self.name) is None:
            return None
        words = self._words(next(iter(kinds), "string"))
        return f"{words} or-null" if "null" in self.types else words

    def _words(self, kind: str) -> str:
        if kind == "string":
            return self._text()
        if kind in ("int", "number") and self.least >= 0:
            return f"{kind} >=0"
        return kind

    def _text(self) -> str:
        bound = f"string max={room(self.longest)}"
        if self.has_secret or not self.texts or len(self.texts) >= _REMEMBERED:
            return bound
        if all(map(_DATE_TIME.allows, self.texts)):
            return "date-time"
        for form in _FORMS:
            if all(re.fullmatch(form, text) for text in self.texts):
                return f"match {form}"
        if self.texts <= set(_LEVELS) and self.name in ("level", "severity"):
            return f"enum {'|'.join(_LEVELS)}"
        return self._listed() or bound

    def _listed(self) -> str | None:
        """Return a list of words that come again and again."""
        is_few = len(self.texts) <= FEW_VALUES and self.count >= 3 * len(self.texts)
        if not is_few or _PERSONAL.search(self.name) or not all(map(_WORD.fullmatch, self.texts)):
            return None
        return f"enum+ {'|'.join(sorted(self.texts))} max={room(self.longest)}"


def merged(name: str, parts: Iterable[SeenField]) -> SeenField:
    """Return one field out of what several kinds of line said of it."""
    whole = SeenField(name)
    for part in parts:
        whole.count += part.count
        whole.types |= part.types
        whole.texts |= part.texts
        whole.longest = max(whole.longest, part.longest)
        whole.least = min(whole.least, part.least)
        whole.has_secret = whole.has_secret or part.has_secret
    return whole


def _type(value: object, name: str) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number" if isinstance(value, float) or _MEASURED.search(name) else "int"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"
