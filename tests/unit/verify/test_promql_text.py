"""Trees written as PromQL again."""

from __future__ import annotations

import pytest
from tests.support.promql_cases import RIGHT, WRONG

from prethrift_backend.verify.promql.text import write
from prethrift_backend.verify.promql.tree import QueryError, parse


def _readable() -> list[str]:
    found = []
    for text in dict.fromkeys(case[1] for case in (*RIGHT, *WRONG)):
        try:
            parse(text)
        except QueryError:
            continue
        found.append(text)
    return found


@pytest.mark.parametrize("text", _readable())
def test_what_is_written_reads_as_the_same_tree(text: str) -> None:
    """Nothing that the tree has is lost on the way."""
    tree = parse(text)

    assert parse(write(tree)) == tree


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a + b * c", "a + (b * c)"),
        ('a{x="\\"y\\\\",z=~".+"}[90s]', 'a{x="\\"y\\\\",z=~".+"}[90s]'),
        ("rate(a[1500ms] offset -1h)", "rate(a[1500ms] offset -3600s)"),
        ("max_over_time((a > 1)[1h:5m])", "max_over_time((a > 1)[3600s:300s])"),
        ("-a ^ 2", "-(a ^ 2)"),
        ("a - -1", "a - (-1)"),
        ("a > bool 1", "a > bool 1"),
        ("a / on (x) group_left (y) b", "a / on (x) group_left (y) b"),
        ("quantile without (x) (0.5, a)", "quantile without (x) (0.5, a)"),
        ("a > +Inf or a == NaN or a < 1e-7 or a < -Inf", None),
    ],
)
def test_the_forms(text: str, written: str | None) -> None:
    """Each form of expression, with as many parentheses as leave no doubt."""
    found = write(parse(text))

    assert found == (written or "(((a > Inf) or (a == NaN)) or (a < 1e-07)) or (a < (-Inf))")
