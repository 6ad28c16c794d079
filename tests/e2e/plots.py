"""Courses over time as SVG, for the report: lines over the seconds of a step, with what happened marked.

Written without a plotting library: the session needs no more than a polyline, and the report no script and no font.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from tests.e2e.load_results import Answer, by_second

_WIDTH, _HEIGHT = 860, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 40, 26
_COLOURS: Final = ("#2f6fb0", "#c8553d", "#3d8f5f", "#8a5fb0", "#b08a2f", "#4a4a4a")
_STEPS: Final = (1.0, 2.0, 5.0, 10.0)
_MOST_TICKS: Final = 8


@dataclass(frozen=True)
class Line:
    """One line of a chart: seconds and values."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Mark:
    """Something that happened, at its second."""

    at_seconds: float
    text: str


@dataclass(frozen=True)
class Chart:
    """Lines over one time, with the unit of their values."""

    title: str
    unit: str
    lines: tuple[Line, ...]
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class _Scale:
    seconds: float
    most: float

    def x(self, at_seconds: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * at_seconds / self.seconds

    def y(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * value / self.most


def load_charts(answers: Sequence[Answer], started_at: float, marks: Sequence[Mark] = ()) -> list[Chart]:
    """Return the charts of a load: its rate with its failures, and its latency."""
    seconds = by_second(answers, started_at)
    courses = {
        name: Line(name, tuple((one.at_seconds, value) for one, value in zip(seconds, values, strict=True)))
        for name, values in {
            "sent": [float(one.sent) for one in seconds],
            "failed": [float(one.failed) for one in seconds],
            "median": [one.median_ms for one in seconds],
            "p99": [one.p99_ms for one in seconds],
        }.items()
    }
    return [
        Chart("requests", "a second", (courses["sent"], courses["failed"]), tuple(marks)),
        Chart("latency", "ms", (courses["median"], courses["p99"]), tuple(marks)),
    ]


def ticks(most: float) -> list[float]:
    """Return round numbers from 0 to at most ``most``, eight of them or fewer; 0 alone where it is not above 0."""
    if not 0 < most < math.inf:
        return [0.0]
    power = 10.0 ** math.floor(math.log10(most / _MOST_TICKS))
    step = next(power * factor for factor in _STEPS if most / (power * factor) < _MOST_TICKS)
    return [step * number for number in range(math.floor(most / step) + 1)]


def draw(chart: Chart) -> str:
    """Return a chart as one SVG element, all text escaped; values that are no numbers leave a line's point out."""
    points = [point for line in chart.lines for point in line.points if math.isfinite(point[1])]
    seconds = max([x for x, _ in points] + [mark.at_seconds for mark in chart.marks], default=0.0) or 1.0
    scale = _Scale(seconds, max((y for _, y in points), default=0.0) * 1.05 or 1.0)
    parts = [*_ground(chart, scale), *_marks(chart.marks, scale), *_lines(chart.lines, scale)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="11"><title>{escape(chart.title)}</title>{"".join(parts)}</svg>'
    )


def _ground(chart: Chart, scale: _Scale) -> Iterator[str]:
    yield f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>'
    yield _text(_LEFT, 14, f"{chart.title}, {chart.unit}", weight="bold")
    for value in ticks(scale.most):
        y = scale.y(value)
        yield f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>'
        yield _text(_LEFT - 6, y + 4, f"{value:g}", anchor="end")
    for at_seconds in ticks(scale.seconds):
        yield _text(scale.x(at_seconds), _HEIGHT - 8, f"{at_seconds:g} s", anchor="middle")


def _marks(marks: Sequence[Mark], scale: _Scale) -> Iterator[str]:
    for number, mark in enumerate(marks):
        x = scale.x(mark.at_seconds)
        yield f'<path d="M{x:.1f} {_TOP}V{_HEIGHT - _BOTTOM}" stroke="#999" stroke-dasharray="3 3"/>'
        # In turn on three heights: what happens in a row is close together.
        yield _text(x + 3, _TOP + 8 + 12 * (number % 3), mark.text, colour="#666")


def _lines(lines: Sequence[Line], scale: _Scale) -> Iterator[str]:
    for number, line in enumerate(lines):
        colour = _COLOURS[number % len(_COLOURS)]
        drawn = " ".join(f"{scale.x(x):.1f},{scale.y(y):.1f}" for x, y in line.points if math.isfinite(y))
        yield f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        yield _text(_LEFT + 120 * number, 30, f"— {line.name}", colour=colour)


def _text(x: float, y: float, text: str, *, anchor: str = "start", colour: str = "#222", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-weight="{weight}">'
        f"{escape(text)}</text>"
    )
