"""A LABEL line as a value: its kind, what it allows and how it is bounded."""

from __future__ import annotations

from typing import cast

from prethrift_backend.contracts._tokens import FaultError, Token, check_pattern, check_words, count, options
from prethrift_backend.contracts.model import LabelKind, MetricLabel


def make_label(name: str, kind: Token, rest: list[Token], line: int) -> MetricLabel:
    label_kind = cast(LabelKind, kind.text)
    if label_kind != "open" and not rest:
        raise FaultError(kind.column, f"{kind.text!r} says no values", "the values follow the kind", "add them")
    given = options(rest if label_kind == "open" else rest[1:], ("max", "overflow"))
    overflow = given["overflow"].text if "overflow" in given else None
    values, pattern = _label_values(label_kind, rest)
    label = MetricLabel(name, label_kind, values, pattern, overflow, count(given.get("max")), line)
    if label.is_closed and overflow is not None and overflow not in values:
        fix = f"add {overflow!r} to the list or name one of it"
        raise FaultError(given["overflow"].column, f"overflow={overflow!r} is not listed", label.rule, fix)
    if label.is_closed and label.max_values is not None:
        raise FaultError(given["max"].column, "a closed list has a max", "its length is its max", "take max= away")
    return label


def _label_values(kind: LabelKind, rest: list[Token]) -> tuple[tuple[str, ...], str | None]:
    """Return the listed values and the pattern; only one of the two is there."""
    if kind == "open":
        return (), None
    token = rest[0]
    if kind == "match":
        check_pattern(token)
        return (), token.text
    return ((token.text,) if kind == "const" else check_words(token)), None
