"""PromQL as frozen values: promql-parser reads a query, and what it gives becomes a tree of our own.

Only this module knows promql-parser. Its nodes are made anew at each access, so that nothing can be remembered of them,
and its interface may change; ours stay as they are. Parentheses are gone from the tree: they do not change a meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, TypeAlias

from prethrift_backend.exceptions import PrethriftError

try:
    import promql_parser as pp
except ModuleNotFoundError as error:  # the extra `contracts` is not installed; said when a query is to be read
    _MISSING: ModuleNotFoundError | None = error
else:
    _MISSING = None

MatchOperator: TypeAlias = Literal["=", "!=", "=~", "!~"]

# Arbitrary. The parser is recursive and ends the process on a few thousand; people write a few dozen.
LENGTH_MAX: Final = 20_000
OPERATIONS_MAX: Final = 250

COMPARISONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})
SET_OPERATORS: Final = frozenset({"and", "or", "unless"})

_COMMENTS_AND_STRINGS: Final = re.compile(r"""#[^\n]*|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`""", re.DOTALL)
_MATCHERS: Final = re.compile(r"\{[^{}]*\}")
_OPERATION: Final = re.compile(r"[-+*/%^<>=(\[{!]|\b(?:and|or|unless|atan2)\b", re.IGNORECASE)


# What Prometheus 3 reads and Prometheus 2 refuses, with all the rules of its file: there is an older form for each.
_NEWER_FORMS: Final = (
    (re.compile(r"\{(?:[^{}]*,)?\s*\"\""), "a name in quotes", "name the series before the braces"),
    (re.compile(r"\[\s*[\d.]+\s*[\]:]|:\s*[\d.]+\s*\]"), "a range without a unit", "write [300s]"),
    (re.compile(r"\boffset\s+-?[\d.]+(?![\w.])", re.IGNORECASE), "an offset without a unit", "write offset 300s"),
    (re.compile(r"\bfill(?:_left|_right)?\s*\(", re.IGNORECASE), "fill(…)", "write or vector(0)"),
    (re.compile(r"(?<![\w.:])(?:\d+(?:ms|[smhdwy]))+(?![\w:])"), "a duration as a number", "write its seconds"),
)
_NEWER_FUNCTIONS: Final = frozenset({"first_over_time", "histogram_avg", "histogram_stddev", "histogram_stdvar"})
_DURATIONS_IN_PLACE: Final = re.compile(
    r"\[[^\[\]]*[a-z][^\[\]]*\]|\boffset\s+-?\s*(?:\d+(?:ms|[smhdwy]))+", re.IGNORECASE
)


_ESCAPES_AND_CLASSES: Final = re.compile(r"\\.|\[\^?\]?[^\]]*\]", re.DOTALL)
_NESTED_REPETITION: Final = re.compile(r"(?:[*+?]|\{\d+(?:,\d*)?\})(?:[*+]|\?[*+?]|\{\d)")


