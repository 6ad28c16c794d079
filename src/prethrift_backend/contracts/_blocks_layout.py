"""The canonical form of ``logs.txt``, ``spans.txt``, ``settings.txt`` and ``overhead.txt``.

Directives stand in the order of the tables below, and within one kind in the order of the file. A comment stays above
the line that it was above, and empty lines between directives stay, one at a time; within a block there are none.
Columns are at fixed places, so that one long name does not move a whole file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from prethrift_backend.contracts._blocks import Line, contract_tokens, take_apart
from prethrift_backend.contracts._layout import Comments, in_columns, joined, ordered, without_outer_gaps
from prethrift_backend.contracts._reading import numbered_lines
from prethrift_backend.contracts._tokens import Token

_WITH_OPERAND: Final = ("enum", "enum+", "match", "const")


@dataclass(slots=True)
class _Node:
    """A line, the comments above it, and the lines below it that are indented more."""

    line: Line
    comments: list[str]
    children: list[_Node] = field(default_factory=list)


class _Form(NamedTuple):
    """How the lines of one file are written, by their first word; ``*`` is any other word in a block."""

    top: Mapping[str, Callable[[Line], str]]
    inner: Mapping[str, Callable[[Line], str]]
    depth: int


def lay_out_blocks(text: str, signal: str) -> str:
    """Return the canonical form of a text that is a valid contract of this signal."""
    form = _FORMS[signal]
    comments = Comments()
    nodes = _read(text, comments, form.depth)
    tops = list(form.top)
    nodes.sort(key=lambda node: tops.index(node.line.tokens[0].text))
    lines: list[str] = []
    for node in nodes:
        lines += [*node.comments, form.top[node.line.tokens[0].text](node.line)]
        _write_inner(node, form, lines, "  ")
    lines += comments.take()
    collapsed = Comments()
    for line in lines:
        collapsed.add(line)
    return "\n".join(without_outer_gaps(collapsed.take())) + "\n"


def _read(text: str, comments: Comments, deepest: int) -> list[_Node]:
    path: list[_Node] = []
    nodes: list[_Node] = []
    for number, raw in numbered_lines(text):
        if not raw:
            comments.add_gap()
            continue
        line = _understood(raw, number)
        if line is None:
            comments.add(raw.strip(" \t"))
            continue
        depth = min(line.depth, deepest)
        siblings = nodes if depth == 0 else path[depth - 1].children
        node = _Node(line, comments.take())
        siblings.append(node)
        if line.tokens[0].text != "CONTRACT":  # it stands in a comment, which ends no block
            path[depth:] = [node]
    return nodes


def _understood(raw: str, number: int) -> Line | None:
    if not raw.lstrip(" \t").startswith("#"):
        return take_apart(raw, number)
    tokens = contract_tokens(raw, number)
    return None if tokens is None else Line(number, 0, tokens, "")


def _write_inner(node: _Node, form: _Form, lines: list[str], indent: str) -> None:
    ranks = {key: rank for rank, key in enumerate(form.inner)}
    deep = len(indent) > 2

    def key(child: _Node) -> str:
        word = child.line.tokens[0].text
        return word if word in ranks and not deep else "*"

    for child in sorted(node.children, key=lambda child: ranks[key(child)]):
        lines += [indent + comment for comment in child.comments if comment]
        # The first column has the indent in it, so that types stand below each other at every depth.
        first = child.line.tokens[0]
        shifted = child.line._replace(tokens=[first._replace(text=indent + first.text), *child.line.tokens[1:]])
        lines.append(form.inner[key(child)](shifted))
        _write_inner(child, form, lines, indent + "  ")


def _value_cells(tokens: list[Token]) -> tuple[str, str, str]:
    """Return name, type and requirement."""
    kind = tokens[1].text
    listed = 3 if kind in _WITH_OPERAND else 2
    said, words = tokens[1:listed], tokens[listed:]
    required = [token for token in words if token.text.startswith("required")]
    limits = [token for token in words if not token.text.startswith("required")]
    limits.sort(key=lambda token: (token.text == "or-null", token.text.startswith("max=")))
    return tokens[0].text, joined([*said, *limits]), joined(required)


def _contract(line: Line) -> str:
    return f"# {joined(line.tokens)}"


def _words(width: int, *, whole: int = 0) -> Callable[[Line], str]:
    """Write the key in ``width`` columns and the words as they are; a comment stands at column ``whole``."""

    def write(line: Line) -> str:
        text = in_columns([(line.tokens[0].text, width), (joined(line.tokens[1:]), 0)])
        return in_columns([(text, whole)], line.note)

    return write


def _options(operands: int, order: tuple[str, ...], *, width: int = 0) -> Callable[[Line], str]:
    def write(line: Line) -> str:
        said, given = line.tokens[1 : operands + 1], line.tokens[operands + 1 :]
        words = " ".join(part for part in (joined(said), ordered(given, order)) if part)
        return in_columns([(line.tokens[0].text, width), (words, 0)], line.note)

    return write


def _value(name_width: int, type_width: int) -> Callable[[Line], str]:
    def write(line: Line) -> str:
        name, kind, required = _value_cells(line.tokens)
        return in_columns([(name, name_width), (kind, type_width), (required, 0)], line.note)

    return write


def _field(line: Line) -> str:
    name, kind, required = _value_cells(line.tokens[2:])
    return in_columns([("FIELD *", 9), (name, 13), (kind, 21), (required, 17)], line.note)


def _resource(line: Line) -> str:
    name, kind, required = _value_cells(line.tokens[1:])
    return in_columns([("RESOURCE", 9), (name, 29), (kind, 35), (required, 0)], line.note)


def _setting(line: Line) -> str:
    listed = 4 if line.tokens[2].text == "enum" else 3
    kind, given = line.tokens[2:listed], line.tokens[listed:]
    words = f"{joined(kind)} {ordered(given, ('default', 'group', 'secret', 'required'))}"
    return in_columns([(joined(line.tokens[:2]), 32), (words, 0)], line.note)


def _budget(line: Line) -> str:
    given = sorted(line.tokens[2:], key=lambda token: not token.text.startswith("py="))
    return in_columns([(joined(line.tokens[:2]), 31), (joined(given), 0)], line.note)


_FORMS: Final[Mapping[str, _Form]] = {
    "logs": _Form(
        top={
            "CONTRACT": _contract,
            "RECORD": _options(0, ("json", "utf-8", "max-bytes", "one-per-line"), width=9),
            "FIELD": _field,
            "NEVER-KEY": _words(13),
            "NEVER-VALUE": _words(13),
            "EVENT": _options(1, ("level", "logger", "stability", "count", "open-fields")),
        },
        inner={"*": _value(23, 52)},
        depth=1,
    ),
    "spans": _Form(
        top={
            "CONTRACT": _contract,
            "RECORD": _options(0, ("max-attributes", "max-events", "max-links", "max-text"), width=9),
            "RESOURCE": _resource,
            "NEVER-KEY": _words(13),
            "NEVER-VALUE": _words(13),
            "SPAN": _options(1, ("kind", "scope", "stability", "count", "parent")),
        },
        inner={
            "NAME": _words(0, whole=85),
            "*": _value(33, 52),
            "STATUS": _words(0, whole=85),
            "EVENT": _words(0, whole=85),
            "LINK": _words(0, whole=85),
            "OPEN": _words(0, whole=85),
        },
        depth=2,
    ),
    "overhead": _Form(top={"CONTRACT": _contract, "BUDGET": _budget}, inner={}, depth=0),
    "settings": _Form(top={"CONTRACT": _contract, "SETTING": _setting}, inner={}, depth=0),
}
