"""A metric family before and after, and the changes of bounds that families and labels share."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from prethrift_backend.contracts import MetricFamily, MetricsContract
from prethrift_backend.verify.diff.changes import Change
from prethrift_backend.verify.diff.consumers import Use


@dataclass(frozen=True, slots=True)
class FamilyPair:
    """A family before and after; the names are two where it was renamed."""

    old: MetricFamily
    new: MetricFamily
    was_over_budget: bool = False
    is_over_budget: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """What a query may name of the family."""
        return sample_names(self.old)

    def change(self, rule: str, message: str, expected: str | None = None, observed: str | None = None) -> Change:
        """Return a change of the family: at its new line, with what the old one promised."""
        return Change(
            rule,
            "metrics",
            self.old.name,
            message,
            line=self.new.line,
            stability=self.old.stability,
            use=Use(self.parts),
            expected=expected,
            observed=observed,
        )


def sample_names(family: MetricFamily) -> tuple[str, ...]:
    """Return the names that the samples of a family have, and its own."""
    if family.kind != "histogram":
        return (family.name,)
    return (family.name, *(f"{family.name}_{part}" for part in ("bucket", "sum", "count")))


def is_over_budget(contract: MetricsContract) -> bool:
    """Say whether the bounds of all families together are more than the budget has."""
    bounds = [family.max_series for family in contract.families if family.max_series is not None]
    return contract.budget.series is not None and sum(bounds) > contract.budget.series


def cost_change(pair: FamilyPair, change: Change, before: float | None, after: float | None) -> Change:
    """Return the change of a bound with its level: it costs more, perhaps more than there is, or less."""
    if not is_raised(before, after):
        return replace(change, level="info", bump="patch", use=None)
    is_new = pair.is_over_budget and not pair.was_over_budget
    return replace(change, level="error" if is_new else "warning", use=None)


def is_raised(before: float | None, after: float | None) -> bool:
    """Say whether an upper bound went up; None is no bound."""
    return (math.inf if after is None else after) > (math.inf if before is None else before)


def with_bounds(change: Change, before: float | None, after: float | None) -> Change:
    """Return the change with both bounds."""
    return change.shown(_bound(before), _bound(after))


def _bound(bound: float | None) -> str:
    return "no bound" if bound is None else f"{bound:.12g}"
