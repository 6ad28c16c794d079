"""A tree of `tree` written as PromQL again: every operand in parentheses, so that no precedence is asked for."""

from __future__ import annotations

import json
import math
from typing import Final

from prethrift_backend.verify.promql.tree import (
    Aggregation,
    Binary,
    Call,
    Grouping,
    Matcher,
    Node,
    Number,
    Selector,
    Subquery,
    Text,
)

# Their operands stand around them with parentheses; these need none.
_ATOMS: Final = (Selector, Call, Aggregation, Number, Text)


def write(node: Node) -> str:
    """Return an expression that reads as this tree."""
    match node:
        case Selector():
            return _selector(node)
        case Subquery():
            return _subquery(node)
        case Call():
            return _call(node)
        case Aggregation():
            return _aggregation(node)
        case Binary():
            return _binary(node)
        case Number() | Text():
            return _number(node.value) if isinstance(node, Number) else _text(node.value)


def _subquery(node: Subquery) -> str:
    step = "" if node.step_seconds is None else _duration(node.step_seconds)
    return f"({write(node.inner)})[{_duration(node.range_seconds)}:{step}]{_offset(node.offset_seconds)}"


def _call(node: Call) -> str:
    arguments = ", ".join(map(write, node.arguments))
    return f"-({arguments})" if node.function == "-" else f"{node.function}({arguments})"


def _selector(node: Selector) -> str:
    matchers = f"{{{','.join(map(_matcher, node.matchers))}}}" if node.matchers or node.name is None else ""
    span = "" if node.range_seconds is None else f"[{_duration(node.range_seconds)}]"
    return f"{node.name or ''}{matchers}{span}{_offset(node.offset_seconds)}"


def _matcher(matcher: Matcher) -> str:
    return f"{matcher.name}{matcher.operator}{_text(matcher.value)}"


def _aggregation(node: Aggregation) -> str:
    grouping = "" if node.grouping is None else f" {_grouping(node.grouping)}"
    parameter = "" if node.parameter is None else f"{write(node.parameter)}, "
    return f"{node.operator}{grouping} ({parameter}{write(node.inner)})"


def _binary(node: Binary) -> str:
    words = [node.operator, "bool" if node.returns_bool else ""]
    words.append("" if node.matching is None else _grouping(node.matching))
    words.append("" if node.side is None else f"group_{node.side} ({', '.join(node.carried)})")
    return " ".join([_operand(node.left), *filter(None, words), _operand(node.right)])


def _operand(node: Node) -> str:
    is_atom = isinstance(node, _ATOMS) and not (isinstance(node, Call) and node.function == "-")
    is_negative = isinstance(node, Number) and math.copysign(1, node.value) < 0
    return write(node) if is_atom and not is_negative else f"({write(node)})"


def _grouping(grouping: Grouping) -> str:
    return f"{grouping.word} ({', '.join(grouping.labels)})"


def _text(value: str) -> str:
    # The escapes of JSON are among those of Go.
    return json.dumps(value, ensure_ascii=False)


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _offset(seconds: float) -> str:
    return f" offset {_duration(seconds)}" if seconds else ""


def _duration(seconds: float) -> str:
    sign, milliseconds = "-" if seconds < 0 else "", round(abs(seconds) * 1000)
    return f"{sign}{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{sign}{milliseconds}ms"
