"""``overhead.txt`` held against itself: figures that can be, and cases that do not contradict themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from prethrift_backend.contracts.overhead import CostBudget, OverheadContract
from prethrift_backend.verify.findings import Finding, Place
from prethrift_backend.verify.lint.findings import About

# What is measured and not counted, and so is another number in each run: times, memory, a relation of the two.
_MEASURED: Final = re.compile(r"(?:^|_)(?:seconds|ms|us|ns|bytes|ratio|share|percent)$")


def check_overhead(overhead: OverheadContract) -> Iterator[Finding]:
    """Return what is wrong with an overhead contract beyond what its parser refuses."""
    for budget in overhead.budgets:
        about = About("overhead", budget.case, Place(overhead.source, budget.line))
        yield from _check_figures(budget, about)
        if budget.python is not None:
            yield from _check_general(budget, overhead, about)


def _check_figures(budget: CostBudget, about: About) -> Iterator[Finding]:
    for figure, limit in budget.limits.items():
        where = f"{figure}{limit} of {budget.case!r}"
        if limit.value < 0:
            yield about.fault("FO001", f"{where} is below 0: nothing costs less", "write the figure that was counted")
        elif _MEASURED.search(figure):
            if limit.is_exact:
                fix = f"write {figure}<= and the most that it may be"
                yield about.fault("FO001", f"{where} is measured, and never exactly so much", fix)
        elif limit.value != int(limit.value):
            yield about.fault("FO001", f"{where} is a count, and no whole number", "write a whole number")


def _check_general(budget: CostBudget, overhead: OverheadContract, about: About) -> Iterator[Finding]:
    general = next((one for one in overhead.budgets if (one.case, one.python) == (budget.case, None)), None)
    if general is None:
        message = f"{budget.case!r} is promised for Python {budget.python} alone: another version may cost anything"
        fix = f"add a line BUDGET {budget.case} with what no version changes, such as lines= and spans="
        yield about.fault("FO003", message, fix)
        return
    for figure in [one for one in budget.limits if one in general.limits]:
        message = (
            f"{figure} of {budget.case!r} has two limits, one for Python {budget.python} and one for every version"
        )
        fix = "take one of the two away"
        expected, observed = f"{figure}{general.limits[figure]}", f"{figure}{budget.limits[figure]}"
        yield about.fault("FO002", message, fix, expected=expected, observed=observed)
