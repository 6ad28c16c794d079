"""How soon a started process answers."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import httpx
import pytest
from tests.perf.conftest import MODELS_SECONDS, Figures, migrated_database
from tests.support.databases import PostgresServer
from tests.support.processes import ServerProcess, free_port

from prethrift_backend.devstack.stack import development_models

COMMAND = [str(Path(__file__).parents[2] / ".venv" / "bin" / "prethrift-backend"), "serve"]
STARTS = 5


@pytest.fixture
def database(runner: asyncio.Runner, server: PostgresServer) -> Iterator[str]:
    """Give the address of a database with the tables of the backend."""
    context = migrated_database(server)
    yield runner.run(context.__aenter__())
    runner.run(context.__aexit__(None, None, None))


def _start(database: str) -> tuple[float, float]:
    """Start the server; return the seconds to its first answer and to readiness."""
    port = free_port()
    environ = {
        **os.environ,
        **{name.upper(): value for name, value in development_models().items()},
        "DATABASE_URL": database,
        "PORT": str(port),
    }
    started = time.perf_counter()
    with ServerProcess(COMMAND, environ=environ) as process:
        process.wait_for(lambda: _status(port, "live") == 200, 30)
        answered = time.perf_counter() - started
        process.wait_for(lambda: _status(port, "ready") == 200, MODELS_SECONDS)
        return answered, time.perf_counter() - started


def _status(port: int, kind: str) -> int | None:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/{kind}", timeout=2).status_code
    except httpx.TransportError:
        return None


def test_a_started_process_answers_soon(database: str, figures: Figures) -> None:
    """The first answer comes within 1.5 seconds, long before the models are loaded."""
    answered, ready = zip(*(_start(database) for _ in range(STARTS)), strict=True)

    figures.take("process start to the first answer", median(answered), "s", at_most=1.5)
    figures.take("process start to models ready", median(ready), "s")
