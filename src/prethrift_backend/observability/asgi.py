"""One layer around an ASGI application: request id, span, access line, metrics and errors in a single pass.

It stands outside of everything, Starlette's own error handling included, and is therefore no middleware to be added:
`instrument` wraps the application object. It always raises again what it caught, and nothing that goes wrong in here
reaches the request. What is noted of a request stands in `_http_exchange`, of a connection in `_websocket_exchange`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final, TypeAlias

from prethrift_backend.config import Settings
from prethrift_backend.observability._exchange import SEEN, Message, Receive, Scope, Send
from prethrift_backend.observability._http_exchange import HttpExchange
from prethrift_backend.observability._quiet import mark_quiet, named_quiet
from prethrift_backend.observability._websocket_exchange import WebSocketExchange
from prethrift_backend.observability.loop_lag import LoopWatch
from prethrift_backend.observability.setup import Telemetry, configure

__all__ = ["EXPOSED_HEADERS", "ASGIApp", "Instrumented", "instrument", "mark_quiet"]

ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

# What a script in a browser may read of our answers: for ``CORSMiddleware(expose_headers=EXPOSED_HEADERS)``.
EXPOSED_HEADERS: Final = ("X-Request-ID", "X-Trace-Id")


_EXCHANGES: Final[Mapping[str, type[HttpExchange | WebSocketExchange]]] = {
    "http": HttpExchange,
    "websocket": WebSocketExchange,
}


class Instrumented:
    """An application with the telemetry around it; every attribute is the application's own."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry, *, quiet: Collection[object], owned: bool) -> None:
        self._prethrift_app = app
        self._prethrift_telemetry = telemetry
        self._prethrift_owned = owned
        self._prethrift_quiet = named_quiet(quiet)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_prethrift"):  # not set yet: copying and unpickling ask before __init__
            raise AttributeError(name)
        return getattr(self._prethrift_app, name)

    def __setattr__(self, name: str, value: object) -> None:
        if name.startswith("_prethrift"):
            super().__setattr__(name, value)
        else:
            setattr(self._prethrift_app, name, value)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, or the lifespan."""
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        exchange = self._exchange(scope, receive, send)
        if exchange is None:
            await self._prethrift_app(scope, receive, send)
            return
        exchange.enter()
        try:
            await self._prethrift_app(exchange.scope, exchange.receive, exchange.send)
        except BaseException as error:
            await exchange.raised(error)
            raise
        else:
            exchange.returned()
        finally:
            exchange.leave()

    def _exchange(self, scope: Scope, receive: Receive, send: Send) -> HttpExchange | WebSocketExchange | None:
        """Return what watches this connection; None where nobody does: another kind, or one that is watched already."""
        exchange_type = _EXCHANGES.get(scope["type"])
        if exchange_type is None or SEEN in scope:  # an instrumented application that is mounted in another one
            return None
        try:
            return exchange_type(scope, receive, send, self._prethrift_telemetry, self._prethrift_quiet)
        except Exception as fault:  # noqa: BLE001 - served unobserved rather than not at all
            self._prethrift_telemetry.fail("request", fault)
            return None

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        # By now the server has set up its loggers, with handlers of its own.
        self._prethrift_telemetry.adopt_standard_loggers()
        lifespan = _Lifespan(self._prethrift_telemetry, send)
        with LoopWatch(self._prethrift_telemetry):
            if self._prethrift_owned:
                await lifespan.run(self._prethrift_app(scope, receive, lifespan.send))
            else:
                await self._prethrift_app(scope, receive, send)


class _Lifespan:
    """The lifespan of an application whose telemetry ends with it."""

    def __init__(self, telemetry: Telemetry, send: Send) -> None:
        self._telemetry = telemetry
        self._forward_send = send
        self._has_answered = False

    async def run(self, application: Awaitable[None]) -> None:
        """Run the lifespan and close the telemetry after it.

        An application that has no lifespan raises, or returns, without a word, and is served all the same: then the
        telemetry stays open, and closes when the process ends.
        """
        try:
            await application
        finally:
            if self._has_answered:
                await self._telemetry.aclose()

    async def send(self, message: Message) -> None:
        """Send, with the telemetry closed before the server hears that all is done.

        The server ends its process upon that word, and does not wait for whoever sent it. Where the process is one of
        several, or one that reloads, it ends without its exit handlers.
        """
        self._has_answered = True
        if message["type"].startswith("lifespan.shutdown."):
            await self._telemetry.aclose()
        await self._forward_send(message)


def instrument(
    app: ASGIApp, settings_or_telemetry: Settings | Telemetry, *, quiet: Collection[object] = ()
) -> Instrumented:
    """Wrap ``app`` in the telemetry and return it; its attributes stay reachable through the wrapper.

    Given settings, it configures a `Telemetry` of its own and closes it when the application's lifespan ends. Given a
    `Telemetry`, that stays the caller's to close. ``quiet`` holds endpoints, routes or mounted applications that are
    probes, for those that `mark_quiet` cannot mark.
    """
    if isinstance(settings_or_telemetry, Telemetry):
        return Instrumented(app, settings_or_telemetry, quiet=quiet, owned=False)
    return Instrumented(app, configure(settings_or_telemetry), quiet=quiet, owned=True)
