"""Real parts for the integration tests: PostgreSQL with pgvector on two servers, S3 over HTTP, faults in between.

A test that asks for a database runs once on each server (`embedded`, `container`); which servers there are is decided
in tests/support/engine.py, once, when the first such test is collected. Files named test_prometheus*.py are on a real
Prometheus, test_spotlight*.py on a real Spotlight and test_nginx*.py on a real nginx; whether there is one is decided
in the same way, in tests/support/prometheus.py, spotlight.py and nginx.py.
"""

import os
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.support.containers import probe_engine
from tests.support.databases import PostgresServer, fresh_database, start_server, through
from tests.support.engine import CONTAINER, Decision, container_required, decide, image_name, in_ci
from tests.support.nginx import Nginx, decide_nginx
from tests.support.prometheus import PrometheusDecision, decide_prometheus
from tests.support.proxy import FaultProxy
from tests.support.s3 import fresh_bucket, s3_server
from tests.support.spotlight import Spotlight, SpotlightDecision, decide_spotlight

from prethrift_backend.config import Settings
from prethrift_backend.stores.migrations import migrate

DECISION = pytest.StashKey[Decision]()
PROMETHEUS = pytest.StashKey[PrometheusDecision]()
NGINX = pytest.StashKey[PrometheusDecision]()
SPOTLIGHT = pytest.StashKey[SpotlightDecision]()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that needs a database one variant a server; other tests stay single."""
    if "postgres_server" in metafunc.fixturenames:
        servers = _decision(metafunc.config).servers
        metafunc.parametrize("postgres_server", servers, indirect=True, scope="session", ids=servers)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the tests that need a Prometheus, an nginx or a Spotlight where there is none and nobody insists."""
    if collection_path.match("test_prometheus*.py"):
        return None if _prometheus_decision(config).is_collected else True
    if collection_path.match("test_nginx*.py"):
        return None if _nginx_decision(config).is_collected else True
    if collection_path.match("test_spotlight*.py"):
        return None if _spotlight_decision(config).is_collected else True
    return None


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
    """Say after everything else what was left out: a server, or the tests on a real Prometheus, nginx or Spotlight."""
    yield
    stash = terminalreporter.config.stash
    parts = (stash.get(PROMETHEUS, None), stash.get(NGINX, None), stash.get(SPOTLIGHT, None))
    for decision in (stash.get(DECISION, None), *parts):
        if decision is not None and decision.note:
            terminalreporter.write_line(decision.note, yellow=True)


def _decision(config: pytest.Config) -> Decision:
    if DECISION not in config.stash:
        report = probe_engine(image_name(os.environ))
        config.stash[DECISION] = decide(report, required=container_required(os.environ))
    return config.stash[DECISION]


def _prometheus_decision(config: pytest.Config) -> PrometheusDecision:
    if PROMETHEUS not in config.stash:
        config.stash[PROMETHEUS] = decide_prometheus(required=in_ci(os.environ))
    return config.stash[PROMETHEUS]


def _nginx_decision(config: pytest.Config) -> PrometheusDecision:
    if NGINX not in config.stash:
        config.stash[NGINX] = decide_nginx(required=in_ci(os.environ))
    return config.stash[NGINX]


def _spotlight_decision(config: pytest.Config) -> SpotlightDecision:
    if SPOTLIGHT not in config.stash:
        config.stash[SPOTLIGHT] = decide_spotlight(required=in_ci(os.environ))
    return config.stash[SPOTLIGHT]


@pytest.fixture
def spotlight(request: pytest.FixtureRequest) -> Iterator[Spotlight]:
    """Run a Spotlight, or fail with what to do."""
    decision = _spotlight_decision(request.config)
    # A file that is named on the command line is collected in any case.
    problem = decision.failure or decision.note
    if problem:
        pytest.fail(problem, pytrace=False)
    with Spotlight() as running:
        yield running


@pytest.fixture
def nginx(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Nginx]:
    """Run the nginx of ops/nginx, in front of nobody yet, or fail with what to do."""
    decision = _nginx_decision(request.config)
    # A file that is named on the command line is collected in any case.
    problem = decision.failure or decision.note
    if problem:
        pytest.fail(problem, pytrace=False)
    with Nginx(tmp_path / "nginx") as running:
        yield running


@pytest.fixture
def prometheus_tools(request: pytest.FixtureRequest) -> None:
    """Make sure that `prometheus` and `promtool` can be started, or fail with what to do."""
    decision = _prometheus_decision(request.config)
    # A file that is named on the command line is collected in any case.
    problem = decision.failure or decision.note
    if problem:
        pytest.fail(problem, pytrace=False)


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
