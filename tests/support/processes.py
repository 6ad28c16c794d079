"""Server processes of a test: started, waited for, and ended with all their children."""

import contextlib
import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from tests.support.ports import LOOPBACK, free_port
from tests.support.waiting import DeadlineExceededError, wait_for, wait_for_async

__all__ = ["LOOPBACK", "ProcessFailedError", "ServerProcess", "free_port", "wait_for", "wait_for_async"]

# How much of the output a failure shows: the end of it is what explains a failure.
SHOWN_CHARACTERS = 6_000


class ProcessFailedError(AssertionError):
    """A process that a test needs ended, or did not do what the test waited for; the text shows its output."""


class ServerProcess:
    """One command in a process group of its own, with its output in a file.

    Used as a context manager: the process runs inside the block, and leaving it ends the whole group.

        with ServerProcess([sys.executable, "-m", "http.server", str(port)]) as server:
            server.wait_for_http(f"http://127.0.0.1:{port}/", deadline_seconds=10)
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environ: Mapping[str, str] | None = None,
        directory: Path | None = None,
        stop_seconds: float = 20.0,
    ) -> None:
        self.command = tuple(command)
        self._environ = dict(os.environ if environ is None else environ)
        self._directory = directory
        self._stop_seconds = stop_seconds
        self._process: subprocess.Popen[bytes] | None = None
        with tempfile.NamedTemporaryFile(prefix="prethrift-process-", suffix=".log", delete=False) as created:
            self._output = Path(created.name)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            self._output.unlink(missing_ok=True)

    def start(self) -> None:
        """Start the command; its output goes to a file, both streams in order."""
        with self._output.open("ab") as sink:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=self._environ,
                cwd=self._directory,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The id of the process, which is that of its group too."""
        return self._running().pid

    @property
    def exit_status(self) -> int | None:
        """The exit status, negative for a signal, or None while the process runs."""
        return self._running().poll()

    @property
    def output(self) -> str:
        """All that the process has written so far."""
        return self._output.read_text(errors="replace")

    @property
    def records(self) -> list[dict[str, Any]]:
        """The log lines of JSON so far, parsed; a line that is being written just now is not one yet."""
        whole = self.output.rpartition("\n")[0].splitlines()
        return [json.loads(line) for line in whole if line.startswith("{")]

    def wait_for(self, condition: Callable[[], object], deadline_seconds: float, *, what: str | None = None) -> None:
        """Wait until `condition` is true; a process that ends meanwhile fails at once instead of at the deadline."""

        def met() -> bool:
            if condition():
                return True
            if self.exit_status is not None:
                raise ProcessFailedError(self._report(f"ended with status {self.exit_status}"))
            return False

        try:
            wait_for(met, deadline_seconds, what=what or getattr(condition, "__qualname__", "the condition"))
        except DeadlineExceededError as late:
            raise ProcessFailedError(self._report(str(late))) from late

    def wait_for_output(self, text: str, deadline_seconds: float) -> None:
        """Wait until `text` stands in the output."""
        self.wait_for(lambda: text in self.output, deadline_seconds, what=f"{text!r} in the output")

    def wait_for_http(
        self,
        url: str,
        deadline_seconds: float,
        *,
        accept: Callable[[httpx.Response], bool] = lambda response: response.status_code < 500,
    ) -> httpx.Response:
        """Ask `url` until an answer satisfies `accept` (by default: any below 500), and return that answer."""
        answers: list[httpx.Response] = []

        def answered() -> bool:
            with contextlib.suppress(httpx.TransportError):
                answers.append(client.get(url))
            return bool(answers) and accept(answers[-1])

        # trust_env=False: a proxy of the user's must not stand between a test and its own machine.
        with httpx.Client(trust_env=False, timeout=2.0) as client:
            self.wait_for(answered, deadline_seconds, what=f"an answer of {url}")
        return answers[-1]

    def wait_for_exit(self, deadline_seconds: float) -> int:
        """Wait until the process has ended by itself and return its exit status."""
        try:
            return self._running().wait(deadline_seconds)
        except subprocess.TimeoutExpired as late:
            raise ProcessFailedError(self._report(f"did not end within {deadline_seconds:g} s")) from late

    def send(self, signal_number: signal.Signals) -> None:
        """Send a signal to the process alone, as a supervisor does."""
        self._running().send_signal(signal_number)

    def interrupt(self) -> None:
        """Send SIGINT to the whole group, as Ctrl-C in a terminal does."""
        os.killpg(self.pid, signal.SIGINT)

    def stop(self) -> int | None:
        """End the process and what it started: SIGTERM first, SIGKILL after `stop_seconds`. Return the exit status."""
        process = self._process
        if process is None:
            return None
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(self._stop_seconds)
        # The group outlives its leader if the leader left children behind; they go now, whatever state they are in.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        return process.wait(self._stop_seconds)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self.command[0]!r} has not been started: use `with ServerProcess(...)`, or start()")
        return self._process

    def _report(self, what: str) -> str:
        shown = self.output[-SHOWN_CHARACTERS:] or "(none)"
        return f"{' '.join(self.command)}: {what}\n--- its output ---\n{shown}"
