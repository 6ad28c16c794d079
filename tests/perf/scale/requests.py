"""Axes of a request: routes of the application, requests in flight, spans within it, fields of a line."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Final

from fastapi import FastAPI
from tests.overhead.variants.bare import make_app
from tests.overhead.workload import Application, path_of_last
from tests.perf.scale.driving import (
    Gate,
    OpenRequest,
    added_us,
    drive_all,
    least_opcodes,
    no_collection,
    observed,
    request_opcodes,
)
from tests.perf.scale.points import Point

from prethrift_backend.observability import get_logger, get_tracer

_PATH: Final = "/items"
_ROUNDS: Final = 9
_FEWEST_AT_ONCE: Final = 2_000


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two applications that do the same, one of them without lines and spans of its own; and what is asked of them."""

    bare: FastAPI
    ours: FastAPI
    path: str


def measure_routes(sizes: Sequence[int], with_times: bool) -> list[Point]:
    """Ask an application of so many routes for the last one: not sampled, lines and metrics and error reports on."""
    return [_point(size, _routed, with_times) for size in sizes]


def measure_depth(sizes: Sequence[int], with_times: bool) -> list[Point]:
    """Open so many spans within one another in a request whose trace is sampled."""
    return [_point(size, _nesting, with_times, sampled=1.0) for size in sizes]


def measure_fields(sizes: Sequence[int], with_times: bool) -> list[Point]:
    """Write one line more with so many fields in a request."""
    return [_point(size, _logging, with_times) for size in sizes]


def _point(size: int, make: Callable[[int], _Pair], with_times: bool, *, sampled: float = 0.0) -> Point:
    pair = make(size)
    with observed(pair.ours, sampled=sampled) as (app, _):
        bare = request_opcodes(pair.bare, pair.path)
        figures: dict[str, float] = {"added_opcodes": request_opcodes(app, pair.path) - bare}
    return Point(size, figures | (_times(make(size), sampled) if with_times else {}))


def _times(pair: _Pair, sampled: float) -> dict[str, float]:
    with observed(pair.ours, sampled=sampled, is_clock_real=True) as (app, _):
        took_us = added_us(pair.bare, app, pair.path)
    return dict(zip(("bare_us", "added_us"), took_us, strict=True))


def _routed(size: int) -> _Pair:
    return _Pair(make_app(size), make_app(size), path_of_last(size))


def _fresh_app() -> FastAPI:
    return FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})


def _answering(work: Callable[[], object]) -> FastAPI:
    app = _fresh_app()

    @app.get(_PATH)
    async def answer() -> None:
        work()

    return app


def _nesting(size: int) -> _Pair:
    tracer = get_tracer("shop")

    def nest(depth: int, *, span: Callable[[str], AbstractContextManager[object]]) -> None:
        if depth:
            with span("step"):
                nest(depth - 1, span=span)

    bare, ours = (_answering(partial(nest, size, span=span)) for span in (nullcontext, tracer.start_as_current_span))
    return _Pair(bare, ours, _PATH)


def _logging(size: int) -> _Pair:
    fields = {f"field_{number}": f"value {number}" for number in range(size)}
    return _Pair(_answering(dict), _answering(lambda: get_logger("shop").info("item_noted", **fields)), _PATH)


def measure_in_flight(sizes: Sequence[int], with_times: bool) -> list[Point]:
    """Hold so many requests open at once, each in a context of its own, then answer all."""
    return [_in_flight(size, with_times) for size in sizes]


def _in_flight(size: int, with_times: bool) -> Point:
    with observed(_held_app()) as (app, _):
        figures = _counts_in_flight(_held_app(), app, size)
    if with_times:
        with observed(_held_app(), is_clock_real=True) as (app, _):
            figures |= {"added_us": _added_us_in_flight(_held_app(), app, size)}
    return Point(size, figures)


def _held_app() -> FastAPI:
    app = _fresh_app()

    @app.get(_PATH)
    async def hold() -> None:
        await Gate()

    return app


def _counts_in_flight(bare: Application, app: Application, size: int) -> dict[str, float]:
    for one in (bare, app):
        _serve_at_once(one, 10)
    repeats = 1 if size >= 1_000 else 5
    opcodes = [least_opcodes(partial(_serve_at_once, one, size), repeats=repeats) for one in (bare, app)]
    held_bytes = [_held_bytes(one, size) for one in (bare, app)]
    return {
        "added_opcodes": (opcodes[1] - opcodes[0]) / size,
        "added_bytes": (held_bytes[1] - held_bytes[0]) / size,
    }


def _open(app: Application, size: int) -> list[OpenRequest]:
    requests = [OpenRequest(app, _PATH) for _ in range(size)]
    if any(drive_all(requests)):
        raise RuntimeError("a request ended that should be held open")
    return requests


def _serve_at_once(app: Application, size: int) -> None:
    if not all(drive_all(_open(app, size))):
        raise RuntimeError("a request waits that should have ended")


def _held_bytes(app: Application, size: int) -> int:
    """Return how much memory the open requests have."""
    with no_collection():
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            requests = _open(app, size)
            held = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        drive_all(requests)
        return held


def _added_us_in_flight(bare: Application, app: Application, size: int) -> float:
    """Return what the telemetry adds to a request, of the serving thread: the median of paired rounds."""
    with no_collection():
        return median(_round_us(app, size) - _round_us(bare, size) for _ in range(_ROUNDS))


def _round_us(app: Application, size: int) -> float:
    times = max(1, _FEWEST_AT_ONCE // size)
    began = time.thread_time()
    for _ in range(times):
        _serve_at_once(app, size)
    return (time.thread_time() - began) / (times * size) * 1e6
