"""The parser of logs.txt: what it reads, and what it says of what it cannot read."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.contract_fuzz import check_parsed, with_one_character_changed

from prethrift_backend.contracts import Count, LogField, LogRecord, ValueType, load_logs, parse_logs
from prethrift_backend.exceptions import ContractError

HEADER = "# CONTRACT logs 1.2.3\n"
EVENT = "EVENT order_placed level=info\n"


def _fault(text: str) -> str:
    with pytest.raises(ContractError) as raised:
        parse_logs(text, source="l.txt")
    return str(raised.value)


def test_what_holds_for_every_line_is_read() -> None:
    """RECORD, FIELD and NEVER lines land in the contract, each with its line."""
    text = (
        HEADER
        + "RECORD json utf-8 max-bytes=100 one-per-line\n"
        + "FIELD *  trace_id match [0-9a-f]{32} required-if=span&LOG_DATADOG  # hexadecimal\n"
        + "NEVER-KEY password|set-cookie\nNEVER-KEY token\nNEVER-VALUE jwt|pem\n"
    )

    contract = parse_logs(text, source="l.txt")

    assert (contract.version, contract.sha256) == ("1.2.3", hashlib.sha256(text.encode()).hexdigest())
    assert contract.record == LogRecord(max_bytes=100, is_one_per_line=True)
    (field,) = contract.fields
    assert field == LogField(
        "trace_id", ValueType("match", pattern="[0-9a-f]{32}"), required_if=("span", "LOG_DATADOG")
    )
    assert (field.note, field.line) == ("hexadecimal", 3)
    assert [(word.name, word.line) for word in contract.never_keys] == [
        ("password", 4),
        ("set-cookie", 4),
        ("token", 5),
    ]
    assert [word.name for word in contract.never_values] == ["jwt", "pem"]


def test_an_event_is_read_with_its_fields() -> None:
    """Levels, logger, stability, count and open-fields are options; the indented lines are fields."""
    text = (
        HEADER
        + "EVENT order_placed level=info|debug logger=shop.orders stability=beta count<=1/request open-fields\n"
        + "  order_id  string max=36  required   # ours\n\n# between\n  total     number >=0 or-null\n"
        + "EVENT order_lost level=error count=2\n"
    )

    contract = parse_logs(text, source="l.txt")

    placed, lost = contract.events
    assert (placed.levels, placed.logger, placed.stability) == (("info", "debug"), "shop.orders", "beta")
    assert (placed.count, placed.is_open, placed.line) == (Count(1, "request"), True, 2)
    assert placed.fields == (
        LogField("order_id", ValueType("string", max_length=36), required=True),
        LogField("total", ValueType("number", minimum=0, allows_null=True)),
    )
    assert placed.fields[1].line == 6
    assert (lost.logger, lost.stability, lost.is_open) == (None, "development", False)
    assert lost.count == Count(2, is_exact=True)
    assert contract.event("order_lost") is lost


def test_an_event_that_is_not_there_is_named_with_the_file() -> None:
    """Asking for an unknown event raises with its name and the contract's."""
    with pytest.raises(ContractError, match=r"'lost' is not in l\.txt"):
        parse_logs(HEADER, source="l.txt").event("lost")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("EVENT a level=info\n", "l.txt:1:1: no CONTRACT line"),
        ("# CONTRACT metrics 1.0.0\n", "l.txt:1:12: contract of 'metrics'"),
        ("#CONTRACT logs 1.0.0\n", "l.txt:1:1: no CONTRACT line"),
        (HEADER + HEADER, "l.txt:2:3: 'CONTRACT' is given a second time"),
        (HEADER + "EVNT a level=info\n  b string\n", "l.txt:2:1: directive 'EVNT' is unknown"),
        (HEADER + "event a level=info\n", "l.txt:2:1: directive 'event' is unknown"),
        (HEADER + "EVENT\n", "l.txt:2:6: EVENT ends too early"),
        (HEADER + "EVENT Order level=info\n", "l.txt:2:7: 'Order' is not valid here"),
        (HEADER + EVENT + EVENT, "l.txt:3:7: 'order_placed' is given a second time"),
        (HEADER + "EVENT a\n", "l.txt:2:1: EVENT has no level"),
        (HEADER + "EVENT a level=fatal\n", "l.txt:2:15: 'fatal' is no level"),
        (HEADER + "EVENT a level=info|info\n", "l.txt:2:15: 'info|info' is no level"),
        (HEADER + "EVENT a level=info openfields\n", "l.txt:2:20: 'openfields' is no option here"),
        (HEADER + "EVENT a level=info stability=solid\n", "l.txt:2:30: stability 'solid' is unknown"),
        (HEADER + "EVENT a level=info count=x\n", "l.txt:2:26: 'x' is no count"),
        (HEADER + "EVENT a level=info count=1 count<=1\n", "l.txt:2:35: a second count"),
        (HEADER + "RECORD json lines\n", "l.txt:2:13: 'lines' is no option here"),
        (HEADER + "RECORD json\nRECORD json\n", "l.txt:3:1: 'RECORD' is given a second time"),
        (HEADER + "FIELD a string\n", "l.txt:2:7: 'a' is no scope"),
        (HEADER + "FIELD * a\n", "l.txt:2:10: a ends too early"),
        (HEADER + "FIELD * a text\n", "l.txt:2:11: type 'text' is unknown"),
        (HEADER + "FIELD * a string\nFIELD * a int\n", "l.txt:3:9: 'a' is given a second time"),
        (HEADER + "FIELD * a enum\n", "l.txt:2:11: 'enum' says no values"),
        (HEADER + "FIELD * a enum b||c\n", "l.txt:2:16: 'b||c' has an empty or a repeated value"),
        (HEADER + "FIELD * a match [b\n", "l.txt:2:17: pattern '[b' cannot be read"),
        (HEADER + "FIELD * a int max=3\n", "l.txt:2:15: 'max=3' is no word for a value"),
        (HEADER + "FIELD * a string >=3\n", "l.txt:2:18: '>=3' is no word for a value"),
        (HEADER + "FIELD * a int 3..1\n", "l.txt:2:15: range '3..1' is empty"),
        (HEADER + "FIELD * a int x..1\n", "l.txt:2:15: 'x' is not valid here"),
        (HEADER + "FIELD * a string requird\n", "l.txt:2:18: 'requird' is no word for a value"),
        (HEADER + "FIELD * a string required required-if=b\n", "l.txt:2:27: 'required-if=b' is given a second"),
        (HEADER + "FIELD * a string required-if=\n", "l.txt:2:30: '' is not valid here"),
        (HEADER + "FIELD * a string #note\n", "l.txt:2:18: '#note' is no word for a value"),
        (HEADER + "NEVER-KEY Password\n", "l.txt:2:11: 'Password' is not valid here"),
        (HEADER + "NEVER-KEY a b\n", "l.txt:2:13: 'b' is too much"),
        (HEADER + "NEVER-KEY a\nNEVER-KEY b|a\n", "l.txt:3:13: 'a' is given a second time"),
        (HEADER + "NEVER-VALUE jtw\n", "l.txt:2:13: no rule for values is called 'jtw'"),
        (HEADER + "FIELD * token string\nNEVER-KEY token\n", "l.txt:2:9: 'token' is promised"),
        (HEADER + "NEVER-KEY token\n" + EVENT + "  token string\n", "l.txt:4:3: 'token' is promised"),
        (HEADER + "FIELD * a string\n" + EVENT + "  a string\n", "l.txt:4:3: 'a' is given a second time"),
        (HEADER + "  a string\n", "l.txt:2:1: an indented line without an EVENT"),
        (HEADER + EVENT + "FIELD * a string\n  b string\n", "l.txt:4:1: an indented line without an EVENT"),
        (HEADER + EVENT + "\ta string\n", "l.txt:3:1: the line is indented by a tab"),
        (HEADER + EVENT + "  a string \x1b[2J\n", "l.txt:3:12: control character '\\x1b'"),
    ],
)
def test_fault_names_place_rule_and_fix(text: str, expected: str) -> None:
    """Each fault says file, line, column and what is wrong, then the rule, then the fix; nothing follows from it."""
    fault = _fault(text)

    assert expected in fault
    assert len(fault.splitlines()) == 1
    assert fault.count(": ") >= 2
    assert "; " in fault


