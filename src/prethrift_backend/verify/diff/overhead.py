"""What changed between two overhead contracts: cases that are promised no longer, and figures that moved."""

from __future__ import annotations

from collections.abc import Iterator

from prethrift_backend.contracts.overhead import CostBudget, OverheadContract
from prethrift_backend.verify.diff.changes import Change
from prethrift_backend.verify.diff.values import paired


def diff_overhead(old: OverheadContract, new: OverheadContract) -> list[Change]:
    """Return every difference that whoever serves with the telemetry may pay for."""
    before, after = _by_key(old), _by_key(new)
    gone, kept, added = paired(before, after)
    changes = [Change("O001", "overhead", key, f"the budget {key} is gone") for key in gone]
    for key, was, now in kept:
        changes += _kept_changes(key, was, now)
    for key in added:
        changes.append(Change("O004", "overhead", key, f"the budget {key} is new", line=after[key].line))
    return changes


def _by_key(overhead: OverheadContract) -> dict[str, CostBudget]:
    return {_key(budget): budget for budget in overhead.budgets}


def _key(budget: CostBudget) -> str:
    return budget.case if budget.python is None else f"{budget.case} py={budget.python}"


def _kept_changes(key: str, old: CostBudget, new: CostBudget) -> Iterator[Change]:
    gone, kept, added = paired(old.limits, new.limits)
    for figure in gone:
        message = f"nothing limits {figure} of {key} any more"
        yield _change("O001", key, figure, message, new).shown(f"{figure}{old.limits[figure]}", "no limit")
    for figure, was, now in kept:
        if was != now:
            rule = "O002" if now.value > was.value else "O003"
            message = f"{key} may cost more" if rule == "O002" else f"{key} is held to less, or in another way"
            yield _change(rule, key, figure, message, new).shown(f"{figure}{was}", f"{figure}{now}")
    for figure in added:
        yield _change("O004", key, figure, f"{figure} of {key} is limited now", new).shown(
            "no limit", f"{figure}{new.limits[figure]}"
        )


def _change(rule: str, key: str, figure: str, message: str, budget: CostBudget) -> Change:
    return Change(rule, "overhead", f"{key} {figure}", message, line=budget.line)