class QueryError(PrethriftError):
    """A text that is no PromQL; the message says why."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """One matcher of a selector."""

    name: str
    operator: MatchOperator
    value: str

    def __str__(self) -> str:
        return f'{self.name}{self.operator}"{self.value}"'


@dataclass(frozen=True, slots=True)
class Selector:
    """Series by name and matchers; ``range_seconds`` where it is a range vector. ``name`` is None by a matcher only."""

    name: str | None
    matchers: tuple[Matcher, ...] = ()
    range_seconds: float | None = None
    offset_seconds: float = 0.0

    def __str__(self) -> str:
        matchers = f"{{{', '.join(map(str, self.matchers))}}}" if self.matchers or self.name is None else ""
        return f"{self.name or ''}{matchers}"


@dataclass(frozen=True, slots=True)
class Subquery:
    """An instant query made into a range vector."""

    inner: Node
    range_seconds: float
    step_seconds: float | None = None
    offset_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Call:
    """A function and its arguments; the minus sign before a vector is the function ``-``."""

    function: str
    arguments: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Grouping:
    """``by``, ``without``, ``on`` or ``ignoring`` and its labels."""

    word: Literal["by", "without", "on", "ignoring"]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Aggregation:
    """An aggregation; without a grouping, over everything."""

    operator: str
    inner: Node
    parameter: Node | None = None
    grouping: Grouping | None = None


@dataclass(frozen=True, slots=True)
class Binary:
    """Two operands. ``side`` is the one that may have many series for one of the other: ``group_left`` is left."""

    operator: str
    left: Node
    right: Node
    matching: Grouping | None = None
    side: Literal["left", "right"] | None = None
    carried: tuple[str, ...] = ()
    returns_bool: bool = False


@dataclass(frozen=True, slots=True)
class Number:
    """A number."""

    value: float


@dataclass(frozen=True, slots=True)
class Text:
    """A string."""

    value: str


Node: TypeAlias = Selector | Subquery | Call | Aggregation | Binary | Number | Text


def parse(text: str) -> Node:
    """Read one expression.

    Raises QueryError where it is none, is too long or nested too deeply, or asks for what Prometheus has not.
    """
    check_installed()
    _check_size(text)
    try:
        tree = _node(pp.parse(text))
    except ValueError as error:
        raise QueryError(f"{str(error) or 'it cannot be read'}") from error
    except (OverflowError, RecursionError) as error:
        raise QueryError("it is nested too deeply, or a number in it is too large") from error
    _check_age(text)
    return tree


def _check_age(text: str) -> None:
    bare = _COMMENTS_AND_STRINGS.sub(lambda found: " " if found[0].startswith("#") else '""', text)
    *ranges, last = _NEWER_FORMS
    found = next(((what, fix) for pattern, what, fix in ranges if pattern.search(bare)), None)
    if found is None and last[0].search(_DURATIONS_IN_PLACE.sub(" ", bare)):
        found = last[1:]
    if found is not None:
        raise QueryError(f"{found[0]} is refused by Prometheus 2: {found[1]}")


def check_installed() -> None:
    """Raise QueryError where promql-parser is not installed."""
    if _MISSING is not None:
        what = f"queries need the module {_MISSING.name!r}, which is not installed"
        raise QueryError(f"{what}: pip install 'prethrift-backend[contracts]'")


def children(node: Node) -> tuple[Node, ...]:
    """Return what the node is made of, in the order of the text."""
    match node:
        case Subquery():
            return (node.inner,)
        case Call():
            return node.arguments
        case Aggregation():
            return (node.inner,) if node.parameter is None else (node.parameter, node.inner)
        case Binary():
            return (node.left, node.right)
        case _:
            return ()


def walk(node: Node) -> Iterator[Node]:
    """Give the node and everything below it, parents first."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        yield current
        waiting.extend(reversed(children(current)))


def selectors(node: Node) -> Iterator[Selector]:
    """Give every selector of the tree, in the order of the text."""
    return (found for found in walk(node) if isinstance(found, Selector))


def metric_name(selector: Selector) -> str | None:
    """Return the name that the selector asks for, also where it is a matcher; None where a pattern is."""
    if selector.name is not None:
        return selector.name
    named = [m.value for m in selector.matchers if m.name == "__name__" and m.operator == "="]
    return named[0] if named else None


def _check_size(text: str) -> None:
    if len(text) > LENGTH_MAX:
        raise QueryError(f"it has {len(text)} characters: {LENGTH_MAX} are the most that are read")
    bare = _MATCHERS.sub("{", _COMMENTS_AND_STRINGS.sub(" ", text))
    if len(_OPERATION.findall(bare)) > OPERATIONS_MAX:
        raise QueryError(f"it has more than {OPERATIONS_MAX} operations: split it into recording rules")


