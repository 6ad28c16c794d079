"""An alert with one thing changed, as a slip of the hand would: what its tests have to notice.

Only changes that some test can notice are made: a threshold of 0 is neither doubled nor halved, and ``>`` becomes
``>=`` only where the value can be the threshold exactly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from prethrift_backend.verify.promql.operations import RATES
from prethrift_backend.verify.promql.query import Query
from prethrift_backend.verify.promql.text import write
from prethrift_backend.verify.promql.tree import (
    COMPARISONS,
    Aggregation,
    Binary,
    Call,
    Node,
    Number,
    QueryError,
    Selector,
    Subquery,
    parse,
    walk,
)

_REVERSED: Final = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "==": "!=", "!=": "=="}
_INCLUSIVE: Final = {">": ">=", "<": "<="}
_ABSENT: Final = ("absent", "absent_over_time")
_ARITHMETIC: Final = frozenset("+-*/%^")
# What gives a value that no test can be sure to hit exactly.
_INEXACT: Final = RATES | {"histogram_quantile", "avg_over_time", "deriv", "predict_linear", "delta", "idelta", "time"}
_STRINGS: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`|#[^\n]*', re.DOTALL)


class MutantError(QueryError):
    """An alert that cannot be changed: it cannot be read, or not be written as it was read."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: what was done, the expression it leads to, and whether ``for`` is kept."""

    what: str
    expression: str
    keeps_for: bool = True


def mutants(alert: Query) -> list[Mutant]:
    """Return every change of an alert that its tests have to notice.

    Raises MutantError.
    """
    tree = _read(alert.text)
    found = [Mutant(what, write(node)) for what, node in _changes(tree)]
    if alert.for_seconds:
        found.append(Mutant("'for' dropped", alert.text.strip(), keeps_for=False))
    return list({(mutant.expression, mutant.keeps_for): mutant for mutant in found}.values())


def _read(text: str) -> Node:
    try:
        tree = parse(text)
        if parse(write(tree)) != tree:
            raise MutantError("it cannot be written as it was read")
    except MutantError:
        raise
    except QueryError as error:
        raise MutantError(str(error)) from error
    if "@" in _STRINGS.sub("", text):  # the tree has no place for it
        raise MutantError("a moment in time (@) is fixed in it")
    return tree


def _changes(node: Node) -> Iterator[tuple[str, Node]]:
    """Give each tree that differs in one thing, what is nearest to the root first."""
    yield from _own_changes(node)
    match node:
        case Binary():
            yield from ((what, replace(node, left=new)) for what, new in _changes(node.left))
            yield from ((what, replace(node, right=new)) for what, new in _changes(node.right))
        case Aggregation():
            yield from ((what, replace(node, inner=new)) for what, new in _changes(node.inner))
        case Subquery():
            yield from ((what, replace(node, inner=new)) for what, new in _changes(node.inner))
        case Call():
            for position, argument in enumerate(node.arguments):
                before, after = node.arguments[:position], node.arguments[position + 1 :]
                for what, new in _changes(argument):
                    yield what, replace(node, arguments=(*before, new, *after))


def _own_changes(node: Node) -> Iterator[tuple[str, Node]]:
    match node:
        case Binary():
            yield from _comparison(node) if node.operator in COMPARISONS else _condition(node)
        case Aggregation() if node.grouping is not None and node.grouping.word == "by" and node.grouping.labels:
            yield f"by ({', '.join(node.grouping.labels)}) dropped", replace(node, grouping=None)
        case Selector():
            for matcher in node.matchers:
                if matcher.name != "__name__":
                    rest = tuple(other for other in node.matchers if other is not matcher)
                    yield f"matcher {matcher} removed", replace(node, matchers=rest)


def _comparison(node: Binary) -> Iterator[tuple[str, Node]]:
    yield f"{node.operator} made {_REVERSED[node.operator]}", replace(node, operator=_REVERSED[node.operator])
    right, left = constant(node.right), constant(node.left)
    threshold = left if right is None else right
    if threshold is None or (left is not None and right is not None):
        return
    if node.operator in _INCLUSIVE and _is_decidable(node.left if right is not None else node.right, threshold):
        operator = _INCLUSIVE[node.operator]
        yield f"{node.operator} made {operator}", replace(node, operator=operator)
    if threshold and node.operator not in ("==", "!="):
        for what, value in (("doubled", threshold * 2), ("halved", threshold / 2)):
            number = Number(value)
            yield f"threshold {what}", replace(node, left=number) if right is None else replace(node, right=number)


def _condition(node: Binary) -> Iterator[tuple[str, Node]]:
    if node.operator == "or":
        for side, other in ((node.left, node.right), (node.right, node.left)):
            if isinstance(side, Call) and side.function in _ABSENT:
                yield "or absent(…) removed", other
    elif node.operator in ("and", "unless"):
        yield f"{node.operator} … removed", node.left


def _is_decidable(side: Node, threshold: float) -> bool:
    if threshold == 0:
        return True
    inexact = any(
        (isinstance(part, Call) and part.function in _INEXACT)
        or (isinstance(part, Binary) and part.operator in "/%^")
        or (isinstance(part, Aggregation) and part.operator in ("avg", "stddev", "stdvar", "quantile"))
        for part in walk(side)
    )
    return threshold == int(threshold) and not inexact


def constant(node: Node) -> float | None:
    """Return the value of a side that holds numbers only; None where it holds anything else, or is undefined."""
    if isinstance(node, Number):
        return node.value
    if not isinstance(node, Binary) or node.operator not in _ARITHMETIC:
        return None
    left, right = constant(node.left), constant(node.right)
    if left is None or right is None:
        return None
    return _calculated(left, node.operator, right)


def _calculated(left: float, operator: str, right: float) -> float | None:
    try:
        match operator:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "/":
                return left / right
            case _:
                return None  # '%' and '^' are no part of a threshold that anybody writes
    except (ArithmeticError, ValueError):
        return None
