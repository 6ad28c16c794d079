"""A draft of logs.txt: what is guessed from lines, what is hidden, and that the lines obey it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prethrift_backend.contracts import LogsContract, load_logs, parse_logs
from prethrift_backend.contracts.formatting import format_contract
from prethrift_backend.verify.recording.logs import draft_logs
from prethrift_backend.verify.recording.metrics import Draft
from prethrift_backend.verify.records.log_checks import LogChecks

TIME = "2026-01-02T03:04:05.678Z"
TRACE = "0af7651916cd43dd8448eb211c80319c"


def _line(event: str, level: str = "info", **fields: object) -> dict[str, Any]:
    return {"timestamp": TIME, "level": level, "event": event, **fields}


def _drafted(*records: dict[str, Any]) -> tuple[Draft, LogsContract]:
    draft = draft_logs(json.dumps(record).encode() + b"\n" for record in records)
    assert draft is not None
    return draft, parse_logs(draft.text, source="logs.txt")


def _own(contract: LogsContract, event: str) -> dict[str, str]:
    return {one.name: f"{one.type}{' required' if one.required else ''}" for one in contract.event(event).fields}


def test_what_is_in_every_line_is_a_field_of_every_line() -> None:
    """What puts lines together is one too, and is not required where some lines lack it."""
    _, contract = _drafted(_line("order_placed", trace_id=TRACE), _line("order_sent", "warning"))

    assert {one.name: one.required for one in contract.fields} == {
        "timestamp": True,
        "level": True,
        "event": True,
        "trace_id": False,
    }
    assert str(contract.fields[3].type) == "match [0-9a-f]{32}"


def test_an_event_has_the_levels_and_fields_of_its_lines() -> None:
    """A field that some of its lines lack is optional."""
    _, contract = _drafted(_line("paid", amount=1), _line("paid", "error", amount=2.5, reason="card"), _line("sent"))

    assert contract.event("paid").levels == ("info", "error")
    assert _own(contract, "paid") == {"amount": "number >=0 required", "reason": "string max=10"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1, 2], "int >=0"),
        ([-1], "int"),
        ([1.5], "number >=0"),
        ([True], "boolean"),
        (["a", None], "string max=10 or-null"),
        ([TIME], "date-time"),
        (["card", "cash"] * 3, "enum+ card|cash max=10"),
        (["0b9d6c5e-8c4f-4f5e-9d2a-1f2e3d4c5b6a"], "match [0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
        ([{"a": 1}], "object"),
        ([[1]], "array"),
    ],
)
def test_values_say_the_type_of_a_field(values: list[object], words: str) -> None:
    """The narrowest type that all of them have."""
    _, contract = _drafted(_line("another"), *(_line("done_it", value=value) for value in values))

    assert _own(contract, "done_it")["value"].removesuffix(" required") == words


def test_names_of_people_make_no_list() -> None:
    """However few they are in these lines."""
    draft, _ = _drafted(*(_line("logged_in", user_name=name) for name in ["ann", "bob"] * 5))

    assert "ann" not in draft.text


def test_what_has_no_type_leaves_the_event_open() -> None:
    """A field of several types, or of a name that a contract cannot have, is not promised."""
    _, contract = _drafted(_line("mixed_up", a=1, b=2), _line("mixed_up", a="x", b=2), {**_line("odd_one"), "@v": 1})

    assert contract.event("mixed_up").is_open
    assert _own(contract, "mixed_up") == {"b": "int >=0 required"}
    assert contract.event("odd_one").is_open


def test_free_text_is_no_event() -> None:
    """A message with values in it is a text of every line."""
    _, contract = _drafted({"message": "user 7 came", "level": "info"}, {"message": "user 8 came", "level": "info"})

    assert contract.events == ()
    assert [one.name for one in contract.fields] == ["message", "level"]


def test_too_many_names_of_events_are_told() -> None:
    """They have values in them."""
    draft, contract = _drafted(*({"event": f"came{number}", "level": "info"} for number in range(101)))

    assert contract.events == ()
    assert draft.warnings[0].startswith("logs: 101 values of 'event' look like events")


def test_an_event_at_a_level_of_others_is_left_out_and_told() -> None:
    """A contract has five levels."""
    draft, contract = _drafted(_line("paid"), _line("sent", "notice"))

    assert [event.name for event in contract.events] == ["paid"]
    assert draft.warnings[0].startswith("logs: the levels of sent are none of debug, info")


def test_secrets_are_hidden_and_told() -> None:
    """By key and by value; what never occurs is proposed without what occurs now."""
    draft, contract = _drafted(
        _line("called_back", password="hunter2!", note="Bearer abcdefghijklmnop1234"), _line("called_back", "error")
    )

    assert "hunter2" not in draft.text + str(draft.warnings)
    assert "abcdefgh" not in draft.text + str(draft.warnings)
    assert "logs: field 'password' holds what looks like a secret" in draft.warnings
    assert "logs: field 'note' holds what looks like a secret" in draft.warnings
    assert "# guessed: without bearer, password, which lines have now" in draft.text
    assert "token" in {word.name for word in contract.never_keys}
    assert {"password", "bearer"}.isdisjoint(word.name for word in (*contract.never_keys, *contract.never_values))


def test_a_key_whose_value_was_taken_out_is_not_promised() -> None:
    """The service hides it already, so that the rule holds and the field is nobody's promise."""
    draft, contract = _drafted(_line("called_back", password="[redacted]"), _line("another"))

    assert contract.event("called_back").is_open
    assert "password" in {word.name for word in contract.never_keys}
    assert _own(contract, "called_back") == {}
    assert draft.warnings == ()


def test_lines_that_are_no_json_are_told() -> None:
    """The draft is of the others."""
    draft = draft_logs([b"Started.\n", b'{"event":"came_up","level":"info"}\n', b"\n"])

    assert draft is not None
    assert draft.warnings == ("logs: LG002 in 1 lines: the line is no JSON object",)
    assert draft_logs([b"Started.\n", b"[1]\n"]) is None


def test_our_own_lines_are_drafted_close_to_our_contract() -> None:
    """Lines like those that our contract describes give an event with its level and its fields."""
    ours = load_logs().event("request_completed")
    fields = {"method": "GET", "endpoint": "/a", "status_code": 200, "duration_ms": 1.5, "ttfb_ms": 1.0}

    _, contract = _drafted({**_line("request_completed"), **fields}, _line("server_started"))

    drafted = contract.event("request_completed")
    assert set(drafted.levels) <= set(ours.levels)
    assert {own.name for own in drafted.fields} == set(fields)
    for own in drafted.fields:
        promised = ours.field(own.name)
        assert promised is not None
        assert promised.required == own.required


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
    max_leaves=6,
)
NAMES = st.sampled_from(["id", "a.b", "@odd", "note", "status_code", "duration_ms", "token", "trace_id", "logger"])
RECORDS = st.builds(
    lambda head, own: {**own, **head},
    st.fixed_dictionaries(
        {"level": st.sampled_from(["info", "error", "debug"]), "event": st.sampled_from(["paid", "was_sent", "A b"])}
    ),
    st.dictionaries(NAMES, VALUES, max_size=4),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(RECORDS, min_size=1, max_size=8))
def test_whatever_is_logged_obeys_the_draft(records: list[dict[str, Any]]) -> None:
    """The draft parses, is canonical, and no line breaks it."""
    draft, contract = _drafted(*records)

    checks = LogChecks(contract)
    assert format_contract(draft.text, source="logs.txt") == draft.text
    assert [fault for record in records for fault in checks.faults(json.dumps(record).encode())] == []
