"""A small instrumented application behind this package's own server: ``python -m tests.support.served_app HTTP PORT``.

HTTP is the parser that uvicorn uses: ``h11`` or ``httptools``. Settings come from the environment. Each handler is one
way in which an answer can come about; `LEFT` is what an application leaves behind in its context.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextvars import ContextVar

from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse
from opentelemetry.trace import get_current_span
from starlette.routing import Route
from tests.support.ports import LOOPBACK

from prethrift_backend.config import load_settings
from prethrift_backend.observability import configure, get_logger, instrument, mark_quiet
from prethrift_backend.observability.exposition import MetricsEndpoint
from prethrift_backend.server import make_server

LEFT: ContextVar[str | None] = ContextVar("left", default=None)
BODY = b"x" * 1000
PIECES = 5

_log = get_logger(__name__)


async def show_item(item_id: int) -> dict[str, int]:
    """Answer with what was asked for; anything else than a number is a 422."""
    return {"item_id": item_id}


async def leave(name: str) -> dict[str, str | None]:
    """Show what an earlier request left behind in the context, and leave something behind."""
    found = LEFT.get()
    LEFT.set(name)
    _log.info("item_seen", item=name)
    return {"found": found, "trace_id": f"{get_current_span().get_span_context().trace_id:032x}"}


async def take(request: Request) -> dict[str, int]:
    """Read the whole body and say how long it was."""
    return {"bytes": len(await request.body()), "found": int(LEFT.get() is not None)}


async def send_pieces() -> StreamingResponse:
    """Answer in pieces."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(PIECES):
            yield BODY
            await asyncio.sleep(0)

    return StreamingResponse(pieces())


async def send_for_ever() -> StreamingResponse:
    """Answer in pieces until the client leaves."""

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield BODY
            await asyncio.sleep(0.01)

    return StreamingResponse(pieces())


async def break_off() -> StreamingResponse:
    """Fail when a part of the answer has been sent."""

    async def pieces() -> AsyncIterator[bytes]:
        yield BODY
        raise RuntimeError("in the middle")

    return StreamingResponse(pieces())


async def fail() -> None:
    """Fail as a bug does."""
    raise RuntimeError("as a bug does")


async def echo(websocket: WebSocket) -> None:
    """Send back what comes until the client leaves."""
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


def make_app() -> FastAPI:
    """Make the application without its telemetry."""
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})
    app.api_route("/items/{item_id}", methods=["GET", "HEAD"])(show_item)
    app.get("/left/{name}")(leave)
    app.post("/take")(take)
    app.get("/pieces")(send_pieces)
    app.get("/for-ever")(send_for_ever)
    app.get("/break-off")(break_off)
    app.get("/fail")(fail)
    app.get("/slash/")(fail)
    app.websocket("/echo/{room}")(echo)
    return app


def main(http: str, port: str) -> None:
    """Serve until a signal."""
    telemetry = configure(load_settings())
    app = make_app()
    app.router.routes.append(Route("/metrics", mark_quiet(MetricsEndpoint(telemetry.metrics.registry))))
    server = make_server(instrument(app, telemetry))
    server.config.http = http
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, int(port)))
        server.run(sockets=[listener])
    telemetry.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
