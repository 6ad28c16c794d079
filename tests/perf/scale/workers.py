"""The axis of workers: one of them adds up the files of all when it is scraped."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from tests.perf.scale.driving import cpu_ms, least_opcodes
from tests.perf.scale.points import Point
from tests.perf.scale.series import ACCEPT
from tests.support.crowds import CONTRACT
from tests.support.metrics_worker import MetricsWorker

from prethrift_backend.observability.exposition import render

_ENDPOINTS: Final = 67  # of 15 series each: about 1,000 series, the same ones in every worker
_FILL: Final = f"""
for number in range({_ENDPOINTS}):
    labels = {{"method": "GET", "endpoint": f"/api/items/{{number}}/pictures"}}
    metrics.counter("requests_total").labels(**labels).inc()
    metrics.histogram("request_seconds").labels(**labels).observe(number / 100)
"""


def measure_workers(sizes: Sequence[int], with_times: bool) -> list[Point]:
    """Scrape one of so many workers; more are started as the sizes grow."""
    with TemporaryDirectory(prefix="scale-") as folder, _workers(Path(folder)) as workers:
        return [_point(size, workers, Path(folder) / "figures.json", with_times) for size in sizes]


class _Workers:
    """The workers that have been started so far."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.started: list[MetricsWorker] = []

    def grow_to(self, size: int) -> None:
        """Start as many as are missing, and let each count."""
        while len(self.started) < size:
            worker = self._stack.enter_context(MetricsWorker(self._folder, contract=CONTRACT))
            worker.run(_FILL)
            self.started.append(worker)


@contextmanager
def _workers(folder: Path) -> Iterator[_Workers]:
    with ExitStack() as stack:
        shared = folder / "workers"
        shared.mkdir()
        yield _Workers(shared, stack)


def _point(size: int, workers: _Workers, answer: Path, with_times: bool) -> Point:
    workers.grow_to(size)
    statement = f"from {__name__} import keep_figures; keep_figures(metrics.registry, {str(answer)!r}, {with_times})"
    workers.started[0].run(statement)
    return Point(size, json.loads(answer.read_text()))


def keep_figures(registry: Any, answer: str, with_times: bool) -> None:
    """Measure a scrape in the worker that runs this, and leave the figures in a file."""

    def scrape() -> int:
        return len(render(registry, ACCEPT).body)

    figures: dict[str, float] = {"body_bytes": scrape(), "scrape_opcodes": least_opcodes(scrape, repeats=3)}
    if with_times:
        figures |= {"scrape_ms": cpu_ms(scrape)}
    Path(answer).write_text(json.dumps(figures))
