"""What a value of a log line or a span may be."""

from __future__ import annotations

import pytest

from prethrift_backend.contracts import Count, ValueType

ALLOWED: list[tuple[ValueType, object, bool]] = [
    (ValueType("string", max_length=2), "ab", True),
    (ValueType("string", max_length=2), "abc", False),
    (ValueType("string"), 1, False),
    (ValueType("string"), None, False),
    (ValueType("string", allows_null=True), None, True),
    (ValueType("enum", ("a", "b")), "b", True),
    (ValueType("enum", ("a", "b")), "c", False),
    (ValueType("enum", ("1",)), 1, False),
    (ValueType("enum+", ("a",)), "c", True),
    (ValueType("match", pattern="[0-9]+"), "12", True),
    (ValueType("match", pattern="[0-9]+"), "12a", False),
    (ValueType("const", ("true",)), True, True),
    (ValueType("const", ("true",)), False, False),
    (ValueType("const", ("python",)), "Python", False),
    (ValueType("const", ("1",)), 1, True),
    (ValueType("const", ("1",)), True, False),
    (ValueType("int", minimum=1, maximum=3), 3, True),
    (ValueType("int", minimum=1, maximum=3), 4, False),
    (ValueType("int"), 1.0, False),
    (ValueType("int"), True, False),
    (ValueType("number", minimum=0), 0.5, True),
    (ValueType("number", minimum=0), -0.5, False),
    (ValueType("number", maximum=1), float("nan"), False),
    (ValueType("boolean"), True, True),
    (ValueType("boolean"), 1, False),
    (ValueType("date-time"), "2026-01-02T03:04:05.000006Z", True),
    (ValueType("date-time"), "2026-01-02T03:04:05+01:00", True),
    (ValueType("date-time"), "2026-02-30T03:04:05Z", False),
    (ValueType("date-time"), "2026-01-02", False),
    (ValueType("date-time"), "yesterday", False),
    (ValueType("object"), {}, True),
    (ValueType("object"), [], False),
    (ValueType("array"), [], True),
    (ValueType("array"), "a", False),
]


@pytest.mark.parametrize(("promised", "value", "is_allowed"), ALLOWED)
def test_a_value_is_held_against_its_type(promised: ValueType, value: object, is_allowed: bool) -> None:
    """Kind, list, pattern, length, range and null each decide."""
    assert promised.allows(value) is is_allowed


@pytest.mark.parametrize(
    ("promised", "text"),
    [
        (ValueType("string", max_length=200, allows_null=True), "string max=200 or-null"),
        (ValueType("enum", ("a", "b")), "enum a|b"),
        (ValueType("match", pattern="[a-z]"), "match [a-z]"),
        (ValueType("int", minimum=100, maximum=16777217), "int 100..16777217"),
        (ValueType("number", minimum=0.5), "number >=0.5"),
        (ValueType("number", maximum=0), "number <=0"),
    ],
)
def test_a_type_is_written_as_in_the_contract(promised: ValueType, text: str) -> None:
    """The text of a type is what the contract has to say for it."""
    assert str(promised) == text


def test_a_count_is_written_as_in_the_contract() -> None:
    """Exactly, at most, and by what."""
    assert [str(Count(1, "request", is_exact=True)), str(Count(2))] == ["=1/request", "<=2"]
