"""How a supervisor learns of its worker, and what a process makes of its start and of a hangup."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from prethrift_backend.config import Settings
from prethrift_backend.exceptions import ConfigurationError
from prethrift_backend.main import _wait_for
from prethrift_backend.server import listen, workers
from prethrift_backend.server.http import end_on_hangup
from prethrift_backend.server.workers import Worker, WorkerConfig


@pytest.fixture
def worker() -> Iterator[Worker]:
    """Make a worker whose process is ours to play."""
    made = Worker(WorkerConfig(Settings(workers=2)), [])
    made.process = cast("Any", SimpleNamespace(is_alive=lambda: True, join=lambda: None))
    yield made
    made.close()


def _answer(worker: Worker, *, started: bool) -> None:
    worker.child_conn.recv()
    worker.child_conn.send(started)


def test_silent_worker_is_asked_once_and_not_waited_for(worker: Worker) -> None:
    """While it starts it has no time to answer; what it answers then is how it is, not how it was at each question."""
    assert [worker.is_ready(timeout=0.0) for _ in range(5)] == [False] * 5
    _answer(worker, started=True)

    assert worker.is_ready(timeout=0.0)
    assert not worker.child_conn.poll()


def test_worker_is_alive_until_it_has_been_silent_for_the_whole_time(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is silent for longer gets a last chance, and is taken for stuck."""
    monkeypatch.setattr(workers, "_LAST_CHANCE_SECONDS", 0.01)
    assert worker.is_alive(timeout=60.0)
    assert not worker.is_alive(timeout=0.0)
    _answer(worker, started=False)

    assert worker.is_alive(timeout=0.0)


def test_worker_whose_last_answer_is_old_is_asked_again(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it serves by now is not what it said before."""
    monkeypatch.setattr(workers, "_ANSWER_SECONDS", 0.01)
    worker.is_ready(timeout=0.0)
    _answer(worker, started=True)

    assert not worker.is_serving()


@pytest.mark.parametrize(("before", "is_ignored"), [(signal.SIG_IGN, True), (signal.SIG_DFL, False)])
def test_hangup_stays_ignored_where_it_was(before: signal.Handlers, *, is_ignored: bool) -> None:
    """`nohup` starts a program with it ignored; that program outlives its terminal."""
    former = signal.signal(signal.SIGHUP, before)
    try:
        end_on_hangup()
        assert (signal.getsignal(signal.SIGHUP) is signal.SIG_IGN) is is_ignored
    finally:
        signal.signal(signal.SIGHUP, former)


async def test_fault_of_the_wait_for_the_models_ends_the_start() -> None:
    """A successor whose wait has broken would otherwise take connections as if it were ready."""

    async def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await _wait_for(asyncio.create_task(fail()), 10, fails=True)


def test_machine_without_ipv6_is_told_of_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address is what cannot be had, and not the port."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", refuse)
    with pytest.raises(ConfigurationError, match="HOST='::1' is not an address of this machine"):
        listen(Settings(host="::1"))
