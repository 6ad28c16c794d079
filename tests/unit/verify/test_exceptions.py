"""Exceptions from the rules: how their file is read, what they cover, and when they are errors themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.findings import ADDED, CLEAN, REMOVED

from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.exceptions import RuleException, apply_exceptions, load_exceptions, parse_exceptions
from prethrift_backend.verify.findings import Excused, Finding, Outcome, Place

ROOT = Path(__file__).parents[3]
KNOWN = ("M001", "L003", "V004")
DAY = date(2027, 1, 31)
LINE = 'M001 http_requests_total until=2027-01-31 reason="agreed"'


def _parse(text: str) -> tuple[RuleException, ...]:
    return parse_exceptions(text, source="exceptions.txt", known_rules=KNOWN)


def _faults(text: str) -> list[str]:
    with pytest.raises(ContractError) as raised:
        _parse(text)
    return str(raised.value).split("\n")


def _apply(text: str, *findings: Finding, rules: tuple[str, ...] = ("M001",), today: date = DAY) -> Outcome:
    return apply_exceptions(replace(CLEAN, findings=findings, rules=rules), _parse(text), today=today)


def test_a_line_is_an_exception() -> None:
    """Rule, target, day, reason and line are read; comments and empty lines are passed over."""
    assert _parse(f"# why\n\n{LINE}\n") == (
        RuleException("M001", "http_requests_total", DAY, "agreed", Place("exceptions.txt", 3)),
    )


def test_quotation_marks_hold_spaces_and_each_other() -> None:
    """A span's name has a space; a backslash stands before a quotation mark and before itself."""
    (exception,) = _parse('M001 "GET {route}" reason="said \\"yes\\" \\\\ no" until=2027-01-31')

    assert (exception.target, exception.reason) == ("GET {route}", 'said "yes" \\ no')


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('M999 x until=2027-01-31 reason="a"', "1: no rule 'M999' to be excepted from: "),
        ('V004 x until=2027-01-31 reason="a"', "1: no rule 'V004' to be excepted from: "),
        ('M001 until=2027-01-31 reason="a"', "33: 1 words where two stand: "),
        ('M001 x y until=2027-01-31 reason="a"', "8: 3 words where two stand: "),
        ('M001 x reason="a"', "18: no until= with a value: "),
        ("M001 x until=2027-01-31", "24: no reason= with a value: "),
        ('M001 x until=2027-01-31 reason=" "', "35: no reason= with a value: "),
        ('M001 x until=2027-02-30 reason="a"', "8: until='2027-02-30' is no day: "),
        ('M001 x until=20270131 reason="a"', "8: until='20270131' is no day: "),
        ('M001 x until=2027-W04-7 reason="a"', "8: until='2027-W04-7' is no day: "),
        ('M001 x until=2027-01-31 reason="a" reason="b"', "36: reason= stands twice: "),
        ('M001 x until=2027-01-31 reason="a" owner=me', "36: owner= is unknown: "),
        ('M001 x until=2027-01-31 reason="a', "25: 'reason=\"a' cannot be read: "),
        ('M001 "x"y until=2027-01-31 reason="a"', "6: '\"x\"y until=2027-01-3' cannot be read: "),
    ],
)
def test_what_cannot_be_read_is_said_by_line_and_column(line: str, fault: str) -> None:
    """Each fault names file, line, column, what is wrong, the rule and the fix."""
    (found,) = _faults(f"# a comment\n{line}")

    assert found.startswith(f"exceptions.txt:2:{fault}")
    assert "; " in found


def test_all_faults_are_reported_together() -> None:
    """One pass finds them all, so that a file is mended in one go."""
    assert len(_faults(f"nothing\n{LINE}\n{LINE}\nM001")) == 3


def test_an_exception_stands_once() -> None:
    """The second line for one rule and target names the first."""
    (fault,) = _faults(f"{LINE}\n{LINE}")

    assert fault.startswith("exceptions.txt:2:1: M001 'http_requests_total' stands in line 1 already: ")


