"""Real parts for the integration tests: PostgreSQL with pgvector on two servers, S3 over HTTP, faults in between.

A test that asks for a database runs once on each server (`embedded`, `container`); which servers there are is decided
in tests/support/engine.py, once, when the first such test is collected.
"""

import os
from collections.abc import AsyncIterator, Generator, Iterator

import pytest
import pytest_asyncio
from tests.support.containers import probe_engine
from tests.support.databases import PostgresServer, fresh_database, start_server, through
from tests.support.engine import CONTAINER, Decision, container_required, decide, image_name
from tests.support.proxy import FaultProxy
from tests.support.s3 import fresh_bucket, s3_server

from prethrift_backend.config import Settings
from prethrift_backend.stores.migrations import migrate

DECISION = pytest.StashKey[Decision]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that needs a database one variant a server; other tests stay single."""
    if "postgres_server" in metafunc.fixturenames:
        servers = _decision(metafunc.config).servers
        metafunc.parametrize("postgres_server", servers, indirect=True, scope="session", ids=servers)


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
    """Say after everything else when the suite ran on the embedded server alone."""
    yield
    decision = terminalreporter.config.stash.get(DECISION, None)
    if decision is not None and decision.note:
        terminalreporter.write_line(decision.note, yellow=True)


def _decision(config: pytest.Config) -> Decision:
    if DECISION not in config.stash:
        report = probe_engine(image_name(os.environ))
        config.stash[DECISION] = decide(report, required=container_required(os.environ))
    return config.stash[DECISION]


@pytest.fixture(scope="session")
def postgres_server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    """Run one of the servers for all tests that name it."""
    failure = _decision(request.config).failure
    if request.param == CONTAINER and failure:
        pytest.fail(failure, pytrace=False)
    with start_server(request.param, image=image_name(os.environ)) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="function")
async def database_url(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """Make an empty database and yield its DSN, `postgresql://...`; it is dropped with all its sessions."""
    async with fresh_database(postgres_server) as name:
        yield postgres_server.url(name)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def migrated_template(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """Migrate one database a server, for the others to be copied from."""
    async with fresh_database(postgres_server) as name:
        await migrate(postgres_server.url(name))
        yield name


@pytest_asyncio.fixture(loop_scope="function")
async def migrated_database_url(postgres_server: PostgresServer, migrated_template: str) -> AsyncIterator[str]:
    """Make a database with the tables of today, copied and so faster than migrated; yield its DSN."""
    async with fresh_database(postgres_server, template=migrated_template) as name:
        yield postgres_server.url(name)


@pytest.fixture
def database_proxy(postgres_server: PostgresServer) -> Iterator[FaultProxy]:
    """Put a proxy that makes faults in front of the server; see `proxied_database_url`."""
    with FaultProxy(postgres_server.target) as proxy:
        yield proxy


@pytest.fixture
def proxied_database_url(migrated_database_url: str, database_proxy: FaultProxy) -> str:
    """Return the DSN of the migrated database by way of `database_proxy`."""
    return through(migrated_database_url, database_proxy.port)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Run an S3 server in a process of its own; yield `http://127.0.0.1:PORT`."""
    with s3_server() as endpoint:
        yield endpoint


@pytest.fixture
def images_bucket(s3_endpoint: str) -> Iterator[str]:
    """Make a bucket for one test and yield its name."""
    with fresh_bucket(s3_endpoint) as name:
        yield name


@pytest.fixture
def integration_settings(migrated_database_url: str, s3_endpoint: str, images_bucket: str) -> Settings:
    """Build settings for the real parts of this test; the environment holds credentials that open nothing."""
    return Settings(database_url=migrated_database_url, aws_endpoint_url_s3=s3_endpoint, images_bucket=images_bucket)
