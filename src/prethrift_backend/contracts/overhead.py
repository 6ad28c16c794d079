"""The overhead contract as frozen values: what the telemetry may cost, case by case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prethrift_backend.exceptions import ContractError


@dataclass(frozen=True, slots=True)
class CostLimit:
    """One figure of a budget: exactly ``value``, or at most that."""

    value: float
    is_exact: bool

    def allows(self, measured: float) -> bool:
        """Return whether a measured figure keeps the limit; one that is lower breaks an exact one as well."""
        return measured == self.value if self.is_exact else measured <= self.value

    def __str__(self) -> str:
        return f"{'=' if self.is_exact else '<='}{self.value:g}"


@dataclass(frozen=True, slots=True)
class CostBudget:
    """What one case may cost; ``python`` is the minor version for which its figures hold, None where they always do."""

    case: str
    limits: Mapping[str, CostLimit]
    python: str | None = None
    note: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class OverheadContract:
    """Every budget, in the order of the lines."""

    version: str
    sha256: str
    source: str = field(compare=False)
    budgets: tuple[CostBudget, ...] = ()

    @property
    def cases(self) -> tuple[str, ...]:
        """The names of the cases, each once."""
        return tuple(dict.fromkeys(budget.case for budget in self.budgets))

    def budget(self, case: str, *, python: str | None = None) -> CostBudget:
        """Return the budget of a case, for a minor version of Python such as ``3.11``.

        Raises ContractError where there is none.
        """
        for budget in self.budgets:
            if (budget.case, budget.python) == (case, python):
                return budget
        wanted = case if python is None else f"{case} py={python}"
        raise ContractError(f"{self.source} has no budget {wanted!r}: what is measured has a limit; add a BUDGET line")
