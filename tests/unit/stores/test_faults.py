"""Which faults mean that the database is away."""

from typing import Any

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from prethrift_backend.exceptions import DatabaseUnavailableError
from prethrift_backend.stores._faults import database_faults


def wrapped(sqlstate: str, *, is_invalidated: bool = False) -> DBAPIError:
    """Build what SQLAlchemy makes of a driver's error."""
    original: Any = Exception("host=secret-host")
    original.sqlstate = sqlstate
    return DBAPIError("SELECT 1", None, original, connection_invalidated=is_invalidated)


@pytest.mark.parametrize(
    "error",
    [
        PoolTimeoutError("QueuePool limit"),
        TimeoutError(),
        ConnectionRefusedError(),
        asyncpg.InvalidPasswordError("secret-host"),
        asyncpg.InterfaceError("secret-host"),
        wrapped("57P01"),
        wrapped("53300"),
        wrapped("", is_invalidated=True),
    ],
)
def test_an_outage_is_said_in_words_of_ours(error: Exception) -> None:
    """The cause is kept for the log; its text, which may hold a host, is not shown."""
    with pytest.raises(DatabaseUnavailableError) as caught, database_faults():
        raise error

    assert caught.value.__cause__ is error
    assert "secret-host" not in str(caught.value)


@pytest.mark.parametrize("error", [wrapped("42601"), wrapped("23505"), ValueError("ours")])
def test_everything_else_passes(error: Exception) -> None:
    """A wrong statement or a broken rule is not an outage."""
    with pytest.raises(type(error)) as caught, database_faults():
        raise error

    assert caught.value is error
