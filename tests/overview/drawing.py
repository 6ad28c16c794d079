"""A dashboard's panels as one SVG picture: a number or lines a panel, in the places that the dashboard gives them.

Written without a plotting library: the same answers make the same bytes, whatever is installed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from xml.sax.saxutils import escape

from tests.overview.words import ticks, write_time, write_value

COLUMN_PIXELS: Final = 50
LINE_PIXELS: Final = 32
_GAP: Final = 4
_GROUND, _CARD, _TEXT, _FAINT, _GRID = "#111217", "#181b1f", "#d8d9da", "#8e8e99", "#2c3235"
_LINES: Final = ("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#ffa6b0")
_COLOURS: Final = {"green": "#73bf69", "orange": "#ff9830", "red": "#f2495c", "blue": "#5794f2"}
_FONT: Final = 'font-family="sans-serif" font-size="11"'
_LETTER_PIXELS: Final = 6.3  # of a letter of 11 pixels, about


@dataclass(frozen=True)
class Series:
    """What one line of a legend stands for; a point is a time and a value, which may be no number."""

    name: str
    points: tuple[tuple[float, float], ...]

    @property
    def numbers(self) -> list[float]:
        """The values that are numbers."""
        return [value for _, value in self.points if math.isfinite(value)]

    @property
    def last(self) -> float:
        """The last of them."""
        return self.numbers[-1] if self.numbers else math.nan


@dataclass(frozen=True)
class Span:
    """The time that the picture shows; the distance of two points tells where a line has a gap."""

    start: float
    end: float
    step: float


@dataclass(frozen=True)
class Box:
    """A part of the picture."""

    x: float
    y: float
    width: float
    height: float

    def within(self, *, left: float = 0, top: float = 0, right: float = 0, bottom: float = 0) -> Box:
        """Return what is left of it behind margins."""
        return Box(self.x + left, self.y + top, self.width - left - right, self.height - top - bottom)


def draw_dashboard(model: Mapping[str, Any], answers: Mapping[int, Sequence[Series]], span: Span) -> str:
    """Draw every panel of a dashboard; ``answers`` has the series of each by its id."""
    boxes = {panel["id"]: _box(panel["gridPos"]) for panel in model["panels"]}
    width = max(box.x + box.width for box in boxes.values()) + _GAP
    height = max(box.y + box.height for box in boxes.values()) + _GAP
    parts = [part for panel in model["panels"] for part in _panel(panel, boxes[panel["id"]], answers, span)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" {_FONT}>',
            f"<title>{escape(model['title'])}</title>",
            _rectangle(Box(0, 0, width, height), _GROUND),
            *parts,
            "</svg>\n",
        ]
    )


def _box(at: Mapping[str, int]) -> Box:
    return Box(
        at["x"] * COLUMN_PIXELS + _GAP,
        at["y"] * LINE_PIXELS + _GAP,
        at["w"] * COLUMN_PIXELS - _GAP,
        at["h"] * LINE_PIXELS - _GAP,
    )


def _panel(panel: Mapping[str, Any], box: Box, answers: Mapping[int, Sequence[Series]], span: Span) -> Iterator[str]:
    if panel["type"] == "row":
        yield _text(box.x + 4, box.y + 19, panel["title"], size=14, weight="bold")
        return
    yield _rectangle(box, _CARD)
    yield _text(box.x + 8, box.y + 17, _fitting(panel["title"], box.width - 12), weight="bold")
    series = answers.get(panel["id"], ())
    draw = _stat if panel["type"] == "stat" else _chart
    yield from draw(panel, box, series, span)


def _fitting(title: str, width: float) -> str:
    """Cut a title that is too long for its panel, as Grafana does."""
    most = int(width / (_LETTER_PIXELS * 1.07))  # bold letters are wider
    return title if len(title) <= most else f"{title[: most - 1].rstrip(' ,')}…"


# Numbers.


def _stat(panel: Mapping[str, Any], box: Box, series: Sequence[Series], span: Span) -> Iterator[str]:
    last = series[0].last if series else math.nan
    colour = _COLOURS[_threshold(panel, last)]
    words = {key: value for each in _defaults(panel).get("mappings", []) for key, value in each["options"].items()}
    said = words.get(f"{last:g}")
    shown = said["text"] if said else write_value(last, _defaults(panel)["unit"])
    colour = _COLOURS[said["color"]] if said else colour
    if series:
        highest = max([*series[0].numbers, 1e-9])
        yield from _line(series[0], box.within(top=box.height * 0.65), span, highest * 1.2, colour=colour, faint=True)
    yield _text(box.x + box.width / 2, box.y + box.height / 2 + 14, shown, size=26, colour=colour, anchor="middle")


def _threshold(panel: Mapping[str, Any], value: float) -> str:
    steps = _defaults(panel)["thresholds"]["steps"]
    passed = [step["color"] for step in steps if step["value"] is None or value >= step["value"]]
    return str(passed[-1])


def _defaults(panel: Mapping[str, Any]) -> Mapping[str, Any]:
    defaults: Mapping[str, Any] = panel["fieldConfig"]["defaults"]
    return defaults


# Lines.


def _chart(panel: Mapping[str, Any], box: Box, series: Sequence[Series], span: Span) -> Iterator[str]:
    unit = _defaults(panel)["unit"]
    plot = box.within(left=66, top=30, right=14, bottom=48)
    drawn = _piled(series) if _defaults(panel)["custom"]["stacking"]["mode"] == "normal" else list(series)
    marks = ticks(max([value for each in drawn for value in each.numbers], default=0.0), unit)
    yield from _axes(plot, marks, unit, span)
    yield from _limits(panel, plot, marks[-1])
    for each, colour in zip(drawn, _cycle(), strict=False):
        yield from _line(each, plot, span, marks[-1], colour=colour)
    yield from _legend([each.name for each in series], box)


def _piled(series: Sequence[Series]) -> list[Series]:
    """Put each series upon those before it."""
    below: dict[float, float] = {}
    piled = []
    for each in series:
        points = tuple((at, value + below.get(at, 0.0)) for at, value in each.points)
        below.update({at: value for at, value in points if math.isfinite(value)})
        piled.append(Series(each.name, points))
    return piled


def _axes(plot: Box, marks: Sequence[float], unit: str, span: Span) -> Iterator[str]:
    for mark in marks:
        y = plot.y + plot.height * (1 - mark / marks[-1])
        yield _rule(plot.x, y, plot.x + plot.width, y, _GRID)
        yield _text(plot.x - 6, y + 4, write_value(mark, unit), colour=_FAINT, anchor="end")
    length = span.end - span.start
    for second in ticks(length, "s", most=5):
        if second <= length:
            x = plot.x + plot.width * second / length
            yield _text(x, plot.y + plot.height + 15, write_time(second), colour=_FAINT, anchor="middle")


def _limits(panel: Mapping[str, Any], plot: Box, highest: float) -> Iterator[str]:
    for step in _defaults(panel)["thresholds"]["steps"]:
        if step["value"] is not None and step["value"] <= highest:
            y = plot.y + plot.height * (1 - step["value"] / highest)
            yield _rule(plot.x, y, plot.x + plot.width, y, _COLOURS[step["color"]])


def _line(series: Series, plot: Box, span: Span, highest: float, *, colour: str, faint: bool = False) -> Iterator[str]:
    for run in _runs(series.points, span.step):
        places = " ".join(
            f"{plot.x + plot.width * (at - span.start) / (span.end - span.start):.1f},"
            f"{plot.y + plot.height * (1 - value / highest):.1f}"
            for at, value in run
        )
        style = 'stroke-width="1" opacity="0.5"' if faint else 'stroke-width="1.5"'
        yield f'<polyline points="{places}" fill="none" stroke="{colour}" {style}/>'


def _runs(points: Iterable[tuple[float, float]], step: float) -> Iterator[list[tuple[float, float]]]:
    """Give what belongs together: a value that is no number, or a missing one, ends a line."""
    run: list[tuple[float, float]] = []
    for at, value in points:
        if run and (at - run[-1][0] > 1.5 * step or not math.isfinite(value)):
            yield run
            run = []
        if math.isfinite(value):
            run.append((at, value))
    if run:
        yield run


def _legend(names: Sequence[str], box: Box) -> Iterator[str]:
    x, y = box.x + 12, box.y + box.height - 12
    for name, colour in zip(names, _cycle(), strict=False):
        width = 20 + _LETTER_PIXELS * len(name)
        if not name or x + width > box.x + box.width:
            continue
        yield _rectangle(Box(x, y - 6, 10, 3), colour)
        yield _text(x + 14, y, name)
        x += width + 8


def _cycle() -> Iterator[str]:
    while True:
        yield from _LINES


# Shapes.


def _rectangle(box: Box, colour: str) -> str:
    return f'<rect x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="2" fill="{colour}"/>'


def _rule(x: float, y: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _text(x: float, y: float, text: str, **style: Any) -> str:
    names = {"size": "font-size", "weight": "font-weight", "anchor": "text-anchor", "colour": "fill"}
    written = {"colour": _TEXT, **style}
    attributes = "".join(f' {names[name]}="{value}"' for name, value in written.items())
    return f'<text x="{x:.1f}" y="{y:.1f}"{attributes}>{escape(text)}</text>'
