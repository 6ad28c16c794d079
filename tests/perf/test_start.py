"""How soon a started process answers."""

from __future__ import annotations

import time
from statistics import median

import httpx
import pytest
from tests.perf.conftest import MODELS_SECONDS, Figures, served_backend
from tests.perf.figures import bounds_over
from tests.support.run_delay import run_delay_seconds

STARTS = 5


def _start(database: str) -> tuple[float, float]:
    """Start the server; return the seconds to its first answer, without what it waited for a core, and to readiness."""
    started = time.perf_counter()
    with served_backend(database) as (process, address):
        process.wait_for(lambda: _status(address, "live") == 200, 30)
        answered = time.perf_counter() - started - run_delay_seconds(process.pid)
        process.wait_for(lambda: _status(address, "ready") == 200, MODELS_SECONDS)
        return answered, time.perf_counter() - started


def _status(address: str, kind: str) -> int | None:
    try:
        return httpx.get(f"{address}/health/{kind}", timeout=2).status_code
    except httpx.TransportError:
        return None


@pytest.mark.timeout(600)  # a start is long where others want the cores as well
def test_a_started_process_answers_soon(database: str, figures: Figures) -> None:
    """The first answer comes within 1.5 seconds, long before the models are loaded."""
    answered, ready = zip(*(_start(database) for _ in range(STARTS)), strict=True)

    budget = ("start", "live_seconds")
    figures.hold("process start to the first answer", median(answered), "s", budget, bounds=bounds_over(answered))
    figures.take("process start to models ready", median(ready), "s")
