"""A small application for tests of a whole process: `uvicorn tests.integration.health_process.steered:app`.

Files in the folder FOLDER steer it while it runs: `start` lets its start-up end, `database-fails` and `s3-fails` make
its two checks fail, `release-NAME` lets the request /hold/NAME be answered. It tells what it does on standard output.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from prethrift_backend.health import (
    CheckCode,
    CheckFailed,
    HealthApp,
    HealthEndpoint,
    HealthEngine,
    HealthRegistry,
    Lifecycle,
    drain_on_signals,
)
from prethrift_backend.health.http import AsgiApp, Receive, Scope, Send

_POLL_SECONDS = 0.01
_CHECK_SECONDS = 0.1


def build(folder: Path, drain_seconds: float) -> AsgiApp:
    """Make the application."""
    registry = HealthRegistry()
    registry.register("database", partial(_check, folder / "database-fails"), interval_seconds=_CHECK_SECONDS)
    registry.register("s3", partial(_check, folder / "s3-fails"), critical=False, interval_seconds=_CHECK_SECONDS)
    engine, lifecycle = HealthEngine(registry), Lifecycle()

    @asynccontextmanager
    async def life() -> AsyncIterator[None]:
        with drain_on_signals(lifecycle, drain_seconds=drain_seconds, on_drain=lambda: _say("draining")):
            _say("starting")
            await _appears(folder / "start")
            engine.start()
            lifecycle.mark_ready()
            yield
            await engine.aclose()
            _say("closed")

    endpoint = HealthEndpoint(engine, lifecycle, version="1.0.0", environment="development")
    return _Signed(HealthApp(endpoint, _Rest(folder, life)))


class _Rest:
    """The lifespan, and all paths that are not health's: /hold/NAME waits for its file, others answer at once."""

    def __init__(self, folder: Path, life: Callable[[], Any]) -> None:
        self._folder = folder
        self._life = life

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        path = str(scope["path"])
        if path.startswith("/hold/"):
            _say(f"holding {path.removeprefix('/hold/')}")
            await _appears(self._folder / f"release-{path.removeprefix('/hold/')}")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self._life():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


class _Signed:
    """Names the process in a header of every answer."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def signed(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"x-process", str(os.getpid()).encode())]}
            await send(message)

        await self._app(scope, receive, signed)


async def _check(fails: Path) -> None:
    if fails.exists():  # noqa: ASYNC240 - a file in memory, looked at by a test's process
        raise CheckFailed(CheckCode.UNREACHABLE)


async def _appears(path: Path) -> None:
    while not path.exists():  # noqa: ASYNC110, ASYNC240 - as above; nothing else tells this process of it
        await asyncio.sleep(_POLL_SECONDS)


def _say(words: str) -> None:
    os.write(1, f"steered {os.getpid()}: {words}\n".encode())  # one write a line: two workers share the output


def __getattr__(name: str) -> AsgiApp:
    if name == "app":
        return build(Path(os.environ["FOLDER"]), float(os.environ["DRAIN"]))
    raise AttributeError(name)
