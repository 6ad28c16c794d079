"""What a value in a log line or a span may be, as the contracts of both say it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

ValueKind = Literal[
    "string", "enum", "enum+", "match", "const", "int", "number", "boolean", "date-time", "object", "array"
]
Stability = Literal["development", "beta", "stable"]

_DATE_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_FRACTION: Final = re.compile(r"\.\d+")


@dataclass(frozen=True, slots=True)
class ValueType:
    """The type of one value and what limits it.

    ``enum`` is a closed list of texts, ``enum+`` one that may gain others, ``match`` a regular expression for the whole
    text, ``const`` one text, number or boolean as it is written in the contract. ``minimum`` and ``maximum`` bound
    numbers, both included; ``max_length`` is in characters.
    """

    kind: ValueKind
    values: tuple[str, ...] = ()
    pattern: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = None
    allows_null: bool = False

    @property
    def is_closed(self) -> bool:
        """Whether every value is listed."""
        return self.kind in ("enum", "const")

    def allows(self, value: object) -> bool:
        """Say whether this value keeps the promise; None stands for JSON's null."""
        if value is None:
            return self.allows_null
        return _CHECKS[self.kind](self, value)

    def __str__(self) -> str:
        """Give the words of the contract for it: ``enum a|b``, ``int 100..599``, ``string max=200 or-null``."""
        words = [self.kind, "|".join(self.values), self.pattern or "", self._range()]
        words.append("" if self.max_length is None else f"max={self.max_length}")
        words.append("or-null" if self.allows_null else "")
        return " ".join(word for word in words if word)

    def _range(self) -> str:
        if self.minimum is not None and self.maximum is not None:
            return f"{_plain(self.minimum)}..{_plain(self.maximum)}"
        if self.minimum is not None:
            return f">={_plain(self.minimum)}"
        return "" if self.maximum is None else f"<={_plain(self.maximum)}"


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else repr(number)


def _is_text(promised: ValueType, value: object) -> bool:
    return isinstance(value, str) and (promised.max_length is None or len(value) <= promised.max_length)


def _is_listed(promised: ValueType, value: object) -> bool:
    return isinstance(value, str) and value in promised.values


def _is_match(promised: ValueType, value: object) -> bool:
    return isinstance(value, str) and re.fullmatch(promised.pattern or "", value) is not None


def _is_constant(promised: ValueType, value: object) -> bool:
    if isinstance(value, bool):
        return str(value).lower() in promised.values
    return isinstance(value, str | int | float) and str(value) in promised.values


def _is_number(promised: ValueType, value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    is_high_enough = promised.minimum is None or value >= promised.minimum
    return is_high_enough and (promised.maximum is None or value <= promised.maximum)


def _is_date_time(_: ValueType, value: object) -> bool:
    """Say whether it is a time by RFC 3339, the day and the hour included."""
    if not isinstance(value, str) or _DATE_TIME.fullmatch(value) is None:
        return False
    try:
        datetime.fromisoformat(_FRACTION.sub("", value.upper()))
    except ValueError:
        return False
    return True


_CHECKS: Final[Mapping[str, Callable[[ValueType, object], bool]]] = {
    "string": _is_text,
    "enum": _is_listed,
    "enum+": _is_text,
    "match": _is_match,
    "const": _is_constant,
    "int": lambda promised, value: isinstance(value, int) and _is_number(promised, value),
    "number": _is_number,
    "boolean": lambda _, value: isinstance(value, bool),
    "date-time": _is_date_time,
    "object": lambda _, value: isinstance(value, dict),
    "array": lambda _, value: isinstance(value, list | tuple),
}


@dataclass(frozen=True, slots=True)
class PromisedValue:
    """A named value: its type, and when it has to be there.

    ``required_if`` names conditions that must all hold (``request``, ``span``, ``error``, the name of a setting);
    a value that is neither required nor required on a condition is optional. ``note`` is what the comments right above
    it and beside it say.
    """

    name: str
    type: ValueType
    required: bool = False
    required_if: tuple[str, ...] = ()
    note: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Count:
    """How often something happens: ``1/request`` exactly, or at most where ``is_exact`` is False."""

    most: int
    per: str | None = None
    is_exact: bool = False

    def __str__(self) -> str:
        return f"{'=' if self.is_exact else '<='}{self.most}{f'/{self.per}' if self.per else ''}"


@dataclass(frozen=True, slots=True)
class NeverWord:
    """A key, or the name of a rule for values, that never occurs."""

    name: str
    line: int = field(default=0, compare=False)
