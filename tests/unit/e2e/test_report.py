"""The report of the end-to-end session: all that was said, as text, in a file that needs no other."""

from __future__ import annotations

import math
from pathlib import Path
from xml.etree import ElementTree

from tests.e2e.load_results import Answer
from tests.e2e.plots import Chart, Line, Mark, draw, load_charts, ticks
from tests.e2e.report import Ended, Report

HOSTILE = "<script>alert('x')</script> & \"more\""


def _report() -> Report:
    report = Report()
    step = report.begin("test_a_step", HOSTILE)
    step.said.append(HOSTILE)
    step.charts.append(Chart(HOSTILE, HOSTILE, (Line(HOSTILE, ((0.0, 1.0), (1.0, 2.0))),), (Mark(0.5, HOSTILE),)))
    return report


def _drawn(chart: Chart) -> ElementTree.Element:
    return ElementTree.fromstring(draw(chart))  # noqa: S314 - it was made on this line


def test_every_text_is_escaped() -> None:
    """Whatever a log or an error says becomes text, in the page and in its charts."""
    page = _report().html(heading=HOSTILE, ended={"test_a_step": Ended("failed", 1.0, HOSTILE)})

    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 8


def test_nothing_is_loaded_from_elsewhere() -> None:
    """There is no address but the name of the SVG namespace, and the page's own policy forbids the rest."""
    page = _report().html(heading="End to end", ended={})

    assert page.replace('xmlns="http://www.w3.org/2000/svg"', "").count("http") == 1  # of http-equiv
    assert "default-src 'none'" in page
    assert "src=" not in page


def test_the_outcome_of_each_step_stands_at_its_beginning(tmp_path: Path) -> None:
    """The table has the step, how it ended and after how long; one that has not ended says so."""
    report = _report()
    report.begin("test_another")
    path = report.write(tmp_path / "new" / "report.html", heading="E", ended={"test_a_step": Ended("passed", 12.34)})

    page = path.read_text()
    assert '<td class="passed">passed</td><td>12.3</td>' in page
    assert '<td class="failed">not ended</td>' in page


def test_a_step_that_begins_again_is_the_same_step() -> None:
    """Its name finds it; a second one is not made."""
    report = _report()

    assert report.begin("test_a_step").title == HOSTILE
    assert list(report.steps) == ["test_a_step"]


def test_a_chart_is_well_formed_whatever_its_values() -> None:
    """No lines, no points, values that are no numbers and values of nought all make a picture."""
    for points in ((), ((0.0, math.nan),), ((0.0, 0.0), (5.0, 0.0)), ((0.0, 1.0), (1.0, math.inf), (2.0, 3.0))):
        _drawn(Chart("t", "u", (Line("l", points),)))
    _drawn(Chart("t", "u", ()))


def test_a_line_leaves_out_what_is_no_number() -> None:
    """Two of three points are drawn where one has no value."""
    drawn = _drawn(Chart("t", "u", (Line("l", ((0.0, 1.0), (1.0, math.nan), (2.0, 3.0))),)))

    [line] = drawn.iter("{http://www.w3.org/2000/svg}polyline")
    assert len(line.attrib["points"].split()) == 2


def test_ticks_are_round_and_few() -> None:
    """They begin at nought, and there are eight at most."""
    assert ticks(10.0) == [0, 2, 4, 6, 8, 10]
    assert ticks(210.0) == [0, 50, 100, 150, 200]
    assert ticks(0.0) == [0.0]
    assert all(len(ticks(most)) <= 9 for most in (0.003, 0.9, 7.0, 61.0, 123456.0))


def test_a_load_has_a_chart_of_its_rate_and_one_of_its_latency() -> None:
    """Both have the marks of what happened meanwhile."""
    charts = load_charts([Answer("a", "item", 10.2, 0.0, 0.1, 200, True, "t")], 10.0, [Mark(0.1, "killed")])

    assert [chart.title for chart in charts] == ["requests", "latency"]
    assert charts[0].lines[0].points == ((0.0, 1.0),)
    assert all(chart.marks for chart in charts)
