"""Whether every body of a new health schema is one of the old: what is said, held against a validator."""

from __future__ import annotations

import json
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from tests.support.contract_edits import CONTRACTS, Edit, swap, within
from tests.support.health_bodies import changed_schema, make_body

from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.diff.health import diff_health, read_health_schema
from prethrift_backend.verify.diff.schema import compare, read_schema

TEXT = (CONTRACTS / "health.schema.json").read_text(encoding="utf-8")
SCHEMA = json.loads(TEXT)
SEEDS = st.integers(0, 2**32)


def _validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(schema, format_checker=FormatChecker())


def _widens(old: dict[str, Any], new: dict[str, Any]) -> bool:
    differences = compare(read_schema(old, source="old"), read_schema(new, source="new"))
    return any(difference.widens for difference in differences)


def _separates(new: dict[str, Any], old: dict[str, Any], seed: int) -> bool:
    """Say whether one of forty bodies is valid now and was not before."""
    random = Random(seed)
    now, then = _validator(new), _validator(old)
    drawn = (make_body(new, random) for _ in range(40))
    return any(now.is_valid(body) and not then.is_valid(body) for body in drawn)


@given(SEEDS)
@settings(max_examples=100, deadline=None)
def test_a_new_body_that_the_old_schema_refuses_has_a_finding(seed: int) -> None:
    """Whatever changed: a body that is valid now and was not before means that a difference was found."""
    changed = changed_schema(SCHEMA, Random(seed))

    if not _widens(SCHEMA, changed):
        assert not _separates(changed, SCHEMA, seed)


# A member that is required and not described: closed to it on both sides, and on the newer one alone.
@example(1293729)
@example(13350583)
@given(SEEDS)
@settings(max_examples=100, deadline=None)
def test_the_other_direction_holds_too(seed: int) -> None:
    """A changed schema as the older side: what was added to it is missed in the real one."""
    changed = changed_schema(SCHEMA, Random(seed))

    if not _widens(changed, SCHEMA):
        assert not _separates(SCHEMA, changed, seed)


@pytest.mark.parametrize(
    "edit",
    [
        swap('"healthy", "degraded", "unhealthy"', '"healthy", "degraded", "unhealthy", "dead"'),
        swap('"uptime_seconds", "checks"]', '"checks"]'),
        within('"title": "Health"', '"additionalProperties": false,', ""),
        swap('"age_seconds": { "type": "number", "minimum": 0 }', '"age_seconds": { "type": "number" }'),
    ],
)
def test_the_bodies_reach_the_edge(edit: Edit) -> None:
    """The bodies are no straw men: for a schema that is wider, one is made that the old schema refuses."""
    assert any(_separates(json.loads(edit(TEXT)), SCHEMA, seed) for seed in range(20))


def test_a_schema_is_no_wider_than_itself() -> None:
    """Nothing is said where nothing changed."""
    assert compare(read_schema(SCHEMA, source="a"), read_schema(SCHEMA, source="b")) == []


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ('{"patternProperties": {}}', "keyword 'patternProperties' is unknown"),
        ('{"properties": {"a": {"oneOf": [{}]}}}', "#/properties/a/oneOf"),
        ('{"uniqueItems": true}', "keyword 'uniqueItems' is unknown"),
        ('{"$ref": "#/$defs/no"}', "leads nowhere"),
        ('{"$ref": "https://example.com/a"}', "leads nowhere"),
        ('{"$defs": {"a": {}}, "$ref": "#/$defs/a", "minimum": 1}', "minimum beside $ref"),
        ('{"$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"}', "round in a circle"),
        ('{"type": "text"}', "a type is one of"),
        ('{"type": []}', "a type is one of"),
        ('{"enum": []}', "a list of values"),
        ('{"required": [1]}', "a list of names"),
        ('{"pattern": "("}', "cannot be read"),
        ('{"pattern": 1}', "cannot be read"),
        ('{"format": 1}', "cannot be read"),
        ('{"minimum": true}', "a bound is a number"),
        ('{"properties": []}', "cannot be read"),
        ('{"allOf": []}', "cannot be read"),
        ('{"items": 3}', "3 is no schema"),
        ("[]", "list at the top"),
        ("{", "a schema is JSON"),
        ('{"$schema": "http://json-schema.org/draft-07/schema#"}', "the dialect is"),
    ],
)
def test_what_is_not_understood_is_refused(schema: str, said: str) -> None:
    """A keyword outside of the few, or one that is used in another way, is an error and no silent gap."""
    with pytest.raises(ContractError) as refused:
        read_health_schema(schema, source="health.schema.json")

    assert said in str(refused.value)
    assert str(refused.value).startswith("health.schema.json:")


