"""What every variant serves and is asked for: the same handlers, the same request, the same place for log lines."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any

from fastapi import FastAPI

Application = Callable[[Any, Any, Any], Awaitable[None]]

# What a browser or a client library sends as a rule.
HEADERS = [
    (b"host", b"shop.example"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    (b"accept", b"application/json"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"connection", b"keep-alive"),
]
WARM_UP_REQUESTS = 200


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to observe the application.

    ``drain`` returns when what the requests left behind has been encoded and sent, so that it counts.
    """

    app: Application
    drain: Callable[[], None] = lambda: None


def add_routes(app: FastAPI, routes: int) -> None:
    """Add as many routes, each to a handler of its own; the last one is asked for."""
    for number in range(routes):

        async def read_item(item_id: int) -> dict[str, object]:
            return {"id": item_id, "title": "Striped dress", "price": 12.5, "tags": ["dress", "blue"]}

        app.get(f"/shelf-{number}/items/{{item_id}}")(read_item)


def path_of_last(routes: int) -> str:
    """Return a path of the route that was added last: the one that takes longest to find."""
    return f"/shelf-{routes - 1}/items/7"


def log_stream() -> IO[bytes]:
    """Open the place where log lines go: every variant pays for making and writing them, and nobody keeps them."""
    return Path(os.devnull).open("wb", buffering=0)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a number of requests took, in microseconds of CPU time a request: all threads, and the serving one alone."""

    cpu_us: float
    serving_us: float


class Client:
    """Sends requests by hand, one after another, without a server."""

    def __init__(self, app: Application, path: str) -> None:
        self._app = app
        self._scope = request_scope(path)
        self._status = 0

    async def send(self, count: int) -> None:
        """Send as many; AssertionError when the last one was not answered by 200."""
        for _ in range(count):
            await self._app({**self._scope, "headers": [*HEADERS], "state": {}}, _receive, self._take)
        assert self._status == 200, f"the application answered {self._status}"

    async def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]


async def measure(client: Client, count: int, *, drain: Callable[[], None]) -> Cost:
    """Send ``count`` requests and return what they took, the work of other threads for them included."""
    cpu, serving = time.process_time(), time.thread_time()
    await client.send(count)
    serving = time.thread_time() - serving
    drain()
    cpu = time.process_time() - cpu
    return Cost(cpu / count * 1e6, serving / count * 1e6)


@dataclass(frozen=True, slots=True)
class Instructions:
    """How many of the interpreter's instructions a request takes, in the thread that serves it."""

    a_request: float


async def count_instructions(client: Client, count: int, *, drain: Callable[[], None]) -> Instructions:
    """Send ``count`` requests and return what the interpreter did for each: the same number on every machine."""
    executed = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal executed
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        executed += event == "opcode"
        return trace

    sys.settrace(trace)
    try:
        await client.send(count)
    finally:
        sys.settrace(None)
    drain()
    return Instructions(executed / count)


async def warm_up(client: Client, *, drain: Callable[[], None]) -> None:
    """Let everything be made that is made once, and settle the heap as the server does."""
    await client.send(WARM_UP_REQUESTS)
    drain()
    gc.collect()
    gc.freeze()


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


def request_scope(path: str) -> dict[str, Any]:
    """Return the scope of a GET of ``path``, its headers apart."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "client": ("192.0.2.1", 1234),
        "server": ("192.0.2.2", 80),
    }
