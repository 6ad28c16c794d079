"""The changes of an alert that its tests have to notice."""

from __future__ import annotations

import pytest
from tests.support.promql_cases import RIGHT

from prethrift_backend.verify.alerts.mutants import MutantError, mutants
from prethrift_backend.verify.promql.query import Query
from prethrift_backend.verify.promql.tree import parse


def _made(text: str, *, for_seconds: float = 0) -> dict[str, str]:
    alert = Query(text, "alert", "A", for_seconds=for_seconds)
    return {mutant.what: mutant.expression for mutant in mutants(alert)}


@pytest.mark.parametrize(
    ("text", "made"),
    [
        (
            "a > 5",
            {"> made <": "a < 5", "> made >=": "a >= 5", "threshold doubled": "a > 10", "threshold halved": "a > 2.5"},
        ),
        (
            "a / b > 1",
            {"> made <": "(a / b) < 1", "threshold doubled": "(a / b) > 2", "threshold halved": "(a / b) > 0.5"},
        ),
        ("5.5 < a", {"< made >": "5.5 > a", "threshold doubled": "11 < a", "threshold halved": "2.75 < a"}),
        ("a > 5 + 0.5", {"> made <": "a < (5 + 0.5)", "threshold doubled": "a > 11", "threshold halved": "a > 2.75"}),
        ("increase(a[5m]) > 0", {"> made <": "increase(a[300s]) < 0", "> made >=": "increase(a[300s]) >= 0"}),
        ("up == 0", {"== made !=": "up != 0"}),
        ("a > b", {"> made <": "a < b"}),
    ],
)
def test_comparisons(text: str, made: dict[str, str]) -> None:
    """Thresholds and operators; what no test could notice is not tried."""
    assert _made(text) == made


def test_matchers_groups_and_conditions() -> None:
    """Each matcher by itself, ``by``, what ``and`` and ``or absent`` add, and ``for``."""
    text = 'sum by (x) (a{y="1",z!="2"}) > 0 and b > 0 or absent(a)'

    assert set(_made(text, for_seconds=60)) == {
        "or absent(…) removed",
        "and … removed",
        "> made <",
        "> made >=",
        "by (x) dropped",
        'matcher y="1" removed',
        'matcher z!="2" removed',
        "'for' dropped",
    }


def test_dropping_for_keeps_the_expression() -> None:
    """The rule is the same but for its patience."""
    (dropped,) = [mutant for mutant in mutants(Query("a > 1", "alert", "A", for_seconds=60)) if not mutant.keeps_for]

    assert dropped.expression == "a > 1"


@pytest.mark.parametrize("text", ["a >", "a > 5 @ 1600000000", "a @ end() > 5"])
def test_what_cannot_be_written_again_is_refused(text: str) -> None:
    """No change is better than one that changes something else as well."""
    with pytest.raises(MutantError):
        mutants(Query(text, "alert", "A"))


@pytest.mark.parametrize("text", [text for context, text in RIGHT if context == "alert"])
def test_every_change_is_another_expression(text: str) -> None:
    """Each can be read, and none is what it was."""
    for mutant in mutants(Query(text, "alert", "A")):
        assert parse(mutant.expression) != parse(text)


def test_a_sign_in_a_text_is_no_moment() -> None:
    """``@`` in a value of a label fixes no time."""
    assert _made('a{mail="x@y"} > 1')
