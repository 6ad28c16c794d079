"""One plot an axis: counts on the left, times on the right. The same results give the same bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator
from tests.perf.scale.points import Axis, Figure, Point

_NO_METADATA: Final = {"Date": None, "Creator": None}


def draw(axis: Axis, points: Sequence[Point]) -> str:
    """Return the plot as SVG."""
    with mpl.rc_context():
        _set_style()
        picture = Picture(figsize=(9, 3.2), layout="constrained")
        FigureCanvasSVG(picture)
        for panel, is_time in zip(picture.subplots(1, 2), (False, True), strict=True):
            _plot(panel, axis, points, [figure for figure in axis.figures if figure.is_time == is_time])
            panel.set_title("CPU time, of one machine" if is_time else "counts, whatever the load")
        text = io.StringIO()
        picture.savefig(text, format="svg", metadata=_NO_METADATA)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


def _set_style() -> None:
    """Let nothing depend on the day, the machine, its fonts or its user: identifiers from a word, text as text."""
    mpl.rcdefaults()
    mpl.rcParams.update({"svg.hashsalt": "scale", "svg.fonttype": "none", "font.family": "DejaVu Sans", "font.size": 9})


def _plot(panel: Axes, axis: Axis, points: Sequence[Point], figures: Sequence[Figure]) -> None:
    sizes = [point.size for point in points]
    for figure in figures:
        panel.plot(sizes, [point.figures[figure.name] for point in points], marker="o", label=figure.heading)
    panel.set_xscale("log")
    panel.set_yscale("log")
    # Times that hardly differ must not look as if they did.
    low, high = panel.get_ylim()
    panel.set_ylim(min(low, high / 100), high * 3)
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xticks(sizes, [f"{size:,}" for size in sizes])
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.set_xlabel(axis.unit)
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8)
