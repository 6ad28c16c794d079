"""The rules over what a run of the tests exercises."""

from __future__ import annotations

from typing import Final

from prethrift_backend.verify._rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "CV001",
        "A promised item is exercised by a test",
        "error",
        None,
        "Nothing shows that the code still keeps this promise, so that it may break unseen. Add a test that makes the "
        "application write, count, answer or read it.",
    ),
    Rule(
        "CV002",
        "A promised part of an item is exercised by a test",
        "error",
        None,
        "The item itself is exercised, this value, field, level, attribute or status of it is not. Add a test that "
        "brings it about, or take it out of the contract where nothing can.",
    ),
    Rule(
        "CV003",
        "The test run passed",
        "error",
        None,
        "What a run exercises that failed is worth nothing. Mend the tests, or what they found.",
    ),
)
