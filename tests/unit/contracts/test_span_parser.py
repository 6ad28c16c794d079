"""The parser of spans.txt: what it reads, and what it says of what it cannot read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.contract_fuzz import check_parsed, with_one_character_changed

from prethrift_backend.contracts import (
    Count,
    SpanAttribute,
    SpanEvent,
    SpanLimits,
    SpanLink,
    SpanPromise,
    ValueType,
    load_spans,
    parse_spans,
)
from prethrift_backend.exceptions import ContractError

HEADER = "# CONTRACT spans 1.2.3\n"
SPAN = "SPAN job kind=internal scope=shop\n"
BLOCK = SPAN + "  NAME job\n"


def _fault(text: str) -> str:
    with pytest.raises(ContractError) as raised:
        parse_spans(text, source="s.txt")
    return str(raised.value)


def test_what_holds_for_every_span_is_read() -> None:
    """RECORD, RESOURCE and NEVER lines land in the contract."""
    text = (
        HEADER
        + "RECORD max-attributes=1 max-events=2 max-links=3 max-text=4\n"
        + "RESOURCE service.name string required  # SERVICE_NAME\nNEVER-KEY url.path\nNEVER-VALUE bearer\n"
    )

    contract = parse_spans(text, source="s.txt")

    assert contract.version == "1.2.3"
    assert contract.limits == SpanLimits(1, 2, 3, 4)
    assert contract.resource == (SpanAttribute("service.name", ValueType("string"), required=True),)
    assert contract.resource[0].note == "SERVICE_NAME"
    assert [word.name for word in (*contract.never_keys, *contract.never_values)] == ["url.path", "bearer"]


def test_a_span_is_read_with_all_it_has() -> None:
    """Options, names, attributes, statuses, events with their attributes, links and OPEN land in the promise."""
    text = (
        HEADER
        + BLOCK
        + "SPAN call kind=client scope=shop.* stability=beta count<=2/request parent=job\n"
        + "  NAME CALL {rpc.method} |  CALL\n  rpc.method string max=9 required-if=error # what\n"
        + "  STATUS unset | ok\n  EVENT exception count<=1\n    exception.type string required\n"
        + "  LINK caller count<=1\n  LINK others\n  OPEN\n"
    )

    call = parse_spans(text, source="s.txt").span("call")

    assert call == SpanPromise(
        key="call",
        kind="client",
        scope="shop.*",
        names=("CALL {rpc.method}", "CALL"),
        stability="beta",
        count=Count(2, "request"),
        parent="job",
        attributes=(SpanAttribute("rpc.method", ValueType("string", max_length=9), required_if=("error",)),),
        statuses=("unset", "ok"),
        events=(
            SpanEvent("exception", Count(1), (SpanAttribute("exception.type", ValueType("string"), required=True),)),
        ),
        links=(SpanLink("caller", Count(1)), SpanLink("others")),
        is_open=True,
    )
    assert (call.line, call.attributes[0].line, call.events[0].attributes[0].line) == (4, 6, 9)
    assert call.max_links is None
    assert call.attribute("rpc.method") == call.attributes[0]


@pytest.mark.parametrize(
    ("name", "kind", "scope", "is_covered"),
    [
        ("CALL get", "client", "shop.rpc", True),
        ("CALL", "client", "shop.rpc", True),
        ("CALL put", "client", "shop.rpc", False),
        ("CALL {rpc.method}", "client", "shop.rpc", False),
        ("CALL", "server", "shop.rpc", False),
        ("CALL", "client", "other", False),
    ],
)
def test_a_span_is_known_by_name_kind_and_scope(name: str, kind: str, scope: str, is_covered: bool) -> None:
    """A placeholder stands for the attribute's value, a star in the scope for anything."""
    promise = SpanPromise("call", "client", "shop.*", names=("CALL {rpc.method}", "CALL"))

    assert promise.covers(name=name, kind=kind, scope=scope, attributes={"rpc.method": "get"}) is is_covered