@given(
    st.lists(st.one_of(st.text(max_size=8), st.sampled_from([LINE, 'M001 "', "until=", "\n", "\\", '"'])), max_size=6)
)
def test_no_text_crashes_the_parser(parts: list[str]) -> None:
    """Whatever a file holds, the answer is exceptions or faults."""
    try:
        exceptions = _parse(" ".join(parts))
    except ContractError as error:
        assert str(error).startswith("exceptions.txt:")  # noqa: PT017 - whether it is raised is the input's matter
    else:
        assert all(exception.reason for exception in exceptions)


def test_a_covered_finding_is_excused() -> None:
    """It leaves the findings and is kept with reason and day; others stay."""
    outcome = _apply(LINE, REMOVED, ADDED)

    assert outcome.findings == (ADDED,)
    assert outcome.excused == (Excused(REMOVED, "agreed", "2027-01-31"),)


@pytest.mark.parametrize(
    ("target", "is_covered"),
    [
        ("http_requests_total", True),
        ("http_*", True),
        ("*", True),
        ("http_requests", False),
        ("http.requests.total", False),
        ("HTTP_REQUESTS_TOTAL", False),
        ("http_[a-z]*", False),
    ],
)
def test_only_a_star_stands_for_other_text(target: str, is_covered: bool) -> None:
    """The target is the whole name; no other character has a meaning."""
    (exception,) = _parse(f"M001 {target} until=2027-01-31 reason=agreed")

    assert exception.covers(REMOVED) is is_covered


def test_another_rule_is_not_covered() -> None:
    """An exception is about one rule."""
    (exception,) = _parse(LINE)

    assert not exception.covers(replace(REMOVED, rule="L003"))


def test_the_day_is_the_last_in_force() -> None:
    """On the day itself it covers; on the next it is an error, and so is what it covered."""
    assert _apply(LINE, REMOVED, today=DAY).findings == ()

    late = _apply(LINE, REMOVED, today=date(2027, 2, 1)).findings
    assert [(finding.rule, finding.level, finding.place) for finding in late] == [
        ("M001", "error", REMOVED.place),
        ("V004", "error", Place("exceptions.txt", 1)),
    ]
    assert late[1].message == "the exception ran out on 2027-01-31"


def test_an_unused_exception_is_an_error() -> None:
    """One that covers nothing would hide the next fault."""
    (finding,) = _apply(LINE).findings

    assert (finding.rule, finding.name) == ("V004", "M001 http_requests_total")
    assert finding.message == "the exception is not used: nothing breaks this rule there"


def test_a_command_that_does_not_judge_the_rule_says_nothing() -> None:
    """An exception for `diff` is not unused because `lint` has no finding for it."""
    assert _apply(LINE, rules=("L003",)).findings == ()


def test_a_run_that_cannot_tell_calls_no_exception_unused() -> None:
    """Where the server did not answer, nothing is known of what it breaks."""
    outcome = replace(CLEAN, rules=("M001",), inconclusive=("no answer",))

    assert apply_exceptions(outcome, _parse(LINE), today=DAY).findings == ()


def test_two_exceptions_may_cover_one_finding() -> None:
    """Neither the broad one nor the exact one is unused because the other came first."""
    outcome = _apply(f'{LINE}\nM001 http_* until=2027-01-31 reason="all"', REMOVED)

    assert outcome.findings == ()


def test_a_folder_without_the_file_has_no_exceptions(tmp_path: Path) -> None:
    """The file is optional."""
    assert load_exceptions(tmp_path) == ()


def test_a_file_that_is_not_text_is_refused_by_name(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are no exceptions."""
    (tmp_path / "exceptions.txt").write_bytes(b"\xff")

    with pytest.raises(ContractError, match=r"exceptions\.txt: .*UTF-8"):
        load_exceptions(tmp_path)


def test_our_own_file_can_be_read() -> None:
    """What the repository ships parses against the table of all rules."""
    assert load_exceptions(ROOT / "contracts") is not None
