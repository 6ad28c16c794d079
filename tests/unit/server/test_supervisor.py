"""What the supervisor decides at each turn, with workers that only note what is done to them."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from itertools import count
from types import SimpleNamespace
from typing import Any, cast

import pytest
from uvicorn.config import STARTUP_FAILURE

from prethrift_backend.config import Settings
from prethrift_backend.exceptions import ConfigurationError, ConfigurationFault
from prethrift_backend.observability.multiprocess import WorkerFolder
from prethrift_backend.server import supervisor
from prethrift_backend.server.supervisor import Supervisor
from prethrift_backend.server.workers import Worker, WorkerConfig

FORMER = Settings(workers=2, service_version="1")
NEXT = Settings(workers=2, service_version="2")
PIDS = count(1000)


class Hand(Worker):
    """A worker without a process; ``done`` is what its supervisor did with it, ``status`` how it ended."""

    def __init__(self, config: WorkerConfig) -> None:
        self.config = config
        self.status: int | None = None
        self.serves = False
        self.done: list[str] = []
        self.process = cast("Any", SimpleNamespace(pid=next(PIDS), is_alive=lambda: self.status is None))

    @property
    def exitcode(self) -> int | None:
        """Return how it ended."""
        return self.status

    def start(self) -> None:
        """Note it."""
        self.done.append("start")

    def is_alive(self, timeout: float = 0.0) -> bool:  # noqa: ARG002 - as it is called
        """Tell whether it has not ended."""
        return self.status is None

    def is_ready(self, timeout: float = 0.0) -> bool:  # noqa: ARG002 - as it is called
        """Tell what the test has set."""
        return self.serves

    def is_serving(self) -> bool:
        """Tell what the test has set."""
        return self.serves

    def retire(self) -> None:
        """Note it."""
        self.done.append("retire")

    def terminate(self) -> None:
        """Note it."""
        self.done.append("terminate")

    def kill(self) -> None:
        """End, if it has not."""
        self.done.append("kill")
        self.status = -signal.SIGKILL if self.status is None else self.status

    def join(self) -> None:
        """Nothing is waited for."""

    def close(self) -> None:
        """Note it."""
        self.done.append("close")


class Lines:
    """The log as the supervisor writes it: event and fields."""

    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []

    def info(self, event: str, **fields: Any) -> None:
        """Keep a line."""
        self.written.append({"event": event, **fields})

    warning = error = info

    def events(self) -> list[str]:
        """Return what was told, in order."""
        return [line["event"] for line in self.written]


class Bench(Supervisor):
    """A supervisor of such workers; ``hands`` are all that it has started."""

    def __init__(self, **options: Any) -> None:
        self.hands: list[Hand] = []
        self.can_start = True
        super().__init__(WorkerConfig(FORMER), cast("socket.socket", None), **options)

    def _start(self, config: WorkerConfig) -> Worker:
        if not self.can_start:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        hand = Hand(config)
        self.hands.append(hand)
        return hand


@pytest.fixture
def bench() -> Iterator[Bench]:
    """Start two workers."""
    numbers = [number for number in signal.valid_signals() if number not in {signal.SIGKILL, signal.SIGSTOP}]
    handlers = {number: signal.getsignal(number) for number in numbers}
    folder = cast("WorkerFolder", SimpleNamespace(fold_all_but=lambda _: None))
    made = Bench(folder=folder, read_settings=lambda: NEXT)
    made.init_processes()
    yield made
    for number, handler in handlers.items():
        if handler is not None and signal.getsignal(number) is not handler:
            signal.signal(number, handler)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    """Keep what the supervisor writes."""
    kept = Lines()
    monkeypatch.setattr(supervisor, "_log", kept)
    return kept


def test_next_successor_starts_when_the_retired_worker_has_gone(bench: Bench, lines: Lines) -> None:
    """A reload takes the memory of one worker more, however long the former ones still answer."""
    first, second = bench.hands
    bench.handle_hup()
    bench.hands[2].serves = True
    for _ in range(3):
        bench.keep_subprocess_alive()
    assert (first.done, len(bench.hands)) == (["retire"], 3)

    first.status = 0
    bench.keep_subprocess_alive()
    assert (first.done, len(bench.hands), second.done) == (["retire", "close"], 4, [])
    bench.hands[3].serves = True
    bench.keep_subprocess_alive()
    assert second.done == ["retire"]
    assert bench.processes == bench.hands[2:]
    assert lines.events() == ["reload_started", "reload_completed"]


def test_replacement_that_cannot_start_with_new_settings_ends_the_reload_alone(bench: Bench, lines: Lines) -> None:
    """A worker that dies meanwhile and does not come back with the new settings comes back with the former ones."""
    bench.handle_hup()
    bench.hands[0].status = -signal.SIGKILL
    bench.keep_subprocess_alive()
    replacement = bench.hands[3]
    assert replacement.config.settings is NEXT
    replacement.status = STARTUP_FAILURE
    bench.keep_subprocess_alive()

    assert lines.events() == ["reload_started", "worker_lost", "reload_failed", "worker_lost"]
    assert "status 3" in lines.written[2]["reason"]
    assert not bench.should_exit.is_set()
    assert [worker.config.settings for worker in bench.processes] == [FORMER, FORMER]


def test_replacement_that_fails_after_the_reload_has_is_replaced_with_the_former_settings(bench: Bench) -> None:
    """The new settings may be seen to fail in the successor first, and in the replacement a moment later."""
    bench.handle_hup()
    bench.hands[0].status = -signal.SIGKILL
    bench.keep_subprocess_alive()
    bench.hands[2].status = STARTUP_FAILURE
    bench.keep_subprocess_alive()
    bench.hands[3].status = STARTUP_FAILURE
    bench.keep_subprocess_alive()

    assert not bench.should_exit.is_set()
    assert bench.processes[0].config.settings is FORMER


def test_worker_that_cannot_start_with_the_settings_of_all_ends_the_server(bench: Bench) -> None:
    """The next one would meet what this one met."""
    bench.hands[0].status = STARTUP_FAILURE
    bench.keep_subprocess_alive()

    assert (bench.failed, bench.should_exit.is_set()) == (True, True)


def test_nothing_is_begun_when_the_end_has_been_told(bench: Bench, lines: Lines) -> None:
    """Ctrl-C reaches the workers as well: that they have ended is no loss, and a hangup behind it renews nobody."""
    bench.signal_queue += [signal.SIGINT, signal.SIGHUP]
    bench.hands[0].status = 0
    bench.handle_signals()
    bench.keep_subprocess_alive()

    assert lines.events() == []
    assert len(bench.hands) == 2


def test_end_tells_the_retired_workers_and_a_successor_that_serves(bench: Bench) -> None:
    """Whoever has taken a connection ends in order; who has not is killed, for it would start up first."""
    first, second = bench.hands
    bench.handle_hup()
    bench.hands[2].serves = True
    bench.keep_subprocess_alive()
    first.status = 0
    bench.keep_subprocess_alive()
    bench.hands[3].serves = True
    bench.terminate_all()

    assert bench.hands[3].done == ["retire", "terminate"]
    assert second.done == bench.hands[2].done == ["terminate"]


def test_end_kills_a_successor_that_does_not_serve(bench: Bench) -> None:
    """The workers themselves are told, and it is the only one that is killed."""
    bench.handle_hup()
    bench.terminate_all()

    assert bench.hands[2].done == ["kill"]
    assert bench.hands[0].done == bench.hands[1].done == ["terminate"]


def test_refusal_keeps_to_the_length_of_its_contract(
    bench: Bench, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many settings are faulty, the line is one that the contract of the log allows."""

    def refuse() -> Settings:
        raise ConfigurationError([ConfigurationFault(f"NAME_{n}", "7", "is wrong", "mend it") for n in range(100)])

    monkeypatch.setattr(bench, "_read_settings", refuse)
    bench.handle_hup()

    assert lines.events() == ["reload_refused"]
    assert len(lines.written[0]["reason"]) == 2000
    assert len(bench.hands) == 2


def test_reload_without_a_process_to_be_had_leaves_all_as_it_was(bench: Bench, lines: Lines) -> None:
    """A machine that has no room for one process more says so, and the workers serve on with their settings."""
    bench.can_start = False
    bench.handle_hup()
    bench.keep_subprocess_alive()

    assert lines.events() == ["reload_started", "reload_failed"]
    assert lines.written[1]["reason"] == "no process could be started: Resource temporarily unavailable"
    assert (bench.config.settings, [hand.done for hand in bench.hands]) == (FORMER, [[], []])


def test_supervisor_that_fails_ends_its_workers(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody would replace or end them any more."""

    def fail() -> None:
        raise MemoryError

    monkeypatch.setattr(bench, "keep_subprocess_alive", fail)
    monkeypatch.setattr(bench, "join_all", lambda: bench.hands[0].done.append("joined"))
    with pytest.raises(MemoryError):
        bench.run()

    assert bench.hands[0].done == ["terminate", "joined"]
    assert bench.hands[1].done == ["terminate"]
