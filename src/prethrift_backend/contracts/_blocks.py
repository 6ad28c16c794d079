"""The lines of ``logs.txt``, ``spans.txt`` and ``settings.txt``, and the reader that all three have in common.

A line begins with a directive in upper case; lines indented by two say more of the directive above, by four more of
that. ``#`` as a word of its own begins a comment. The one directive that stands in a comment is ``# CONTRACT``, so
that all contract files begin alike.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, NamedTuple

from prethrift_backend.contracts._reading import Faults, check_line, comment_text, numbered_lines
from prethrift_backend.contracts._tokens import (
    COUNT_OPTION,
    VERSION,
    FaultError,
    Token,
    check_end,
    check_match,
    check_once,
    operand,
    split,
)
from prethrift_backend.contracts.values import Count

_INDENT: Final = re.compile(r"[ \t]*")
_DEEP: Final = 4  # spaces; fewer are the first depth


class Line(NamedTuple):
    """The words of a line, how deep it stands, and the comment at its end, with those above it once it is read."""

    number: int
    depth: int
    tokens: list[Token]
    note: str


def take_apart(text: str, number: int) -> Line:
    """Split a line that is neither empty nor a comment."""
    spaces = _INDENT.match(text)
    indent = spaces[0] if spaces else ""
    if "\t" in indent:
        raise FaultError(1, "the line is indented by a tab", "a depth is two spaces", "write spaces")
    tokens = split(text, number)
    end = next((index for index, token in enumerate(tokens) if token.text == "#"), len(tokens))
    note = text[tokens[end].column :].strip(" \t") if end < len(tokens) else ""
    return Line(number, (len(indent) > 0) + (len(indent) >= _DEEP), tokens[:end], note)


def contract_tokens(text: str, number: int) -> list[Token] | None:
    """Return the words of a ``# CONTRACT`` line from that word on, None where the line is another comment."""
    tokens = split(text, number)
    is_contract = len(tokens) > 1 and tokens[0].text == "#" and tokens[1].text == "CONTRACT"
    return tokens[1:] if is_contract else None


class BlockReader(ABC):
    """The state of one pass over a file; a fault is noted and the next line goes on."""

    signal: str

    def __init__(self, source: str) -> None:
        self.faults = Faults(source)
        self.version: str | None = None
        self._has_contract_line = False
        self._above: list[str] = []  # the comments since the last line that is empty or says something
        self._note = ""
        self._skips = False  # what is indented below a line that cannot be read is no further fault
        self._directives: dict[str, Callable[[list[Token]], None]] = {}

    def read(self, text: str) -> str:
        """Take in all lines; return the version."""
        for number, line in numbered_lines(text):
            if not line:
                self._above.clear()
            else:
                self._attempt(number, lambda line=line, number=number: self._read_line(line, number))  # type: ignore[misc] # mypy cannot infer a lambda with defaults
        if self.version is None and not self._has_contract_line:
            fix = f"add '# CONTRACT {self.signal} 1.0.0'"
            self.faults.note(1, FaultError(1, "no CONTRACT line", "every contract has a version", fix))
        return self.version or "0.0.0"

    def _attempt(self, number: int, action: Callable[[], None]) -> None:
        try:
            action()
        except FaultError as fault:
            self.faults.note(number, fault)

    def _read_line(self, text: str, number: int) -> None:
        check_line(text)
        if text.lstrip(" \t").startswith("#"):
            self._read_comment(text, number)
            return
        line = take_apart(text, number)
        self._note = " ".join([*self._above, *[line.note] * (line.note != "")])
        self._above.clear()
        line = line._replace(note=self._note)
        if line.depth:
            if not self._skips:
                self._read_inner(line)
            return
        key = line.tokens[0]
        self._leave()
        self._skips = True
        if key.text not in self._directives:
            known = ", ".join(sorted(self._directives))
            what, rule = f"directive {key.text!r} is unknown", f"a line begins with one of {known}"
            raise FaultError(key.column, what, rule, "correct it, or begin the line with '# '")
        self._directives[key.text](line.tokens)
        self._skips = False

    def _read_comment(self, text: str, number: int) -> None:
        tokens = contract_tokens(text, number)
        if tokens is None:
            self._above += comment_text(text)
            return
        self._above.clear()
        self._has_contract_line = True
        self._read_contract(tokens)

    def _read_contract(self, tokens: list[Token]) -> None:
        form = f"CONTRACT {self.signal} 1.0.0"
        signal, version = operand(tokens, 1, form), operand(tokens, 2, form)
        if signal.text != self.signal:
            what, rule = f"contract of {signal.text!r}", f"this file is of {self.signal}"
            raise FaultError(signal.column, what, rule, f"write '# {form}'")
        check_match(VERSION, version, "a version has three numbers", "1.0.0")
        check_end(tokens, 3)
        check_once(self.version, tokens[0])
        self.version = version.text

    @abstractmethod
    def _read_inner(self, line: Line) -> None:
        """Take in an indented line."""

    @abstractmethod
    def _leave(self) -> None:
        """Forget the block that the lines before belong to."""


def make_count(given: dict[str, Token]) -> Count | None:
    """Read ``count=1/request`` or ``count<=1/request`` out of options."""
    exact, most = given.get("count"), given.get("count<")
    token = exact or most
    if token is None:
        return None
    if exact is not None and most is not None:
        raise FaultError(most.column, "a second count", "it is said once", "take one of the two away")
    found = COUNT_OPTION.fullmatch(token.text)
    if found is None:
        rule = "a count is a whole number, perhaps with what it is counted by"
        raise FaultError(token.column, f"{token.text!r} is no count", rule, "write count=1/request or count<=1")
    return Count(int(found[1]), found[2], is_exact=exact is not None)
