"""The rules over the generated reference."""

from __future__ import annotations

from typing import Final

from prethrift_backend.verify._rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "V005",
        "The generated reference is what the contracts make",
        "error",
        help="A reference that says something else than the contracts is worse than none: it is believed. Write it "
        "anew with 'prethrift-backend contracts docs' (in this project: 'make docs'), never by hand.",
    ),
)
