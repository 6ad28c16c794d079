"""What the session `perf` has measured: figures with their limits, and the table of them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

from tests.overhead.paired import Bounds, bounds_of

from prethrift_backend.contracts import load_overhead

# What one machine differs from the next: a time fails where its lower bound is over by more. Ratios have none of it.
ALLOWANCE = 0.25
_HEAD = ("feature", "cost", "", "budget", "used", "")


@dataclass(frozen=True)
class Figure:
    """One measured number; the limits are what a run is held to, None where it only reports.

    ``aim`` is what the project wants to reach, where a run is held to less: machines and their load differ. With
    ``bounds`` a figure has failed only where even the lower one is beyond the limit, and passed where the upper one is
    within; in between nothing is decided. ``allowance`` is the share of the limit that the lower bound may be above it.
    ``budget`` is the line of overhead.txt that the limit comes from.
    """

    name: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    aim: float | None = None
    bounds: Bounds | None = None
    allowance: float = ALLOWANCE
    budget: str | None = None

    @property
    def is_met(self) -> bool:
        """Tell whether the value is within its limits, or cannot be said to be beyond them."""
        if self.bounds is not None and self.at_most is not None:
            return self.bounds.low <= self.at_most * (1 + self.allowance)
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )

    @property
    def used(self) -> float | None:
        """How much of the limit is used, as a share; of a least, how much of what was reached had to be."""
        if self.at_least is not None:
            return self.at_least / self.value if self.value else None
        return self.value / self.at_most if self.at_most else None

    def limit(self) -> str:
        """Write the limit as it stands in the table."""
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return "" if self.at_most is None else f"<= {self.at_most:g}"

    def verdict(self) -> str:
        """Write whether the limit is met, and where there is an aim, whether that is."""
        if not self.limit():
            return ""
        if self.aim is None:
            return self._verdict()
        is_reached = self.value <= self.aim if self.at_least is None else self.value >= self.aim
        return f"{self._verdict()}; aim {self.aim:g} {'reached' if is_reached else 'not reached'}"

    def _verdict(self) -> str:
        if not self.is_met:
            return "NOT MET"
        if self.bounds is None or self.at_most is None or self.bounds.high <= self.at_most:
            return "met"
        # A machine that is slower is no change: but that the budget is not kept here has to be read.
        word = "undecided" if self.bounds.low <= self.at_most else "over, within the allowance"
        return f"{word} ({self.bounds.low:.3g} to {self.bounds.high:.3g})"

    def row(self) -> tuple[str, ...]:
        """Return the cells of its line in the table."""
        used = "" if self.used is None else f"{self.used:.0%}"
        return self.name, f"{self.value:.4g}", self.unit, self.limit(), used, self.verdict()


@dataclass
class Figures:
    """The figures of one run."""

    taken: list[Figure] = field(default_factory=list)

    def take(
        self,
        name: str,
        value: float,
        unit: str,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        aim: float | None = None,
        bounds: Bounds | None = None,
    ) -> None:
        """Keep a figure for the table, then hold it to its limit."""
        self._keep(Figure(name, value, unit, at_least, at_most, aim, bounds))

    def show(self, name: str, value: float, unit: str, at_most: float | None) -> None:
        """Keep a figure with its limit, where there is one, which somebody else holds it to."""
        self.taken.append(Figure(name, value, unit, at_most=at_most))

    def hold(
        self,
        name: str,
        value: float,
        unit: str,
        budget: tuple[str, str],
        *,
        aim: float | None = None,
        bounds: Bounds | None = None,
        allowance: float = ALLOWANCE,
    ) -> None:
        """Keep a figure, then hold it to its budget: the name of a case in overhead.txt and that of its figure."""
        case, figure = budget
        limit = load_overhead().budget(case).limits[figure]
        line = f"{case} {figure}{limit}"
        self._keep(Figure(name, value, unit, None, limit.value, aim, bounds, allowance, line))

    def _keep(self, figure: Figure) -> None:
        self.taken.append(figure)
        assert figure.is_met, (
            f"{figure.name}: {figure.value:.4g} {figure.unit}, promised is {figure.limit()}"
            f"{'' if figure.budget is None else f' (contracts/overhead.txt: {figure.budget})'}"
        )


def bounds_over(values: Sequence[float]) -> Bounds:
    """Return the median of some values of one process, or of one process each, and its bounds."""
    return bounds_of([values], random.Random(0))


def table_of(figures: Sequence[Figure]) -> Iterator[str]:
    """Write the one table: feature, cost, budget, and the share of the budget that is used."""
    rows = [_HEAD, *(figure.row() for figure in figures)]
    feature, cost, unit, budget, used, _ = (max(len(cell) for cell in column) for column in zip(*rows, strict=True))
    for row in rows:
        yield (
            f"{row[0]:<{feature}}  {row[1]:>{cost}} {row[2]:<{unit}}  "
            f"{row[3]:<{budget}}  {row[4]:>{used}}  {row[5]}".rstrip()
        )


def records_of(figures: Sequence[Figure]) -> list[dict[str, object]]:
    """Return the figures as they are kept."""
    return [{**asdict(figure), "used": figure.used, "verdict": figure.verdict()} for figure in figures]
