"""How long the commands take that hold contracts against things, and the reading of large ones."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx
from tests.overhead.paired import Bounds
from tests.perf.conftest import COMMAND, Figures, served_backend
from tests.perf.figures import bounds_over

from prethrift_backend.contracts import parse_metrics

ROOT = Path(__file__).parents[2]
FAMILIES = 10_000
RUNS = 3
HEAD = """\
# CONTRACT  metrics 1.0.0
# SCRAPE    job=shop path=/metrics interval=15s timeout=10s
# BUDGET    series=10000000 bytes=999999999 scrape_seconds=0.5
"""
FAMILY = """
# HELP shop_{0}_total Things of kind {0}.
# TYPE shop_{0}_total counter
# META  shop_{0}_total stability=stable since=1.0.0 owner=shop
# LABEL shop_{0}_total method   enum GET|HEAD|POST|_OTHER overflow=_OTHER
# LABEL shop_{0}_total endpoint open max=50 overflow=__overflow__
# SERIES shop_{0}_total max=200 presence=after-traffic
shop_{0}_total{{method="GET",endpoint="/a"}} 1
"""


def _seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> Bounds:
    """Return the median of some runs, and its bounds."""

    def run() -> float:
        started = clock()
        work()
        return clock() - started

    return bounds_over([run() for _ in range(RUNS)])


def _contracts(*arguments: str) -> None:
    """Run a command; a violation, too, would make it quicker or slower than promised."""
    command = [str(COMMAND), "contracts", *arguments]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_large_contract_is_read_soon(figures: Figures) -> None:
    """10,000 families are parsed within a second of CPU time."""
    text = HEAD + "".join(FAMILY.format(number) for number in range(FAMILIES))

    took = _seconds(lambda: parse_metrics(text, source="metrics.txt"), time.process_time)

    figures.take("a contract of 10,000 families, parsed", took.median, "s of CPU", at_most=1.5, aim=1.0, bounds=took)


def test_contracts_are_compared_soon(figures: Figures) -> None:
    """`contracts diff`, from its start to its end, takes a second at most."""
    took = _seconds(lambda: _contracts("diff", "--against", str(ROOT / "contracts")))

    figures.take("contracts diff, start to exit", took.median, "s", at_most=1.5, aim=1.0, bounds=took)


def test_contracts_are_linted_soon(figures: Figures) -> None:
    """`contracts lint`, the import of the application included, takes two seconds at most."""
    took = _seconds(lambda: _contracts("lint"))

    figures.take("contracts lint, start to exit", took.median, "s", at_most=3.0, aim=2.0, bounds=took)


def test_a_local_process_is_verified_soon(database: str, figures: Figures) -> None:
    """`contracts verify` of a process on this machine takes five seconds at most, at its usual rate of requests."""
    with served_backend(database) as (process, address):
        process.wait_for(lambda: _is_live(address), 30)

        took = _seconds(lambda: _contracts("verify", address))

    figures.take("contracts verify, start to exit", took.median, "s", at_most=7.0, aim=5.0, bounds=took)


def _is_live(address: str) -> bool:
    try:
        return httpx.get(f"{address}/health/live", timeout=2).status_code == 200
    except httpx.TransportError:
        return False
