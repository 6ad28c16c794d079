"""Looking at the database for the health check: one connection of its own, two questions, one look at the pool.

A full request pool must not look like a dead database, and a probe must not wait in the requests' queue. So the probe
has a connection that requests never use, and reads how full their pool is from counters.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import asyncpg

from prethrift_backend.exceptions import ProbeFailedError

# Just under the second that the check has, so that the reason comes from here. There is no statement_timeout: where
# PgBouncer hands sessions on, that setting would reach requests. A connection that hangs is cut instead.
PROBE_LIMIT_SECONDS: Final = 0.95
# A connection that lives for ever goes on working after the password was changed or the name points elsewhere, while
# every new one is refused. Arbitrary: soon enough to be told, seldom enough to cost nothing.
RENEWAL_SECONDS: Final = 60.0
# How long nothing may come back to a full pool before it counts as saturated; statements take tens of milliseconds.
SATURATION_SECONDS: Final = 10.0
_GOODBYE_SECONDS: Final = 0.2

# The nearest base class of a fault says what it means; whatever is not named here cannot be reached.
_CODES: Final[Mapping[type[BaseException], str]] = {
    TimeoutError: "timeout",
    asyncpg.InvalidAuthorizationSpecificationError: "auth_failed",
    asyncpg.InsufficientPrivilegeError: "auth_failed",
    asyncpg.TooManyConnectionsError: "busy",  # the server works; it is the number of its clients that does not
    asyncpg.InvalidCatalogNameError: "not_found",
    asyncpg.UndefinedObjectError: "not_found",
    asyncpg.UndefinedFunctionError: "not_found",
    asyncpg.UndefinedFileError: "not_found",  # the extension is there, its library is not
}

# Types and operators are looked up as a request's would be, by the search path: an extension where requests do not
# find it is missing. The dimension is pgvector's type modifier; an attribute of another type does not count.
_VECTORS_STATEMENT: Final = """
SELECT installed.extversion AS version,
       available.default_version,
       '[1,0,0]'::vector <=> '[0,1,0]'::vector AS distance,
       ARRAY(
           SELECT attribute.atttypmod
           FROM unnest($1::text[]) WITH ORDINALITY AS wanted (name, place)
           LEFT JOIN pg_attribute AS attribute
               ON attribute.attrelid = to_regclass('items') AND attribute.attname = wanted.name
               AND attribute.atttypid = 'vector'::regtype AND NOT attribute.attisdropped
           ORDER BY wanted.place
       ) AS dimensions
FROM pg_extension AS installed
LEFT JOIN pg_available_extensions AS available ON available.name = installed.extname
WHERE installed.extname = 'vector'
"""


@contextmanager
def probe_faults(*, details: Mapping[str, object] | None = None) -> Iterator[None]:
    """Raise ProbeFailedError in place of any fault of the driver or the network; its text is not kept."""
    try:
        yield
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:  # TimeoutError is an OSError
        raise ProbeFailedError(_code_of(error), details=details) from error


def _code_of(error: BaseException) -> str:
    return next((_CODES[kind] for kind in type(error).__mro__ if kind in _CODES), "unreachable")


class ProbeConnection:
    """One connection that is thrown away at the first doubt, and renewed once a minute.

    It is the driver's own, not an engine's: dropping it must be possible at once and without awaiting, when the probe
    is cancelled or the server hangs. SQLAlchemy would wait for a polite goodbye.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Any]],
        *,
        renewal_seconds: float = RENEWAL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connect = connect
        self._renewal_seconds = renewal_seconds
        self._clock = clock
        self._connection: Any = None
        self._connected_at = 0.0
        self._one_at_a_time = asyncio.Lock()

    async def fetch_row(self, statement: str, *arguments: object) -> Any:
        """Return the first row of ``statement``; raise TimeoutError when all of it takes too long."""
        async with asyncio.timeout(PROBE_LIMIT_SECONDS), self._one_at_a_time:
            try:
                return await (await self._current()).fetchrow(statement, *arguments)
            except BaseException:
                self.drop()
                raise

    async def _current(self) -> Any:
        if self._connection is not None and self._clock() - self._connected_at >= self._renewal_seconds:
            connection, self._connection = self._connection, None
            await _say_goodbye(connection)
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._connect()
            self._connected_at = self._clock()
        return self._connection

    def drop(self) -> None:
        """Cut the connection, if there is one, without waiting for anything."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


async def _say_goodbye(connection: Any) -> None:
    try:
        await connection.close(timeout=_GOODBYE_SECONDS)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connection.terminate()
    except BaseException:
        connection.terminate()
        raise


class PoolWatch:
    """Tells a pool that is busy from one that is stuck: every connection lent, and for a while none came back."""

    def __init__(
        self, *, saturation_seconds: float = SATURATION_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._saturation_seconds = saturation_seconds
        self._clock = clock
        self._moved_at = clock()

    def note_move(self, *_: object) -> None:
        """Note that a connection was lent or came back; listens to the pool's events."""
        self._moved_at = self._clock()

    def is_saturated(self, *, in_use: int, most: int) -> bool:
        """Tell whether all of ``most`` connections are lent and none has moved for too long."""
        return in_use >= most and self._clock() - self._moved_at >= self._saturation_seconds


async def look_at_vectors(connection: ProbeConnection, dimensions: Mapping[str, int]) -> Mapping[str, object]:
    """Ask pgvector to compute, and compare the columns of ``items`` with ``dimensions``; return what was found.

    Raises:
        ProbeFailedError: not_found for a missing extension, table or column; wrong_dimension for other dimensions or a
            wrong distance; wrong_version when the server brings another version than the database has.
    """
    with probe_faults():
        row = await connection.fetch_row(_VECTORS_STATEMENT, list(dimensions))
    if row is None:  # the types come from elsewhere than the extension
        raise ProbeFailedError("not_found")
    found = dict(zip(dimensions, row["dimensions"], strict=True))
    details = {"version": row["version"]} | {name: size for name, size in found.items() if size is not None}
    if None in found.values():
        raise ProbeFailedError("not_found", details=details)
    if found != dict(dimensions) or row["distance"] != 1:
        raise ProbeFailedError("wrong_dimension", details=details)
    if row["version"] != row["default_version"]:
        raise ProbeFailedError("wrong_version", details=details)
    return details
