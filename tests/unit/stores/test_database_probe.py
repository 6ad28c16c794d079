"""The probe of the database without a database: what a fault means, and when the connection is renewed."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
from tests.support.waiting import wait_for_async

from prethrift_backend.exceptions import ProbeFailedError
from prethrift_backend.health import CheckCode
from prethrift_backend.stores import _bucket_probe, _database_probe
from prethrift_backend.stores._database_probe import PoolWatch, ProbeConnection, look_at_vectors, probe_faults


class _Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class _Driver:
    """Stands in for asyncpg: counts what is opened, closed and cut."""

    def __init__(self, row: Any = (1,)) -> None:
        self.row = row
        self.opened = self.asked = self.closed = self.cut = 0
        self.hangs = False

    async def connect(self) -> _Driver:
        self.opened += 1
        return self

    async def fetchrow(self, *_: object) -> Any:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        return self.row

    async def close(self, **_: object) -> None:
        self.closed += 1

    def is_closed(self) -> bool:
        return False

    def terminate(self) -> None:
        self.cut += 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TimeoutError(), "timeout"),
        (ConnectionRefusedError("secret-host"), "unreachable"),
        (asyncpg.CannotConnectNowError("secret-host"), "unreachable"),
        (asyncpg.InterfaceError("secret-host"), "unreachable"),
        (asyncpg.InvalidPasswordError("secret-host"), "auth_failed"),
        (asyncpg.InvalidAuthorizationSpecificationError("secret-host"), "auth_failed"),
        (asyncpg.InsufficientPrivilegeError("secret-host"), "auth_failed"),
        (asyncpg.InvalidCatalogNameError("secret-host"), "not_found"),
        (asyncpg.UndefinedObjectError("secret-host"), "not_found"),
        (asyncpg.UndefinedFileError("secret-host"), "not_found"),
        (asyncpg.TooManyConnectionsError("secret-host"), "busy"),
    ],
)
def test_a_fault_becomes_one_word(error: Exception, code: str) -> None:
    """Its kind alone decides; the text, which may hold a host, goes nowhere."""
    with pytest.raises(ProbeFailedError) as caught, probe_faults(details={"pool_size": 1}):
        raise error

    assert (caught.value.probe_code, caught.value.details) == (code, {"pool_size": 1})
    assert "secret-host" not in str(caught.value)


def test_a_bug_is_no_fault_of_the_database() -> None:
    """Whatever else is raised passes as it is."""
    with pytest.raises(ZeroDivisionError), probe_faults():
        raise ZeroDivisionError


def test_every_word_is_of_the_closed_list() -> None:
    """The stores do not know the health's list; their words are in it all the same."""
    words = {*_database_probe._CODES.values(), *_bucket_probe._CODES.values()}

    assert words <= {code.value for code in CheckCode}


async def test_one_connection_serves_until_it_is_old() -> None:
    """Nothing is opened for a question; after a minute the connection is closed politely and another one opened."""
    clock, driver = _Clock(), _Driver()
    connection = ProbeConnection(driver.connect, clock=clock)
    for _ in range(3):
        await connection.fetch_row("SELECT 1")
    before = (driver.opened, driver.closed)
    clock.now += _database_probe.RENEWAL_SECONDS

    await connection.fetch_row("SELECT 1")

    assert before == (1, 0)
    assert (driver.opened, driver.closed, driver.cut) == (2, 1, 0)


async def test_a_cancelled_question_cuts_the_connection() -> None:
    """Nobody knows what the connection would say next, so nobody asks it again."""
    driver = _Driver()
    driver.hangs = True
    connection = ProbeConnection(driver.connect)
    task = asyncio.create_task(connection.fetch_row("SELECT 1"))
    await wait_for_async(lambda: driver.asked, 10)
    task.cancel()

    await asyncio.gather(task, return_exceptions=True)

    assert driver.cut == 1
    driver.hangs = False
    assert await connection.fetch_row("SELECT 1") == (1,)
    assert driver.opened == 2


def test_a_full_pool_is_saturated_only_when_nothing_moves() -> None:
    """Ten seconds without one connection lent or back make a full pool a stuck one; one that comes back ends it."""
    clock = _Clock()
    watch = PoolWatch(clock=clock)
    seen = []
    for seconds, in_use in ((9.9, 5), (0.1, 5), (0.0, 4)):
        clock.now += seconds
        seen.append(watch.is_saturated(in_use=in_use, most=5))
    watch.note_move()

    assert [*seen, watch.is_saturated(in_use=5, most=5)] == [False, True, False, False]


WANTED = {"clip_vector": 512, "text_vector": 384}


def row(*, dimensions: list[int | None], distance: float = 1.0, default: str | None = "0.8.1") -> dict[str, Any]:
    """Build what the server answers."""
    return {"version": "0.8.1", "default_version": default, "distance": distance, "dimensions": dimensions}


async def test_what_was_found_is_told() -> None:
    """All as it should be gives the version and the dimensions."""
    connection = ProbeConnection(_Driver(row(dimensions=[512, 384])).connect)

    assert await look_at_vectors(connection, WANTED) == {"version": "0.8.1", **WANTED}


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (None, "not_found"),
        (row(dimensions=[None, 384]), "not_found"),
        (row(dimensions=[512, 768]), "wrong_dimension"),
        (row(dimensions=[512, -1]), "wrong_dimension"),
        (row(dimensions=[512, 384], distance=0.5), "wrong_dimension"),
        (row(dimensions=[512, 384], distance=float("nan")), "wrong_dimension"),
        (row(dimensions=[512, 384], default="0.9.0"), "wrong_version"),
        (row(dimensions=[512, 384], default=None), "wrong_version"),
    ],
)
async def test_what_is_wrong_with_the_vectors_is_named(answer: Any, code: str) -> None:
    """A missing column, another dimension, a wrong distance and another version each have their word."""
    connection = ProbeConnection(_Driver(answer).connect)

    with pytest.raises(ProbeFailedError) as caught:
        await look_at_vectors(connection, WANTED)

    assert caught.value.probe_code == code
