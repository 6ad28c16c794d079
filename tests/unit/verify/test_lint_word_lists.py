"""Enumerations of a source against the closed lists of the contracts."""

from __future__ import annotations

import pytest
from tests.support.contract_edits import CONTRACTS

from prethrift_backend.contracts import load_contracts
from prethrift_backend.verify.findings import Finding
from prethrift_backend.verify.lint.source import Source, read_module
from prethrift_backend.verify.lint.word_lists import check_word_lists


def _findings(*words: str, base: str = "StrEnum") -> list[Finding]:
    lines = [f"    X{at} = {word!r}" for at, word in enumerate(words)]
    text = "\n".join((f"class State({base}):", *lines, "    @property\n    def is_well(self): return True"))
    source = Source([read_module(text, name="shop", path="/src/shop.py")])
    return list(check_word_lists(load_contracts(CONTRACTS), source))


@pytest.mark.parametrize("words", [("healthy", "degraded", "down"), ("healthy", "degraded")])
def test_an_enumeration_that_is_nearly_a_promised_list_is_found(words: tuple[str, ...]) -> None:
    """A word that was changed or left out is CD017, at the class."""
    (finding,) = _findings(*words)

    assert (finding.rule, finding.name, str(finding.place)) == ("CD017", "State", "/src/shop.py:1")
    assert finding.expected == "degraded|healthy|unhealthy"


@pytest.mark.parametrize(
    "words",
    [
        ("healthy", "degraded", "unhealthy"),
        ("healthy", "degraded", "unhealthy", "unknown"),
        ("healthy", "open", "closed", "ajar"),
        ("red", "green"),
        (),
    ],
)
def test_a_list_with_all_words_or_of_its_own_is_no_finding(words: tuple[str, ...]) -> None:
    """The same words, more of them, or others altogether are allowed."""
    assert _findings(*words) == []


def test_a_class_that_is_no_enumeration_is_passed_over() -> None:
    """Attributes of any class may hold any words."""
    assert _findings("healthy", "degraded", base="Thing") == []
