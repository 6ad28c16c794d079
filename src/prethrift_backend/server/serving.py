"""Serving an application until a signal: in this process, or by several workers."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable

from prethrift_backend.config import Settings
from prethrift_backend.exceptions import PrethriftError
from prethrift_backend.main import Overrides, build, settle_heap
from prethrift_backend.observability import Telemetry, configure
from prethrift_backend.observability.multiprocess import open_worker_folder
from prethrift_backend.server.http import HttpConfig, HttpServer, end_in_order, end_on_hangup
from prethrift_backend.server.listening import listen
from prethrift_backend.server.supervisor import Supervisor
from prethrift_backend.server.workers import WorkerConfig


class WorkerFailedError(PrethriftError):
    """A worker process ended before it could serve."""


def serve_application(settings: Settings, *, read_settings: Callable[[], Settings]) -> None:
    """Serve the application of ``settings`` until SIGTERM or SIGINT; requests under way are finished first.

    With more than one worker this process supervises them: it serves nothing itself, replaces a worker that has died,
    and ends when all have ended. At SIGHUP it calls ``read_settings`` and renews the workers one after the other, none
    of which goes before its successor is ready. A single process ends at SIGHUP as at SIGTERM: whoever has one process
    a machine has something that replaces it as a whole.

    Raises:
        ConfigurationError: a setting that the server needs is missing, or the address cannot be taken.
        WorkerFailedError: no worker could start.
    """
    signal.signal(signal.SIGTERM, end_in_order)
    with listen(settings) as sock:
        if settings.workers > 1:
            _serve_by_workers(settings, sock, read_settings)
        else:
            end_on_hangup()
            _serve_alone(settings, sock)


def _serve_alone(settings: Settings, sock: socket.socket) -> None:
    telemetry = configure(settings)
    try:
        _make_server(settings, telemetry).run(sockets=[sock])
    finally:
        telemetry.close()  # only now: the server's own last lines belong to the log as well


def _make_server(settings: Settings, telemetry: Telemetry) -> HttpServer:
    def announce_end() -> None:  # by the application, which is made before the server's configuration
        config.announce_end()

    config = HttpConfig(build(settings, overrides=Overrides(telemetry=telemetry, on_drain=announce_end)))
    settle_heap()
    return HttpServer(config)


def _serve_by_workers(settings: Settings, sock: socket.socket, read_settings: Callable[[], Settings]) -> None:
    with open_worker_folder() as folder:
        telemetry = configure(settings)
        try:
            # A fault in the settings shows here, once, and not in each worker over and over.
            build(settings, overrides=Overrides(telemetry=telemetry))
            supervisor = Supervisor(WorkerConfig(settings), sock, folder=folder, read_settings=read_settings)
            supervisor.run()
        finally:
            telemetry.close()
    if supervisor.failed:
        raise WorkerFailedError("no worker could start: its log lines say why; nothing is served")
