"""How the cost of the telemetry grows: counts at a few sizes, each held to its bound; and the bounds, tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from tests.perf.conftest import Figures
from tests.perf.scale.axes import AXES
from tests.perf.scale.points import Bound, Point, Shape

from prethrift_backend.observability import _endpoints, _exchange
from prethrift_backend.observability._request_metrics import RequestMetrics


@pytest.mark.parametrize("name", AXES)
def test_growth_is_bounded(name: str, figures: Figures) -> None:
    """What may not grow does not, and what grows does so by as much for each step."""
    axis = AXES[name]
    points = axis.measure(axis.short, False)

    for bound in axis.bounds:
        what = "largest of first" if bound.shape == "flat" else "steepest slope of first"
        figures.take(f"{name}: {bound.figure}, {what}", bound.growth(points), "x", at_most=bound.factor)


# Each walks what it could look up, or carries on what it could leave.


def _walk_of_routes(patch: pytest.MonkeyPatch) -> None:
    def endpoint_template(scope: dict[str, Any]) -> str:
        routes = scope["app"].routes
        return str(next(route.path for route in routes if getattr(route, "endpoint", 0) is scope["endpoint"]))

    for module in (_endpoints, _exchange):
        patch.setattr(module, "endpoint_template", endpoint_template)


def _walk_of_series(patch: pytest.MonkeyPatch) -> None:
    _before_count(patch, lambda metrics: [child for child in metrics._requests._series if child is metrics])


def _walk_of_open_requests(patch: pytest.MonkeyPatch) -> None:
    _before_count(patch, lambda metrics: [one for one in metrics.open_requests if one is metrics])


def _before_count(patch: pytest.MonkeyPatch, walk: Callable[[Any], object]) -> None:
    count_request = RequestMetrics.count_request

    def walk_and_count(self: RequestMetrics, *arguments: Any) -> None:
        walk(self)
        count_request(self, *arguments)

    patch.setattr(RequestMetrics, "count_request", walk_and_count)


@pytest.mark.parametrize(
    ("spoil", "name"),
    [(_walk_of_routes, "routes"), (_walk_of_series, "series"), (_walk_of_open_requests, "requests")],
)
def test_growth_is_noticed(
    spoil: Callable[[pytest.MonkeyPatch], None], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A walk where there was a look-up breaks the bound of the axis that it follows."""
    spoil(monkeypatch)
    axis = AXES[name]

    faults = axis.faults(axis.measure((axis.short[0], axis.short[-1]), False))

    assert [fault for fault in faults if fault.startswith(f"{name}: added_opcodes grows")] != []


def _points(values: Sequence[float]) -> list[Point]:
    return [Point(size, {"count": value}) for size, value in zip((1, 10, 100), values, strict=True)]


@pytest.mark.parametrize(
    ("shape", "values", "is_kept"),
    [
        ("flat", (50, 50, 50), True),
        ("flat", (50, 52, 50), True),
        ("flat", (50, 51, 53), False),
        ("linear", (60, 150, 1_050), True),
        ("linear", (60, 150, 1_150), False),
        ("linear", (1, 100, 10_000), False),
    ],
)
def test_bounds_tell_growth_from_none(shape: Shape, values: Sequence[float], is_kept: bool) -> None:
    """A flat count stays near its first value, a linear one near its first slope; a square keeps neither."""
    assert (Bound("count", shape, 1.05).fault(_points(values)) is None) == is_kept
