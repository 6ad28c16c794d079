"""The backend served by two workers, as a test sees it from outside."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families
from tests.support.processes import ServerProcess, free_port

from prethrift_backend.devstack.stack import development_models

COMMAND = str(Path(sys.executable).with_name("prethrift-backend"))
COUNTED = ("_total", "_count", "_bucket", "_sum")
# A database that refuses at once: what these tests look at does not need one.
NOWHERE = "postgresql://user@127.0.0.1:1/none"

Series = tuple[str, frozenset[tuple[str, str]]]


class Workers:
    """A running `serve` with two workers, seen from outside."""

    def __init__(self, process: ServerProcess, url: str, folder: Path) -> None:
        self.process = process
        self.folder = folder
        self._url = url

    @property
    def target(self) -> str:
        """Host and port."""
        return self._url.removeprefix("http://")

    def get(self, path: str) -> httpx.Response:
        """Ask over a connection of its own, which any worker may get."""
        return httpx.get(self._url + path, timeout=10, trust_env=False)

    def text(self) -> str:
        """Return the exposition of whichever worker answers."""
        return self.get("/metrics").raise_for_status().text

    def scrape(self) -> dict[Series, float]:
        """Return the value of each series of one scrape."""
        metrics = text_string_to_metric_families(self.text())
        return {(s.name, frozenset(s.labels.items())): s.value for metric in metrics for s in metric.samples}

    def requests(self) -> float:
        """Return how many requests the scrape shows."""
        return sum(value for (name, _), value in self.scrape().items() if name == "http_requests_total")

    def pids(self) -> list[int]:
        """Return the workers' process ids: the supervisor's children that have files in its folder."""
        found = {int(path.stem.rpartition("_")[2]) for path in self.folder.glob("*/notes_[0-9]*.json")}
        return sorted(pid for pid in found if _parent(pid) == self.process.pid)

    def starts(self) -> int:
        """Return how many workers have begun to serve since the start."""
        return self.process.output.count("Application startup complete")


def _stat(pid: int | str) -> list[str]:
    """Return state, parent, group and session of a process; nothing for one that is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:4]
    return []


def _parent(pid: int) -> int:
    return int((_stat(pid) or ["", "0"])[1])


def processes_of(session: int) -> list[int]:
    """Return the processes of a session that still run."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in pids if (stat := _stat(pid)) and stat[3] == str(session) and stat[0] != "Z"]


@contextmanager
def start_workers(folder: Path, database_url: str, **more: str) -> Iterator[Workers]:
    """Start `serve` with two workers, whose files and `.env` are in `folder`; nothing is waited for."""
    port = free_port()
    models = {name.upper(): value for name, value in development_models().items()}
    settings = {"DATABASE_URL": database_url, "PORT": str(port), "WORKERS": "2", "ENVIRONMENT": "staging"}
    environ = {**os.environ, **models, **settings, "DRAIN_SECONDS": "0", "TMPDIR": str(folder), **more}
    with ServerProcess([COMMAND, "serve"], environ=environ, directory=folder, stop_seconds=40) as process:
        yield Workers(process, f"http://127.0.0.1:{port}", folder)


@contextmanager
def serve_by_workers(folder: Path, database_url: str, **more: str) -> Iterator[Workers]:
    """Start it, and give it when both workers serve."""
    with start_workers(folder, database_url, **more) as workers:
        workers.process.wait_for(lambda: workers.starts() == 2 and len(workers.pids()) == 2, 90, what="two workers")
        yield workers


def fallen_series(earlier: dict[Series, float], later: dict[Series, float]) -> list[Series]:
    """Return the counted series that have become less, or have gone."""
    return [key for key, value in earlier.items() if key[0].endswith(COUNTED) and later.get(key, -1.0) < value]


@contextmanager
def load(get: Callable[[str], httpx.Response], done: list[bool]) -> Iterator[None]:
    """Ask all the time from a thread inside the block; each answer is noted, True for one that came whole."""
    stop = threading.Event()

    def ask() -> None:
        while not stop.wait(0.01):
            try:
                done.append(get("/none").status_code == 404)
            except httpx.TransportError:
                done.append(False)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
