"""An outage that a command of one's own brings about: what the service shows of it, and whether it comes back."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeAlias

from prethrift_backend.verify.inject.scrapes import parsed
from prethrift_backend.verify.inject.wire import WireAnswer
from prethrift_backend.verify.live.client import LiveUsageError
from prethrift_backend.verify.live.context import LiveContext

Ask: TypeAlias = Callable[[str], WireAnswer]

OUTAGE_ITEM: Final = "outage"
_PAUSE_SECONDS: Final = 0.5
_COMMAND_SECONDS: Final = 120.0  # a container that stops is given ten seconds, a database more; arbitrary


def take_away(run: LiveContext, ask: Ask, *, down: str, up: str) -> None:
    """Run ``down``, wait until readiness falls, run ``up``, wait until all is well again.

    ``up`` is run whatever happens: also where ``down`` fails, and where somebody interrupts.
    """
    outage = _Outage(run, ask)
    if not outage.is_well():
        run.ledger.missed("live", OUTAGE_ITEM, "the service is not ready: nothing was taken away")
        run.ledger.inconclusive.append("outage: the service is not ready before anything is taken away")
        return
    is_away = False
    try:
        is_away = _is_done(run, "--down", down)
        if is_away:
            outage.watch()
    finally:
        is_back = _is_done(run, "--up", up)
    if is_away and is_back:
        outage.recover()
        run.ledger.saw("live", OUTAGE_ITEM)


class _Outage:
    """Looks at one service, before, during and after."""

    def __init__(self, run: LiveContext, ask: Ask) -> None:
        self._run = run
        self._ask = ask
        self._paths = run.options.paths

    def is_well(self) -> bool:
        """Say whether probes and metrics say so; metrics that say nothing of health do not count."""
        return self._ready() == 200 and self._told() != "down"

    def watch(self) -> None:
        """Wait until readiness and metrics say that something is away; liveness must not."""
        died: list[int | None] = []

        def is_told() -> bool:
            if self._paths.live:
                status = self._ask(self._paths.live).status
                died.extend([status] if status != 200 else [])
            return self._ready() == 503 and self._told() != "up"

        if not self._waited(is_told):
            self._judge_silence()
        if died:
            message = "liveness went down with the dependency"
            self._find("LV152", message, expected="200", observed=died[0])

    def _judge_silence(self) -> None:
        status = self._ready()
        if status != 503:
            self._find("LV151", f"readiness still answers {status}", expected="503", observed=status)
        if self._told() == "up":
            self._find("LV153", "every metric of health still says up", expected="0 for what is away", observed=1)

    def recover(self) -> None:
        """Wait until all is as it was."""
        if self._waited(self.is_well):
            return
        status = self._ready()
        if status != 200:
            self._find("LV154", f"readiness answers {status} after --up", expected="200", observed=status)
        if self._told() == "down":
            self._find("LV153", "a metric of health still says down after --up", expected="1", observed=0)

    def _ready(self) -> int | None:
        return self._ask(self._paths.ready).status if self._paths.ready else None

    def _told(self) -> str | None:
        """Return what the metrics of health say: up, down, or nothing."""
        scrape = parsed(self._ask(self._run.metrics_path))
        names = [n for n in scrape.samples if n.startswith("health") and n.endswith("_up")] if scrape else []
        values = [sample.value for name in names for sample in (scrape.samples[name] if scrape else ())]
        return None if not values else "up" if all(values) else "down"

    def _waited(self, is_so: Callable[[], bool]) -> bool:
        clock = self._run.client.clock
        end = clock.monotonic() + self._run.options.inject.timeout_seconds
        while not is_so():
            if clock.monotonic() >= end:
                return False
            clock.sleep(_PAUSE_SECONDS)
        return True

    def _find(self, rule: str, message: str, *, expected: str, observed: object) -> None:
        limit = f"{expected} within {self._run.options.inject.timeout_seconds:g} s"
        self._run.ledger.find(rule, "live", OUTAGE_ITEM, message, expected=limit, observed=observed)


def _is_done(run: LiveContext, option: str, command: str) -> bool:
    """Run a command to its end; what it says is not shown, since it may hold anything."""
    fault = _fault(command)
    if fault is not None:
        run.ledger.inconclusive.append(f"outage: the command of {option} {fault}: run it by itself")
    return fault is None


def check_command(option: str, command: str) -> None:
    """Raise LiveUsageError where a command cannot be run."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise LiveUsageError(f"the command of {option} cannot be read: {error}; correct its quotes") from error
    if not words or shutil.which(words[0]) is None:
        name = repr(words[0]) if words else "nothing"
        raise LiveUsageError(f"the command of {option} begins with {name}, which is no program here; correct it")


def _fault(command: str) -> str | None:
    """Run a command and say how it failed; a Ctrl-C goes to this process alone, and waits until it has ended."""
    # No shell: what is to be a script of one is given as `sh -c '...'`.
    words = shlex.split(command)
    try:
        process = subprocess.Popen(  # noqa: S603 - the operator's own command
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:  # a file that may be run and is no program
        return f"cannot be run ({error.strerror})"
    try:
        return _end_of(process)
    except KeyboardInterrupt:
        _end_of(process)
        raise


def _end_of(process: subprocess.Popen[bytes]) -> str | None:
    """Wait for a command, and end it with all that it has started where it takes too long."""
    try:
        status = process.wait(_COMMAND_SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return "did not end in time"
    return None if status == 0 else f"ended with status {status}"
