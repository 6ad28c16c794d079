"""PostgreSQL: one engine for requests, one connection of its own for the health check.

PgBouncer: prepared statements are used, so put it in session mode, or in transaction mode from its version 1.21 on
with ``max_prepared_statements`` above 0. In transaction mode the settings of ``_SESSION_SETUP`` must be set on the
server (``ALTER DATABASE … SET``), because a session's settings do not follow the client there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import QueuePool, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from prethrift_backend.config import Settings
from prethrift_backend.exceptions import DatabaseUnavailableError, ProbeFailedError
from prethrift_backend.stores._database_probe import (
    PROBE_LIMIT_SECONDS,
    RENEWAL_SECONDS,
    SATURATION_SECONDS,
    PoolWatch,
    ProbeConnection,
    look_at_vectors,
    probe_faults,
)
from prethrift_backend.stores._dsn import clean_dsn, names_application, server_attributes
from prethrift_backend.stores._faults import database_faults
from prethrift_backend.stores._pool_wait import PoolWait
from prethrift_backend.stores._statements import observe_engine

# Arbitrary, but well under the 5 s that a caller waits for the pool: a host that drops packets must not cost more.
CONNECT_TIMEOUT_SECONDS = 3.0
# Arbitrary: the slowest statement of ours takes tens of milliseconds over 100,000 items.
COMMAND_TIMEOUT_SECONDS = 10.0
# Arbitrary: long enough that nobody notices, short enough that a rebalanced cluster gets its share of connections.
RECYCLE_SECONDS = 1800
CLOSE_TIMEOUT_SECONDS = 2.0

# pgvector's scan returns at most ef_search rows, and each search source wants 200 candidates; its default is 40.
# relaxed_order lets the scan go on when a filter threw rows away; the search ranks by distance again itself.
# random_page_cost: the default of 4 is for turning disks, and makes the planner read whole tables of several thousand
# vectors, whose real size (they lie apart from their rows) it does not see; 1.1 is usual for solid-state disks.
# One statement when a connection is made, and none for each query. A server without pgvector takes its settings as
# unknown ones without complaint, so the same connection can be used to migrate it.
_SESSION_SETUP = (
    "SELECT set_config('hnsw.ef_search', '200', false), set_config('hnsw.iterative_scan', 'relaxed_order', false), "
    "set_config('random_page_cost', '1.1', false)"
)

Connector = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class PoolFigures:
    """The request pool at one moment, in connections; ``overflow`` counts those above ``size``."""

    size: int
    in_use: int
    idle: int
    overflow: int

    def by_state(self) -> dict[str, int]:
        """Return the figures by their names, as the gauge ``db_pool_connections`` wants them."""
        return {"size": self.size, "in_use": self.in_use, "idle": self.idle, "overflow": self.overflow}


class Postgres:
    """The database as the rest of the backend sees it; opens nothing before it is used."""

    def __init__(  # noqa: PLR0913 - each is one independent property, and all but the address have defaults
        self,
        database_url: str,
        *,
        pool_size: int = 10,
        max_overflow: int = 5,
        pool_timeout_seconds: float = 5.0,
        application_name: str = "prethrift-backend",
        saturation_seconds: float = SATURATION_SECONDS,
        probe_renewal_seconds: float = RENEWAL_SECONDS,
    ) -> None:
        connector = make_connector(database_url, application_name=application_name)
        self.engine: AsyncEngine = create_engine(
            connector,
            pool_size=pool_size,
            max_overflow=max_overflow,
            pool_timeout=pool_timeout_seconds,
            pool_use_lifo=True,  # the connection used last has its statements and caches warm
        )
        observe_engine(self.engine, attributes=server_attributes(database_url))
        # Same pool, but no BEGIN and ROLLBACK around a single SELECT: two round trips fewer for each search.
        self._reading = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._most_connections = pool_size + max_overflow
        self._pool_watch = PoolWatch(saturation_seconds=saturation_seconds)
        for move in ("checkout", "checkin"):
            event.listen(self.engine.sync_engine, move, self._pool_watch.note_move)
        self._probe_connection = ProbeConnection(
            make_connector(
                database_url,
                application_name=f"{application_name} health",
                connect_timeout_seconds=PROBE_LIMIT_SECONDS,
                command_timeout_seconds=PROBE_LIMIT_SECONDS,
            ),
            renewal_seconds=probe_renewal_seconds,
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> Postgres:
        """Build from ``settings``; raise DatabaseUnavailableError when DATABASE_URL is not set."""
        if settings.database_url is None:
            raise DatabaseUnavailableError("DATABASE_URL is not set: give a URL such as postgresql://user@host/name")
        return cls(
            settings.database_url.get_secret_value(),
            pool_size=settings.db_pool_size,
            max_overflow=settings.db_max_overflow,
            pool_timeout_seconds=settings.db_pool_timeout_seconds,
            application_name=settings.service_name,
        )

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection for single statements, each its own transaction.

        Raise DatabaseUnavailableError when none is free in time, or the database is away.
        """
        with database_faults(), PoolWait() as wait:
            async with self._reading.connect() as connection:
                wait.over()
                yield connection

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection within one transaction: committed at the end, rolled back on any error.

        Raise DatabaseUnavailableError when none is free in time, or the database is away.
        """
        with database_faults(), PoolWait() as wait:
            async with self.engine.begin() as connection:
                wait.over()
                yield connection

    def pool_figures(self) -> PoolFigures:
        """Return how full the request pool is; costs nothing and touches no socket."""
        pool = self.engine.pool
        if not isinstance(pool, QueuePool):
            raise TypeError(f"the engine's pool is {type(pool).__name__}, which has no figures: use a QueuePool")
        # SQLAlchemy counts from minus the pool's size up to zero while the pool fills.
        return PoolFigures(pool.size(), pool.checkedout(), pool.checkedin(), max(0, pool.overflow()))

    async def probe(self) -> Mapping[str, object]:
        """Ask the database for one row, within a second, and look whether requests can get a connection.

        Return the pool's figures. Raise ProbeFailedError: timeout, auth_failed, not_found (the database), busy (the
        server takes no more connections), unreachable, or pool_saturated.
        """
        with probe_faults(details=self._pool_details()):
            await self._probe_connection.fetch_row("SELECT 1")
        details = self._pool_details()
        if self._pool_watch.is_saturated(in_use=self.pool_figures().in_use, most=self._most_connections):
            raise ProbeFailedError("pool_saturated", details=details)
        return details

    async def probe_vectors(self, dimensions: Mapping[str, int]) -> Mapping[str, object]:
        """Ask pgvector for a distance, and compare the columns of ``items`` with ``dimensions``, by column name.

        Return the extension's version and the dimensions found. Raise ProbeFailedError: not_found, wrong_dimension,
        wrong_version, or what ``probe`` raises.
        """
        return await look_at_vectors(self._probe_connection, dimensions)

    def _pool_details(self) -> Mapping[str, object]:
        return {f"pool_{name}": count for name, count in self.pool_figures().by_state().items()}

    async def aclose(self) -> None:
        """Close every connection; a server that no longer answers is left after two seconds."""
        self._probe_connection.drop()
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS):
                await self.engine.dispose()


def make_connector(
    database_url: str,
    *,
    application_name: str,
    connect_timeout_seconds: float = CONNECT_TIMEOUT_SECONDS,
    command_timeout_seconds: float | None = COMMAND_TIMEOUT_SECONDS,
) -> Connector:
    """Return a coroutine function that opens one asyncpg connection to ``database_url``, ready for searches."""
    dsn = clean_dsn(database_url)
    server_settings = {} if names_application(database_url) else {"application_name": application_name}

    async def connect(*_: object, **__: object) -> Any:
        # timeout= covers each host of the URL by itself, hence the one around all of it.
        async with asyncio.timeout(connect_timeout_seconds):
            connection = await asyncpg.connect(
                dsn=dsn,
                timeout=connect_timeout_seconds,
                command_timeout=command_timeout_seconds,
                server_settings=server_settings,
            )
            try:
                await connection.fetchrow(_SESSION_SETUP)
            except BaseException:
                connection.terminate()
                raise
            return connection

    return connect


def create_engine(connector: Connector, **pool_options: Any) -> AsyncEngine:
    """Return an engine over ``connector``.

    The URL goes to asyncpg as the user wrote it, not through SQLAlchemy, whose URLs do not know sslmode or a socket's
    folder. ``pool_pre_ping`` is off: it costs a round trip for each request. What it is for, a server that went away
    and came back, the driver knows without asking, since the closed socket has told it.
    """
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connector,
        pool_recycle=RECYCLE_SECONDS,
        hide_parameters=True,  # or the text of an error would hold what people searched for
        **pool_options,
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed_connection)
    return engine


def _refuse_closed_connection(dbapi_connection: Any, _record: object, _proxy: object) -> None:
    if dbapi_connection.driver_connection.is_closed():
        raise DisconnectionError("the server closed this connection; the pool opens another")
