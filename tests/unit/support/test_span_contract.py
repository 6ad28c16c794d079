"""The checks that hold spans against ``contracts/spans.txt`` find what they are for."""

from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode
from tests.support.span_contract import SpanContract, load_span_contract

from prethrift_backend.exceptions import ContractError

RESOURCE = {
    "service.name": "shop",
    "service.version": "1.0.0",
    "service.instance.id": "one",
    "deployment.environment.name": "staging",
    "telemetry.sdk.language": "python",
    "telemetry.sdk.name": "opentelemetry",
    "telemetry.sdk.version": "1.45.2",
}
ATTRIBUTES = {
    "http.request.method": "GET",
    "http.route": "/items/{item_id}",
    "http.response.status_code": 200,
    "prethrift.request_id": "one",
}
CALLER = SpanContext(1, 1, is_remote=True)


def server_span(name: str = "GET /items/{item_id}", **options: Any) -> ReadableSpan:
    """Return a span that keeps the contract but for ``options``; ``attributes`` are put over good ones."""
    attributes = {**ATTRIBUTES, **options.pop("attributes", {})}
    return ReadableSpan(
        name,
        attributes={key: value for key, value in attributes.items() if value is not None},
        resource=Resource(options.pop("resource", RESOURCE)),
        kind=options.pop("kind", SpanKind.SERVER),
        instrumentation_scope=InstrumentationScope(options.pop("scope", "prethrift_backend.observability")),
        **options,
    )


def test_a_good_span_passes() -> None:
    """What keeps the contract is found under its promise; an application's own attributes are allowed."""
    span = server_span(attributes={"shop.basket": 3}, links=[Link(CALLER)])

    assert load_span_contract().check(span).key == "server"


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"name": "GET /items/5"}, "falls under 0 promises"),
    ({"kind": SpanKind.INTERNAL}, "is of another kind"),
    ({"scope": "other"}, "falls under 0 promises"),
    ({"attributes": {"http.response.status_code": "200"}}, "is not int"),
    ({"attributes": {"http.response.status_code": 700}}, "is not int"),
    ({"attributes": {"http.response.status_code": None}}, "is missing"),
    ({"attributes": {"url.scheme": "gopher"}}, "is not enum"),
    ({"attributes": {"prethrift.request_id": "a b"}}, "is not match"),
    ({"attributes": {"prethrift.sampled_late": False}}, "is not const"),
    ({"attributes": {"error.type": "x" * 201}}, "is not string"),
    ({"attributes": {"url.path": "/items/5"}}, "may never be there"),
    ({"attributes": {"db.password": "x"}}, "may never be there"),
    ({"attributes": {"note": "password=hunter2"}}, "holds a secret"),
    ({"events": [Event("exception", {"exception.type": "ValueError"})]}, "is missing"),
    ({"events": [Event("exception", {"exception.type": "E", "exception.message": "token=abc"})]}, "holds a secret"),
    ({"links": [Link(CALLER), Link(CALLER)]}, "2 links"),
    ({"status": Status(StatusCode.OK)}, "status ok"),
    ({"status": Status(StatusCode.ERROR)}, "'error.type' is missing"),
    ({"resource": {**RESOURCE, "telemetry.sdk.language": "cobol"}}, "is not const"),
    ({"resource": {"service.name": "shop"}}, "is missing"),
]


@pytest.mark.parametrize(("options", "fault"), BROKEN)
def test_a_broken_span_is_found(options: dict[str, Any], fault: str) -> None:
    """Name, kind, scope, types, bounds, secrets, events, links, status and resource are looked at."""
    with pytest.raises(AssertionError, match=fault):
        load_span_contract().check(server_span(**options))


@pytest.mark.parametrize("text", ["SPANN server kind=server scope=x", "SPAN a kind=server scope=x\n  NAMES a"])
def test_a_typing_error_in_the_file_does_not_vanish(text: str) -> None:
    """A directive or a rule that does not exist is an error with its line."""
    with pytest.raises(ContractError, match=r"spans\.txt:\d"):
        SpanContract(text)
