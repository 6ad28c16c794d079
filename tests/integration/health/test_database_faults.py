"""The database's two checks through the whole application, with faults on real servers."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from tests.integration.health.conftest import DEADLINE_SECONDS, Served, SettingsFor, served
from tests.support.databases import PostgresServer, drop_database
from tests.support.engine import EMBEDDED
from tests.support.freezing import frozen
from tests.support.proxy import FaultProxy
from tests.support.waiting import wait_for_async

from prethrift_backend.exceptions import ProbeFailedError
from prethrift_backend.main import Overrides
from prethrift_backend.stores import Postgres

COLUMNS = {"clip_vector": 512, "text_vector": 384}


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def _name(url: str) -> str:
    return urlsplit(url).path.lstrip("/")


async def test_a_healthy_database_tells_its_figures(migrated_database_url: str, settings_for: SettingsFor) -> None:
    """All five checks are there and well; the details are numbers and single words."""
    async with served(settings_for(migrated_database_url)) as app:
        await app.until_ready(200)
        await app.until_all_are_well()
        checks = await app.checks()

    assert list(checks) == ["database", "pgvector", "embedding_model", "s3", "memory"]
    assert checks["database"]["message"] == "Database connection successful"
    assert checks["database"]["details"]["pool_size"] == 10
    assert checks["pgvector"]["details"].items() >= COLUMNS.items()
    assert checks["embedding_model"]["details"]["embedding_dimension"] == 512
    assert "512" in checks["embedding_model"]["message"]
    assert 0 < checks["memory"]["details"]["used_share"] < 1.5


@pytest.mark.parametrize(("fault", "code"), [("refuse", "unreachable"), ("freeze", "timeout")])
async def test_a_database_that_goes_takes_readiness_along(
    proxied_database_url: str, database_proxy: FaultProxy, settings_for: SettingsFor, fault: str, code: str
) -> None:
    """Refused or silent: the check says which, pgvector waits for it, live stays 200; all is well after the return."""
    async with served(settings_for(proxied_database_url)) as app:
        await app.until_ready(200)
        getattr(database_proxy, fault)()
        if fault == "refuse":
            database_proxy.cut()
        await app.until("database", code)
        await app.until_ready(503)
        during = (await app.status("live"), (await app.codes())["pgvector"])
        database_proxy.restore()
        await app.until_ready(200)
        await app.until("pgvector", "ok")

    assert during == (200, "dependency_failed")


async def test_a_stopped_server_process_times_out(
    postgres_server: PostgresServer, migrated_database_url: str, settings_for: SettingsFor
) -> None:
    """A server whose processes are held accepts and says nothing; readiness falls, and comes back with it."""
    async with served(settings_for(migrated_database_url)) as app:
        await app.until_ready(200)
        async with frozen(postgres_server):
            await app.until("database", "timeout")
            await app.until_ready(503)
            live = await app.status("live")
        await app.until_ready(200)

    assert live == 200


@contextlib.asynccontextmanager
async def _role(server: PostgresServer) -> AsyncIterator[str]:
    """Yield a role that must give its password, "first"."""
    role = f"probe_{uuid.uuid4().hex[:12]}"
    await _execute(server.admin_url, f"CREATE ROLE {role} LOGIN PASSWORD 'first'")
    async with _password_asked_for(server, role):
        yield role
    await _execute(server.admin_url, f"DROP ROLE {role}")


@contextlib.asynccontextmanager
async def _password_asked_for(server: PostgresServer, role: str) -> AsyncIterator[None]:
    """Have the embedded server ask this role for its password; it trusts every other one, the container none."""
    if server.kind != EMBEDDED:
        yield
        return
    connection = await asyncpg.connect(server.admin_url)
    file = await connection.fetchval("SHOW hba_file")
    before = _replace_rules(file, lambda rules: f"local all {role} scram-sha-256\n{rules}")
    try:
        await connection.execute("SELECT pg_reload_conf()")
        yield
    finally:
        _replace_rules(file, lambda _: before)
        await connection.execute("SELECT pg_reload_conf()")
        await connection.close()


def _replace_rules(file: str, change: Callable[[str], str]) -> str:
    before = Path(file).read_text()
    Path(file).write_text(change(before))
    return before


def _as_role(url: str, role: str, password: str) -> str:
    parts = urlsplit(url)
    address = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{role}:{password}@{address}").geturl()


async def _refuses(url: str) -> bool:
    try:
        await _execute(url, "SELECT 1")
    except asyncpg.InvalidAuthorizationSpecificationError:
        return True
    return False


async def test_a_changed_password_is_told_apart_and_soon(
    postgres_server: PostgresServer, migrated_database_url: str, settings_for: SettingsFor
) -> None:
    """The connections that are open go on working, so the probe's is renewed: it is refused, and says so."""
    async with _role(postgres_server) as role:
        url = _as_role(migrated_database_url, role, "first")
        wrong = _as_role(migrated_database_url, role, "second")
        await wait_for_async(lambda: _refuses(wrong), DEADLINE_SECONDS)  # the server reads its rules in its own time
        postgres = Postgres(url, probe_renewal_seconds=0.2)
        async with served(settings_for(url), Overrides(postgres=postgres)) as app:
            await app.until("database", "ok")
            await _execute(postgres_server.admin_url, f"ALTER ROLE {role} PASSWORD 'second'")
            check = await app.until("database", "auth_failed")
            await app.until_ready(503)
            await _execute(postgres_server.admin_url, f"ALTER ROLE {role} PASSWORD 'first'")
            await app.until_ready(200)
        await postgres.aclose()

    assert check["message"] == "The database refused the credentials"


