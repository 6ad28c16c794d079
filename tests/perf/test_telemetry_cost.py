"""What the telemetry costs a request, against the bare application in the same run.

Each variant has processes of its own, each with its turn in every round; differences are taken within a round. CPU time
depends on the machine, so a difference is scaled by the bare request of its round, as if that took `BARE_US`.
`docs/overhead.md` says more, and the nox session `overhead` compares with others.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from statistics import median

import psutil
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from tests.overhead.load import put_load
from tests.overhead.paired import Bounds, bounds_of
from tests.overhead.race import ROOT, Child, Results, ask_each, race, receiver, run_load
from tests.overhead.rows import BARE, OURS_ALL, OURS_TENTH, Row
from tests.perf.conftest import Figures
from tests.perf.figures import bounds_over

# A fixture's time is its test's: eighteen processes, and others may want the cores as well.
pytestmark = pytest.mark.timeout(600)

# What a bare request took on the machine that the limits were set on: two cores of an AMD EPYC 9005, CPython 3.11.
BARE_US = 36.0
MANY = 200
PROCESSES, ROUNDS, REQUESTS = 3, 6, 1_000
LOAD_ROUNDS = 7
STARTS = 3


@pytest.fixture(scope="module")
def sink() -> Iterator[str]:
    """Run a receiver that takes everything."""
    with receiver() as url:
        yield url


@pytest.fixture(scope="module")
def cpu(sink: str) -> Results:
    """Measure the CPU time of each variant, with one route and with many."""
    rows = [row.at(routes) for routes in (1, MANY) for row in (BARE, OURS_TENTH, OURS_ALL)]
    results = race(rows, sink=sink, rounds=ROUNDS, requests=REQUESTS, processes=PROCESSES)
    assert results.errors == {}
    return results


def _added_us(cpu: Results, row: Row) -> list[list[float]]:
    """Return what the variant adds to a request in each round, scaled, process by process."""
    bare, with_as_many = cpu.values[BARE], cpu.values[BARE.at(row.routes)]
    rounds = zip(cpu.values[row], with_as_many, bare, strict=True)
    added = [(mine - its) * BARE_US / scale for mine, its, scale in rounds]
    return [added[first : first + ROUNDS] for first in range(0, len(added), ROUNDS)]


def _added(cpu: Results, row: Row) -> Bounds:
    """Return the median over processes of what the variant adds, and its bounds."""
    return bounds_of(_added_us(cpu, row), random.Random(0))


def test_added_cpu_time_is_within_its_budget(
    cpu: Results, figures: Figures, benchmark: BenchmarkFixture, keep: Callable[..., None]
) -> None:
    """Everything on, a request takes about 40 µs more at 10 % sampled, and 75 µs where every trace is sent."""
    benchmark.pedantic(lambda: None)  # type: ignore[no-untyped-call] # the plugin has no annotation for it
    figures.take("CPU time of a bare request, not scaled", median(cpu.values[BARE]), "µs")
    tenth, every = _added(cpu, OURS_TENTH), _added(cpu, OURS_ALL)
    keep(tenth_us=asdict(tenth), all_us=asdict(every), bare_us=median(cpu.values[BARE]))
    budget = ("observed_tenth", "added_us")
    figures.hold("added CPU a request, 10 % sampled", tenth.median, "µs", budget, bounds=tenth)
    budget = ("observed_all", "added_us")
    figures.hold("added CPU a request, all sampled, sending included", every.median, "µs", budget, bounds=every)


def test_many_routes_cost_no_more_than_one(cpu: Results, sink: str, figures: Figures) -> None:
    """The telemetry does as much for a request of an application of 200 routes as for one of a single route."""
    few_us, many_us = _added(cpu, OURS_TENTH), _added(cpu, OURS_TENTH.at(MANY))
    ratio = many_us.median / few_us.median
    bounds = Bounds(many_us.low / few_us.high, ratio, many_us.high / few_us.low)
    # All sampled: with a tenth, chance would decide how many of twenty requests have a span.
    rows = [row.at(routes) for routes in (1, MANY) for row in (BARE, OURS_ALL)]
    counted = {row: answer["a_request"] for row, answer in ask_each(rows, "count", 20, sink=sink).items()}
    few, many = (counted[OURS_ALL.at(routes)] - counted[BARE.at(routes)] for routes in (1, MANY))

    figures.take("added instructions a request, all sampled", few, "opcodes")
    figures.hold("added instructions, 200 routes, of one route", many / few, "x", ("many_routes", "opcodes_ratio"))
    # The same instructions take longer: a search through 200 routes leaves the processor's caches to something else.
    # One route takes as long when such a search, which finds nothing, goes before each request.
    name, budget = "added CPU, 200 routes, of one route", ("many_routes", "added_us_ratio")
    figures.hold(name, ratio, "x", budget, aim=1.1, bounds=bounds, allowance=0)


def _cpu_us_an_answer(server: Child, url: str) -> float:
    """Return the CPU time that a server takes for an answer: what bounds its throughput, whatever the machine does."""
    process = psutil.Process(server.pid)
    before = process.cpu_times()
    load = put_load(url, seconds=1.0)
    after = process.cpu_times()
    return (after.user + after.system - before.user - before.system) / load.answers * 1e6


@pytest.mark.parametrize(
    ("mode", "server"), [("serve", "uvicorn with httptools"), ("serve-in-python", "uvicorn with h11")]
)
def test_throughput_stays_near_that_of_the_bare_application(
    sink: str, figures: Figures, mode: str, server: str
) -> None:
    """Behind uvicorn a core answers nearly as many requests a second, although the handler does nothing."""
    results = run_load([BARE, OURS_TENTH], sink=sink, rounds=LOAD_ROUNDS, mode=mode, read=_cpu_us_an_answer)
    assert results.errors == {}
    shares = results.against_bare(lambda mine, its: its / mine)[OURS_TENTH]

    figures.take(f"{server}: a bare request", median(results.values[BARE]), "µs")
    figures.take(f"{server}: throughput at 10 % sampled, of bare", median(shares), "x")
    lost = bounds_over([(1 - share) * 100 for share in shares])
    name, budget = f"{server}: throughput lost", ("served", "lost_percent")
    figures.hold(name, lost.median, "%", budget, aim=15, bounds=lost, allowance=0)


def _resident_mib(variant: str, sink: str) -> float:
    """Return what a fresh process holds in memory after a thousand requests."""
    command = [sys.executable, "-m", "tests.support.telemetry_memory", variant, sink]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"served\n"
        return float(psutil.Process(process.pid).memory_info().rss) / 2**20


def test_memory_that_the_telemetry_takes_is_small(sink: str, figures: Figures) -> None:
    """A process with everything on holds at most 15 MB more than the bare one."""
    more = [_resident_mib("ours", sink) - _resident_mib("bare", sink) for _ in range(STARTS)]

    figures.hold("memory that the telemetry adds", median(more) * 2**20, "bytes", ("process", "added_bytes"))
