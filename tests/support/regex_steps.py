"""Count what a backtracking matcher does for a regular expression: work as a number, which no clock has to measure.

The steps are those of a plain matcher that tries every way in the order that `re` does. `re` itself finds the starts of
literal prefixes faster; it never does more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from re import _constants as codes  # type: ignore[attr-defined] # typeshed does not know what `re` is made of
from re import _parser as parser  # type: ignore[attr-defined] # the same
from typing import Any, TypeAlias

Node: TypeAlias = tuple[Any, Any]

_CHARACTERS = (codes.LITERAL, codes.NOT_LITERAL, codes.IN, codes.ANY)
_CATEGORIES: dict[Any, Callable[[str], bool]] = {
    codes.CATEGORY_DIGIT: str.isdigit,
    codes.CATEGORY_NOT_DIGIT: lambda character: not character.isdigit(),
    codes.CATEGORY_SPACE: str.isspace,
    codes.CATEGORY_NOT_SPACE: lambda character: not character.isspace(),
    codes.CATEGORY_WORD: lambda character: character.isalnum() or character == "_",
    codes.CATEGORY_NOT_WORD: lambda character: not (character.isalnum() or character == "_"),
}


def count_steps(pattern: re.Pattern[str], text: str) -> int:
    """Return how many steps it takes to find every match of ``pattern`` in ``text``."""
    matcher = _Matcher(text, is_folded=bool(pattern.flags & re.IGNORECASE))
    nodes = list(parser.parse(pattern.pattern, pattern.flags))
    start = 0
    while start <= len(text):
        end = next(matcher.run(nodes, start), None)
        start = start + 1 if end is None or end == start else end
    return matcher.steps


class _Matcher:
    """Match nodes of a parsed pattern, each possible end in the order in which it is tried; count what is tried."""

    def __init__(self, text: str, *, is_folded: bool) -> None:
        self.steps = 0
        self._is_folded = is_folded
        self._text = text

    def run(self, nodes: list[Node], at: int) -> Iterator[int]:
        if not nodes:
            yield at
            return
        for end in self._one(nodes[0], at):
            yield from self.run(nodes[1:], end)

    def _one(self, node: Node, at: int) -> Iterator[int]:
        self.steps += 1
        code, argument = node
        if code in _CHARACTERS:
            if at < len(self._text) and self._takes(node, self._text[at]):
                yield at + 1
        elif code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            least, most, nodes = argument
            yield from self._repeat(code, least, len(self._text) if most is codes.MAXREPEAT else most, nodes, at)
        elif code is codes.SUBPATTERN:
            yield from self.run(list(argument[3]), at)
        elif code is codes.ATOMIC_GROUP:
            yield from self._first(list(argument), at)
        elif code is codes.BRANCH:
            for branch in argument[1]:
                yield from self.run(list(branch), at)
        else:
            yield from self._width_of_nothing(code, argument, at)

    def _width_of_nothing(self, code: Any, argument: Any, at: int) -> Iterator[int]:
        if code is codes.AT:
            holds = self._stands(argument, at)
        elif code in (codes.ASSERT, codes.ASSERT_NOT):
            direction, nodes = argument
            start = at if direction > 0 else at - nodes.getwidth()[0]
            found = start >= 0 and next(self.run(list(nodes), start), None) is not None
            holds = found == (code is codes.ASSERT)
        else:
            raise NotImplementedError(f"{code} is not counted: teach tests/support/regex_steps.py")
        if holds:
            yield at

    def _first(self, nodes: list[Node], at: int) -> Iterator[int]:
        end = next(self.run(nodes, at), None)
        if end is not None:
            yield end

    def _repeat(self, code: Any, least: int, limit: int, nodes: Any, at: int) -> Iterator[int]:
        node = nodes[0]
        if len(nodes) > 1 or node[0] not in _CHARACTERS:
            yield from self._again(list(nodes), least, limit, at)
            return
        # One character, as a rule: a stretch of them has one way to be matched.
        ends = [at]
        if code is codes.MIN_REPEAT:
            yield from self._grow(node, least, limit, at)
            return
        while len(ends) <= limit and (end := next(self._one(node, ends[-1]), None)) is not None:
            ends.append(end)
        for end in reversed(ends[least:]):
            self.steps += 1
            yield end
            if code is codes.POSSESSIVE_REPEAT:
                return

    def _again(self, nodes: list[Node], least: int, limit: int, at: int) -> Iterator[int]:
        if limit > 0:
            for end in self.run(nodes, at):
                yield from self._again(nodes, least - 1, limit - 1, end)
        if least <= 0:
            yield at

    def _grow(self, node: Node, least: int, limit: int, at: int) -> Iterator[int]:
        for count in range(limit + 1):
            if count >= least:
                yield at
            end = next(self._one(node, at), None)
            if end is None:
                return
            at = end

    def _stands(self, place: Any, at: int) -> bool:
        if place is codes.AT_BOUNDARY:
            before = at > 0 and _CATEGORIES[codes.CATEGORY_WORD](self._text[at - 1])
            behind = at < len(self._text) and _CATEGORIES[codes.CATEGORY_WORD](self._text[at])
            return before != behind
        if place is codes.AT_END_STRING:
            return at == len(self._text)
        raise NotImplementedError(f"{place} is not counted: teach tests/support/regex_steps.py")

    def _takes(self, node: Node, character: str) -> bool:
        code, argument = node
        if code is codes.ANY:
            return True
        if code is codes.IN:
            is_negated = argument[0][0] is codes.NEGATE
            return is_negated != any(self._holds(item, character) for item in argument[is_negated:])
        return self._holds((codes.LITERAL, argument), character) == (code is codes.LITERAL)

    def _holds(self, item: Node, character: str) -> bool:
        code, argument = item
        if code is codes.CATEGORY:
            return _CATEGORIES[argument](character)
        forms = {character, character.lower(), character.upper()} if self._is_folded else {character}
        if code is codes.RANGE:
            return any(len(form) == 1 and argument[0] <= ord(form) <= argument[1] for form in forms)
        return chr(argument) in forms
