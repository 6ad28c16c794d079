"""SIGHUP at `prethrift-backend serve`: the workers are renewed under load, and nobody notices."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.waiting import wait_for
from tests.support.workers import (
    NOWHERE,
    Workers,
    fallen_series,
    processes_of,
    serve_by_workers,
    start_workers,
)

RELOAD_SECONDS = 90.0


def _events(workers: Workers, name: str) -> list[dict[str, Any]]:
    return [record for record in workers.process.records if record["event"] == name]


def _wait_for_event(workers: Workers, name: str) -> dict[str, Any]:
    workers.process.wait_for(lambda: _events(workers, name), RELOAD_SECONDS, what=name)
    return _events(workers, name)[-1]


def _set(workers: Workers, **settings: str) -> None:
    (workers.folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))


class Client(threading.Thread):
    """Asks the same thing all the time, over connections that it keeps or new ones; what was not 200 is noted."""

    def __init__(self, url: str, *, keeps_connections: bool) -> None:
        super().__init__()
        self.count = 0
        self.failures: list[str] = []
        self._url = url
        self._limits = httpx.Limits(max_keepalive_connections=1 if keeps_connections else 0)
        self.stopping = threading.Event()

    def run(self) -> None:
        """Ask until told to stop."""
        with httpx.Client(limits=self._limits, timeout=10, trust_env=False) as client:
            while not self.stopping.wait(0.01):
                self.count += 1
                try:
                    answer = client.get(self._url)
                except httpx.TransportError as error:
                    self.failures.append(repr(error))
                else:
                    self.failures += [str(answer.status_code)] if answer.status_code != 200 else []


@contextmanager
def _clients(url: str) -> Iterator[list[Client]]:
    clients = [Client(url, keeps_connections=number % 2 == 0) for number in range(4)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        for client in clients:
            client.stopping.set()
        for client in clients:
            client.join()


@pytest.fixture
def workers(tmp_path: Path, migrated_database_url: str) -> Iterator[Workers]:
    """Serve by two workers that are ready."""
    with serve_by_workers(tmp_path, migrated_database_url) as running:
        running.process.wait_for(lambda: len(_events(running, "service_ready")) == 2, 60, what="two ready workers")
        yield running


def test_workers_are_renewed_under_load_and_no_request_fails(workers: Workers) -> None:
    """New settings are in force, every request was answered and counted once, no counter fell, nothing is left over."""
    former = workers.pids()
    scrapes = [workers.scrape()]
    _set(workers, SERVICE_VERSION="9.9.9")
    with _clients(f"http://{workers.target}/api/search?q=dress") as clients:
        wait_for(lambda: all(client.count > 10 for client in clients), 30, what="some load")
        workers.process.send(signal.SIGHUP)

        def renewed() -> bool:
            scrapes.append(workers.scrape())
            return workers.process.output.count("Finished server process") == 2

        workers.process.wait_for(renewed, RELOAD_SECONDS, what="the end of both former workers")
        done = [client.count for client in clients]
        wait_for(lambda: all(c.count > n + 10 for c, n in zip(clients, done, strict=True)), 30, what="more load")
    wait_for(lambda: len(workers.pids()) == 2, 10, what="the notes of the new workers")
    scrapes.append(workers.scrape())

    assert [failure for client in clients for failure in client.failures] == []
    assert set(workers.pids()).isdisjoint(former)
    assert [fallen for before, after in pairwise(scrapes) for fallen in fallen_series(before, after)] == []
    assert workers.requests() == sum(client.count for client in clients)
    assert _events(workers, "reload_completed")[0]["workers"] == 2
    lines = [record["version"] for record in workers.process.records if record["event"] == "request_completed"]
    assert (lines[0] != "9.9.9", lines[-1]) == (True, "9.9.9")
    assert not [path for pid in former for path in workers.folder.glob(f"*/*_{pid}.*")]


def test_connection_that_is_kept_is_answered_until_it_is_told_to_close(workers: Workers) -> None:
    """A proxy that asks now and then finds none of its connections closed under it: each has a last answer first."""
    connections = [HTTPConnection(workers.target, timeout=10) for _ in range(8)]
    ends: dict[HTTPConnection, str] = {}

    def all_are_told() -> bool:
        for connection in connections:
            if connection not in ends and (ended := _end_of(connection)):
                ends[connection] = ended
        return len(ends) == len(connections)

    assert not all_are_told()
    workers.process.send(signal.SIGHUP)
    workers.process.wait_for(all_are_told, RELOAD_SECONDS, what="the last answers of the former workers")

    assert set(ends.values()) == {"told"}


def _end_of(connection: HTTPConnection) -> str:
    """Ask once; "told" for an answer that is the last, the error for none, nothing for an answer like others."""
    try:
        if connection.sock is None:
            connection.connect()
            connection.auto_open = 0  # a connection that was closed is not opened again
        connection.request("GET", "/health/live")
        answer = connection.getresponse()
        answer.read()
    except (HTTPException, OSError) as error:
        return repr(error)
    return "told" if answer.getheader("connection") == "close" else ""


def test_faulty_settings_are_refused_and_nothing_changes(workers: Workers) -> None:
    """A value that is wrong, and an address that cannot change, are told with their fix; the workers serve on."""
    former = workers.pids()
    _set(workers, TRACE_SAMPLE_RATE="7", METRICS_TOKEN="sh0rt")
    workers.process.send(signal.SIGHUP)
    faulty = _wait_for_event(workers, "reload_refused")
    _set(workers, HOST="127.0.0.2")
    workers.process.send(signal.SIGHUP)
    workers.process.wait_for(lambda: len(_events(workers, "reload_refused")) == 2, 30, what="the second refusal")

    assert "TRACE_SAMPLE_RATE='7'" in faulty["reason"]
    assert "METRICS_TOKEN" in faulty["reason"]
    assert "sh0rt" not in faulty["reason"]
    fixed = _events(workers, "reload_refused")[1]["reason"]
    assert fixed == "HOST='127.0.0.2' cannot change while the server runs: restart it, or leave the setting as it was"
    assert workers.pids() == former
    assert workers.get("/api/search?q=dress").status_code == 200


def test_worker_that_cannot_start_ends_the_reload_and_not_the_server(tmp_path: Path) -> None:
    """The workers that serve are kept, and so are their settings: one that dies afterwards is replaced with those."""
    broken = tmp_path / "broken"
    (tmp_path / "sitecustomize.py").write_text(
        f"import os, sys\nif os.path.exists({str(broken)!r}): os.environ['PROMETHEUS_MULTIPROC_DIR'] = '/nowhere'\n"
    )
    with serve_by_workers(tmp_path, NOWHERE, PYTHONPATH=str(tmp_path)) as workers:
        former = workers.pids()
        broken.touch()
        _set(workers, SERVICE_VERSION="9.9.9")
        workers.process.send(signal.SIGHUP)
        failed = _wait_for_event(workers, "reload_failed")
        broken.unlink()
        os.kill(former[0], signal.SIGKILL)
        lost = _wait_for_event(workers, "worker_lost")
        workers.process.wait_for(lambda: workers.starts() == 3, RELOAD_SECONDS, what="a worker in its place")
        workers.process.wait_for(lambda: len(workers.pids()) == 2, 30, what="the notes of both workers")
        answered = [workers.get("/none").status_code for _ in range(10)]
        records = workers.process.records

    assert answered == [404] * 10
    assert failed["replaced"] == 0
    assert "ended with status 3" in failed["reason"]
    assert (lost["pid"], lost["exit_status"]) == (former[0], -signal.SIGKILL)
    assert not [record for record in records if record["event"] == "request_completed" and record["version"] == "9.9.9"]


def test_worker_in_place_of_a_dead_one_takes_no_request_before_it_is_ready(workers: Workers) -> None:
    """SIGKILL costs what was under way on the victim; no search gets the 503 of models that load."""
    with _clients(f"http://{workers.target}/api/search?q=dress") as clients:
        wait_for(lambda: all(client.count > 10 for client in clients), 30, what="some load")
        os.kill(workers.pids()[0], signal.SIGKILL)
        workers.process.wait_for(lambda: len(_events(workers, "service_ready")) == 3, 60, what="a third ready worker")
        done = [client.count for client in clients]
        wait_for(lambda: all(c.count > n + 10 for c, n in zip(clients, done, strict=True)), 30, what="more load")

    failures = [failure for client in clients for failure in client.failures]
    assert "503" not in failures
    assert len(failures) <= len(clients)


def test_end_in_the_middle_of_a_reload_is_in_order(tmp_path: Path) -> None:
    """SIGTERM is heard while a worker is being replaced; no process is left, not even one of the new worker's."""
    with serve_by_workers(tmp_path, NOWHERE) as workers:
        session = workers.process.pid
        workers.process.send(signal.SIGHUP)
        _wait_for_event(workers, "reload_started")
        workers.process.send(signal.SIGTERM)

        assert workers.process.wait_for_exit(40) == 0
        wait_for(lambda: not processes_of(session), 10, what="no process left")
        assert not list(tmp_path.glob("prethrift-metrics-*"))
        assert not _events(workers, "worker_killed")


def test_single_process_ends_in_order_at_a_hangup(tmp_path: Path) -> None:
    """With one process SIGHUP is SIGTERM: the last lines are written, and the status is that of an end in order."""
    with start_workers(tmp_path, NOWHERE, WORKERS="1") as workers:
        workers.process.wait_for(lambda: workers.starts() == 1, 60, what="the start")
        workers.process.send(signal.SIGHUP)

        assert workers.process.wait_for_exit(30) == 0
        assert "Finished server process" in workers.process.output
