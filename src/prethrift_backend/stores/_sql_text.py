"""What may be said of a statement: its operation, its table, and its text without any value.

SQLAlchemy sends values apart from the text, but text that somebody wrote by hand may hold some, and a comment may hold
anything. Words are read as PostgreSQL reads them (its manual, section 4.1, Lexical Structure), in one pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

# Arbitrary: the longest statement of ours has about 3,000 characters, and a span's text is cut at 4,096.
MAX_TEXT: Final = 4096
# What is read of a statement. Arbitrary; what is longer holds its values in the text, and is cut anyway.
_MAX_READ: Final = 16_384
# As many texts as are described once and for all. Arbitrary: the backend has about twenty statements.
_KEPT: Final = 128

_IDENTIFIER: Final = r'(?:"(?:[^"]|"")*"|[^\W\d][\w$]*)'
_TOKEN: Final = re.compile(
    rf"""
      (?P<blank>   (?:\s|--[^\n]*)+ )
    | (?P<comment> /\* )
    | (?P<value>   [eE]'(?:[^'\\]|''|\\.)*(?:'|\Z)               # with C's escapes
                 | (?:[bBnNxX]|[uU]&)?'(?:[^']|'')*(?:'|\Z)
                 | \$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)
                 | "(?:[^"]|"")*\Z                                  # a name without its end is no name
                 | (?:\d|\.\d)(?:[eE][+-]\d|[\w.])* )
    | (?P<word>    {_IDENTIFIER}(?:\s*\.\s*{_IDENTIFIER})* )
    | (?P<other>   \$\d+ | :: | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE: Final = re.compile(r"/\*|\*/")

_VERBS: Final = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "VALUES", "TABLE"})
_BEFORE_TABLE: Final = frozenset({"FROM", "JOIN", "INTO", "UPDATE"})
_NO_TABLE: Final = frozenset({"LATERAL", "SET", "SELECT"})


@dataclass(frozen=True, slots=True)
class Described:
    """A statement as telemetry shows it; ``collection`` is the first table it names, None where it names none."""

    operation: str
    collection: str | None
    text: str

    @property
    def summary(self) -> str:
        """Operation and table: "SELECT items"."""
        return self.operation if self.collection is None else f"{self.operation} {self.collection}"


def describe(statement: str) -> Described:
    """Describe a statement; the same text is read once."""
    return _describe(statement[:_MAX_READ])


@lru_cache(maxsize=_KEPT)
def _describe(statement: str) -> Described:
    pieces = list(_pieces(statement))
    operation, collection = _subject([piece for piece in pieces if piece != " "])
    text = "".join(pieces).strip()
    return Described(operation, collection, text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…")


def _pieces(statement: str) -> Iterator[str]:
    """Yield the words of a statement, ? for each value, and one blank for white space and comments between them."""
    position, is_blank = 0, True
    while position < len(statement):
        match = _TOKEN.match(statement, position)
        if match is None:  # every character is some token; this is for the type checker
            return
        position = match.end()
        if match.lastgroup == "comment":
            position = _end_of_comment(statement, position)
        if match.lastgroup in {"blank", "comment"}:
            if not is_blank:
                yield " "
            is_blank = True
            continue
        is_blank = False
        # `lastgroup` is the outer group: a named group inside one ends before it.
        yield "?" if match.lastgroup == "value" else match.group()


def _end_of_comment(statement: str, position: int) -> int:
    """Return where the comment ends whose beginning was read; they nest in PostgreSQL."""
    depth = 1
    for edge in _COMMENT_EDGE.finditer(statement, position):
        depth += 1 if edge.group() == "/*" else -1
        if not depth:
            return edge.end()
    return len(statement)


def _subject(pieces: Sequence[str]) -> tuple[str, str | None]:
    """Return what the statement does, and to which table: the first outside of brackets that no WITH has named."""
    outside = list(_outside_brackets(pieces))
    words = [word.upper() for word in outside]
    first = words[0] if words and words[0][:1].isalpha() else "OTHER"
    start = next((place for place, word in enumerate(words) if word in _VERBS), 0) if first == "WITH" else 0
    # The name stands before AS, or before the brackets with its columns.
    named = {outside[place - 1 - (words[place - 1] == "()")] for place in range(2, start) if words[place] == "AS"}
    operation = words[start] if first == "WITH" else first
    return operation, _table(outside[start:], words[start:], named)


def _outside_brackets(pieces: Sequence[str]) -> Iterator[str]:
    """Yield what is in no brackets, a pair of them as one piece "()"."""
    depth = 0
    for piece in pieces:
        if piece == "(":
            if not depth:
                yield "()"
            depth += 1
        elif piece == ")":
            depth = max(0, depth - 1)
        elif not depth:
            yield piece


def _table(outside: Sequence[str], words: Sequence[str], named: set[str]) -> str | None:
    for place, word in enumerate(words):
        if word not in _BEFORE_TABLE:
            continue
        after = place + 2 if words[place + 1 : place + 2] == ["ONLY"] else place + 1
        found = outside[after : after + 2]
        # Brackets behind a name: a function after FROM, the columns after INTO.
        is_call = word != "INTO" and found[1:] == ["()"]
        if found and _is_name(found[0]) and found[0] not in named and not is_call:
            return found[0]
    return None


def _is_name(piece: str) -> bool:
    return (piece[0].isalpha() or piece[0] in '_"') and piece.upper() not in _NO_TABLE
