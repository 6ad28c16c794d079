"""What docs/performance.md shows, held against the results that are stored beside it."""

from __future__ import annotations

from tests.perf.scale.axes import AXES
from tests.perf.scale.page import PAGE, block_names, filled, plots
from tests.perf.scale.results import FOLDER, Results

RESULTS = Results.load()


def test_the_figures_of_the_page_are_those_that_are_stored() -> None:
    """Each axis has its block, and `nox -s scale -- --draw` would write every one as it stands."""
    page = PAGE.read_text()

    assert block_names(page) == ["machine", *AXES]
    assert filled(page, RESULTS) == page


def test_the_plots_are_those_of_the_results() -> None:
    """Each plot is drawn from the stored results, to the byte, and no other plot lies there."""
    drawn = {path.name: text for path, text in plots(RESULTS).items()}

    assert {path.name: path.read_text() for path in FOLDER.glob("*.svg")} == drawn


def test_the_stored_results_are_complete_and_within_their_bounds() -> None:
    """Each axis was measured at each of its sizes, every figure of it, and no count grows beyond its bound."""
    assert {name: [p.size for p in points] for name, points in RESULTS.axes.items()} == {
        name: list(axis.sizes) for name, axis in AXES.items()
    }
    assert [
        (name, point.size, figure.name)
        for name, axis in AXES.items()
        for point in RESULTS.axes[name]
        for figure in axis.figures
        if figure.name not in point.figures
    ] == []
    assert [fault for name, axis in AXES.items() for fault in axis.faults(RESULTS.axes[name])] == []
