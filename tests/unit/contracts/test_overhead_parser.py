"""The parser of overhead.txt: what it reads, and what it says of what it cannot read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.contract_fuzz import check_parsed, with_one_character_changed

from prethrift_backend.contracts import CostLimit, load_overhead, parse_overhead
from prethrift_backend.exceptions import ContractError

HEADER = "# CONTRACT overhead 1.2.3\n"


def test_budgets_are_read() -> None:
    """Case, version of Python and limits land in the model, with the line and the comment above it."""
    text = HEADER + "\n# a GET\nBUDGET request spans=0 ratio<=1.45\nBUDGET request py=3.11 opcodes=2305\n"

    contract = parse_overhead(text, source="o.txt")

    anywhere, here = contract.budget("request"), contract.budget("request", python="3.11")
    assert (contract.version, contract.cases) == ("1.2.3", ("request",))
    assert anywhere.limits == {"spans": CostLimit(0, is_exact=True), "ratio": CostLimit(1.45, is_exact=False)}
    assert (anywhere.line, anywhere.note, here.python) == (4, "a GET", "3.11")
    assert [str(limit) for limit in (*anywhere.limits.values(), *here.limits.values())] == ["=0", "<=1.45", "=2305"]


def test_an_exact_limit_is_broken_by_less_as_well() -> None:
    """What has become cheaper is written down, so that it is not given away later."""
    exact, most = CostLimit(7, is_exact=True), CostLimit(7, is_exact=False)

    assert [exact.allows(count) for count in (6, 7, 8)] == [False, True, False]
    assert [most.allows(count) for count in (6, 7, 8)] == [True, True, False]


def test_a_budget_that_is_missing_is_named() -> None:
    """The error says which case and version, and what to add."""
    with pytest.raises(ContractError, match=r"o\.txt has no budget 'probe py=3\.12': .* add a BUDGET line"):
        parse_overhead(HEADER, source="o.txt").budget("probe", python="3.12")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("BUDGET", "BUDGET ends too early"),
        ("BUDGET request", "BUDGET ends too early"),
        ("BUDGET request py=3.11", "'request' has no figure"),
        ("BUDGET Request spans=0", "'Request' is not valid here"),
        ("BUDGET request spans", "'spans' is no figure"),
        ("BUDGET request spans>=1", "'spans>=1' is no figure"),
        ("BUDGET request spans=many", "'many' is not valid here"),
        ("BUDGET request spans=1 spans<=2", "'spans' is given a second time"),
        ("BUDGET request py=3.11 py=3.12 spans=1", "'py' is given a second time"),
        ("BUDGET request py=three spans=1", "'three' is not valid here"),
        ("BUDGET a spans=1\nBUDGET a lines=1", "'a' is given a second time"),
        ("LIMIT a spans=1", "directive 'LIMIT' is unknown"),
        ("BUDGET a spans=1\n  more", "the line is indented"),
    ],
)
def test_what_cannot_be_read_is_said(line: str, said: str) -> None:
    """Each fault names its place and what to do."""
    with pytest.raises(ContractError) as raised:
        parse_overhead(HEADER + line + "\n", source="o.txt")

    assert str(raised.value).startswith(f"o.txt:{2 + line.count(chr(10))}:")
    assert said in str(raised.value)


@settings(deadline=None)
@given(st.text())
def test_no_text_crashes_the_parser(text: str) -> None:
    """Whatever the file holds, the outcome is a contract or a ContractError with a place."""
    check_parsed(parse_overhead, text)


@settings(deadline=None)
@given(st.data())
def test_no_changed_character_crashes_the_parser(data: st.DataObject) -> None:
    """Nor does a typo in the real file."""
    text = Path(load_overhead().source).read_text(encoding="utf-8")

    check_parsed(parse_overhead, with_one_character_changed(data, text))
