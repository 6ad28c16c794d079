"""The HTTP server around an application: uvicorn, with the options that the telemetry relies on."""

from __future__ import annotations

import errno
import socket

import uvicorn
from starlette.types import ASGIApp

from prethrift_backend.config import Settings
from prethrift_backend.exceptions import ConfigurationError, ConfigurationFault
from prethrift_backend.main import Overrides, build, settle_heap
from prethrift_backend.observability import configure

# Arbitrary: longer than any answer takes, shorter than the thirty seconds after which Kubernetes kills.
_GRACEFUL_SHUTDOWN_SECONDS = 10
_BACKLOG = 2048


def listen(settings: Settings) -> socket.socket:
    """Take the address that the server will serve on, before anything else is started.

    Raises:
        ConfigurationError: the port is in use or not allowed, or the host is not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((settings.host, settings.port))
        # From here on a second process that tries the same port is told; a bound socket alone would let it bind, too.
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise ConfigurationError([_address_fault(settings, error)]) from error
    sock.set_inheritable(True)
    return sock


def _address_fault(settings: Settings, error: OSError) -> ConfigurationFault:
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        rule, fix = "is not an address of this machine", "give one, such as 127.0.0.1 or 0.0.0.0"
        return ConfigurationFault("HOST", settings.host, rule, fix)
    if error.errno == errno.EACCES:
        rule, fix = "is kept for the administrator", "give a port from 1024 to 65535"
        return ConfigurationFault("PORT", str(settings.port), rule, fix)
    rule, fix = f"is in use on {settings.host}", "stop what uses it, or give another, such as PORT=8001"
    return ConfigurationFault("PORT", str(settings.port), rule, fix)


def address_of(sock: socket.socket) -> str:
    """Return the URL of a listening socket, as a person on this machine would open it."""
    host, port = sock.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - shown
    return f"http://{shown}:{port}"


def make_server(app: ASGIApp) -> uvicorn.Server:
    """Make the server; ``await server.serve(sockets=[sock])`` runs it until a signal."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,  # its loggers go through our chain, and ours is the only access line
            access_log=False,
            lifespan="on",
            server_header=False,
            # asyncio leaks context variables from one request of a connection into the next without it.
            reset_contextvars=True,
            timeout_graceful_shutdown=_GRACEFUL_SHUTDOWN_SECONDS,
        )
    )


def _too_many_workers(count: int) -> ConfigurationFault:
    # The metrics are kept in one process; a scrape would show those of whichever worker happened to answer.
    rule = "is more than this version serves"
    fix = "leave it at 1, and start one process for each core, as containers do"
    return ConfigurationFault("WORKERS", str(count), rule, fix)


def serve_application(settings: Settings) -> None:
    """Serve the application of ``settings`` until SIGTERM or SIGINT; requests under way are finished first.

    Raises:
        ConfigurationError: a setting that the server needs is missing, or the address cannot be taken.
    """
    if settings.workers > 1:
        raise ConfigurationError([_too_many_workers(settings.workers)])
    with listen(settings) as sock:
        telemetry = configure(settings)
        try:
            server = make_server(build(settings, overrides=Overrides(telemetry=telemetry)))
            settle_heap()
            server.run(sockets=[sock])
        finally:
            telemetry.close()  # only now: the server's own last lines belong to the log as well
