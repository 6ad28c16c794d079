"""The process that looks after several workers: replaces what dies, renews all on SIGHUP, ends them in order."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess

from prethrift_backend.config import Settings
from prethrift_backend.exceptions import ConfigurationError, ConfigurationFault
from prethrift_backend.observability import get_logger
from prethrift_backend.observability.multiprocess import WorkerFolder
from prethrift_backend.server.http import GRACEFUL_SHUTDOWN_SECONDS, RETIREMENT_SECONDS
from prethrift_backend.server.workers import READY_SECONDS, Role, Worker, WorkerConfig

# Arbitrary: models, pool and log are given back in less after the last request.
_CLOSING_SECONDS: Final = 5

# How long a successor may take: a process and its imports come before the models.
_SUCCESSOR_SECONDS: Final = 30.0 + READY_SECONDS
_RETIRED_SECONDS: Final = RETIREMENT_SECONDS + GRACEFUL_SHUTDOWN_SECONDS + _CLOSING_SECONDS

# As contracts/logs.txt has it; a dozen faults and more have room.
_LONGEST_REASON: Final = 2000

# What the socket and the number of processes hang on; neither can be had while the server runs.
_FIXED: Final = ("host", "port", "workers")

_log = get_logger("prethrift_backend.server")


@dataclass(slots=True)
class _Reload:
    """How far a reload has come: the workers that are still to be replaced, and the one that is starting."""

    former: WorkerConfig
    waiting: list[Worker]
    successor: Worker | None = None
    deadline: float = 0.0  # the successor's
    replaced_count: int = 0


class Supervisor(Multiprocess):
    """uvicorn's supervisor; it also looks after the folder of the metrics, and has an end to its patience.

    Each turn of its loop does a little and waits for nothing, so that SIGTERM is heard and a dead worker replaced in
    the middle of a reload, too. ``read_settings`` gives those of a reload.
    """

    config: WorkerConfig
    processes: list[Worker]  # type: ignore[assignment]  # each of them is one: all are made here

    def __init__(
        self,
        config: WorkerConfig,
        sock: socket.socket,
        *,
        folder: WorkerFolder,
        read_settings: Callable[[], Settings],
    ) -> None:
        super().__init__(config, [sock])
        self.failed = False
        self._folder = folder
        self._read_settings = read_settings
        self._reload: _Reload | None = None
        self._retiring: dict[Worker, float] = {}  # and when each is killed
        self._is_folding = True

    def run(self) -> None:
        """Serve until a signal; whatever goes wrong here, no worker is left without a supervisor."""
        try:
            super().run()
        except BaseException:
            self.terminate_all()
            self.join_all()
            raise

    def init_processes(self) -> None:
        """Start the workers."""
        self.processes.extend(self._start(self.config) for _ in range(self.processes_num))

    def _start(self, config: WorkerConfig) -> Worker:
        worker = Worker(config, self.sockets)
        worker.start()
        return worker

    def keep_subprocess_alive(self) -> None:
        """Do what there is to do: uvicorn calls it twice a second."""
        self._end_retired()
        if not self.should_exit.is_set():  # a signal to the whole group ends the workers, too, and none is lost by that
            self._replace_dead()
        if self._reload is not None and not self.should_exit.is_set():
            self._go_on_with(self._reload)
        self._fold()

    def _replace_dead(self) -> None:
        for index, worker in enumerate(self.processes):
            if worker.is_alive(timeout=self.config.timeout_worker_healthcheck):
                continue
            worker.kill()  # one that is stuck
            worker.join()
            if worker.exitcode == STARTUP_FAILURE and self._would_fail_again(worker):
                self.failed = True
                self.should_exit.set()
                return
            _log.error("worker_lost", pid=worker.pid, exit_status=worker.exitcode)
            self.processes[index] = self._start(self._config_in_place_of(worker))

    def _config_in_place_of(self, dead: Worker) -> WorkerConfig:
        others_serve = any(worker.process.is_alive() for worker in self.processes if worker is not dead)
        return WorkerConfig(self.config.settings, role=Role.REPLACEMENT if others_serve else Role.FIRST)

    def _would_fail_again(self, worker: Worker) -> bool:
        """Tell whether the next one would meet what this one met; not so if that came with a reload, which ends."""
        if self._reload is not None:
            self._give_up(self._reload, _ended(worker))
        return worker.config.settings is self.config.settings

    def handle_hup(self) -> None:
        """Read the settings again and renew the workers, one after the other."""
        if self.should_exit.is_set():
            return
        if self._reload is not None:
            _log.warning("reload_refused", reason="one is under way: send SIGHUP again when it is done")
            return
        try:
            config = self._next_config()
        except ConfigurationError as error:
            _log.warning("reload_refused", reason="; ".join(map(str, error.faults))[:_LONGEST_REASON])
            return
        _log.info("reload_started", workers=len(self.processes))
        # A worker that dies from now on is replaced with the new settings as well.
        former, self.config = self.config, config
        self._reload = _Reload(former, list(self.processes))
        self._start_successor(self._reload)

    def _next_config(self) -> WorkerConfig:
        settings, former = self._read_settings(), self.config.settings
        changed = [name for name in _FIXED if getattr(settings, name) != getattr(former, name)]
        if changed:
            raise ConfigurationError([_fixed_fault(name, settings) for name in changed])
        return WorkerConfig(settings)

    def _start_successor(self, reload: _Reload) -> None:
        if self._retiring:  # one worker more takes memory, and not several
            return
        try:
            reload.successor = self._start(WorkerConfig(self.config.settings, role=Role.SUCCESSOR))
        except OSError as error:
            self._give_up(reload, f"no process could be started: {error.strerror}")
        reload.deadline = time.monotonic() + _SUCCESSOR_SECONDS

    def _go_on_with(self, reload: _Reload) -> None:
        # One that has died meanwhile has been replaced already, with the new settings.
        reload.waiting = [worker for worker in reload.waiting if worker in self.processes]
        if not reload.waiting:
            self._discard(reload)
            self._complete()
        elif reload.successor is None:
            self._start_successor(reload)
        elif reload.successor.is_ready(timeout=0.0):
            self._put_in_place(reload, reload.successor)
        elif not reload.successor.process.is_alive():
            self._give_up(reload, _ended(reload.successor))
        elif time.monotonic() > reload.deadline:
            self._give_up(reload, f"the new worker was not ready within {_SUCCESSOR_SECONDS:g} s")

    def _put_in_place(self, reload: _Reload, successor: Worker) -> None:
        former = reload.waiting.pop(0)
        self.processes[self.processes.index(former)] = successor
        reload.successor = None
        reload.replaced_count += 1
        self._retire(former)
        if not reload.waiting:
            self._complete()

    def _retire(self, worker: Worker) -> None:
        worker.retire()
        self._retiring[worker] = time.monotonic() + _RETIRED_SECONDS

    def _complete(self) -> None:
        self._reload = None
        _log.info("reload_completed", workers=len(self.processes))

    def _give_up(self, reload: _Reload, reason: str) -> None:
        """Keep the workers that serve, and the settings for those that will replace them."""
        self._discard(reload)
        self.config = reload.former
        _log.error("reload_failed", replaced=reload.replaced_count, reason=reason)

    def _discard(self, reload: _Reload) -> None:
        """End a successor that has no place: in order if it has begun to take connections meanwhile."""
        self._reload = None
        if reload.successor is None:
            return
        if reload.successor.is_serving():
            self._retire(reload.successor)
        else:
            reload.successor.kill()
            reload.successor.join()

    def _end_retired(self) -> None:
        for worker, deadline in list(self._retiring.items()):
            if worker.process.is_alive() and time.monotonic() > deadline:
                _kill(worker)
            if not worker.process.is_alive():
                worker.close()
                del self._retiring[worker]

    def _fold(self) -> None:
        """Keep what workers that are gone had counted."""
        try:
            self._folder.fold_all_but(self._living_pids())
            self._is_folding = True
        except Exception as error:  # noqa: BLE001 - a full disk, or a broken file: the server is worth more than its counts
            if self._is_folding:  # the files stay as they are, and are tried again: one line tells of it
                _log.error("worker_metrics_kept_apart", exc_info=error)
            self._is_folding = False

    def _living_pids(self) -> set[int]:
        workers = [*self.processes, *self._retiring]
        if self._reload is not None and self._reload.successor is not None:
            workers.append(self._reload.successor)
        return {os.getpid(), *(worker.pid for worker in workers if worker.pid is not None)}

    def terminate_all(self) -> None:
        """Tell all workers to end, and end at once what serves nobody yet."""
        if self._reload is not None:
            self._discard(self._reload)
        for worker in self._retiring:
            worker.terminate()
        super().terminate_all()

    def join_all(self) -> None:
        """Wait for the workers to end in order, and end those that do not."""
        drain_seconds = self.config.settings.drain_seconds
        deadline = time.monotonic() + drain_seconds + GRACEFUL_SHUTDOWN_SECONDS + _CLOSING_SECONDS
        for worker in (*self.processes, *self._retiring):
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                _kill(worker)

    def handle_ttin(self) -> None:
        """Leave the number of workers as it was set."""

    def handle_ttou(self) -> None:
        """Leave the number of workers as it was set."""


def _fixed_fault(name: str, settings: Settings) -> ConfigurationFault:
    rule, fix = "cannot change while the server runs", "restart it, or leave the setting as it was"
    return ConfigurationFault(name.upper(), str(getattr(settings, name)), rule, fix)


def _ended(worker: Worker) -> str:
    return f"the new worker ended with status {worker.exitcode}: its lines say why"


def _kill(worker: Worker) -> None:
    _log.error("worker_killed", pid=worker.pid)
    worker.process.kill()
    worker.process.join()