def test_a_schema_that_is_too_deep_is_refused() -> None:
    """No schema exhausts the stack."""
    schema: dict[str, Any] = {}
    for _ in range(100):
        schema = {"items": schema}

    with pytest.raises(ContractError, match="levels at most"):
        read_schema(schema, source="deep")


# Old, new, and the rules that speak.
SMALL = [
    ({"type": "integer"}, {"type": "number"}, {"H003"}),
    ({"type": "number"}, {"type": "integer"}, {"H012"}),
    ({"type": "number", "minimum": 0}, {"type": "string"}, {"H003"}),
    ({"type": "string"}, {"enum": ["a"]}, set()),
    ({"type": "string"}, {"enum": ["a", 1]}, {"H004"}),
    ({"minimum": 1}, {"enum": [1, "a"]}, set()),
    ({"minimum": 1}, {"const": 0}, {"H004"}),
    ({"maxLength": 2}, {"const": "abc"}, {"H004"}),
    ({"pattern": "^a"}, {"const": "b"}, {"H004"}),
    ({"const": True}, {"const": 1}, {"H004", "H012"}),
    ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "string"}, set()),
    ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "number"}, {"H003"}),
    ({"type": "string"}, {"anyOf": [{"type": "string", "maxLength": 1}, {"const": "ab"}]}, set()),
    ({"type": "string"}, {"anyOf": [{"type": "string"}, {"type": "null"}]}, {"H003"}),
    ({"not": {"type": "null"}}, {}, {"H011"}),
    ({}, {"not": {"type": "null"}}, {"H012"}),
    ({"allOf": [{"type": "string"}]}, {"type": "string"}, {"H012"}),
    ({"allOf": [{"type": "string"}]}, {}, {"H011"}),
    ({"items": {"type": "string"}}, {"items": {"type": "null"}}, {"H003"}),
    ({"items": {"type": "string"}}, {"type": "object"}, {"H012"}),
    ({"maxItems": 3}, {"maxItems": 4}, {"H009"}),
    ({"additionalProperties": {"type": "number"}}, {"properties": {"a": {"type": "string"}}}, {"H003", "H014"}),
    ({"properties": {"a": {"type": "string"}}}, {"additionalProperties": {"type": "number"}}, {"H003", "H012"}),
    ({"additionalProperties": False}, {"additionalProperties": {"type": "number"}}, {"H005"}),
    ({"properties": {"a": False}}, {"properties": {"a": {}}}, {"H005"}),
    ({"properties": {"a": {}}}, {"properties": {"a": False}}, {"H013"}),
    ({"propertyNames": {"maxLength": 3}}, {"propertyNames": {"maxLength": 4}}, {"H009"}),
]


@pytest.mark.parametrize(("old", "new", "expected"), SMALL)
def test_a_small_schema_gives_the_rule(old: dict[str, Any], new: dict[str, Any], expected: set[str]) -> None:
    """Each keyword is compared in its direction."""
    differences = compare(read_schema(old, source="old"), read_schema(new, source="new"))

    assert {difference.rule for difference in differences} == expected


def test_a_definition_that_is_used_often_is_one_finding() -> None:
    """A change of a shared definition is said once, under its name."""
    changed = swap('"healthy", "degraded", "unhealthy"', '"healthy", "degraded", "unhealthy", "dead"')(TEXT)

    changes = diff_health(read_health_schema(TEXT, source="a"), read_health_schema(changed, source="b"))

    assert [(change.rule, change.name, change.observed) for change in changes] == [("H004", "status", '"dead"')]


def test_the_line_of_a_property_is_known() -> None:
    """A finding stands where the property does."""
    changed = swap('"maxLength": 200', '"maxLength": 300')(TEXT)

    (change,) = diff_health(read_health_schema(TEXT, source="a"), read_health_schema(changed, source="b"))

    assert change.line is not None
    assert '"message": {' in changed.splitlines()[change.line - 1]


_WORDS = st.sampled_from(["type", "enum", "$ref", "$defs", "items", "anyOf", "properties", "minimum"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda deeper: st.lists(deeper) | st.dictionaries(_WORDS, deeper),
)


@given(_JSON)
@settings(max_examples=100, deadline=None)
def test_no_json_crashes_the_reader(document: object) -> None:
    """Any JSON is a schema or a ContractError."""
    with suppress(ContractError):
        read_health_schema(json.dumps(document), source="any")