def test_all_faults_come_at_once() -> None:
    """One error tells every fault, in words and as values."""
    with pytest.raises(ContractError) as raised:
        parse_logs("EVNT\n" + EVENT + "  a strin\n  b string max=0\nFOO\n", source="l.txt")

    places = [(fault.line, fault.column) for fault in raised.value.faults]
    assert places == [(1, 1), (3, 5), (4, 16), (5, 1), (1, 1)]
    assert [str(fault) for fault in raised.value.faults] == str(raised.value).splitlines()


VOCABULARY = """
# CONTRACT RECORD FIELD EVENT NEVER-KEY NEVER-VALUE FOO logs 1.0.0 * json utf-8 one-per-line max-bytes=9 max-bytes=x
order_placed trace_id level=info level=info|debug level= logger=a.b stability=beta count=1/request count<=1 count=/
open-fields string enum enum+ match const int number boolean date-time object array a|b a| [a [a-z]{3} (?P<x>) max=3
>=0 >= 1..5 5..1 1e999 or-null required required-if=a&b required-if=& jwt|pem #x = | ñ \ud800 \x85 \u2028 \x0b
"""
WORDS = st.sampled_from([*VOCABULARY.split(" "), "CONTRACT logs 1.0.0", "\n", "\n  ", "\n    ", "\n\t", "\r"])
TEXTS = st.lists(WORDS, max_size=60).map(" ".join)


@settings(deadline=None)
@given(st.one_of(st.text(), TEXTS, TEXTS.map(lambda text: HEADER + text)))
def test_no_text_crashes_the_parser(text: str) -> None:
    """Any text gives a contract or a ContractError, nothing else."""
    check_parsed(parse_logs, text)


@settings(deadline=None)
@given(st.data())
def test_no_change_of_one_character_crashes_the_parser(data: st.DataObject) -> None:
    """The shipped file with a character replaced gives a contract or a ContractError."""
    check_parsed(parse_logs, with_one_character_changed(data, Path(load_logs().source).read_text(encoding="utf-8")))


def test_the_shipped_file_says_what_each_event_is() -> None:
    """Every event has a logger, a stability that is promised, and the digest is of the file."""
    contract = load_logs()

    assert [event.name for event in contract.events if event.logger is None or event.stability == "development"] == []
    assert contract.sha256 == hashlib.sha256(Path(contract.source).read_bytes()).hexdigest()
