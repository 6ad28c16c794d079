"""What the session `perf` shares: the parts under measurement, and the table of figures at its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest
from tests.support.databases import PostgresServer, fresh_database, start_server
from tests.support.processes import ServerProcess, free_port

from prethrift_backend.config import Settings
from prethrift_backend.devstack.stack import development_models
from prethrift_backend.embeddings import ModelEmbeddings
from prethrift_backend.stores.migrations import migrate

COMMAND = Path(sys.executable).with_name("prethrift-backend")
REPORT = Path(__file__).parents[2] / "build" / "perf.json"
MODELS_SECONDS = 120


@dataclass(frozen=True)
class Figure:
    """One measured number; the limits are what a run is held to, None where it only reports.

    ``aim`` is what the project wants to reach, where a run is held to less: machines and their load differ.
    """

    name: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    aim: float | None = None

    @property
    def is_met(self) -> bool:
        """Tell whether the value is within its limits."""
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )

    def limit(self) -> str:
        """Write the limit as it stands in the table."""
        if self.at_least is not None:
            return f">= {self.at_least:g}"
        return "" if self.at_most is None else f"<= {self.at_most:g}"

    def verdict(self) -> str:
        """Write whether the limit is met, and where there is an aim, whether that is."""
        if not self.limit():
            return ""
        verdict = "met" if self.is_met else "NOT MET"
        if self.aim is None:
            return verdict
        is_reached = self.value <= self.aim if self.at_least is None else self.value >= self.aim
        return f"{verdict}; aim {self.aim:g} {'reached' if is_reached else 'not reached'}"


@dataclass
class Figures:
    """The figures of one run."""

    taken: list[Figure] = field(default_factory=list)

    def take(
        self,
        name: str,
        value: float,
        unit: str,
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        aim: float | None = None,
    ) -> None:
        """Keep a figure for the table, then hold it to its limit."""
        figure = Figure(name, value, unit, at_least, at_most, aim)
        self.taken.append(figure)
        assert figure.is_met, f"{name}: {value:.4g} {unit}, promised is {figure.limit()}"


_figures = pytest.StashKey[Figures]()
# What pytest leaves to plugins: neither passed nor failed, since this machine cannot tell.
UNFIT_STATUS = 3
_unfit: list[str] = []


def mark_unfit(reason: str) -> NoReturn:
    """End a test that this machine is unfit for; the run as a whole then ends with status 3, not with success."""
    _unfit.append(reason)
    pytest.skip(reason)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Let no run pass that could not tell."""
    if _unfit and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = UNFIT_STATUS


def pytest_configure(config: pytest.Config) -> None:
    """Begin with no figure."""
    config.stash[_figures] = Figures()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table, and keep it as JSON in build/perf.json."""
    taken = config.stash[_figures].taken
    if not taken:
        return
    terminalreporter.section("figures")
    for figure in taken:
        terminalreporter.line(
            f"{figure.name:<58} {figure.value:>10.4g} {figure.unit:<10} {figure.limit():<9} {figure.verdict()}".rstrip()
        )
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps({"machine": _machine(), "figures": [asdict(figure) for figure in taken]}, indent=2))


def _machine() -> dict[str, object]:
    return {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()}


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
