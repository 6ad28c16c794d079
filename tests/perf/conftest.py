"""What the session `perf` shares: the parts under measurement, and the table of figures at its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from tests.perf.figures import Figures, records_of, table_of
from tests.support.databases import PostgresServer, fresh_database, start_server
from tests.support.processes import ServerProcess, free_port

from prethrift_backend.config import Settings
from prethrift_backend.devstack.stack import development_models
from prethrift_backend.embeddings import ModelEmbeddings
from prethrift_backend.stores.migrations import migrate

__all__ = ["Figures"]  # what the tests take from here and is made elsewhere

COMMAND = Path(sys.executable).with_name("prethrift-backend")
REPORT = Path(__file__).parents[2] / "build" / "perf.json"
MODELS_SECONDS = 120


_figures = pytest.StashKey[Figures]()
# Neither passed nor failed, since this machine cannot tell; the file says so to the session of nox.
UNFIT_STATUS = 3
UNFIT = REPORT.with_name("unfit.txt")
_unfit: list[str] = []


def mark_unfit(reason: str) -> NoReturn:
    """End a test that this machine is unfit for; the run as a whole then ends with status 3, not with success."""
    _unfit.append(reason)
    pytest.skip(reason)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Let no run pass that could not tell."""
    UNFIT.unlink(missing_ok=True)
    if _unfit and exitstatus == pytest.ExitCode.OK:
        UNFIT.parent.mkdir(exist_ok=True)
        UNFIT.write_text("\n".join(_unfit) + "\n")
        session.exitstatus = UNFIT_STATUS


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let callgrind be asked for."""
    parser.addoption("--callgrind", action="store_true", help="count the processor's instructions as well, by valgrind")


def pytest_configure(config: pytest.Config) -> None:
    """Begin with no figure."""
    config.stash[_figures] = Figures()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table, and keep it as JSON in build/perf.json."""
    taken = config.stash[_figures].taken
    if not taken:
        return
    terminalreporter.section("figures")
    for line in table_of(taken):
        terminalreporter.line(line)
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps({"machine": machine(), "figures": records_of(taken)}, indent=2))


def machine() -> dict[str, object]:
    """Return what a figure depends on beside the code."""
    return {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, output_json: dict[str, object]) -> None:
    """Keep the figures in the report of pytest-benchmark as well, beside what each benchmark says of its own."""
    output_json["figures"] = records_of(config.stash[_figures].taken)


@pytest.fixture
def keep(benchmark: BenchmarkFixture) -> Callable[..., None]:
    """Give what keeps facts about a test in the report of pytest-benchmark, those of the machine among them."""

    def keep(**facts: object) -> None:
        benchmark.extra_info.update({**facts, "machine": machine()})

    return keep


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> Figures:
    """Give the place where figures are kept."""
    return pytestconfig.stash[_figures]


@pytest.fixture(scope="session")
def runner() -> Iterator[asyncio.Runner]:
    """Give one event loop for the whole session: the parts under measurement live longer than a test."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """Run the embedded PostgreSQL."""
    with start_server("embedded", image="") as server:
        yield server


@contextlib.asynccontextmanager
async def migrated_database(server: PostgresServer) -> AsyncIterator[str]:
    """Give the address of a fresh database with the tables of the backend."""
    async with fresh_database(server) as name:
        await migrate(server.url(name))
        yield server.url(name)


@pytest.fixture
def database(runner: asyncio.Runner, server: PostgresServer) -> Iterator[str]:
    """Give the address of a fresh database, to tests that run no event loop of their own."""
    context = migrated_database(server)
    yield runner.run(context.__aenter__())
    runner.run(context.__aexit__(None, None, None))


@contextlib.contextmanager
def served_backend(database: str) -> Iterator[tuple[ServerProcess, str]]:
    """Start `prethrift-backend serve` and give its process and its address, before it answers."""
    port = free_port()
    models = {name.upper(): value for name, value in development_models().items()}
    environ = {**os.environ, **models, "DATABASE_URL": database, "PORT": str(port)}
    with ServerProcess([str(COMMAND), "serve"], environ=environ) as process:
        yield process, f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def models(runner: asyncio.Runner) -> Iterator[ModelEmbeddings]:
    """Load the development models as the backend does."""
    embeddings = ModelEmbeddings.from_settings(Settings(**development_models()))

    async def load() -> None:
        embeddings.start()
        await embeddings.wait_ready(MODELS_SECONDS)

    runner.run(load())
    yield embeddings
    runner.run(embeddings.aclose())