def _node(expr: pp.Expr) -> Node:
    match expr:
        case pp.ParenExpr():
            return _node(expr.expr)
        case pp.UnaryExpr():
            return _negated(_node(expr.expr))
        case pp.NumberLiteral():
            return Number(expr.val)
        case pp.StringLiteral():
            return Text(expr.val)
        case _:
            return _selection(expr) or _operation(expr)


def _selection(expr: pp.Expr) -> Selector | Subquery | None:
    match expr:
        case pp.VectorSelector():
            return _selector(expr, None)
        case pp.MatrixSelector():
            return _selector(expr.vector_selector, expr.range)
        case pp.SubqueryExpr():
            step = None if expr.step is None else _seconds(expr.step)
            return Subquery(_node(expr.expr), _seconds(expr.range), step, _seconds(expr.offset))
        case _:
            return None


def _operation(expr: pp.Expr) -> Node:
    match expr:
        case pp.Call():
            if expr.func.experimental:
                raise QueryError(f"{expr.func.name!r} is an experimental function: Prometheus has it switched off")
            if expr.func.name in _NEWER_FUNCTIONS:
                raise QueryError(f"{expr.func.name!r} is a function that Prometheus 2 may not have")
            return Call(expr.func.name, tuple(_node(argument) for argument in expr.args))
        case pp.AggregateExpr():
            return _aggregation(expr)
        case pp.BinaryExpr():
            return _binary(expr)
        case _:
            raise QueryError(f"{type(expr).__name__} is not known here")


def _negated(inner: Node) -> Node:
    return Number(-inner.value) if isinstance(inner, Number) else Call("-", (inner,))


def _seconds(delta: timedelta | None) -> float:
    return 0.0 if delta is None else delta.total_seconds()


def _selector(expr: pp.VectorSelector, span: timedelta | None) -> Selector:
    if expr.matchers.or_matchers:
        raise QueryError("'or' between matchers is not PromQL: write two selectors")
    matchers = tuple(Matcher(m.name, _match_operator(m.op), m.value) for m in expr.matchers.matchers)
    for matcher in matchers:
        if matcher.operator in ("=~", "!~") and _NESTED_REPETITION.search(_ESCAPES_AND_CLASSES.sub("x", matcher.value)):
            raise QueryError(f"{matcher}: one repetition follows another, which RE2 refuses")
    return Selector(expr.name, matchers, None if span is None else _seconds(span), _seconds(expr.offset))


def _match_operator(operator: pp.MatchOp) -> MatchOperator:
    if operator == pp.MatchOp.Equal:
        return "="
    if operator == pp.MatchOp.NotEqual:
        return "!="
    return "=~" if operator == pp.MatchOp.Re else "!~"


def _aggregation(expr: pp.AggregateExpr) -> Aggregation:
    operator = str(expr.op)
    if operator in ("limitk", "limit_ratio"):
        raise QueryError(f"{operator!r} is experimental: Prometheus has it switched off")
    grouping = None
    if expr.modifier is not None:
        without = expr.modifier.type == pp.AggModifierType.Without
        grouping = Grouping("without" if without else "by", tuple(expr.modifier.labels))
    parameter = None if expr.param is None else _node(expr.param)
    return Aggregation(operator, _node(expr.expr), parameter, grouping)


def _binary(expr: pp.BinaryExpr) -> Binary:
    operator, left, right, modifier = str(expr.op), _node(expr.lhs), _node(expr.rhs), expr.modifier
    if modifier is None:
        return Binary(operator, left, right)
    matching = None
    if modifier.matching is not None:
        on = modifier.matching.type == pp.LabelModifierType.Include
        matching = Grouping("on" if on else "ignoring", tuple(modifier.matching.labels))
    side: Literal["left", "right"] | None = None
    if modifier.card == pp.VectorMatchCardinality.ManyToOne:
        side = "left"
    elif modifier.card == pp.VectorMatchCardinality.OneToMany:
        side = "right"
    return Binary(operator, left, right, matching, side, tuple(modifier.group_labels or ()), modifier.return_bool)
