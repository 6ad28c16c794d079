"""What of a finished span leaves the process."""

import gc
import weakref
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
from tests.support.exporting import event, sample_span

from prethrift_backend.observability.otlp import encode_traces
from prethrift_backend.observability.redaction import REDACTED, STANDARD, Redactor
from prethrift_backend.observability.spans import ProcessResource, _memories, redacted_span

CANARY = "hunter22-canary"
SECRETS = {
    "by_key": ("db_password", CANARY),
    "bearer": ("note", f"Authorization: Bearer {CANARY}0123456789"),
    "dsn": ("where", f"postgresql://app:{CANARY}@db/prethrift"),
    "assignment": ("text", f"retry with token={CANARY}"),
    "jwt": ("note", f"eyJhbGciOi.eyJzdWIiOiJ{CANARY}.c2ln"),
}


def full_span(name: str = "GET /items", attributes: Mapping[str, Any] | None = None, **fields: Any) -> ReadableSpan:
    """Return a span with something in each of its parts."""
    return ReadableSpan(
        **{
            "name": name,
            "context": SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1)),
            "parent": SpanContext(1, 3, is_remote=True),
            "resource": Resource({"service.name": "shop"}),
            "attributes": attributes,
            "kind": SpanKind.SERVER,
            "start_time": 10,
            "end_time": 20,
            **fields,
        }
    )


def redacted(span: ReadableSpan, redactor: Redactor = STANDARD) -> ReadableSpan:
    """Redact by the standard rules."""
    return redacted_span(span, redactor=redactor)


@pytest.mark.parametrize(("key", "value"), SECRETS.values(), ids=SECRETS)
def test_no_secret_leaves_by_any_part_of_a_span(key: str, value: str) -> None:
    """Name, attributes, events, links and status are searched by key and by value."""
    said = f"{key}={value}"
    span = full_span(
        name=f"call {said}",
        attributes={key: value, "list": [said, "plain"], "http.request.headers": [("cookie", CANARY)]},
        events=[event("exception", **{key: value, "exception.message": said, "exception.stacktrace": said})],
        links=[Link(SpanContext(4, 5, is_remote=True), {key: value})],
        status=Status(StatusCode.ERROR, said),
    )

    body = encode_traces([redacted(span)])

    assert CANARY.encode() not in body
    assert REDACTED.encode() in body


def test_a_trace_state_with_a_secret_is_dropped() -> None:
    """What a caller sent as tracestate goes on only where it holds no secret; the ids stay in any case."""
    secret = SpanContext(1, 2, is_remote=True, trace_state=TraceState([("vendor", "Bearer abcdefghijk0123456789")]))
    harmless = SpanContext(1, 2, is_remote=True, trace_state=TraceState([("vendor", "00f067aa0ba902b7")]))

    hidden = redacted(full_span(context=secret, parent=secret, links=[Link(secret)]))
    child = redacted(full_span(parent=secret))
    shown = redacted(full_span(context=harmless))

    assert b"abcdefghijk" not in encode_traces([hidden])
    assert hidden.context is not None
    assert (hidden.context.trace_id, hidden.context.span_id) == (1, 2)
    assert child.parent is not None
    assert (child.parent.span_id, child.parent.trace_state) == (2, TraceState())
    assert shown.context is harmless


def test_what_is_no_secret_stays() -> None:
    """Everything else is as it was: ids, kind, times, resource, scope, values and their types."""
    attributes = {"author": "Ann", "session_length": 3, "share": 0.5, "ok": True, "tags": ["a", "b"], "url.path": "/a"}
    span = full_span(attributes=attributes, status=Status(StatusCode.ERROR, "no such table"))

    copy = redacted(span)

    assert dict(copy.attributes or {}) == attributes
    assert copy.resource is span.resource
    assert (copy.context, copy.parent, copy.kind) == (span.context, span.parent, span.kind)
    assert (copy.start_time, copy.end_time, copy.name) == (10, 20, "GET /items")
    assert (copy.status.status_code, copy.status.description) == (StatusCode.ERROR, "no such table")


