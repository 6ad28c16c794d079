"""Bring a database up to the newest revision, once, however many start at the same time.

Alembic is driven without an ``env.py`` and an ``alembic.ini``: the revisions lie in the package, the connection is
given, and nothing is read from the folder that the process happens to stand in.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from sqlalchemy import BigInteger, Connection, NullPool, func, literal, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from prethrift_backend.exceptions import PrethriftError
from prethrift_backend.stores._faults import database_faults, sqlstate_of
from prethrift_backend.stores.postgres import create_engine, make_connector

# Any number will do as long as it stays the same: two versions of the code must meet at the same lock.
_LOCK_ID = 0x7072657468726966
# Arbitrary: longer than building the indexes over 100,000 items took.
DEFAULT_WAIT_SECONDS = 120.0
_POLL_SECONDS = 0.1

# "feature not supported", "undefined file", "insufficient privilege": how CREATE EXTENSION fails.
_EXTENSION_STATES = frozenset({"0A000", "58P01", "42501"})


class MigrationError(PrethriftError):
    """The database cannot be brought to the revision that this code needs."""

    code = "migration_failed"


@dataclass(frozen=True, slots=True)
class MigrationResult:
    """The revision before and after; ``before`` is None for an empty database."""

    before: str | None
    after: str

    @property
    def is_changed(self) -> bool:
        """Tell whether anything was done."""
        return self.before != self.after


async def migrate(database_url: str, *, wait_seconds: float = DEFAULT_WAIT_SECONDS) -> MigrationResult:
    """Bring the database to the newest revision; safe when several start at once.

    Raise MigrationError when the database is newer than this code, has no pgvector, or another starter holds the lock
    for longer than ``wait_seconds``; DatabaseUnavailableError when it cannot be reached.
    """
    async with _connection(database_url) as connection, _lock(connection, wait_seconds=wait_seconds):
        before = await current_revision(connection)
        _refuse_unknown(before)
        if before != head_revision():
            await _upgrade(connection)
        return MigrationResult(before, head_revision())


async def current_revision(connection: AsyncConnection) -> str | None:
    """Return the revision that the database is at, or None if it was never migrated."""
    if await connection.scalar(text("SELECT to_regclass('alembic_version')::text")) is None:
        return None
    revision = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    return None if revision is None else str(revision)


def head_revision() -> str:
    """Return the newest revision that this code knows."""
    head = _scripts().get_current_head()
    if head is None:
        raise MigrationError("the package holds no revisions: install it again")
    return head


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(Path(__file__).parent)


def _refuse_unknown(revision: str | None) -> None:
    known = {script.revision for script in _scripts().walk_revisions()}
    if revision is not None and revision not in known:
        raise MigrationError(
            f"the database is at revision {revision!r}, which this version does not know (its newest is "
            f"{head_revision()!r}): run the newer version that migrated it, or restore a backup"
        )


@asynccontextmanager
async def _connection(database_url: str) -> AsyncIterator[AsyncConnection]:
    # No limit for a statement: building an index takes as long as it takes.
    connector = make_connector(database_url, application_name="prethrift-backend migrate", command_timeout_seconds=None)
    engine = create_engine(connector, poolclass=NullPool)
    with database_faults():
        async with engine.connect() as connection:
            yield connection


@asynccontextmanager
async def _lock(connection: AsyncConnection, *, wait_seconds: float) -> AsyncIterator[None]:
    """Hold the session's advisory lock; it ends with the connection, whatever becomes of this process.

    Asked for again and again, not waited for: a statement that waits holds a snapshot, and a starter that builds an
    index concurrently would wait for that snapshot while we wait for it.
    """
    deadline = asyncio.get_running_loop().time() + wait_seconds
    while not await _try_lock(connection):
        if asyncio.get_running_loop().time() >= deadline:
            raise MigrationError(
                f"another process has been migrating this database for more than {wait_seconds:g} s: wait for it, "
                "or end it and run `prethrift-backend migrate` again"
            )
        await asyncio.sleep(_POLL_SECONDS)
    yield


async def _try_lock(connection: AsyncConnection) -> bool:
    is_locked = await connection.scalar(select(func.pg_try_advisory_lock(literal(_LOCK_ID, BigInteger))))
    await connection.commit()
    return bool(is_locked)


async def _upgrade(connection: AsyncConnection) -> None:
    try:
        await connection.run_sync(_run_alembic)
        await connection.commit()
    except DBAPIError as error:
        if sqlstate_of(error) not in _EXTENSION_STATES:
            raise
        raise MigrationError(
            "the database will not create the extension `vector`: install pgvector 0.8 or later on the server, and "
            "migrate as a role that may create it"
        ) from error


def _run_alembic(connection: Connection) -> None:
    scripts = _scripts()
    config = Config()

    def to_head(revision: Any, _context: object) -> Any:
        return scripts._upgrade_revs("head", revision)  # private, but what alembic's own `upgrade` command calls

    with EnvironmentContext(config, scripts, fn=to_head, destination_rev="head") as environment:
        # One transaction for all: either the database is at the newest revision or nothing happened.
        environment.configure(connection=connection)
        environment.run_migrations()
