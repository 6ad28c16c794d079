"""What is measured of one axis, and the bound that its growth keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

Shape: TypeAlias = Literal["flat", "linear"]


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured at one size: counts are nearly the same on every run, times are the machine's."""

    size: int
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Bound:
    """How a count may grow: not at all (`flat`), or by as much for each step of the size (`linear`).

    ``factor`` is the most that the last value may be of the first; under `linear` it is so of the slopes.
    """

    figure: str
    shape: Shape
    factor: float

    def growth(self, points: Sequence[Point]) -> float:
        """Return the largest value over the first one, or the steepest slope over the first."""
        values = [point.figures[self.figure] for point in points]
        if self.shape == "flat":
            return max(values) / values[0]
        slopes = [
            (after.figures[self.figure] - before.figures[self.figure]) / (after.size - before.size)
            for before, after in pairwise(points)
        ]
        return max(slopes) / slopes[0]

    def fault(self, points: Sequence[Point]) -> str | None:
        """Return what is wrong, None where the bound is kept."""
        growth = self.growth(points)
        if growth <= self.factor:
            return None
        what = "the first value" if self.shape == "flat" else "the first slope"
        return f"{self.figure} grows to {growth:.3f} of {what}, {self.factor:g} is promised: see what walks or copies"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured thing, as the table heads it, and how its numbers are written."""

    name: str
    heading: str
    digits: int = 0
    is_time: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """One way to grow: the sizes that are measured, those of the short form, and what is measured at each.

    ``measure`` takes the sizes and whether times are wanted, and returns a point for each size.
    """

    name: str
    unit: str
    sizes: tuple[int, ...]
    short: tuple[int, ...]
    measure: Callable[[Sequence[int], bool], list[Point]]
    figures: tuple[Figure, ...]
    bounds: tuple[Bound, ...]

    def faults(self, points: Sequence[Point]) -> list[str]:
        """Return every bound that is not kept."""
        return [f"{self.name}: {fault}" for bound in self.bounds if (fault := bound.fault(points))]
