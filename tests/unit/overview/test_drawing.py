"""The picture of the overview: drawn from answers, the same from the same, with what the dashboard says."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.overview.__main__ import name_of
from tests.overview.drawing import Series, Span, draw_dashboard
from tests.overview.words import ticks, write_time, write_value
from tests.support.dashboards import FOLDER

ROOT = Path(__file__).parents[3]
SPAN = Span(1000.0, 1060.0, 1.0)


def _panel(number: int, kind: str, title: str = "A panel", unit: str = "s") -> dict[str, Any]:
    steps = [{"color": "green", "value": None}, {"color": "red", "value": 5}]
    return {
        "id": number,
        "type": kind,
        "title": title,
        "gridPos": {"x": 0, "y": 8 * (number - 1), "w": 8, "h": 8},
        "fieldConfig": {
            "defaults": {
                "unit": unit,
                "thresholds": {"steps": steps},
                "custom": {"stacking": {"mode": "none"}},
            }
        },
    }


def _drawn(panel: dict[str, Any], *series: Series) -> ElementTree.Element:
    text = draw_dashboard({"title": "A dashboard", "panels": [panel]}, {panel["id"]: series}, SPAN)
    return ElementTree.fromstring(text)  # noqa: S314 - it was made a line above


def _of(drawn: ElementTree.Element, tag: str) -> list[ElementTree.Element]:
    return drawn.findall(f"{{http://www.w3.org/2000/svg}}{tag}")


def _words(drawn: ElementTree.Element) -> list[str]:
    return [element.text or "" for element in _of(drawn, "text")]


def _line(*values: float, name: str = "a") -> Series:
    return Series(name, tuple((1000.0 + at, value) for at, value in enumerate(values)))


def test_a_number_is_the_last_of_its_series_in_the_colour_of_its_threshold() -> None:
    """A gap at the end is passed over."""
    drawn = _drawn(_panel(1, "stat"), _line(1.0, 7.0, math.nan))

    assert "7 s" in _words(drawn)
    assert _of(drawn, "text")[-1].get("fill") == "#f2495c"


def test_a_value_with_a_word_is_written_as_the_word() -> None:
    """Health is up, and not 1."""
    panel = _panel(1, "stat")
    panel["fieldConfig"]["defaults"]["mappings"] = [{"options": {"1": {"text": "up", "color": "green"}}}]

    assert "up" in _words(_drawn(panel, _line(1.0)))


def test_a_panel_without_an_answer_says_so() -> None:
    """And draws no line."""
    drawn = _drawn(_panel(1, "stat"))

    assert "no data" in _words(drawn)
    assert _of(drawn, "polyline") == []


def test_a_line_ends_where_there_is_no_number_and_begins_again() -> None:
    """Nothing is drawn over a gap, be it a value that is no number or a point that is missing."""
    gap = Series("a", ((1000.0, 1.0), (1001.0, 1.0), (1002.0, math.nan), (1003.0, 1.0), (1010.0, 1.0)))

    assert len(_of(_drawn(_panel(1, "timeseries"), gap), "polyline")) == 3


def test_series_that_are_stacked_lie_upon_each_other() -> None:
    """The second line is at the sum of both."""
    panel = _panel(1, "timeseries")
    panel["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] = "normal"
    drawn = _drawn(panel, _line(1.0, 1.0), _line(1.0, 1.0, name="b"))
    first, second = ((line.get("points") or "").split()[0].split(",")[1] for line in _of(drawn, "polyline"))

    assert float(second) < float(first)
    assert {"a", "b"} <= set(_words(drawn))


def test_what_comes_from_outside_cannot_break_the_picture() -> None:
    """A label value with the signs of XML is text; a long title is cut."""
    drawn = _drawn(_panel(1, "timeseries", title="<b>&" * 40), _line(1.0, name="<a> & b"))

    assert "<a> & b" in _words(drawn)
    assert _words(drawn)[0].endswith("…")


def test_the_same_answers_make_the_same_picture() -> None:
    """Byte by byte."""
    model = {"title": "A dashboard", "panels": [_panel(1, "timeseries"), _panel(2, "stat")]}
    answers = {1: [_line(1.0, 2.0)], 2: [_line(3.0)]}

    assert draw_dashboard(model, answers, SPAN) == draw_dashboard(model, answers, SPAN)


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (0.01234, "s", "12.3 ms"),
        (0.0, "s", "0 s"),
        (0.000002, "s", "2 µs"),
        (2.5, "s", "2.5 s"),
        (0.0512, "percentunit", "5.12 %"),
        (12.34, "reqps", "12.3 req/s"),
        (1234.0, "reqps", "1.23K req/s"),
        (157286400.0, "bytes", "150 MiB"),
        (3.0, "short", "3"),
        (math.nan, "short", "no data"),
    ],
)
def test_values_are_written_with_three_digits_and_their_unit(value: float, unit: str, words: str) -> None:
    """As Grafana writes them."""
    assert write_value(value, unit) == words


def test_marks_of_an_axis_are_round_and_reach_above_the_values() -> None:
    """Steps of 1, 2 or 5; of MiB for bytes; and an axis of nothing has one, too."""
    assert ticks(7.3, "s") == [0, 2, 4, 6, 8]
    assert ticks(180 * 2**20, "bytes") == [0, 50 * 2**20, 100 * 2**20, 150 * 2**20, 200 * 2**20]
    assert ticks(0.0, "short") == [0, 1]
    assert write_time(80) == "1:20"


def test_a_legend_names_a_series_by_its_labels() -> None:
    """Grafana's template; without one there is no name."""
    assert name_of("{{check}} {{state}}", {"check": "database", "state": "healthy"}) == "database healthy"
    assert name_of("__auto", {"a": "b"}) == ""


def test_the_picture_of_the_documentation_is_of_the_dashboard_of_now() -> None:
    """Each panel is on it, and no other: after a change of the overview, `nox -s overview` draws it anew."""
    model = json.loads((FOLDER / "overview.json").read_text())
    picture = (ROOT / "docs" / "images" / "overview.svg").read_text()
    bold = re.findall(r'font-weight="bold">([^<]*)<', picture)

    assert len(bold) == len(model["panels"])
    assert all(
        panel["title"].startswith(written.rstrip("…")) for panel, written in zip(model["panels"], bold, strict=True)
    )
    assert "no data" not in picture
