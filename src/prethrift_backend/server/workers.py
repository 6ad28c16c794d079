"""One worker of several: what runs in its process, and what its supervisor holds of it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from dataclasses import replace
from enum import Enum
from functools import cached_property
from multiprocessing.util import Finalize
from pickle import UnpicklingError
from typing import Final

from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Process

from prethrift_backend.config import Settings
from prethrift_backend.main import Overrides, build, settle_heap
from prethrift_backend.observability import Instrumented, configure, get_logger
from prethrift_backend.server.http import HttpConfig, HttpServer, end_in_order

# How long a worker may hold its interpreter before it counts as stuck and is replaced. Arbitrary: well above the start
# of several workers at once on a busy machine.
_SILENT_WORKER_SECONDS: Final = 20

# For a worker that seems stuck: the machine may have slept, and the worker has had no time yet to answer.
_LAST_CHANCE_SECONDS: Final = 1.0

# How long the models of a worker may load before a reload gives it up. Arbitrary: as long as a start may take.
READY_SECONDS: Final = 120.0

# How long the others serve for a worker that has died, when the models of the next one do not become ready. Arbitrary.
_REPLACEMENT_SECONDS: Final = 30.0

_ANSWER_SECONDS: Final = 1.0

# From the supervisor to a worker whose successor serves. Not SIGHUP, which a terminal sends to all processes at once.
RETIRE: Final = signal.SIGUSR2

_log = get_logger("prethrift_backend.server")


class Role(Enum):
    """When a worker takes its first connection."""

    FIRST = "first"
    """At once: nobody else serves, and somebody must say that the service lives while the models load."""

    REPLACEMENT = "replacement"
    """When its models are ready, for the others serve meanwhile; after a while without them, since one is missing."""

    SUCCESSOR = "successor"
    """When its models are ready, or never: the worker in whose place it comes serves until then."""


_READY_WITHIN_SECONDS: Final = {Role.REPLACEMENT: _REPLACEMENT_SECONDS, Role.SUCCESSOR: READY_SECONDS}


class WorkerConfig(HttpConfig):
    """How a worker serves. It goes to the worker's process as a whole, the settings with it.

    One that is started later therefore has the settings of the others, whatever has become of the environment's files
    meanwhile.
    """

    def __init__(self, settings: Settings, *, role: Role = Role.FIRST) -> None:
        super().__init__(
            self._make_application,
            factory=True,
            workers=settings.workers,
            timeout_worker_healthcheck=_SILENT_WORKER_SECONDS,
        )
        self.settings = settings
        self._role = role

    def configure_logging(self) -> None:
        """Do what a worker needs before its server takes the signals: uvicorn calls this first of all there."""
        super().configure_logging()
        if multiprocessing.parent_process() is not None:
            signal.signal(signal.SIGTERM, end_in_order)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the supervisor's to answer

    def _make_application(self) -> Instrumented:
        overrides = Overrides(
            on_drain=self.announce_end,
            ready_within_seconds=_READY_WITHIN_SECONDS.get(self._role),
            serves_unready=self._role is not Role.SUCCESSOR,
        )
        return _make_application(self.settings, overrides)


class Worker(Process):
    """A worker as its supervisor sees it; ``target`` is what runs in the worker's process."""

    config: WorkerConfig

    def __init__(self, config: WorkerConfig, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self._asked_at: float | None = None  # while a question is open

    @cached_property
    def server(self) -> HttpServer:
        """The server of the worker's process."""
        return _WorkerServer(self.config)

    def is_alive(self, timeout: float = _SILENT_WORKER_SECONDS) -> bool:
        """Tell whether it runs and has not been silent for longer than ``timeout`` seconds; waits for no answer."""
        if not self.process.is_alive():
            return False
        self._healthcheck(0.0)
        if self._asked_at is None or time.monotonic() - self._asked_at <= timeout:
            return True
        return self.ping(_LAST_CHANCE_SECONDS)

    def _healthcheck(self, timeout: float) -> bool | None:
        """Ask whether it serves, and wait ``timeout`` seconds for the answer; None while there is none.

        At most one question is open: an answer to a former one would tell how it was then.
        """
        try:
            if self._asked_at is None:
                self._asked_at = time.monotonic()
                self.parent_conn.send(b"ping")
            if not self.parent_conn.poll(timeout):
                return None
            started: bool = self.parent_conn.recv()
        except (OSError, EOFError, UnpicklingError):
            return None
        self._asked_at = None
        return started

    def is_serving(self) -> bool:
        """Tell whether it has begun to take connections by now; it has a second to answer."""
        if not self.process.is_alive():
            return False
        self._healthcheck(0.0)  # what it may have answered before
        return self.is_ready(timeout=_ANSWER_SECONDS)

    def retire(self) -> None:
        """Tell it that its successor serves."""
        if self.pid is not None and self.process.is_alive():
            os.kill(self.pid, RETIRE)

    def close(self) -> None:
        """Give back what was used to talk to a worker that has ended."""
        self.process.join()
        self.parent_conn.close()
        self.child_conn.close()


class _WorkerServer(HttpServer):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.retire_on(RETIRE)


def _make_application(settings: Settings, overrides: Overrides) -> Instrumented:
    """Make the application of one worker, in its process."""
    threading.Thread(target=_end_with_supervisor, name="prethrift-supervisor-watch", daemon=True).start()
    try:
        telemetry = configure(settings)
        # Not `atexit`: multiprocessing ends its processes without it.
        Finalize(telemetry, telemetry.close, exitpriority=0)
        app = build(settings, overrides=replace(overrides, telemetry=telemetry))
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
