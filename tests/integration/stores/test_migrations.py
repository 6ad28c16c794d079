"""Migrations on a real database: from nothing, from several starters, and from a version that is too new."""

import asyncio

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from prethrift_backend.catalogue.models import metadata
from prethrift_backend.exceptions import DatabaseUnavailableError
from prethrift_backend.stores import Postgres
from prethrift_backend.stores.migrations import (
    MigrationError,
    MigrationResult,
    current_revision,
    head_revision,
    migrate,
)
from prethrift_backend.stores.migrations.runner import _LOCK_ID


async def test_several_starters_at_once_all_succeed_and_one_does_the_work(database_url: str) -> None:
    """Of four that start together, one migrates and three find it done."""
    results = await asyncio.gather(*(migrate(database_url) for _ in range(4)))

    assert sorted(result.is_changed for result in results) == [False, False, False, True]
    assert {result.after for result in results} == {head_revision()}


async def test_a_second_run_changes_nothing(migrated_database_url: str) -> None:
    """A database at the newest revision is left alone."""
    result = await migrate(migrated_database_url)

    assert result == MigrationResult(before=head_revision(), after=head_revision())


async def test_the_revision_can_be_asked_for(database_url: str) -> None:
    """It is None before the first migration, and the newest after."""
    postgres = Postgres(database_url)
    async with postgres.connect() as connection:
        before = await current_revision(connection)
        await migrate(database_url)
        after = await current_revision(connection)
    await postgres.aclose()

    assert (before, after) == (None, head_revision())


async def test_a_database_that_is_too_new_is_refused(migrated_database_url: str) -> None:
    """A revision that this code does not know is named in the error, and nothing is touched."""
    connection = await asyncpg.connect(migrated_database_url)
    await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    await connection.close()

    with pytest.raises(MigrationError, match="'9999'"):
        await migrate(migrated_database_url)


async def test_waiting_for_another_starter_has_an_end(database_url: str) -> None:
    """When another holds the lock for too long, the error says so."""
    holder = await asyncpg.connect(database_url)
    await holder.execute(f"SELECT pg_advisory_lock({_LOCK_ID})")

    with pytest.raises(MigrationError, match="another process"):
        await migrate(database_url, wait_seconds=0.2)
    await holder.close()


async def test_an_unreachable_database_is_said_to_be_so() -> None:
    """A refused connection is an unavailable database, without the password in the text."""
    with pytest.raises(DatabaseUnavailableError) as caught:
        await migrate("postgresql://user:hunter2@127.0.0.1:1/nothing")

    assert "hunter2" not in str(caught.value)


async def test_the_table_of_the_code_is_the_table_of_the_revisions(migrated_database_url: str) -> None:
    """Names, types and nullability of the columns are the same in both."""

    def differences(connection: Connection) -> list[object]:
        def is_compared(_object: object, _name: str | None, kind: str, *_: object) -> bool:
            return kind in {"table", "column"}

        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": is_compared})
        return list(compare_metadata(context, metadata))

    postgres = Postgres(migrated_database_url)
    async with postgres.connect() as connection:
        found = await connection.run_sync(differences)
    await postgres.aclose()

    assert found == []
