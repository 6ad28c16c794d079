"""The rules over exceptions from the rules."""

from __future__ import annotations

from typing import Final

from prethrift_backend.verify._rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "V004",
        "An exception is in force and in use",
        "error",
        help="An exception that has run out hides nothing any more, and one that matches no finding would hide the "
        "next one. Mend what it excuses, or take its line away.",
    ),
)
