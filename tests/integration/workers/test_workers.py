"""`prethrift-backend serve` with two workers: one server to the outside, and metrics that are exact."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.metric_contracts import differences
from tests.support.waiting import wait_for
from tests.support.workers import (
    NOWHERE,
    Series,
    Workers,
    fallen_series,
    load,
    processes_of,
    serve_by_workers,
    start_workers,
)

from prethrift_backend.contracts import load_metrics


@pytest.fixture
def workers(tmp_path: Path, migrated_database_url: str) -> Iterator[Workers]:
    """Serve by two workers on a real database."""
    with serve_by_workers(tmp_path, migrated_database_url) as running:
        yield running


def test_scrape_of_any_worker_shows_all_requests(workers: Workers) -> None:
    """Requests over fresh connections are counted once each, whoever answers the scrape, and nothing ever falls."""
    for number in range(60):
        assert workers.get("/api/search?q=dress" if number % 3 == 0 else "/none").status_code in (200, 404, 503)

    scrapes = [workers.scrape() for _ in range(20)]

    requests = [sum(v for (name, _), v in scrape.items() if name == "http_requests_total") for scrape in scrapes]
    assert requests == [60] * 20
    assert [fallen_series(earlier, later) for earlier, later in pairwise(scrapes)] == [[]] * 19


def test_exposition_of_two_workers_keeps_the_contract(workers: Workers) -> None:
    """Every promised family is there as promised and no other; infos are there once, and the pools are added up."""
    workers.get("/none")
    contract = load_metrics()
    metrics = list(text_string_to_metric_families(workers.text()))

    assert {name for name in differences(metrics, contract) if not name.endswith(": buckets")} == set()
    infos = [metric.samples for metric in metrics if metric.name in ("build_info", "contract_info", "python_info")]
    assert [[sample.value for sample in samples] for samples in infos] == [[1], [1], [1]]
    pools = ("db_pool_connections", frozenset({("state", "size")}))
    wait_for(lambda: workers.scrape()[pools] == 20, 10, what="the pools of both workers")


def test_killed_worker_is_replaced_and_nothing_is_lost_or_counted_twice(workers: Workers) -> None:
    """SIGKILL under load: a new worker serves, the counters go on from where they were, and the folder is tidy."""
    answers: list[bool] = []
    scrapes: list[dict[Series, float]] = []
    victim, survivor = workers.pids()
    with load(workers.get, answers):
        wait_for(lambda: len(answers) > 40, 20, what="some load")
        os.kill(victim, signal.SIGKILL)

        def replaced() -> bool:
            with suppress(httpx.TransportError):  # the connection that the victim had taken
                scrapes.append(workers.scrape())
            return workers.starts() == 3 and len(workers.pids()) == 2 and victim not in workers.pids()

        workers.process.wait_for(replaced, 60, what="a new worker")
    total = workers.requests()

    assert survivor in workers.pids()
    assert [fallen for earlier, later in pairwise(scrapes) for fallen in fallen_series(earlier, later)] == []
    whole = sum(answers)
    assert whole <= total <= len(answers)  # an answer that the kill cut off may have been counted or not
    assert len(answers) - whole <= 2
    assert not list(workers.folder.glob(f"*/*_{victim}.*"))


def test_end_comes_in_order_and_leaves_nothing(workers: Workers) -> None:
    """SIGTERM ends the supervisor, both workers and their models, with status 0; every line of the log was JSON."""
    session = workers.process.pid
    assert len(processes_of(session)) >= 3
    workers.process.send(signal.SIGTERM)

    assert workers.process.wait_for_exit(30) == 0
    wait_for(lambda: not processes_of(session), 10, what="no process left")
    lines = workers.process.output.splitlines()
    assert len([json.loads(line) for line in lines]) == len(lines)
    assert sum("Finished server process" in line for line in lines) == 2
    assert not list(workers.folder.glob("prethrift-metrics-*"))


def test_workers_of_a_killed_supervisor_end_and_the_next_start_clears_their_folder(tmp_path: Path) -> None:
    """SIGKILL of the supervisor leaves no worker behind; its folder goes at the next start, whose counts are fresh."""
    with serve_by_workers(tmp_path, NOWHERE) as workers:
        session = workers.process.pid
        workers.get("/none")
        (abandoned,) = tmp_path.glob("prethrift-metrics-*")
        workers.process.send(signal.SIGKILL)
        workers.process.wait_for_exit(10)
        wait_for(lambda: not processes_of(session), 40, what="no process left")

    assert abandoned.exists()
    with serve_by_workers(tmp_path, NOWHERE) as workers:
        assert not abandoned.exists()
        assert workers.requests() == 0


def test_stuck_worker_does_not_keep_the_server_from_ending(tmp_path: Path) -> None:
    """A worker that does not react to anything is killed in the end, by the supervisor and not by the test."""
    with serve_by_workers(tmp_path, NOWHERE) as workers:
        os.kill(workers.pids()[0], signal.SIGSTOP)
        workers.process.send(signal.SIGTERM)

        assert workers.process.wait_for_exit(60) == 0
        wait_for(lambda: not processes_of(workers.process.pid), 10, what="no process left")


def test_workers_that_cannot_start_end_the_server(tmp_path: Path) -> None:
    """A fault that only a worker meets ends all with status 1 and its reason, and is not tried over and over."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if '--multiprocessing-fork' in sys.orig_argv: os.environ['PROMETHEUS_MULTIPROC_DIR'] = '/nowhere'\n"
    )
    with start_workers(tmp_path, NOWHERE, PYTHONPATH=str(tmp_path)) as workers:
        status = workers.process.wait_for_exit(60)
        output = workers.process.output

    assert status == 1
    assert "worker_start_failed" in output
    assert "/nowhere" in output
    assert "no worker could start" in output.splitlines()[-1]
