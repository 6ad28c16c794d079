"""A draft of health.schema.json: what is guessed from bodies, and that the bodies obey it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from tests.support.recorded_service import RecordedService

from prethrift_backend.verify.diff.schema import read_schema
from prethrift_backend.verify.live.health_checks import make_validator
from prethrift_backend.verify.recording.schema import draft_schema

SECRET = "AKIAABCDEFGHIJKLMNOP"


def _schema(*bodies: dict[str, Any]) -> dict[str, Any]:
    drafted: dict[str, Any] = json.loads(draft_schema(bodies, title="Health"))
    Draft202012Validator.check_schema(drafted)
    return drafted


def test_what_is_in_all_bodies_is_required() -> None:
    """Types come from the values; what one body lacks is optional."""
    schema = _schema({"a": "x", "b": 1}, {"a": "y", "b": None, "c": [True]})

    assert schema["required"] == ["a", "b"]
    assert schema["properties"]["b"] == {"type": ["integer", "null"]}
    assert schema["properties"]["c"] == {"type": "array", "items": {"type": "boolean"}}


@pytest.mark.parametrize(
    ("name", "values", "guessed"),
    [
        ("timestamp", ["2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05+01:00"], {"format": "date-time"}),
        ("id", ["0b9d6c5e-8c4f-4f5e-9d2a-1f2e3d4c5b6a"], {"format": "uuid"}),
        ("status", ["UP", "DOWN", "UP"], {"enum": ["DOWN", "UP"]}),
        ("version", ["1.0", "1.1"], {}),
        ("timestamp", ["yesterday"], {}),
        ("timestamp", ["2026-13-02T03:04:05Z"], {}),
        ("uptime_seconds", [12], {"type": "number"}),
        ("count", [12, 1.5], {"type": "number"}),
    ],
)
def test_content_says_what_a_member_is(name: str, values: list[object], guessed: dict[str, object]) -> None:
    """Times and ids have a format, states that differ are a closed list, what is measured may have a fraction."""
    member = _schema(*({name: value} for value in values))["properties"][name]

    member.pop("description", None)
    assert member == {"type": "string"} | guessed


def test_a_state_that_was_seen_alone_is_told() -> None:
    """One state makes no list, and a reader has to write it."""
    told = _schema({"status": "UP"})["properties"]["status"]["description"]

    assert told == "guessed: only 'UP' was seen; write the list of all states as enum"


def test_checks_by_name_may_be_others() -> None:
    """Where each member is a check, the names are data."""
    checks = _schema({"checks": {"db": {"status": "UP"}, "mail": {"status": "DOWN"}}})["properties"]["checks"]

    assert checks["additionalProperties"]["required"] == ["status"]
    assert "properties" not in checks


def test_no_value_is_copied_but_states() -> None:
    """A schema is read by more people than the endpoint; a secret is not copied, even where a state should be."""
    drafted = draft_schema([{"dsn": f"postgres://u:{SECRET}@db", "state": SECRET}, {"state": "UP"}], title="Health")

    assert SECRET not in drafted


def test_our_own_bodies_obey_their_draft() -> None:
    """Liveness, readiness and health together, and the draft is one that versions can be compared of."""
    bodies = list(RecordedService().bodies.values())
    schema = _schema(*bodies)

    assert [error.message for body in bodies for error in make_validator(schema).iter_errors(body)] == []
    read_schema(
        schema, source="health.schema.json"
    )  # raises where the draft has words that versions are not compared by


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)
MEMBERS = st.sampled_from(["status", "checks", "timestamp", "age_ms", "x"]) | st.text(max_size=4)


@given(st.lists(st.dictionaries(MEMBERS, JSON, max_size=4), min_size=1, max_size=4))
def test_whatever_is_answered_obeys_the_draft(bodies: list[dict[str, Any]]) -> None:
    """Any JSON objects make a schema, and each of them is valid by it."""
    validator = make_validator(_schema(*bodies))

    assert all(validator.is_valid(body) for body in bodies)
