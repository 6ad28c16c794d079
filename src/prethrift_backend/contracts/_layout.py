"""What the canonical forms of all contract files share: comments that keep their place, words in order, columns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from prethrift_backend.contracts._tokens import Token

_KEY_END: Final = re.compile(r"[=<]")


def ordered(tokens: Iterable[Token], order: Sequence[str]) -> str:
    """Join options and flags in the given order of their keys."""
    ranks = {key: rank for rank, key in enumerate(order)}
    return " ".join(sorted((token.text for token in tokens), key=lambda text: ranks[_KEY_END.split(text)[0]]))


def joined(tokens: Iterable[Token]) -> str:
    """Join words as they are, one space between."""
    return " ".join(token.text for token in tokens)


def in_columns(cells: Sequence[tuple[str, int]], note: str = "") -> str:
    """Put each text at its column, the sum of the widths before it; what is too long for its width pushes on.

    A comment stands behind all widths, two spaces away at least.
    """
    line, column = "", 0
    for text, width in cells:
        if text:
            line = _padded(line, column, least=1) + text
        column += width
    return f"{_padded(line, column, least=2)}# {note}" if note else line


def _padded(line: str, column: int, *, least: int) -> str:
    return line + " " * max(least, column - len(line)) if line else line


class Comments:
    """The comments and empty lines since the last line that says something."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        """Take in a comment, or an empty line; one of several empty ones stays."""
        if line or (self._lines and self._lines[-1]):
            self._lines.append(line)

    def add_gap(self) -> None:
        """Take in an empty line even before the first comment."""
        if not self._lines or self._lines[-1]:
            self._lines.append("")

    def take(self) -> list[str]:
        """Hand out what was gathered, and begin anew."""
        taken, self._lines = self._lines, []
        return taken


def without_outer_gaps(lines: Sequence[str]) -> list[str]:
    """Leave out empty lines at both ends."""
    return "\n".join(lines).strip("\n").split("\n") if any(lines) else []