def test_the_original_is_not_changed() -> None:
    """An application's own span processor still sees its own values."""
    span = full_span(attributes={"password": CANARY})

    redacted(span)

    assert dict(span.attributes or {}) == {"password": CANARY}


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("url.full", "https://shop.example/items?q=red+coat&code=abc", "https://shop.example/items?q=red+coat"),
        ("url.full", "https://shop.example/items?code=abc#top", "https://shop.example/items"),
        ("url.full", "https://shop.example/items?q=coat#top", "https://shop.example/items?q=coat"),
        ("http.url", "https://shop.example/items?limit=5&X-Amz-Signature=abc", "https://shop.example/items?limit=5"),
        ("http.target", "/items?code=abc", "/items"),
        ("url.query", "q=coat&code=abc&limit=5", "q=coat&limit=5"),
        ("url.path", "/items/7", "/items/7"),
    ],
)
def test_of_a_query_only_known_parameters_stay(key: str, value: str, shown: str) -> None:
    """Attributes that hold a URL lose what is not on the list, whoever made the span."""
    assert (redacted(full_span(attributes={key: value})).attributes or {})[key] == shown


def test_an_extra_rule_of_the_user_holds_for_spans() -> None:
    """A redactor with more rules hides more."""
    redactor = Redactor(extra_keys=["iban"])

    assert (redacted(full_span(attributes={"iban": "DE02"}), redactor).attributes or {})["iban"] == REDACTED


def test_the_work_is_done_once_for_each_span() -> None:
    """Several receivers get the same copy; another redactor makes its own."""
    span = full_span(attributes={"password": CANARY})

    assert redacted(span) is redacted(span)
    assert redacted(span, Redactor()) is not redacted(span)


def test_texts_that_come_again_are_redacted_each_time() -> None:
    """What is remembered of statements and user agents is the redacted text, and only so many of them."""
    shown = [
        (redacted(full_span(attributes={"user_agent.original": f"agent/{number} token={CANARY}"})).attributes or {})[
            "user_agent.original"
        ]
        for number in [*range(1_000), *range(1_000)]
    ]

    assert shown == [f"agent/{number} token={REDACTED}" for number in [*range(1_000), *range(1_000)]]
    assert len(_memories[STANDARD]) <= 512


def test_a_long_text_is_not_remembered() -> None:
    """A caller who sends megabytes as a user agent fills no memory with them."""
    redacted(full_span(attributes={"user_agent.original": "x" * 1_000_000}))

    assert all(len(text) <= 1_024 for _, text in _memories[STANDARD])


def test_the_resource_of_a_process_is_an_ordinary_one() -> None:
    """It equals the SDK's own of the same content, and has the same hash, only sooner."""
    ours, theirs = ProcessResource({"service.name": "shop"}), Resource({"service.name": "shop"})

    assert ours == theirs
    assert hash(ours) == hash(theirs)
    assert ours != Resource({"service.name": "other"})


def test_a_child_is_an_instance_of_its_own() -> None:
    """After a fork the one object that all share has a new id and a new hash; the SDK adds none of its own to it."""
    shared = ProcessResource({"service.name": "shop", "service.instance.id": "one"})
    before = hash(shared)

    shared.restart_after_fork()

    assert shared.attributes["service.name"] == "shop"
    assert shared.attributes["service.instance.id"] != "one"
    assert hash(shared) == hash(Resource(shared.attributes)) != before
    assert shared.merge(Resource({"service.instance.id": "the SDK's"})) is shared
    assert shared.merge(Resource({"process.pid": 7})).attributes["process.pid"] == 7


def test_a_process_without_an_instance_gets_none() -> None:
    """A child says no more of itself than its parent did."""
    shared = ProcessResource({"service.name": "shop"})

    shared.restart_after_fork()

    assert shared.attributes == {"service.name": "shop"}


