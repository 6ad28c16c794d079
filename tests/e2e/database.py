"""The database of the session: the embedded PostgreSQL, which can die and come back on the same address."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from tests.support.waiting import wait_for

from prethrift_backend.devstack.postgres import EmbeddedPostgres
from prethrift_backend.stores.migrations import migrate

END_SECONDS = 20.0


class Database:
    """Used as a context manager: it runs, with the tables of today, until the block is left."""

    def __init__(self) -> None:
        # Not under pytest's tmp_path: the path of a unix socket may have 107 bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="prethrift-pg-"))
        self._server: EmbeddedPostgres | None = None
        self.url = ""

    def __enter__(self) -> Self:
        try:
            self.start()
            asyncio.run(migrate(self.url))
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def is_running(self) -> bool:
        """Tell whether it runs."""
        return self._server is not None

    def start(self) -> None:
        """Start it, at the same address as before, and return when it answers; one that runs is left as it is."""
        if self._server is not None:
            return
        server = EmbeddedPostgres(self._folder / "data")
        server.start()
        self._server, self.url = server, server.url

    def stop(self) -> None:
        """Let it die: every connection breaks at once, and what was under way is lost. A second call does nothing."""
        if self._server is None:
            return
        self._server = None
        # SIGQUIT is PostgreSQL's immediate shutdown: no farewell to its clients, and recovery at the next start.
        pid = int((self._folder / "data" / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)
        wait_for(lambda: not _runs(pid), END_SECONDS, what="the end of PostgreSQL")


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
