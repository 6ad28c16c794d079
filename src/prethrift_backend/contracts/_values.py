"""A field of a line, or an attribute of a span, out of the words that state it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar, cast, get_args

from prethrift_backend.contracts._tokens import (
    FaultError,
    Token,
    check_match,
    check_once,
    check_pattern,
    check_words,
    count,
    number,
    operand,
)
from prethrift_backend.contracts.values import NeverWord, PromisedValue, ValueKind, ValueType

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,199}")
_NEVER: Final = re.compile(r"[a-z0-9_.-]{1,200}")
_CONDITION: Final = re.compile(r"[A-Za-z][A-Za-z0-9_:.-]*(?:&[A-Za-z][A-Za-z0-9_:.-]*)*")
_WITH_OPERAND: Final = ("enum", "enum+", "match", "const")
# What the redaction finds by value; a rule that nobody has would never be broken.
VALUE_RULES: Final = ("jwt", "pem", "bearer", "basic", "dsn-password", "card-number")

Promised = TypeVar("Promised", bound=PromisedValue)


@dataclass(slots=True)
class _Limits:
    """What the words after the kind say."""

    minimum: float | None = None
    maximum: float | None = None
    max_length: int | None = None
    allows_null: bool = False
    required: bool = False
    required_if: tuple[str, ...] = ()
    seen: dict[str, Token] = field(default_factory=dict)


def make_value(make: Callable[..., Promised], tokens: list[Token], note: str) -> Promised:
    """Read ``name kind …``; ``tokens[0]`` is the name."""
    form = "name string max=100 required"
    name = tokens[0]
    check_match(_NAME, name, "a name has letters, digits, '_', '.' and '-'", "status_code")
    kind = operand(tokens, 1, form)
    if kind.text not in get_args(ValueKind):
        allowed = ", ".join(get_args(ValueKind))
        raise FaultError(kind.column, f"type {kind.text!r} is unknown", f"it is one of {allowed}", "choose one")
    values, pattern, rest = _listed(kind, tokens[2:])
    limits = _Limits()
    for token in rest:
        _read_word(limits, kind.text, token)
    kind_name = cast(ValueKind, kind.text)
    bounds = (limits.minimum, limits.maximum, limits.max_length)
    value_type = ValueType(kind_name, values, pattern, *bounds, allows_null=limits.allows_null)
    given = {"required": limits.required, "required_if": limits.required_if}
    return make(name=name.text, type=value_type, note=note, line=name.line, **given)


def _listed(kind: Token, rest: list[Token]) -> tuple[tuple[str, ...], str | None, list[Token]]:
    if kind.text not in _WITH_OPERAND:
        return (), None, rest
    if not rest:
        raise FaultError(kind.column, f"{kind.text!r} says no values", "the values follow the type", "add them")
    if kind.text == "match":
        check_pattern(rest[0])
        return (), rest[0].text, rest[1:]
    return ((rest[0].text,) if kind.text == "const" else check_words(rest[0])), None, rest[1:]


def _read_word(limits: _Limits, kind: str, token: Token) -> None:
    key, equals, value = token.text.partition("=")
    part = token._replace(text=value, column=token.column + len(key) + 1)
    if token.text in ("required", "or-null"):
        limits.required = limits.required or key == "required"
        limits.allows_null = limits.allows_null or key == "or-null"
    elif key == "required-if" and equals:
        key = "required"
        check_match(_CONDITION, part, "conditions are names with '&' between", "request")
        limits.required_if = tuple(value.split("&"))
    elif key == "max" and kind in ("string", "enum+"):
        limits.max_length = count(part)
    elif kind in ("int", "number") and (key in (">", "<") or ".." in token.text):
        key = ".."
        limits.minimum, limits.maximum = _range(token)
    else:
        rule = f"after {kind} may come {_allowed(kind)}required, required-if=…, or-null"
        raise FaultError(token.column, f"{token.text!r} is no word for a value", rule, "correct it or take it away")
    check_once(limits.seen.get(key), token)
    limits.seen[key] = token


def _allowed(kind: str) -> str:
    if kind in ("string", "enum+"):
        return "max=…, "
    return ">=0, <=9, 0..9, " if kind in ("int", "number") else ""


def _range(token: Token) -> tuple[float | None, float | None]:
    if token.text[:2] in (">=", "<="):
        bound = number(token._replace(text=token.text[2:], column=token.column + 2))
        return (bound, None) if token.text[0] == ">" else (None, bound)
    low, _, high = token.text.partition("..")
    minimum = number(token._replace(text=low))
    maximum = number(token._replace(text=high, column=token.column + len(low) + 2))
    if maximum < minimum:
        raise FaultError(token.column, f"range {token.text!r} is empty", "the smaller end comes first", "swap them")
    return minimum, maximum


class NeverWords:
    """The words of the NEVER lines of one file."""

    def __init__(self) -> None:
        self.keys: dict[str, NeverWord] = {}
        self.values: dict[str, NeverWord] = {}

    def read_keys(self, tokens: list[Token]) -> None:
        for token in _words(tokens, "NEVER-KEY password|token"):
            check_match(_NEVER, token, "a key is in lower case: case does not count", "set-cookie")
            check_once(self.keys.get(token.text), token)
            self.keys[token.text] = NeverWord(token.text, token.line)

    def read_values(self, tokens: list[Token]) -> None:
        for token in _words(tokens, "NEVER-VALUE jwt|bearer"):
            if token.text not in VALUE_RULES:
                what, rule = f"no rule for values is called {token.text!r}", f"it is one of {', '.join(VALUE_RULES)}"
                raise FaultError(token.column, what, rule, "choose one")
            check_once(self.values.get(token.text), token)
            self.values[token.text] = NeverWord(token.text, token.line)

    def check(self, name: Token) -> None:
        """Refuse to promise what never occurs."""
        word = self.keys.get(name.text.lower())
        if word is not None:
            what, rule = f"{name.text!r} is promised", f"line {word.line} says that it never occurs"
            raise FaultError(name.column, what, rule, "take one of the two away", line=name.line)


def _words(tokens: list[Token], form: str) -> list[Token]:
    listed = operand(tokens, 1, form)
    if len(tokens) > 2:
        raise FaultError(tokens[2].column, f"{tokens[2].text!r} is too much", "'|' stands between words", "join them")
    found: list[Token] = []
    column = listed.column
    for word in check_words(listed):
        found.append(listed._replace(text=word, column=column))
        column += len(word) + 1
    return found
