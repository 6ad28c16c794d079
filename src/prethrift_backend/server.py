"""The HTTP server around an application: uvicorn, with the options that the telemetry relies on."""

from __future__ import annotations

import asyncio
import errno
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.util import Finalize
from types import FrameType
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess

from prethrift_backend.config import Settings
from prethrift_backend.exceptions import ConfigurationError, ConfigurationFault, PrethriftError
from prethrift_backend.main import Overrides, build, settle_heap
from prethrift_backend.observability import Instrumented, configure, get_logger
from prethrift_backend.observability.multiprocess import WorkerFolder, open_worker_folder

# Arbitrary: longer than any answer takes, shorter than the thirty seconds after which Kubernetes kills.
_GRACEFUL_SHUTDOWN_SECONDS = 10
_BACKLOG = 2048
# Arbitrary: models, pool and log are given back in less after the last request.
_CLOSING_SECONDS = 5
# How long a worker may hold its interpreter before it counts as stuck and is replaced. Arbitrary: well above the start
# of several workers at once on a busy machine.
_SILENT_WORKER_SECONDS = 20

_log = get_logger(__name__)


class WorkerFailedError(PrethriftError):
    """A worker process ended before it could serve."""


def listen(settings: Settings) -> socket.socket:
    """Take the address that the server will serve on, before anything else is started.

    Raises:
        ConfigurationError: the port is in use or not allowed, or the host is not an address of this machine.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # By name: asyncio turns Nagle's algorithm off only for a socket that says it is TCP, and without that an answer in
    # two pieces waits 40 ms for the client's acknowledgement of the first.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
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
    return uvicorn.Server(_Config(app))


class _Config(uvicorn.Config):
    """What every server of ours has in common; it is also the first thing that a worker process makes use of."""

    def __init__(self, app: ASGIApp | Callable[[], ASGIApp], **options: Any) -> None:
        super().__init__(
            app,
            log_config=None,  # its loggers go through our chain, and ours is the only access line
            access_log=False,
            lifespan="on",
            server_header=False,
            # asyncio leaks context variables from one request of a connection into the next without it.
            reset_contextvars=True,
            timeout_graceful_shutdown=_GRACEFUL_SHUTDOWN_SECONDS,
            **options,
        )

    def configure_logging(self) -> None:
        """Do what a worker needs before its server takes the signals: uvicorn calls this first of all there."""
        super().configure_logging()
        if multiprocessing.parent_process() is not None:
            signal.signal(signal.SIGTERM, _end_in_order)


def _end_in_order(_number: int, _frame: FrameType | None) -> None:
    """Take SIGTERM before and after the server does.

    Before it serves, the process ends at once. When it has served, uvicorn puts the former handler back and raises the
    signal once more, from within the event loop; the system's own handler would end the process there, and the last
    lines of the log with it.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        sys.exit(128 + signal.SIGTERM)


def serve_application(settings: Settings) -> None:
    """Serve the application of ``settings`` until SIGTERM or SIGINT; requests under way are finished first.

    With more than one worker this process supervises them: it serves nothing itself, replaces a worker that has died,
    and ends when all have ended.

    Raises:
        ConfigurationError: a setting that the server needs is missing, or the address cannot be taken.
        WorkerFailedError: no worker could start.
    """
    signal.signal(signal.SIGTERM, _end_in_order)
    with listen(settings) as sock:
        if settings.workers > 1:
            _serve_by_workers(settings, sock)
        else:
            _serve_alone(settings, sock)


def _serve_alone(settings: Settings, sock: socket.socket) -> None:
    telemetry = configure(settings)
    try:
        server = make_server(build(settings, overrides=Overrides(telemetry=telemetry)))
        settle_heap()
        server.run(sockets=[sock])
    finally:
        telemetry.close()  # only now: the server's own last lines belong to the log as well


def _serve_by_workers(settings: Settings, sock: socket.socket) -> None:
    with open_worker_folder() as folder:
        telemetry = configure(settings)
        try:
            # A fault in the settings shows here, once, and not in each worker over and over.
            build(settings, overrides=Overrides(telemetry=telemetry))
            # The settings themselves go to the workers: one that is started later has those of the others, whatever
            # has become of the environment's files meanwhile.
            config = _Config(
                partial(_make_worker, settings),
                factory=True,
                workers=settings.workers,
                timeout_worker_healthcheck=_SILENT_WORKER_SECONDS,
            )
            patience_seconds = settings.drain_seconds + _GRACEFUL_SHUTDOWN_SECONDS + _CLOSING_SECONDS
            supervisor = _Supervisor(config, [sock], folder=folder, patience_seconds=patience_seconds)
            supervisor.run()
        finally:
            telemetry.close()
    if supervisor.failed:
        raise WorkerFailedError("no worker could start: its log lines say why; nothing is served")


def _make_worker(settings: Settings) -> Instrumented:
    """Make the application of one worker, in its process."""
    threading.Thread(target=_end_with_supervisor, name="prethrift-supervisor-watch", daemon=True).start()
    try:
        telemetry = configure(settings)
        # Not `atexit`: multiprocessing ends its processes without it.
        Finalize(telemetry, telemetry.close, exitpriority=0)
        app = build(settings, overrides=Overrides(telemetry=telemetry))
    except Exception as error:  # noqa: BLE001 - whatever it is, the next worker would meet it, too
        _log.critical("worker_start_failed", exc_info=error)
        sys.exit(STARTUP_FAILURE)
    settle_heap()
    return app


def _end_with_supervisor() -> None:
    """End this worker in order when its supervisor is gone: nobody else would, and it would keep the port."""
    supervisor = multiprocessing.parent_process()
    if supervisor is not None:
        supervisor.join()
        os.kill(os.getpid(), signal.SIGTERM)


class _Supervisor(Multiprocess):
    """uvicorn's supervisor, which also looks after the folder of the metrics and has an end to its patience."""

    def __init__(
        self,
        config: uvicorn.Config,
        sockets: list[socket.socket],
        *,
        folder: WorkerFolder,
        patience_seconds: float,
    ) -> None:
        super().__init__(config, sockets)
        self._folder = folder
        self._patience_seconds = patience_seconds
        self._is_folding = True

    @property
    def failed(self) -> bool:
        """Whether a worker ended before it could serve."""
        return any(process.exitcode == STARTUP_FAILURE for process in self.processes)

    def keep_subprocess_alive(self) -> None:
        """Replace workers that have died, and keep what they had counted."""
        super().keep_subprocess_alive()
        living = {os.getpid(), *(process.pid for process in self.processes if process.pid is not None)}
        try:
            self._folder.fold_all_but(living)
            self._is_folding = True
        except Exception as error:  # noqa: BLE001 - a full disk, or a broken file: the server is worth more than its counts
            if self._is_folding:  # the files stay as they are, and are tried again: one line tells of it
                _log.error("worker_metrics_kept_apart", exc_info=error)
            self._is_folding = False

    def join_all(self) -> None:
        """Wait for the workers to end in order, and end those that do not."""
        deadline = time.monotonic() + self._patience_seconds
        for process in self.processes:
            process.process.join(max(0.0, deadline - time.monotonic()))
            if process.process.is_alive():
                _log.error("worker_killed", pid=process.pid)
                process.process.kill()
                process.process.join()
