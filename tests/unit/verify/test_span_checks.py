"""Spans against a span contract: what keeps it passes, and each way to break it has its rule."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.record_contracts import exception, server_span, span_checks, work_span

from prethrift_backend.verify.records.span_checks import ANY_SPAN
from prethrift_backend.verify.records.values import ObservedEvent, ObservedLink
from prethrift_backend.verify.rules import records as _rules_records

CALLER = ObservedLink("0" * 31 + "1", "0" * 15 + "1")


@pytest.mark.parametrize(
    "span",
    [
        server_span(),
        server_span(name="HTTP"),
        server_span(links=(CALLER,), events=(exception(),)),
        server_span(status="error", attributes={"error.type": "ValueError"}),
        server_span(attributes={"request.id": "4111111111111111"}),
        work_span(attributes={"password": "[redacted]"}, events=(ObservedEvent("anything"),)),
    ],
)
def test_what_keeps_the_contract_passes(span: Any) -> None:
    """Names, open spans, links, events, and what is required on a condition that holds."""
    assert span_checks().faults(span) == []


BROKEN: list[tuple[Any, list[str], str]] = [
    (server_span(name="GET /orders/5"), ["SP001"], ANY_SPAN),
    (server_span(scope="other"), ["SP001"], ANY_SPAN),
    (server_span(kind="client"), ["SP002"], "server"),
    (server_span(status="ok"), ["SP003"], "server"),
    (server_span(attributes={"http.method": None}, name="HTTP"), ["SP004"], "server"),
    (server_span(status="error"), ["SP004"], "server"),
    (server_span(events=(exception(None),)), ["SP004"], "server"),
    (server_span(name="HTTP", attributes={"http.method": "PATCH"}), ["SP005"], "server"),
    (server_span(attributes={"basket": 1}), ["SP006"], "server"),
    (server_span(events=(ObservedEvent("paid"),)), ["SP007"], "server"),
    (server_span(events=(exception(), exception())), ["SP008"], "server"),
    (server_span(links=(CALLER, CALLER)), ["SP009"], "server"),
    (server_span(resource={}), ["SP010"], ANY_SPAN),
    (server_span(resource={"service.name": 5}), ["SP010"], ANY_SPAN),
    (work_span(attributes={str(number): number for number in range(5)}), ["SP011"], "work"),
    (work_span(events=(ObservedEvent("a"),) * 3), ["SP011"], "work"),
    (work_span(attributes={"a": "x" * 41}), ["SP011"], "work"),
    (work_span(links=(CALLER,) * 3), ["SP009", "SP011"], "work"),
    (work_span(attributes={"db.password": "hunter2"}), ["SP012"], "work"),
    (work_span(events=(ObservedEvent("a", {"url.query": "a=b"}),)), ["SP012"], "work"),
    (work_span(attributes={"a": ["Bearer abcdef0123456789"]}), ["SP013"], "work"),
    (work_span(events=(ObservedEvent("a", {"card": "4111 1111 1111 1111"}),)), ["SP013"], "work"),
]


@pytest.mark.parametrize(("span", "rules", "name"), BROKEN)
def test_a_broken_promise_has_its_rule(span: Any, rules: list[str], name: str) -> None:
    """Name, kind, scope, status, values, events, links, resource, sizes and secrets are looked at."""
    faults = span_checks().faults(span)

    assert [fault.rule for fault in faults] == rules
    assert {fault.name for fault in faults} == {name}


def test_every_rule_of_spans_has_a_span_that_breaks_it() -> None:
    """No rule stands in the table that nothing here breaks; two of them are judged over many spans."""
    broken = {rule for _, rules, _ in BROKEN for rule in rules}

    assert broken | {"SP020", "SP021"} == set(_rules_records.SPAN_RULES)


def test_a_span_of_two_promises_is_of_none() -> None:
    """Which promise it keeps could not be said."""
    twice = (
        "# CONTRACT spans 1.0.0\nSPAN one kind=internal scope=a\n  NAME b\nSPAN two kind=internal scope=*\n  NAME b\n"
    )
    span = work_span(name="b", scope="a")

    assert span_checks(twice).promise_of(span) is None
    assert [fault.observed for fault in span_checks(twice).faults(span)] == ["one, two"]


def test_a_condition_that_the_caller_knows_is_judged() -> None:
    """An error is told by the status alone, whatever else the span says."""
    contract = "# CONTRACT spans 1.0.0\nSPAN a kind=internal scope=*\n  NAME b\n  c int required-if=x\n"
    twice = contract.replace("required-if=x", "required-if=error") + "  d int required-if=error\n"
    span = work_span(name="b")

    assert span_checks(contract).faults(span) == []
    assert [fault.rule for fault in span_checks(contract).faults(span, holds={"x"})] == ["SP004"]
    assert span_checks(twice).faults(work_span(name="b", attributes={"c": 1})) == []