async def test_a_server_without_room_is_busy_and_not_down(
    postgres_server: PostgresServer, migrated_database_url: str, settings_for: SettingsFor
) -> None:
    """A role that may open no further connection leaves the service degraded, and in traffic."""
    async with _role(postgres_server) as role:
        postgres = Postgres(_as_role(migrated_database_url, role, "first"), probe_renewal_seconds=0.1)
        async with served(settings_for(migrated_database_url), Overrides(postgres=postgres)) as app:
            await app.until("database", "ok")
            await app.until_ready(200)
            await _execute(postgres_server.admin_url, f"ALTER ROLE {role} CONNECTION LIMIT 0")
            check = await app.until("database", "busy")
            ready = await app.status("ready")
        await postgres.aclose()

    assert (check["status"], ready) == ("degraded", 200)


async def test_a_database_that_was_dropped_is_not_found(
    postgres_server: PostgresServer, migrated_database_url: str, settings_for: SettingsFor
) -> None:
    """The server is there and the database is not: another word than unreachable."""
    async with served(settings_for(migrated_database_url)) as app:
        await app.until_ready(200)
        await drop_database(postgres_server, _name(migrated_database_url))
        await app.until("database", "not_found")
        await app.until_ready(503)


@pytest.mark.parametrize(
    ("statements", "code"),
    [
        (["DROP EXTENSION vector CASCADE"], "not_found"),
        (["CREATE SCHEMA elsewhere", "ALTER EXTENSION vector SET SCHEMA elsewhere"], "not_found"),
        (["DROP TABLE items"], "not_found"),
        (["ALTER TABLE items DROP COLUMN text_vector"], "not_found"),
        (["ALTER TABLE items ALTER COLUMN clip_vector TYPE vector(256)"], "wrong_dimension"),
    ],
)
async def test_vectors_that_cannot_serve_take_readiness_along(
    migrated_database_url: str, settings_for: SettingsFor, statements: list[str], code: str
) -> None:
    """Without the extension, the table or a column, or with another dimension, no search works; the database does."""
    async with served(settings_for(migrated_database_url)) as app:
        await app.until_ready(200)
        await _execute(migrated_database_url, *statements)
        await app.until("pgvector", code)
        await app.until_ready(503)
        codes = await app.codes()

    assert codes["database"] == "ok"


async def test_a_database_never_migrated_is_not_ready(database_url: str, settings_for: SettingsFor) -> None:
    """An empty database answers, has no vectors, and the first look is enough to keep traffic away."""
    async with served(settings_for(database_url)) as app:
        check = await app.until("pgvector", "not_found")
        await app.until_ready(503)

    assert "migrate" in check["message"]


