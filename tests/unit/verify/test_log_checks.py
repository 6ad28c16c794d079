"""Lines against a log contract: what keeps it passes, and each way to break it has its rule."""

from __future__ import annotations

import pytest
from tests.support.record_contracts import LOGS, TRACE, line, log_checks

from prethrift_backend.verify.records.log_checks import ANY_LINE
from prethrift_backend.verify.rules import records as _rules_records

CARD = "4111 1111 1111 1111"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"


def _rules(raw: bytes, contract: str = LOGS) -> list[str]:
    return [fault.rule for fault in log_checks(contract).faults(raw)]


@pytest.mark.parametrize(
    "raw",
    [
        line(),
        line().removesuffix(b"\n"),
        line().replace(b"\n", b"\r\n"),
        line("order_noted", logger="anything", level="warning", own={"deep": [1]}),
        line("answered"),
        line(trace_id=TRACE, span_id="0" * 16),
        line("Application startup complete.", logger="uvicorn.error"),
        line("order_noted", note="a\u2028b").replace("\u2028".encode(), b"\\u2028"),
        line("order_noted", password="[redacted]", token_password=None, other={"password": "***"}),
        line("order_noted", password_length=8, note="the bearer of this note"),
        line("order_noted", trace_id="4111111111111111" * 2, span_id="4111111111111111"),
        line("order_noted", note=f"{CARD[:-1]}2"),
        line("order_noted", note="postgresql://user@host/db and https://host:8000/"),
    ],
)
def test_what_keeps_the_contract_passes(raw: bytes) -> None:
    """Whole lines, other people's events, values that were taken out, and words that only look like secrets."""
    assert log_checks().faults(raw) == []


BROKEN = [
    (line("order_noted", note="x").replace(b"x", b"\xff"), ["LG001"]),
    (b"Traceback (most recent call last):\n", ["LG002"]),
    (b"[1]\n", ["LG002"]),
    (b"\n", ["LG002"]),
    (line("order_noted", note="a\u2028b"), ["LG003"]),
    (line().replace(b"{", b"{\n"), ["LG003"]),
    (line("order_noted", note="a\u009b31mb"), ["LG004"]),
    (line("order_noted", note="a\u202eb"), ["LG004"]),
    (line("order_noted", note="x" * 400), ["LG005"]),
    (line(total=None), ["LG006"]),
    (line(time=None), ["LG006"]),
    (line("answered", request_id=None), ["LG006"]),
    (line(trace_id=TRACE), ["LG006"]),
    (line(total="3"), ["LG007"]),
    (line(total=-1), ["LG007"]),
    (line(time="yesterday"), ["LG007"]),
    (line(basket=1), ["LG008"]),
    (line("order_lost"), ["LG009"]),
    (line("order_lost", logger="shop.orders.paper"), ["LG009"]),
    (line(level="warning"), ["LG011"]),
    (line(logger="shop.http"), ["LG012"]),
    (line("order_noted", password="hunter2"), ["LG013"]),
    (line("order_noted", deep=[{"User": {"dbPassword": "hunter2"}}]), ["LG013"]),
    (line("order_noted", headers={"Set-Cookie": "a=b"}), ["LG013"]),
    (line("order_noted", browser_session_id="abc"), ["LG013"]),
    (line("order_noted", note=f"sent {JWT}"), ["LG014"]),
    (line("order_noted", deep=[["-----BEGIN PRIVATE KEY-----"]]), ["LG014"]),
    (line("order_noted", note="Bearer abcdef0123456789"), ["LG014"]),
    (line("order_noted", note="basic dXNlcjpwYXNzd29yZA=="), ["LG014"]),
    (line("order_noted", note="postgresql://user:hunter2@host/db"), ["LG014"]),
    (line("order_noted", note=f"paid with {CARD}"), ["LG014"]),
    (line("Started by eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx", logger="l"), ["LG014"]),
]


@pytest.mark.parametrize(("raw", "rules"), BROKEN)
def test_a_broken_promise_has_its_rule(raw: bytes, rules: list[str]) -> None:
    """Bytes, fields, origin and secrets are looked at, at any depth."""
    assert _rules(raw) == rules


def test_an_event_nobody_owns_is_a_warning() -> None:
    """Where a contract names no loggers, what has the form of an event and is none is doubtful; a sentence is not."""
    contract = "".join(
        part.replace(" logger=shop.orders", "").replace(" logger=shop.http", "") for part in LOGS.splitlines(True)
    )

    assert _rules(line("order_lost"), contract) == ["LG010"]
    assert _rules(line("Server started"), contract) == []


def test_every_rule_of_lines_has_a_line_that_breaks_it() -> None:
    """No rule stands in the table that nothing here breaks; how often an event comes is judged over many lines."""
    broken = {rule for _, rules in BROKEN for rule in rules}

    assert broken | {"LG010", "LG020"} == set(_rules_records.LINE_RULES)


def test_only_what_the_contract_names_never_occurs() -> None:
    """What another team hides is its own business: without a word for it, a key or a value is allowed."""
    contract = "\n".join(part for part in LOGS.splitlines() if not part.startswith("NEVER"))

    assert _rules(line("order_noted", password="hunter2", note=JWT), contract) == []


def test_a_fault_names_the_event_and_no_secret() -> None:
    """A finding says where it is; what it is about is not repeated."""
    (fault,) = log_checks().faults(line("order_noted", note=f"sent {JWT}"))
    (typed,) = log_checks().faults(line(total="password=hunter2"))

    assert (fault.name, fault.message) == ("order_noted", "a value of 'note' is what NEVER-VALUE calls jwt")
    assert "eyJ" not in str(fault)
    assert (typed.expected, "hunter2" in str(typed)) == ("number >=0", False)


def test_what_is_no_event_of_the_contract_is_every_line() -> None:
    """Faults of lines without a promise are those of the lines as a whole."""
    checks = log_checks()

    assert [fault.name for fault in checks.faults(b"oops\n")] == [ANY_LINE]
    assert checks.event_of(b"oops\n") is None
    assert checks.event_of(line("Hello")) is None
    event = checks.event_of(line())
    assert event is not None
    assert event.name == "order_placed"


def test_a_condition_that_the_caller_knows_is_judged() -> None:
    """Whoever knows that a line was written in a request demands its id."""
    raw = line("order_noted")

    assert [fault.rule for fault in log_checks().faults(raw, holds={"request"})] == ["LG006"]
