"""The axes: what grows, what is measured, and the bounds that the counts keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.perf.scale.points import Axis, Bound, Figure
from tests.perf.scale.requests import measure_depth, measure_fields, measure_in_flight, measure_routes
from tests.perf.scale.series import measure_series
from tests.perf.scale.workers import measure_workers

# The factors are arbitrary: next to 1, and above what caches and the width of a number do to a count.
_FLAT: Final = 1.05
_LINEAR: Final = 1.1

_ADDED: Final = Figure("added_opcodes", "instructions added a request")
_BARE_US: Final = Figure("bare_us", "bare request, µs", 1, is_time=True)
_ADDED_US: Final = Figure("added_us", "added, µs", 1, is_time=True)
_SCRAPE: Final = Figure("scrape_opcodes", "instructions a scrape")
_SCRAPE_MS: Final = Figure("scrape_ms", "scrape, ms", 1, is_time=True)
_BODY: Final = Figure("body_bytes", "body, bytes")

_AXES: Final = (
    Axis(
        "routes",
        "routes",
        (1, 10, 200, 1_000),
        (1, 10, 200),
        measure_routes,
        (_ADDED, _BARE_US, _ADDED_US),
        (Bound("added_opcodes", "flat", _FLAT),),
    ),
    Axis(
        "series",
        "series",
        (100, 1_000, 10_000, 100_000),
        (100, 1_000, 5_000),
        measure_series,
        (
            _ADDED,
            _SCRAPE,
            _BODY,
            Figure("gzip_bytes", "compressed, bytes"),
            _ADDED_US,
            _SCRAPE_MS,
            Figure("longest_hold_ms", "longest hold of the loop, ms", 1, is_time=True),
        ),
        (
            Bound("added_opcodes", "flat", _FLAT),
            Bound("scrape_opcodes", "linear", _LINEAR),
            Bound("body_bytes", "linear", _LINEAR),
        ),
    ),
    Axis(
        "requests",
        "requests in flight",
        (1, 10, 100, 1_000),
        (1, 10, 50),
        measure_in_flight,
        (_ADDED, Figure("added_bytes", "memory added an open request, bytes"), _ADDED_US),
        (Bound("added_opcodes", "flat", _FLAT), Bound("added_bytes", "flat", 1.2)),
    ),
    Axis(
        "spans",
        "spans within one another",
        (1, 10, 100),
        (1, 10, 50),
        measure_depth,
        (_ADDED, _BARE_US, _ADDED_US),
        (Bound("added_opcodes", "linear", _LINEAR),),
    ),
    Axis(
        "fields",
        "fields of a line",
        (1, 10, 100),
        (1, 10, 50),
        measure_fields,
        (_ADDED, _BARE_US, _ADDED_US),
        (Bound("added_opcodes", "linear", _LINEAR),),
    ),
    Axis(
        "workers",
        "workers",
        (1, 2, 4, 8, 16),
        (1, 2, 4),
        measure_workers,
        (_SCRAPE, _BODY, _SCRAPE_MS),
        (Bound("scrape_opcodes", "linear", _LINEAR), Bound("body_bytes", "flat", _FLAT)),
    ),
)
AXES: Final[Mapping[str, Axis]] = {axis.name: axis for axis in _AXES}
