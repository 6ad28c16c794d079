"""The database as a real server gives it: the pool, the health check, faults and recovery."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from tests.support.proxy import FaultProxy
from tests.support.waiting import wait_for_async

from prethrift_backend.config import Settings
from prethrift_backend.exceptions import DatabaseUnavailableError, ProbeFailedError
from prethrift_backend.stores import Postgres


@pytest.fixture
async def postgres(migrated_database_url: str) -> AsyncIterator[Postgres]:
    """Open a pool of one connection that does not wait long."""
    opened = Postgres(migrated_database_url, pool_size=1, max_overflow=0, pool_timeout_seconds=0.2)
    yield opened
    await opened.aclose()


@pytest.fixture
async def proxied(proxied_database_url: str) -> AsyncIterator[Postgres]:
    """Open a pool that reaches the server through a proxy."""
    opened = Postgres(proxied_database_url, pool_size=2, max_overflow=0, pool_timeout_seconds=2.0)
    yield opened
    await opened.aclose()


async def _answer(postgres: Postgres) -> int:
    async with postgres.connect() as connection:
        return int(await connection.scalar(text("SELECT 42")) or 0)


async def _insert_and_fail(postgres: Postgres) -> None:
    async with postgres.begin() as connection:
        await connection.execute(text("INSERT INTO kept VALUES (1)"))
        raise ZeroDivisionError


async def test_every_connection_is_set_up_for_the_vector_scan(postgres: Postgres) -> None:
    """The server knows the two settings of pgvector without a statement for each query."""
    async with postgres.connect() as connection:
        row = (
            await connection.execute(
                text("SELECT current_setting('hnsw.ef_search'), current_setting('hnsw.iterative_scan')")
            )
        ).one()

    assert tuple(row) == ("200", "relaxed_order")


async def test_what_only_libpq_knows_may_stand_in_the_url(migrated_database_url: str) -> None:
    """A URL with the parameters that hosted databases add works as it stands."""
    separator = "&" if "?" in migrated_database_url else "?"
    extra = "connect_timeout=10&channel_binding=prefer&application_name=from%20the%20URL"
    postgres = Postgres(f"{migrated_database_url}{separator}{extra}")

    async with postgres.connect() as connection:
        name = await connection.scalar(text("SELECT current_setting('application_name')"))
    await postgres.aclose()

    assert name == "from the URL"


async def test_a_full_pool_is_an_unavailable_database(postgres: Postgres) -> None:
    """Whoever gets no connection in time is told to come again, and the figures say why."""
    async with postgres.connect():
        figures = postgres.pool_figures()
        with pytest.raises(DatabaseUnavailableError, match="DB_POOL_SIZE"):
            await _answer(postgres)

    assert figures.by_state() == {"size": 1, "in_use": 1, "idle": 0, "overflow": 0}
    assert await _answer(postgres) == 42


async def test_the_health_check_has_a_connection_of_its_own(postgres: Postgres) -> None:
    """A full request pool does not make the database look dead."""
    async with postgres.connect():
        await postgres.probe()


async def test_begin_commits_or_rolls_back(postgres: Postgres) -> None:
    """A transaction that raises leaves nothing; one that ends leaves its work."""
    async with postgres.begin() as connection:
        await connection.execute(text("CREATE TABLE kept (n int)"))
    with pytest.raises(ZeroDivisionError):
        await _insert_and_fail(postgres)

    async with postgres.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM kept")) == 0


async def test_a_stopped_server_is_unavailable_and_comes_back(proxied: Postgres, database_proxy: FaultProxy) -> None:
    """The same object answers again once the server does, without one failing request."""
    await _answer(proxied)
    database_proxy.cut()
    database_proxy.refuse()
    with pytest.raises(DatabaseUnavailableError) as caught:
        await _answer(proxied)
    with pytest.raises(ProbeFailedError):
        await proxied.probe()
    database_proxy.restore()

    assert await _answer(proxied) == 42
    await proxied.probe()
    assert "127.0.0.1" not in str(caught.value)


async def test_a_connection_cut_while_idle_costs_no_request(proxied: Postgres, database_proxy: FaultProxy) -> None:
    """A pooled connection that the server closed is replaced before anybody gets it."""
    async with proxied.connect() as connection:
        driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None
    database_proxy.cut()
    await wait_for_async(driver.is_closed, 10)

    assert await _answer(proxied) == 42


async def test_a_hanging_server_does_not_hang_the_check(proxied: Postgres, database_proxy: FaultProxy) -> None:
    """A server that takes packets and says nothing is reported, and the check works again afterwards."""
    await proxied.probe()
    database_proxy.freeze()
    with pytest.raises(ProbeFailedError):
        await proxied.probe()
    database_proxy.restore()

    await proxied.probe()


async def test_a_cancelled_check_leaves_nothing_behind(postgres: Postgres) -> None:
    """However far a check was when it was cancelled, the next one works."""
    for steps in range(20):
        task = asyncio.create_task(postgres.probe())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    await postgres.probe()


async def test_a_cancelled_statement_gives_its_connection_back(postgres: Postgres) -> None:
    """After a request that went away, the only connection of the pool is free again."""
    started = asyncio.Event()

    async def slow() -> None:
        async with postgres.connect() as connection:
            started.set()
            await connection.execute(text("SELECT pg_sleep(60)"))

    task = asyncio.create_task(slow())
    await started.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert await _answer(postgres) == 42


async def test_a_wrong_statement_is_not_an_unavailable_database(postgres: Postgres) -> None:
    """A bug of ours stays a bug, so that it is not taken for an outage."""
    with pytest.raises(Exception, match="does not exist") as caught:
        async with postgres.connect() as connection:
            await connection.execute(text("SELECT nothing_of_this_name"))

    assert not isinstance(caught.value, DatabaseUnavailableError)


async def test_the_settings_size_the_pool(integration_settings: Settings) -> None:
    """The pool has the size that the settings give, and nothing is opened by making it."""
    postgres = Postgres.from_settings(integration_settings)

    assert postgres.pool_figures().by_state() == {"size": 10, "in_use": 0, "idle": 0, "overflow": 0}