def test_a_span_that_is_not_there_is_named_with_the_file() -> None:
    """Asking for an unknown span raises with its key and the contract's name."""
    with pytest.raises(ContractError, match=r"'call' is not in s\.txt"):
        parse_spans(HEADER, source="s.txt").span("call")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BLOCK, "s.txt:1:1: no CONTRACT line"),
        ("# CONTRACT logs 1.0.0\n", "s.txt:1:12: contract of 'logs'"),
        (HEADER + "SPANN a kind=server scope=b\n  NAME a\n", "s.txt:2:1: directive 'SPANN' is unknown"),
        (HEADER + "RECORD max-spans=1\n", "s.txt:2:8: 'max-spans=1' is no option here"),
        (HEADER + "RESOURCE a\n", "s.txt:2:11: a ends too early"),
        (HEADER + "RESOURCE a int\nRESOURCE a int\n", "s.txt:3:10: 'a' is given a second time"),
        (HEADER + "SPAN Job kind=internal scope=a\n  NAME a\n", "s.txt:2:6: 'Job' is not valid here"),
        (HEADER + "SPAN job scope=a\n  NAME a\n", "s.txt:2:1: SPAN has no kind"),
        (HEADER + "SPAN job kind=internal\n  NAME a\n", "s.txt:2:1: SPAN has no scope"),
        (HEADER + "SPAN job kind=inner scope=a\n  NAME a\n", "s.txt:2:15: kind 'inner' is unknown"),
        (HEADER + "SPAN job kind=server scope=a names<=2\n  NAME a\n", "s.txt:2:30: 'names<=2' is no option here"),
        (HEADER + "SPAN a kind=server scope=b parent=c\n  NAME a\n", "s.txt:2:35: no span has the key 'c'"),
        (HEADER + BLOCK + BLOCK, "s.txt:4:6: 'job' is given a second time"),
        (HEADER + SPAN, "s.txt:2:6: span 'job' has no NAME"),
        (HEADER + BLOCK + "  NAME b\n", "s.txt:4:3: 'NAME' is given a second time"),
        (HEADER + SPAN + "  NAME a | a\n", "s.txt:3:8: 'NAME a | a' has an empty or a repeated part"),
        (HEADER + SPAN + "  NAME a {b}\n", "s.txt:3:8: 'a {b}' is made of 'b'"),
        (HEADER + BLOCK + "  NAMES b\n", "s.txt:4:3: rule 'NAMES' is unknown"),
        (HEADER + BLOCK + "  STATUS fine\n", "s.txt:4:10: status 'fine' is unknown"),
        (HEADER + BLOCK + "  OPEN all\n", "s.txt:4:8: 'all' is too much"),
        (HEADER + BLOCK + "  LINK a most=1\n", "s.txt:4:10: 'most=1' is no option here"),
        (HEADER + BLOCK + "  LINK a\n  LINK a\n", "s.txt:5:8: 'a' is given a second time"),
        (HEADER + BLOCK + "  EVENT a\n  EVENT a\n    b int\n", "s.txt:5:9: 'a' is given a second time"),
        (HEADER + BLOCK + "  EVENT a count=b\n    b int\n", "s.txt:4:17: 'b' is no count"),
        (HEADER + BLOCK + "    b int\n", "s.txt:4:1: an attribute of no event"),
        (HEADER + BLOCK + "  b int\n  b int\n", "s.txt:5:3: 'b' is given a second time"),
        (HEADER + BLOCK + "  b inte\n", "s.txt:4:5: type 'inte' is unknown"),
        (HEADER + "  b int\n", "s.txt:2:1: an indented line without a SPAN"),
        (HEADER + "NEVER-KEY b\n" + BLOCK + "  EVENT a\n    b int\n", "s.txt:6:5: 'b' is promised"),
        (HEADER + "NEVER-KEY b\nRESOURCE b int\n", "s.txt:3:10: 'b' is promised"),
    ],
)
def test_fault_names_place_rule_and_fix(text: str, expected: str) -> None:
    """Each fault says file, line, column and what is wrong, then the rule, then the fix."""
    fault = _fault(text)

    assert expected in fault
    line = next(line for line in fault.splitlines() if expected in line)
    assert line.count(": ") >= 2
    assert "; " in line


VOCABULARY = """
# CONTRACT RECORD RESOURCE SPAN NEVER-KEY NEVER-VALUE NAME STATUS EVENT LINK OPEN FOO spans 1.0.0 max-text=9 job call
kind=server kind=x scope=a stability=beta count<=1/request parent=job parent=none unset error | {a} {b.c} {} a b.c
string int enum match const [a a|b max=3 1..5 required required-if=error jwt #x = ñ \ud800 \x85 \u2028
"""
WORDS = st.sampled_from(
    [*VOCABULARY.split(" "), "CONTRACT spans 1.0.0", SPAN, BLOCK, "\n", "\n  ", "\n    ", "\n\t", "\r"]
)
TEXTS = st.lists(WORDS, max_size=60).map(" ".join)


@settings(deadline=None)
@given(st.one_of(st.text(), TEXTS, TEXTS.map(lambda text: HEADER + text)))
def test_no_text_crashes_the_parser(text: str) -> None:
    """Any text gives a contract or a ContractError, nothing else."""
    check_parsed(parse_spans, text)


@settings(deadline=None)
@given(st.data())
def test_no_change_of_one_character_crashes_the_parser(data: st.DataObject) -> None:
    """The shipped file with a character replaced gives a contract or a ContractError."""
    check_parsed(parse_spans, with_one_character_changed(data, Path(load_spans().source).read_text(encoding="utf-8")))


def test_the_shipped_file_bounds_every_text() -> None:
    """Each attribute of a span that is a string says how long it may be."""
    attributes = [one for span in load_spans().spans for one in span.attributes]

    assert [one.name for one in attributes if one.type.kind == "string" and one.type.max_length is None] == []