def test_a_copy_lives_no_longer_than_its_span() -> None:
    """What is kept for the next receiver is freed with the span."""
    span = full_span()
    copy = weakref.ref(redacted(span))

    del span
    gc.collect()

    assert copy() is None


def test_a_span_that_cannot_be_read_is_sent_bare() -> None:
    """A redactor that fails costs the attributes and the name; ids and times still arrive."""

    def explode(_text: str) -> str:
        raise RuntimeError(CANARY)

    span = full_span(name="a name of some length", attributes={"note": f"a text with {CANARY}"})

    copy = redacted(span, Redactor(extra_rules=[explode]))

    assert copy.name == REDACTED
    assert not copy.attributes
    assert not copy.events
    assert (copy.context, copy.start_time, copy.end_time) == (span.context, 10, 20)
    assert CANARY.encode() not in encode_traces([copy])


def test_a_span_is_bounded() -> None:
    """However much an application puts on a span, what leaves of it is bounded, and says how much was left out."""
    huge = {f"attribute_{number}": "x" * 10_000 for number in range(200)}
    span = full_span(
        name="n" * 10_000,
        attributes=huge,
        events=[event("step", number=number) for number in range(100)],
        links=[Link(SpanContext(4, number + 1, is_remote=True)) for number in range(100)],
        status=Status(StatusCode.ERROR, "d" * 10_000),
    )

    copy = redacted(span)

    assert len(encode_traces([copy])) < 40_000
    assert len(copy.attributes or {}) == 101
    assert (len(copy.events), copy.dropped_events) == (32, 68)
    assert (len(copy.links), copy.dropped_links) == (32, 68)


def test_a_long_stack_keeps_both_ends() -> None:
    """Where it began and where it failed are what explains a fault."""
    stack = "\n".join(["Traceback", *[f"  line {number}" for number in range(5_000)], "ValueError: the end"])

    copy = redacted(full_span(events=[event("exception", **{"exception.stacktrace": stack})]))
    shown = str((copy.events[0].attributes or {})["exception.stacktrace"])

    assert shown.startswith("Traceback\n")
    assert shown.endswith("ValueError: the end")
    assert len(shown) < 8_100


@pytest.mark.parametrize(
    "value",
    [2**63, -(2**63) - 1, "\udcff", ["\udcff"], {"a": {"\udcff": 1}}, datetime(2026, 1, 1, tzinfo=UTC), b"\xff"],
)
def test_values_that_otlp_cannot_hold_become_text(value: object) -> None:
    """One odd value never costs the batch that it is in."""
    body = encode_traces([redacted(full_span(attributes={"value": value}))])

    [attribute] = ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans[0].attributes
    assert attribute.key == "value"
    assert attribute.value.WhichOneof("value") is not None


_TEXTS = st.text(st.characters(exclude_categories=()), max_size=30)  # surrogates too
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS | st.binary(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=8,
)


@example(name="\udcff", attributes={"\udcff": "\udcff"}, description="\udcff")
@given(name=_TEXTS, attributes=st.dictionaries(_TEXTS, _VALUES, max_size=5), description=_TEXTS)
def test_whatever_a_span_holds_can_be_sent(name: str, attributes: dict[str, Any], description: str) -> None:
    """No name, key, value or description makes redaction or encoding fail."""
    span = full_span(
        name=name,
        attributes=attributes,
        events=[Event(name, attributes, 1)],
        status=Status(StatusCode.ERROR, description),
    )

    request = ExportTraceServiceRequest.FromString(encode_traces([redacted(span)]))

    [sent] = request.resource_spans[0].scope_spans[0].spans
    assert len(sent.attributes) == len({key.encode("utf-8", "replace") for key in attributes})


def test_a_span_of_the_sdk_is_taken_as_well() -> None:
    """A span without attributes, events and context is no special case."""
    assert redacted(ReadableSpan(name="bare", resource=Resource({}))).name == "bare"
    assert redacted(sample_span("sample")).name == "sample"
