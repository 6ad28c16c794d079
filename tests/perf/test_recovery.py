"""How soon readiness follows the database, away and back, without a restart."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from tests.perf.conftest import COMMAND, MODELS_SECONDS, Figures
from tests.support.processes import ServerProcess, free_port

from prethrift_backend.devstack.postgres import EmbeddedPostgres
from prethrift_backend.devstack.stack import development_models
from prethrift_backend.stores.migrations import migrate

PATIENCE_SECONDS = 30.0
LIMIT_SECONDS = 15.0
POLL_SECONDS = 0.1


@pytest.fixture
def database() -> Iterator[EmbeddedPostgres]:
    """Run a server that this test may stop and start."""
    with TemporaryDirectory(prefix="prethrift-recovery-") as folder:
        Path(folder).chmod(0o755)  # as root, the server runs as a user of its own
        server = EmbeddedPostgres(Path(folder) / "postgres")
        server.start()
        try:
            yield server
        finally:
            server.stop()


class _Watch:
    """Asks for liveness all the time, in a thread, and keeps every answer that was not 200."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._is_over = threading.Event()
        self.asked = 0
        self.bad: list[str] = []

    @contextmanager
    def watching(self) -> Iterator[None]:
        thread = threading.Thread(target=self._ask)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()

    def _ask(self) -> None:
        while not self._is_over.wait(POLL_SECONDS):
            self.asked += 1
            answer = _answer(self._port, "live")
            if answer != "200":
                self.bad.append(answer)


def _answer(port: int, kind: str) -> str:
    try:
        return str(httpx.get(f"http://127.0.0.1:{port}/health/{kind}", timeout=2, trust_env=False).status_code)
    except httpx.TransportError as error:
        return type(error).__name__


def _seconds_until(process: ServerProcess, port: int, status: str) -> float:
    started = time.perf_counter()
    process.wait_for(lambda: _answer(port, "ready") == status, PATIENCE_SECONDS, what=f"ready answers {status}")
    return time.perf_counter() - started


def test_readiness_follows_the_database(database: EmbeddedPostgres, figures: Figures) -> None:
    """Ready is 503 soon after the database is stopped and 200 soon after it is back; live is 200 all the time."""
    asyncio.run(migrate(database.url))
    port = free_port()
    environ = {
        **os.environ,
        **{name.upper(): value for name, value in development_models().items()},
        "DATABASE_URL": database.url,
        "PORT": str(port),
    }
    with ServerProcess([str(COMMAND), "serve"], environ=environ) as process:
        process.wait_for(lambda: _answer(port, "ready") == "200", MODELS_SECONDS, what="ready answers 200")
        pid, watch = process.pid, _Watch(port)
        with watch.watching():
            database.stop()
            fallen = _seconds_until(process, port, "503")
            database.start()
            risen = _seconds_until(process, port, "200")
        is_running = process.exit_status is None and process.pid == pid

    figures.take("database stopped to ready 503", fallen, "s", at_most=LIMIT_SECONDS)
    figures.take("database back to ready 200", risen, "s", at_most=LIMIT_SECONDS)
    figures.take("liveness answers meanwhile that were not 200", len(watch.bad), f"of {watch.asked}", at_most=0)
    assert is_running
