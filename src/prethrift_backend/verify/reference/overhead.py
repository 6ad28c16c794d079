"""``overhead.md``: what the telemetry may cost, case by case."""

from __future__ import annotations

from typing import Final

from prethrift_backend.contracts.overhead import CostBudget, OverheadContract
from prethrift_backend.verify.reference.markdown import code, page, paragraph, table, text

_INTRO: Final = (
    "What the telemetry may add to one request, counted. Figures with `=` are exact; those of a Python version hold "
    "for that version alone."
)


def render_overhead(overhead: OverheadContract) -> str:
    """Return ``overhead.md``."""
    rows = [_row(budget) for budget in overhead.budgets]
    return page("Overhead", [paragraph(_INTRO), table(("case", "Python", "may cost", "when"), rows)])


def _row(budget: CostBudget) -> tuple[str, ...]:
    figures = ", ".join(code(f"{name}{limit}") for name, limit in budget.limits.items())
    return code(budget.case), text(budget.python or "any"), figures, text(budget.note)
