"""uvicorn, with the options that the telemetry relies on and an end that no client notices."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

# Arbitrary: longer than any answer takes, shorter than the thirty seconds after which Kubernetes kills.
GRACEFUL_SHUTDOWN_SECONDS: Final = 10

# How long uvicorn keeps a connection on which nothing is asked.
KEEP_ALIVE_SECONDS: Final = 5

# When every connection has either had its last answer or been idle for long enough to be closed; the half second is for
# the default headers, which uvicorn makes anew once a second, and its clock.
RETIREMENT_SECONDS: Final = KEEP_ALIVE_SECONDS + 1.5

_LAST_ANSWER: Final = (b"connection", b"close")


class HttpConfig(uvicorn.Config):
    """What every server of ours has in common."""

    def __init__(self, app: ASGIApp | Callable[[], ASGIApp], **options: Any) -> None:
        super().__init__(
            app,
            log_config=None,  # its loggers go through our chain, and ours is the only access line
            access_log=False,
            lifespan="on",
            server_header=False,
            # asyncio leaks context variables from one request of a connection into the next without it.
            reset_contextvars=True,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_SECONDS,
            **options,
        )

    def announce_end(self) -> None:
        """Make each answer the last one of its connection, from at most a second from now on.

        A client that keeps its connections, as every proxy does, would otherwise go on sending to a process that is
        about to close them, and one of its requests would be lost to the closing.
        """
        if _LAST_ANSWER not in self.encoded_headers:
            self.encoded_headers = [*self.encoded_headers, _LAST_ANSWER]


class HttpServer(uvicorn.Server):
    """uvicorn's server, which can also make room for another process that has the same socket."""

    config: HttpConfig

    def retire_on(self, number: signal.Signals) -> None:
        """Retire when the signal comes; call it in the event loop."""
        asyncio.get_running_loop().add_signal_handler(number, self.retire)

    def retire(self) -> None:
        """Take no more connections, answer what comes on the others, and end when each of them has been closed.

        To be called in the event loop, and only where another process accepts from the same socket: what is not
        accepted here waits in the queue that both have. Readiness does not change, for the service is not going.
        """
        for listener in self.servers:
            listener.close()
        self.config.announce_end()
        asyncio.get_running_loop().call_later(RETIREMENT_SECONDS, self.handle_exit, signal.SIGTERM, None)


def make_server(app: ASGIApp) -> HttpServer:
    """Make the server; ``await server.serve(sockets=[sock])`` runs it until a signal."""
    return HttpServer(HttpConfig(app))


def end_in_order(_number: int, _frame: FrameType | None) -> None:
    """Take SIGTERM before and after the server does.

    Before it serves, the process ends at once. When it has served, uvicorn puts the former handler back and raises the
    signal once more, from within the event loop; the system's own handler would end the process there, and the last
    lines of the log with it.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        sys.exit(128 + signal.SIGTERM)


def end_on_hangup() -> None:
    """Take SIGHUP for SIGTERM: the system's own handler would lose what has not been written.

    Who started the process with SIGHUP ignored, as nohup does, wants it to outlive the terminal.
    """
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda _number, _frame: signal.raise_signal(signal.SIGTERM))
