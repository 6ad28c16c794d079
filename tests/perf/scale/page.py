"""The figures of docs/performance.md: the text between its marks, and the plots beside it, from stored results."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.perf.scale.axes import AXES
from tests.perf.scale.plots import draw
from tests.perf.scale.points import Axis, Bound, Point
from tests.perf.scale.results import FOLDER, ROOT, Results

PAGE: Final = ROOT / "docs" / "performance.md"
_BLOCK: Final = re.compile(r"<!-- scale:(\w+) -->\n(.*?)<!-- end of scale:\1 -->\n", re.DOTALL)


def write_all(results: Results) -> None:
    """Write the plots, and the blocks of the page."""
    for path, text in plots(results).items():
        path.write_text(text)
    PAGE.write_text(filled(PAGE.read_text(), results))


def plots(results: Results) -> dict[Path, str]:
    """Return each plot by its path."""
    return {FOLDER / f"{name}.svg": draw(axis, results.axes[name]) for name, axis in AXES.items()}


def filled(page: str, results: Results) -> str:
    """Return the page with the text of every block made anew; KeyError where a block has no such axis."""
    texts = blocks(results)
    return _BLOCK.sub(
        lambda found: f"<!-- scale:{found[1]} -->\n{texts[found[1]]}<!-- end of scale:{found[1]} -->\n", page
    )


def block_names(page: str) -> list[str]:
    """Return the names of the blocks that the page has, in its order."""
    return [found[1] for found in _BLOCK.finditer(page)]


def blocks(results: Results) -> Mapping[str, str]:
    """Return the text of each block: one for the machine, one an axis."""
    machine = f"Measured on {results.machine}.\n"
    return {"machine": machine, **{name: _block(axis, results.axes[name]) for name, axis in AXES.items()}}


def _block(axis: Axis, points: Sequence[Point]) -> str:
    sentences = [_sentence(axis, bound, points) for bound in axis.bounds]
    plot = f"![Cost by {axis.unit}]({FOLDER.name}/{axis.name}.svg)"
    return "\n".join([*sentences, "", *_table(axis, points), "", plot, ""])


def _sentence(axis: Axis, bound: Bound, points: Sequence[Point]) -> str:
    heading = next(figure.heading for figure in axis.figures if figure.name == bound.figure)
    growth = bound.growth(points)
    span = f"from {points[0].size:,} to {points[-1].size:,} {axis.unit}"
    held = f"held to {bound.factor:g}"
    if bound.shape == "flat":
        return f"- {heading}:\n  at most {growth:.3f} times the first value {span} ({held})."
    slope = _slope(bound, points)
    return (
        f"- {heading}:\n  {slope:,.1f} more for each one {span};\n"
        f"  the steepest step takes {growth:.3f} times what the first takes ({held})."
    )


def _slope(bound: Bound, points: Sequence[Point]) -> float:
    first, last = points[0], points[-1]
    return (last.figures[bound.figure] - first.figures[bound.figure]) / (last.size - first.size)


def _table(axis: Axis, points: Sequence[Point]) -> list[str]:
    header = f"| {axis.unit} | {' | '.join(figure.heading for figure in axis.figures)} |"
    rows = [
        f"| {point.size:,} | {' | '.join(f'{point.figures[f.name]:,.{f.digits}f}' for f in axis.figures)} |"
        for point in points
    ]
    return [header, f"|{' --- |' * (len(axis.figures) + 1)}", *rows]
