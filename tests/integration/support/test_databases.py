"""The two PostgreSQL servers of the tests."""

import asyncpg
import pytest
from tests.support.databases import PostgresServer, fresh_database
from tests.support.engine import CONTAINER

from prethrift_backend.config import Settings


async def test_the_server_measures_vectors(database_url: str) -> None:
    """Both servers have pgvector and answer a distance over asyncpg."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("create extension vector")

        distance = await connection.fetchval("select '[1,2]'::vector <-> '[1,3]'::vector")
    finally:
        await connection.close()

    assert distance == pytest.approx(1.0)


async def test_fresh_databases_are_apart(postgres_server: PostgresServer) -> None:
    """A table made in one fresh database is not there in the next."""
    async with fresh_database(postgres_server) as first, fresh_database(postgres_server) as second:
        await _run(postgres_server.url(first), "create table only_here (id int)")

        found = await _run(postgres_server.url(second), "select to_regclass('only_here') as name")

    assert found == [(None,)]


async def test_a_fresh_database_goes_with_its_sessions(postgres_server: PostgresServer) -> None:
    """A session that a test forgot does not keep the database alive."""
    async with fresh_database(postgres_server) as name:
        forgotten = await asyncpg.connect(postgres_server.url(name))

    found = await _run(postgres_server.admin_url, "select datname from pg_database")
    assert (name,) not in found
    forgotten.terminate()


async def test_the_copied_database_has_the_tables(migrated_database_url: str) -> None:
    """The fast fixture gives a migrated database."""
    assert await _run(migrated_database_url, "select count(*) from items") == [(0,)]


def test_the_container_listens_on_loopback(postgres_server: PostgresServer) -> None:
    """The embedded server has a unix socket alone, the container a port on loopback."""
    target = postgres_server.target

    if postgres_server.kind == CONTAINER:
        assert target.host == "127.0.0.1"
    else:
        assert target.unix_path is not None
        assert target.unix_path.is_socket()


def test_the_settings_name_the_real_parts(
    integration_settings: Settings, migrated_database_url: str, s3_endpoint: str, images_bucket: str
) -> None:
    """The settings of a test lead to its own database and bucket."""
    assert integration_settings.database_url is not None
    assert integration_settings.database_url.get_secret_value() == migrated_database_url
    assert integration_settings.aws_endpoint_url_s3 == s3_endpoint
    assert integration_settings.images_bucket == images_bucket


async def _run(url: str, statement: str) -> list[tuple[object, ...]]:
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()
