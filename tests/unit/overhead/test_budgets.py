"""The numbers of the design, as docs/overhead.md shows them: each is a budget of overhead.txt, and is held."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.perf.work_counts import CASES, FEATURES

from prethrift_backend.contracts import load_overhead

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "overhead.md").read_text(encoding="utf-8")
# what | asked | `case figure<=number`, and where the number is another one, why.
ROW = re.compile(
    r"^\| [^|]+ \| (?P<asked>[\d.]+)[^|]* \| `(?P<case>\w+) (?P<figure>\w+)(?P<limit><=[\d.]+)`(?P<why>.*) \|$"
)
ROWS = [found for line in PAGE.splitlines() if (found := ROW.match(line))]
SOURCES = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests" / "perf").glob("test_*.py")))
MEASURED = [
    (budget.case, figure)
    for budget in load_overhead().budgets
    for figure in budget.limits
    if budget.case not in CASES and figure != "sql_statements"
]


def test_every_number_of_the_design_is_there() -> None:
    """Its table has eleven lines, of which two ask for two things."""
    assert len(ROWS) == 13


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['case']} {row['figure']}")
def test_a_number_of_the_design_is_a_budget(row: re.Match[str]) -> None:
    """The contract says the same; where it promises less than was asked, a page says why."""
    limit = load_overhead().budget(row["case"]).limits[row["figure"]]
    as_asked = limit.value == float(row["asked"])
    reason = re.search(r"\[why\]\((decisions/[^)]+)\)", row["why"])

    assert float(row["limit"].removeprefix("<=")) == limit.value
    assert as_asked or (reason is not None and (ROOT / "docs" / reason[1]).is_file())


@pytest.mark.parametrize(("case", "figure"), MEASURED)
def test_a_measured_budget_is_held(case: str, figure: str) -> None:
    """A test of the session `perf` names it."""
    assert f'"{case}", "{figure}"' in SOURCES or f'budget("{case}").limits["{figure}"]' in SOURCES


@pytest.mark.parametrize("case", [budget.case for budget in load_overhead().budgets if budget.python])
def test_what_is_promised_for_a_python_is_counted(case: str) -> None:
    """No budget of instructions is left without its count."""
    assert case in CASES


@pytest.mark.parametrize("case", CASES)
def test_what_is_counted_is_promised(case: str) -> None:
    """A case has a budget for every Python; and a feature is made of cases."""
    assert case in load_overhead().cases
    assert all(one in CASES for pair in FEATURES.values() for one in pair)