async def test_an_extension_on_the_search_path_may_be_anywhere(migrated_database_url: str) -> None:
    """What counts is whether a request finds it: with its schema on the path, the probe is content."""
    await _execute(
        migrated_database_url,
        "CREATE SCHEMA elsewhere",
        "ALTER EXTENSION vector SET SCHEMA elsewhere",
        f'ALTER DATABASE "{_name(migrated_database_url)}" SET search_path = public, elsewhere',
    )
    postgres = Postgres(migrated_database_url)

    details = await postgres.probe_vectors(COLUMNS)

    await postgres.aclose()
    assert details.items() >= COLUMNS.items()


async def test_an_old_extension_is_degraded(migrated_database_url: str, settings_for: SettingsFor) -> None:
    """The database has another version than its server brings, as after an upgrade without ALTER EXTENSION."""
    await _execute(migrated_database_url, "UPDATE pg_extension SET extversion = '0.5.0' WHERE extname = 'vector'")

    async with served(settings_for(migrated_database_url)) as app:
        check = await app.until("pgvector", "wrong_version")
        await app.until_ready(200)

    assert (check["status"], check["details"]["version"]) == ("degraded", "0.5.0")


async def test_a_stuck_pool_is_degraded_and_never_down(migrated_database_url: str, settings_for: SettingsFor) -> None:
    """Every connection lent and none back: degraded with the figures, ready 200 throughout, well when one returns."""
    postgres = Postgres(migrated_database_url, pool_size=2, max_overflow=1, saturation_seconds=0.2)
    answers: list[int] = []
    async with served(settings_for(migrated_database_url), Overrides(postgres=postgres)) as app:
        await app.until_ready(200)
        async with postgres.connect(), postgres.connect(), postgres.connect():
            check = await app.until("database", "pool_saturated")
            for _ in range(10):  # several runs of the check
                await asyncio.sleep(0.05)
                answers.append(await app.status("ready"))
        await app.until("database", "ok")
    await postgres.aclose()

    assert (check["status"], set(answers)) == ("degraded", {200})
    assert check["details"]["pool_in_use"] == 3


async def _sessions(server: PostgresServer, database: str) -> int:
    connection = await asyncpg.connect(server.admin_url)
    try:
        count: int = await connection.fetchval("SELECT count(*) FROM pg_stat_activity WHERE datname = $1", database)
    finally:
        await connection.close()
    return count


async def test_probes_open_no_connections(postgres_server: PostgresServer, migrated_database_url: str) -> None:
    """After 1,000 probes and 100 that were cancelled at every point of their way, one session is open, as before."""
    postgres = Postgres(migrated_database_url)
    await postgres.probe()
    before = await _sessions(postgres_server, _name(migrated_database_url))
    for _ in range(500):
        await asyncio.gather(postgres.probe(), postgres.probe_vectors(COLUMNS))
    for steps in range(100):
        task = asyncio.create_task(postgres.probe())
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await postgres.probe()

    async def is_one() -> bool:
        return await _sessions(postgres_server, _name(migrated_database_url)) == 1

    await wait_for_async(is_one, DEADLINE_SECONDS, what="one session is left")
    await postgres.aclose()
    assert before == 1


async def test_requests_for_health_open_no_connections(
    postgres_server: PostgresServer, migrated_database_url: str, settings_for: SettingsFor
) -> None:
    """1,000 requests of each endpoint at once leave the session of the checks and that of the first search."""
    async with served(settings_for(migrated_database_url)) as app:
        await app.until("pgvector", "ok")
        await wait_for_async(lambda: _is_ready(app), 10)
        for path in ("/health", "/health/ready"):
            await asyncio.gather(*(app.client.get(path) for _ in range(1000)))
        sessions = await _sessions(postgres_server, _name(migrated_database_url))

    assert sessions == 2


async def _is_ready(app: Served) -> bool:
    return (await app.client.get("/health/ready")).status_code == 200


async def test_the_reason_is_kept_from_text(proxied_database_url: str, database_proxy: FaultProxy) -> None:
    """What a probe raises holds its word and the pool's figures; no address, no user."""
    postgres = Postgres(proxied_database_url)
    database_proxy.refuse()

    with pytest.raises(ProbeFailedError) as caught:
        await postgres.probe()

    await postgres.aclose()
    assert str(caught.value) == "unreachable"
    assert set(caught.value.details) == {"pool_size", "pool_in_use", "pool_idle", "pool_overflow"}
