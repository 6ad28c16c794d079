"""What probes cost: runs of checks, waiting, threads, memory and connections."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import asyncpg
import numpy as np
import psutil
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from pydantic import SecretStr
from starlette.responses import Response
from tests.overhead.paired import Bounds
from tests.perf.conftest import Figures
from tests.perf.figures import bounds_over
from tests.support.asgi import drive, http_scope
from tests.support.databases import PostgresServer, fresh_database
from tests.support.waiting import wait_for_async

from prethrift_backend.api import health_router
from prethrift_backend.config import Settings
from prethrift_backend.contracts import load_health_schema
from prethrift_backend.embeddings import NullEmbeddings
from prethrift_backend.health import HealthEndpoint, HealthEngine, HealthRegistry, Lifecycle
from prethrift_backend.main import Overrides, build, settle_heap
from prethrift_backend.observability import mark_quiet
from prethrift_backend.stores import Postgres
from prethrift_backend.stores.migrations import migrate

AT_ONCE = 1_000
PROBES = 10_000
BATCH = 50
ROUNDS = 3
READY, EMPTY = "/health/ready", "/empty"
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}


async def _get(app: Any, path: str) -> float:
    """Send one request and return the seconds that it took."""
    began_at = time.perf_counter()
    answer = await drive(app, http_scope(path=path))
    assert answer.status == 200, answer.body
    return time.perf_counter() - began_at


def _p99_ms(seconds: Sequence[float]) -> float:
    return float(np.percentile(seconds, 99)) * 1000


@dataclass
class _Counted:
    """A check that counts its runs."""

    check: Callable[[], Awaitable[Any]]
    runs: int = 0

    async def __call__(self) -> Any:
        self.runs += 1
        return await self.check()


async def _crowd(server: PostgresServer) -> list[int]:
    """Return the runs of each check after a crowd has asked an engine whose results have all expired."""
    counted: list[_Counted] = []
    async with fresh_database(server) as name:
        postgres = Postgres.from_settings(Settings(database_url=SecretStr(server.url(name))))
        registry, lifecycle = HealthRegistry(), Lifecycle()
        for check_name, check in (("database", postgres.probe), ("slow", partial(asyncio.sleep, 0.05))):
            counted.append(_Counted(check))
            registry.register(check_name, counted[-1])
        lifecycle.mark_ready()
        endpoint = HealthEndpoint(
            HealthEngine(registry),
            lifecycle,
            version="1",
            environment="production",
            ready_deadline_seconds=30,  # runs are counted here, and a thousand requests take their time
        )
        app = FastAPI(telemetry=_NO_TELEMETRY)
        app.include_router(health_router(endpoint, load_health_schema()))
        await asyncio.gather(*(_get(app, READY) for _ in range(AT_ONCE)))
        await postgres.aclose()
    return [check.runs for check in counted]


def test_crowd_of_probes_shares_one_run(runner: asyncio.Runner, server: PostgresServer, figures: Figures) -> None:
    """A thousand probes at once that find nothing fresh cause one run of each check."""
    runs = runner.run(_crowd(server))

    figures.hold("runs a check, 1,000 probes at once", max(runs), "runs", ("probes", "check_runs"))


async def _empty() -> Response:
    return Response(b"")


@asynccontextmanager
async def _service(server: PostgresServer) -> AsyncIterator[tuple[Any, str]]:
    """Run the whole application, with an empty route beside it; give it and the name of its database."""
    async with fresh_database(server) as name:
        await migrate(server.url(name))
        settings = Settings(
            database_url=SecretStr(server.url(name)),
            aws_endpoint_url_s3="http://127.0.0.1:9",  # nobody: the check of S3 is degraded, and readiness stays
            log_level="WARNING",
            log_format="json",
        )
        app = build(settings, overrides=Overrides(embeddings=NullEmbeddings()))
        app.add_api_route(EMPTY, mark_quiet(_empty))
        settle_heap()  # as the server does before it serves
        async with app.router.lifespan_context(app):

            async def is_ready() -> bool:
                return (await drive(app, http_scope(path=READY))).status == 200

            await wait_for_async(is_ready, 20)
            yield app, name


async def _together(app: Any) -> dict[str, list[float]]:
    """Send a thousand probes and a thousand empty requests at once, one of each by turns.

    Each is timed from when the application takes it up. From when all were sent, both kinds would show the one queue
    that they share, and a slow probe would hide in it.
    """
    taken = await asyncio.gather(*(_get(app, path) for path in [READY, EMPTY] * AT_ONCE))
    return {READY: taken[::2], EMPTY: taken[1::2]}


async def _in_turn(app: Any) -> dict[str, list[float]]:
    """Send as many one after another, one of each by turns."""
    taken: dict[str, list[float]] = {READY: [], EMPTY: []}
    for _ in range(AT_ONCE):
        for path, seconds in taken.items():
            seconds.append(await _get(app, path))
    return taken


async def _alone(app: Any, path: str) -> float:
    """Return the time that a thousand requests to one path take, all sent at once, in microseconds a request."""
    began_at = time.perf_counter()
    await asyncio.gather(*(_get(app, path) for _ in range(AT_ONCE)))
    return (time.perf_counter() - began_at) / AT_ONCE * 1e6


@dataclass(frozen=True)
class _Waits:
    """What probes waited longer than requests to an empty route, and what they cost more, over the rounds."""

    together_ms: Bounds
    in_turn_ms: Bounds
    more_us: float


async def _compare(server: PostgresServer) -> _Waits:
    together: list[float] = []
    in_turn: list[float] = []
    more: list[float] = []
    async with _service(server) as (app, _):
        await _together(app)  # warms the routes
        for _ in range(ROUNDS):
            for rows, measure in ((together, _together), (in_turn, _in_turn)):
                taken = await measure(app)
                rows.append(_p99_ms(taken[READY]) - _p99_ms(taken[EMPTY]))
            more.append(await _alone(app, READY) - await _alone(app, EMPTY))
    return _Waits(bounds_over(together), bounds_over(in_turn), float(np.median(more)))


def test_probe_waits_no_longer_than_an_empty_request(
    runner: asyncio.Runner, server: PostgresServer, figures: Figures
) -> None:
    """Readiness answers from what is known: its p99 is that of an empty route, one by one and among a thousand."""
    waits = runner.run(_compare(server))

    budget = ("probes", "p99_ms")
    for how, wait in (("1,000 at once", waits.together_ms), ("one by one", waits.in_turn_ms)):
        figures.hold(f"p99 of ready above an empty route, {how}", wait.median, "ms", budget, bounds=wait)
    figures.take("time of ready above an empty route, a request", waits.more_us, "µs")


@dataclass(frozen=True)
class _Held:
    """What a process holds at one moment."""

    threads: int
    connections: int
    rss_bytes: int


async def _hold(admin: asyncpg.Connection[Any], database: str) -> _Held:
    connections = await admin.fetchval("SELECT count(*) FROM pg_stat_activity WHERE datname = $1", database)
    gc.collect()
    return _Held(threading.active_count(), connections, psutil.Process().memory_info().rss)


async def _probe_long(app: Any, probes: int) -> int:
    """Probe every path by turns, many at once, and return the most threads that were seen."""
    paths = ["/health", "/health/live", READY, "/health/checks/database"]
    most = 0
    for _ in range(probes // BATCH):
        await asyncio.gather(*(_get(app, paths[number % len(paths)]) for number in range(BATCH)))
        most = max(most, threading.active_count())
    return most


async def _hold_around(server: PostgresServer) -> tuple[_Held, _Held, int]:
    admin = await asyncpg.connect(server.admin_url)
    try:
        async with _service(server) as (app, database):
            await _probe_long(app, PROBES // 10)  # what is made once is made here
            before = await _hold(admin, database)
            most_threads = await _probe_long(app, PROBES)
            return before, await _hold(admin, database), most_threads
    finally:
        await admin.close()


def test_ten_thousand_probes_leave_nothing_behind(
    runner: asyncio.Runner, server: PostgresServer, figures: Figures
) -> None:
    """Threads, connections and memory stay as they were."""
    before, after, most_threads = runner.run(_hold_around(server))

    figures.take("threads more, during 10,000 probes", most_threads - before.threads, "threads", at_most=1)
    figures.take("connections more, after 10,000 probes", after.connections - before.connections, "", at_most=0)
    figures.take("memory more, after 10,000 probes", (after.rss_bytes - before.rss_bytes) / 2**20, "MiB", at_most=4)
