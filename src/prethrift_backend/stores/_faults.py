"""Which of the driver's and the pool's faults mean that the database is away, and what is said about them.

The text of a driver's error may hold a host, a user or a statement's values; none of it goes into ours. The original
stays attached as the cause, for the log.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from prethrift_backend.exceptions import DatabaseUnavailableError

# SQLSTATE classes of PostgreSQL's manual, appendix A: connection, insufficient resources, operator intervention (a
# shutdown, a cancelled statement), system error. Everything else is a statement's own fault, hence a bug of ours.
_UNAVAILABLE_CLASSES = frozenset({"08", "53", "57", "58"})

_POOL_BUSY = "no database connection became free in time: ask again, or raise DB_POOL_SIZE or DB_MAX_OVERFLOW"
_NO_ANSWER = "the database did not answer in time: check that it runs and that DATABASE_URL reaches it"
_NO_CONNECTION = "the database cannot be reached or refused us: check that it runs and that DATABASE_URL is right"


@contextmanager
def database_faults() -> Iterator[None]:
    """Raise DatabaseUnavailableError in place of any fault that says that the database is away or full."""
    try:
        yield
    except PoolTimeoutError as error:
        raise DatabaseUnavailableError(_POOL_BUSY) from error
    except TimeoutError as error:
        raise DatabaseUnavailableError(_NO_ANSWER) from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        # Raw driver errors come from connecting alone: SQLAlchemy wraps those of statements.
        raise DatabaseUnavailableError(_NO_CONNECTION) from error
    except DBAPIError as error:
        if not _means_unavailable(error):
            raise
        raise DatabaseUnavailableError(_NO_CONNECTION) from error


def sqlstate_of(error: DBAPIError) -> str:
    """Return the five characters of SQLSTATE, or an empty text where the driver gave none."""
    return str(getattr(error.orig, "sqlstate", None) or "")


def _means_unavailable(error: DBAPIError) -> bool:
    return error.connection_invalidated or sqlstate_of(error)[:2] in _UNAVAILABLE_CLASSES
