"""The small application as a process, and how the tests look at a process from outside."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
from tests.support.processes import ServerProcess, wait_for

ROOT = Path(__file__).parents[3]
DEADLINE_SECONDS = 60.0
FOREVER_SECONDS = 3600.0  # a drain that no test waits out


@dataclass(frozen=True)
class Site:
    """One address; a new connection for each request, so that every worker has its turn."""

    port: int

    def get(self, path: str) -> httpx.Response:
        """Ask once."""
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=DEADLINE_SECONDS, trust_env=False)

    def outcome(self, path: str) -> tuple[int, str | None]:
        """Ask a health path once; return status code and reason, 0 where nobody listens."""
        try:
            response = self.get(path)
        except httpx.TransportError:
            return 0, None
        return response.status_code, response.json().get("reason")


class Steered:
    """One process (or a supervisor with two workers) of the small application; leaving the block ends it."""

    def __init__(self, folder: Path, port: int, *, drain_seconds: float, options: Sequence[str] = ()) -> None:
        self.folder = folder
        self.site = Site(port)
        self.worker_count = 2 if "--workers" in options else 1
        application = "tests.integration.health_process.steered:app"
        # uvicorn's own limit on the wait for requests under way: none, as is its default.
        command = [sys.executable, "-m", "uvicorn", application, "--port", str(port), *options]
        environ = {**os.environ, "FOLDER": str(folder), "DRAIN": str(drain_seconds)}
        self.process = ServerProcess(command, environ=environ, directory=ROOT, stop_seconds=0.5)

    def wait_for_start(self) -> None:
        """Wait until every worker has entered its start-up; without `start` it gets no further."""
        self.process.wait_for(lambda: len(self.said("starting")) == self.worker_count, DEADLINE_SECONDS)

    def set(self, name: str) -> None:
        """Make a file that steers it."""
        (self.folder / name).touch()

    def clear(self, name: str) -> None:
        """Take the file away."""
        (self.folder / name).unlink()

    def open(self) -> None:
        """Let the start-up end, and wait until every worker answers that it is ready."""
        self.set("start")
        self.wait_for_all((200, None))

    def said(self, words: str) -> list[int]:
        """Return the ids of the processes that have said `words`."""
        return [int(number) for number in re.findall(rf"steered (\d+): {words}\n", self.process.output)]

    def wait_for_all(self, outcome: tuple[int, str | None]) -> None:
        """Wait until every worker has given `outcome` on /health/ready."""
        seen: set[str] = set()

        def all_seen() -> bool:
            if self.site.outcome("/health/live")[0] != 0:
                response = self.site.get("/health/ready")
                if (response.status_code, response.json().get("reason")) == outcome:
                    seen.add(response.headers["x-process"])
            return len(seen) == self.worker_count

        self.process.wait_for(all_seen, DEADLINE_SECONDS, what=f"{outcome} of every worker")

    def hold(self, name: str, pool: ThreadPoolExecutor) -> Future[httpx.Response]:
        """Send a request that is not answered before `release-NAME` is set, and wait until it is under way."""
        future = pool.submit(self.site.get, f"/hold/{name}")
        self.process.wait_for(lambda: self.said(f"holding {name}"), DEADLINE_SECONDS)
        return future

    def signal_workers(self, number: signal.Signals) -> None:
        """Send a signal to the process that serves, or to each worker: their supervisor passes on the first only."""
        for pid in self.said("starting"):
            os.kill(pid, number)

    def wait_until_stopping(self) -> None:
        """Wait until every worker has closed its socket, which uvicorn does right after this line of its log.

        Under uvicorn's supervisor, which keeps the socket open, a late connection is left waiting instead of refused.
        """
        stopping = "Shutting down"
        self.process.wait_for(lambda: self.process.output.count(stopping) == self.worker_count, DEADLINE_SECONDS)
        if self.worker_count == 1:
            wait_for(lambda: self.site.outcome("/health/live")[0] == 0, DEADLINE_SECONDS, what="a closed port")

    def wait_for_end(self) -> int:
        """Wait until it has ended by itself; return the exit status."""
        return self.process.wait_for_exit(DEADLINE_SECONDS)
