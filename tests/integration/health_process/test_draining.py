"""SIGTERM on real processes: readiness says no at once, requests go on, and only then the server stops.

`uvicorn` is started by hand here, on both event loops and with two workers under its own supervisor; `prethrift-backend
serve` has the same tests with the real application in test_draining_service.py.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.integration.health_process._processes import FOREVER_SECONDS, Site, Steered
from tests.support.processes import free_port

KINDS = {"uvloop": ("--loop", "uvloop"), "asyncio": ("--loop", "asyncio"), "workers": ("--workers", "2")}
# uvicorn ends by the signal that it was stopped with; its supervisor of several workers ends with 0.
USUAL_STATUS = {"uvloop": -signal.SIGTERM, "asyncio": -signal.SIGTERM, "workers": 0}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Name the way in which the server is started."""
    assert isinstance(request.param, str)
    return request.param


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Give threads for requests that wait."""
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture
def steered(tmp_path: Path, kind: str) -> Iterator[Steered]:
    """Start a server whose drain does not end by itself; its start-up is not over yet."""
    yield from _started(tmp_path, kind, FOREVER_SECONDS)


@pytest.fixture
def brief(tmp_path: Path, kind: str) -> Iterator[Steered]:
    """Start a server that drains for half a second."""
    yield from _started(tmp_path, kind, 0.5)


@pytest.fixture
def undrained(tmp_path: Path, kind: str) -> Iterator[Steered]:
    """Start a server that does not drain."""
    yield from _started(tmp_path, kind, 0.0)


def _started(folder: Path, kind: str, drain_seconds: float) -> Iterator[Steered]:
    steered = Steered(folder, free_port(), drain_seconds=drain_seconds, options=KINDS[kind])
    with steered.process:
        steered.wait_for_start()
        yield steered


def test_requests_go_on_while_readiness_says_no(steered: Steered, pool: ThreadPoolExecutor) -> None:
    """During the drain every worker answers ready 503 and live 200, /health is as it was, requests are served."""
    steered.open()
    under_way = steered.hold("before", pool)

    steered.process.send(signal.SIGTERM)
    steered.wait_for_all((503, "draining"))
    seen = [steered.site.get(path).status_code for path in ("/health/live", "/health", "/anything")]
    later = steered.hold("during", pool)
    steered.set("release-before")
    steered.set("release-during")

    assert seen == [200, 200, 200]
    assert [under_way.result().status_code, later.result().status_code] == [200, 200]
    assert steered.process.exit_status is None


def test_a_second_signal_ends_the_wait_and_finishes_what_is_under_way(
    steered: Steered, kind: str, pool: ThreadPoolExecutor
) -> None:
    """After the second SIGTERM no request is taken any more, one under way is still answered, and the server ends."""
    steered.open()
    under_way = steered.hold("slow", pool)

    steered.process.send(signal.SIGTERM)
    steered.wait_for_all((503, "draining"))
    steered.signal_workers(signal.SIGTERM)
    steered.wait_until_stopping()
    steered.set("release-slow")

    assert under_way.result().status_code == 200
    assert steered.wait_for_end() == USUAL_STATUS[kind]
    assert len(steered.said("closed")) == steered.worker_count


def test_the_drain_ends_by_itself(brief: Steered, kind: str, pool: ThreadPoolExecutor) -> None:
    """When the time is over the server closes, answers what is under way, and ends as it would have without a drain."""
    brief.open()
    under_way = brief.hold("slow", pool)

    brief.process.send(signal.SIGTERM)
    brief.wait_until_stopping()
    brief.set("release-slow")

    assert under_way.result().status_code == 200
    assert brief.wait_for_end() == USUAL_STATUS[kind]
    assert len(brief.said("draining")) == len(brief.said("closed")) == brief.worker_count


def test_without_a_drain_the_server_stops_at_once(undrained: Steered, kind: str) -> None:
    """With 0 seconds the signal is the server's own, and nothing drains."""
    undrained.open()

    undrained.process.send(signal.SIGTERM)

    assert undrained.wait_for_end() == USUAL_STATUS[kind]
    assert undrained.said("draining") == []


def test_a_signal_during_start_up_is_not_lost(steered: Steered, kind: str) -> None:
    """A process that is told to go while it starts comes up draining and never says that it is ready."""
    steered.process.send(signal.SIGTERM)
    steered.process.wait_for(lambda: len(steered.said("draining")) == steered.worker_count, 60)
    steered.set("start")
    steered.wait_for_all((503, "draining"))
    steered.signal_workers(signal.SIGTERM)

    assert steered.wait_for_end() == USUAL_STATUS[kind]
    assert len(steered.said("closed")) == steered.worker_count


@pytest.mark.parametrize("kind", ["uvloop", "asyncio"], indirect=True)
def test_two_signals_during_start_up_end_it_unserved(steered: Steered) -> None:
    """Told twice, the process ends in order as soon as its start-up is over."""
    steered.process.send(signal.SIGTERM)
    steered.process.wait_for(lambda: steered.said("draining"), 60)
    steered.process.send(signal.SIGTERM)
    steered.set("start")

    assert steered.wait_for_end() == -signal.SIGTERM
    assert len(steered.said("closed")) == 1


@pytest.mark.parametrize("kind", ["uvloop", "asyncio"], indirect=True)
def test_interrupt_drains_as_well_and_a_second_one_ends_the_wait(steered: Steered, pool: ThreadPoolExecutor) -> None:
    """Ctrl-C begins the drain, a second one ends it, and the request under way is answered all the same."""
    steered.open()
    under_way = steered.hold("slow", pool)

    steered.process.interrupt()
    steered.wait_for_all((503, "draining"))
    steered.process.interrupt()
    steered.wait_until_stopping()
    steered.set("release-slow")

    assert under_way.result().status_code == 200
    steered.wait_for_end()


@pytest.mark.parametrize("kind", ["workers"], indirect=True)
def test_interrupt_in_a_terminal_reaches_workers_twice_and_does_not_wait(steered: Steered) -> None:
    """Ctrl-C goes to the whole group and the supervisor adds its SIGTERM: two signals, so the workers stop."""
    steered.open()

    steered.process.interrupt()

    assert steered.wait_for_end() == USUAL_STATUS["workers"]
    assert steered.site.outcome("/health/live")[0] == 0


def test_the_port_is_closed_at_the_end() -> None:
    """The helper tells a closed port from an open one."""
    assert Site(free_port()).outcome("/health/live") == (0, None)
