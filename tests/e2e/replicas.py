"""Replicas of the backend: `prethrift-backend serve`, each with port, log file and temporary folder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from tests.support.environment import DUMMY_AWS, leaking_names
from tests.support.ports import LOOPBACK, free_port
from tests.support.processes import ServerProcess
from tests.support.waiting import wait_for

from prethrift_backend.config import Settings

COMMAND = (str(Path(sys.executable).with_name("prethrift-backend")), "serve")
LIVE_SECONDS = 60.0
READY_SECONDS = 120.0  # the models are loaded by all replicas at once, on a machine that may be busy
STOP_SECONDS = 40.0


class Replica:
    """One replica; it keeps its address, its log and its name over restarts.

    ``settings`` are names and values of the environment, ``command`` is what is run: either may be changed between
    `stop` and `start`.
    """

    def __init__(self, name: str, folder: Path, settings: Mapping[str, str]) -> None:
        self.name = name
        self.port = free_port()
        self.log_file = folder / "log.jsonl"
        self.command: tuple[str, ...] = COMMAND
        temporary = folder / "tmp"
        temporary.mkdir(parents=True)
        self.settings = {
            **settings,
            "HOST": LOOPBACK,
            "PORT": str(self.port),
            "LOG_FILE": str(self.log_file),
            "TMPDIR": str(temporary),
        }
        self._made = (self.command, dict(self.settings))
        self._folder = folder
        self._process: ServerProcess | None = None

    def __repr__(self) -> str:
        return f"<{self.name} at {self.address}>"

    @property
    def address(self) -> str:
        """Its host:port."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        """Its own address, not that of nginx."""
        return f"http://{self.address}"

    @property
    def process(self) -> ServerProcess:
        """The process that runs now, or ran last."""
        if self._process is None:
            raise RuntimeError(f"{self.name} has not been started: call start() first")
        return self._process

    @property
    def pid(self) -> int:
        """The id of the process that runs now, or ran last."""
        return self.process.pid

    @property
    def is_running(self) -> bool:
        """Tell whether there is a process."""
        return self._process is not None and self._process.exit_status is None

    def start(self, *, wait: bool = True) -> None:
        """Start it, and by default wait until it is ready."""
        if self.is_running:
            raise RuntimeError(f"{self.name} is running: stop it first")
        self.close()
        self._process = ServerProcess(
            self.command, environ=_environment(self.settings), directory=self._folder, stop_seconds=STOP_SECONDS
        )
        self._process.start()
        if wait:
            self.wait_ready()

    def mend(self) -> None:
        """See that it runs as it was made, without waiting: one that ends or was changed is started again."""
        is_changed = (self.command, self.settings) != self._made
        if is_changed:
            self.stop()
            self.command, self.settings = self._made[0], dict(self._made[1])
        if not self.is_running:
            self.start(wait=False)

    def wait_ready(self, deadline_seconds: float = READY_SECONDS) -> None:
        """Wait until readiness answers 200."""
        self.process.wait_for(self.is_ready, deadline_seconds, what=f"the readiness of {self.name}")

    def stop(self) -> int | None:
        """Send SIGTERM and wait until it has ended, drained; return the exit status."""
        return None if self._process is None else self._process.stop()

    def kill(self) -> None:
        """Send SIGKILL to it and to its process of the models at once, as the end of a container does."""
        os.killpg(self.pid, signal.SIGKILL)
        self.process.wait_for_exit(10.0)

    def readiness(self) -> int:
        """Return the status of readiness, 0 where nobody answers within a second, as Kubernetes asks it."""
        try:
            return httpx.get(f"{self.url}/health/ready", trust_env=False, timeout=1.0).status_code
        except httpx.TransportError:
            return 0

    def is_ready(self) -> bool:
        """Tell whether readiness answers 200 now."""
        return self.readiness() == 200

    def log_lines(self) -> list[dict[str, Any]]:
        """Return the lines of its log so far, parsed, over all restarts."""
        text = self.log_file.read_text() if self.log_file.exists() else ""
        # A line that is being written just now is not one yet.
        return [json.loads(line) for line in text.rpartition("\n")[0].splitlines()]

    def metrics(self) -> str:
        """Return what /metrics answers now."""
        return httpx.get(f"{self.url}/metrics", trust_env=False, timeout=10.0).raise_for_status().text

    def close(self) -> None:
        """End it whatever it does, and forget its output."""
        if self._process is not None:
            self._process.__exit__(None, None, None)
            self._process = None


def start_all(replicas: list[Replica]) -> None:
    """Start them at once, and wait until each is ready: their models load beside one another."""
    for replica in replicas:
        replica.start(wait=False)
    for replica in replicas:
        replica.wait_ready()


def close_all(replicas: list[Replica]) -> None:
    """End all of them at once: each one drains first."""
    with ThreadPoolExecutor(max(1, len(replicas))) as pool:
        list(pool.map(Replica.close, replicas))


def wait_all_ready(replicas: list[Replica], deadline_seconds: float = READY_SECONDS) -> None:
    """Wait until every one answers readiness with 200, all at the same time."""
    wait_for(lambda: all(replica.is_ready() for replica in replicas), deadline_seconds, what="the readiness of all")


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment without the user's own settings, and with these."""
    environ = dict(os.environ)
    for name in leaking_names(environ, Settings.model_fields):
        with contextlib.suppress(KeyError):
            del environ[name]
    return {**environ, **DUMMY_AWS, **settings}
