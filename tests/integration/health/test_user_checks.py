"""Checks of the user's own that misbehave, inside the whole application: the others and the endpoints go on."""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.integration.health.conftest import SettingsFor, served

from prethrift_backend.health import HealthCheck, HealthRegistry, HealthStatus
from prethrift_backend.main import Overrides
from prethrift_backend.observability import configure

SECRET = "postgresql://user:hunter2@db.internal/prod"  # what must not be seen
OURS = ("database", "pgvector", "embedding_model", "s3", "memory")


async def _hang() -> None:
    await asyncio.Event().wait()


async def _raise() -> None:
    try:
        raise ConnectionError(SECRET)
    except ConnectionError as error:
        raise RuntimeError(f"could not connect to {SECRET}") from error


async def _raise_in_parts() -> HealthCheck:
    return HealthCheck("other name", "no such status")  # type: ignore[arg-type]  # what code without types may do


class _Blocker:
    """A check that blocks its thread until it is released, and counts its calls."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        self.released.wait(60)


class _Stubborn:
    """A check that ignores its cancellation until it is released, and counts its calls."""

    def __init__(self) -> None:
        self.released = asyncio.Event()
        self.calls = 0

    async def __call__(self) -> None:
        self.calls += 1
        while not self.released.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self.released.wait()


def _registering(check: Callable[[], Any], *, critical: bool = False) -> Overrides:
    def register(registry: HealthRegistry) -> None:
        registry.register("own", check, critical=critical, timeout_seconds=0.05)

    return Overrides(register_checks=register)


@pytest.fixture
def blocker() -> Iterator[_Blocker]:
    """Give a check that blocks until the test is over."""
    check = _Blocker()
    yield check
    check.released.set()


@pytest.mark.parametrize(
    ("check", "code"),
    [(_hang, "timeout"), (_raise, "internal"), (_raise_in_parts, "internal")],
)
async def test_a_bad_check_is_a_result_and_no_more(
    migrated_database_url: str, settings_for: SettingsFor, check: Callable[[], Any], code: str
) -> None:
    """A check that hangs or raises is told as such; ours keep their results, and the service its traffic."""
    async with served(settings_for(migrated_database_url), _registering(check)) as app:
        await app.until("own", code)
        await app.until_ready(200)
        for name in OURS:
            await app.until(name, "ok")
        overall = (await app.health())["status"]

    assert overall == "degraded"


async def test_a_critical_check_that_hangs_takes_traffic_away(
    migrated_database_url: str, settings_for: SettingsFor
) -> None:
    """What the user calls critical is, and ours are not repainted by it."""
    async with served(settings_for(migrated_database_url), _registering(_hang, critical=True)) as app:
        await app.until("own", "timeout")
        await app.until_ready(503)
        codes, live = await app.codes(), await app.status("live")

    assert {codes[name] for name in OURS} == {"ok"}
    assert live == 200


async def test_a_blocking_check_has_one_thread(
    migrated_database_url: str, settings_for: SettingsFor, blocker: _Blocker
) -> None:
    """A check that blocks its thread is not called again while it does; the application answers, and closes."""
    async with served(settings_for(migrated_database_url), _registering(blocker)) as app:
        await app.until("own", "timeout")
        await app.until_ready(200)
        await asyncio.gather(*(app.client.get("/health") for _ in range(50)))
        threads = [thread for thread in threading.enumerate() if thread.name == "health-check-own"]

    assert (len(threads), blocker.calls) == (1, 1)
    assert threads[0].daemon  # the process does not wait for it


async def test_a_check_that_ignores_its_cancellation_is_left_alone(
    migrated_database_url: str, settings_for: SettingsFor
) -> None:
    """It runs once, shows as timed out, and does not keep the application from closing."""
    check = _Stubborn()
    async with served(settings_for(migrated_database_url), _registering(check)) as app:
        await app.until("own", "timeout")
        await app.until_ready(200)
        await asyncio.gather(*(app.client.get("/health") for _ in range(50)))
    check.released.set()

    assert check.calls == 1


async def test_what_a_check_raises_is_seen_nowhere(migrated_database_url: str, settings_for: SettingsFor) -> None:
    """An address with its password, in the error and in its cause, is in no body, no metric and no log line."""
    stream = io.BytesIO()
    settings = settings_for(migrated_database_url)
    telemetry = configure(settings, log_stream=stream)
    overrides = Overrides(telemetry=telemetry, register_checks=_registering(_raise).register_checks)
    async with served(settings, overrides) as app:
        await app.until("own", "internal")
        bodies = [
            (await app.client.get(path, headers={"Accept": accept})).text
            for path in ("/health", "/health/ready", "/metrics")
            for accept in ("application/json", "text/plain")
        ]
    await telemetry.aclose()

    everything = "".join([*bodies, stream.getvalue().decode()])
    assert "health_check_changed" in everything
    assert "hunter2" not in everything
    assert "db.internal" not in everything


async def test_a_check_in_the_users_form_is_shown_with_ours(
    migrated_database_url: str, settings_for: SettingsFor
) -> None:
    """An async function that returns a HealthCheck registers as it stands."""

    async def own() -> HealthCheck:
        return HealthCheck("own", HealthStatus.DEGRADED, 1.5, "Half of the shards answer", {"shards": 3})

    async with served(settings_for(migrated_database_url), _registering(own)) as app:
        await app.until_ready(200)
        checks = await app.checks()

    assert list(checks) == [*OURS, "own"]
    assert checks["own"]["message"] == "Half of the shards answer"
    assert checks["own"]["details"]["shards"] == 3
