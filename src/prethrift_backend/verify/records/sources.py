"""Where lines and spans come from while a run goes on: a file, a command, a receiver, or the memory of this process."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO, Final, Protocol

from opentelemetry.sdk.trace import ReadableSpan

from prethrift_backend.verify.live.client import LiveUsageError
from prethrift_backend.verify.records.options import RecordOptions
from prethrift_backend.verify.records.otlp_tap import OtlpTap
from prethrift_backend.verify.records.values import ObservedSpan, from_sdk, shown

# What a file has from before the run is looked at as well, as far back as this: some 10,000 lines, which take less than
# a second. Arbitrary.
_PAST_BYTES: Final = 4 * 1024 * 1024
# What comes while a run looks is read up to here. Arbitrary; some 100,000 lines.
_ADDED_BYTES_MAX: Final = 32 * 1024 * 1024
_COMPLAINT_BYTES: Final = 4096
_AGAIN_SECONDS: Final = 1.0  # between two runs of a command that ends by itself; arbitrary
_END_SECONDS: Final = 5.0


class LineSource(Protocol):
    """Gives the lines of a log."""

    def lines(self) -> Sequence[bytes]:
        """Return every whole line so far; a line that is still being written is not one yet."""
        ...

    def fault(self) -> str | None:
        """Say why it can give no more, None while it can."""
        ...


class SpanSource(Protocol):
    """Gives finished spans."""

    def spans(self) -> Sequence[ObservedSpan]:
        """Return every span so far."""
        ...


@dataclass(frozen=True, slots=True)
class RecordSources:
    """What one run has; None where nobody gives it."""

    lines: LineSource | None = None
    spans: SpanSource | None = None


class MemoryRecords:
    """What an application in this process has logged and traced; both lists grow from other threads."""

    def __init__(self, lines: Sequence[bytes], spans: Sequence[ReadableSpan]) -> None:
        self._lines = lines
        self._spans = spans
        self._read: list[ObservedSpan] = []

    def lines(self) -> Sequence[bytes]:
        """Return every line so far."""
        return list(self._lines)

    def spans(self) -> Sequence[ObservedSpan]:
        """Return every span so far."""
        self._read += [from_sdk(span) for span in list(self._spans)[len(self._read) :]]
        return list(self._read)

    def fault(self) -> str | None:
        """Have none."""
        return None


class LogFile:
    """A file that grows: its end from before the run, and what is added.

    Where it becomes shorter, as when it is copied and emptied, it is read from its begin again.
    """

    def __init__(self, path: Path, *, past_bytes: int = _PAST_BYTES) -> None:
        """Open the file; raises LiveUsageError where that cannot be done."""
        try:
            # Not to wait where it is a pipe that nobody writes to.
            self._file: IO[bytes] = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0)  # noqa: PTH123, SIM115 - of a descriptor
        except OSError as error:
            message = f"--logs {str(path)!r} cannot be read: {error.strerror}; give the file that the service logs to"
            raise LiveUsageError(message) from error
        if not stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
            self._file.close()
            raise LiveUsageError(f"--logs {str(path)!r} is no file: give what prints it in --logs-command")
        self._lines: list[bytes] = []
        self._rest = b""
        self._room = past_bytes + _ADDED_BYTES_MAX
        self._at = max(0, os.fstat(self._file.fileno()).st_size - past_bytes)
        self._skips = self._at > 0

    def lines(self) -> Sequence[bytes]:
        """Return every whole line so far."""
        if os.fstat(self._file.fileno()).st_size < self._at:
            self._at, self._rest, self._skips = 0, b"", False
        self._file.seek(self._at)
        added = self._file.read(self._room) if self._room else b""
        self._at += len(added)
        self._room -= len(added)
        *whole, self._rest = (self._rest + added).split(b"\n")
        if self._skips and whole:
            self._skips, whole = False, whole[1:]
        self._lines += [line + b"\n" for line in whole]
        return self._lines

    def fault(self) -> str | None:
        """Say that more came than is read."""
        return None if self._room else _too_much("--logs")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _too_much(option: str) -> str:
    return f"{option} gave more than {_ADDED_BYTES_MAX} bytes, and the rest was not read: let it give less"


class LogCommand:
    """The output of a command: of one that goes on, as it comes; of one that ends, that of its last run.

    One that ends is run again as long as lines are asked for, once a second at most.
    """

    def __init__(self, command: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Start the command; raises LiveUsageError where that cannot be done."""
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise LiveUsageError(f"--logs-command cannot be taken apart: {error}; close its quotation marks") from error
        self._monotonic = monotonic
        self._finished: list[bytes] | None = None
        self._fault: str | None = None
        self._run = self._start()

    def _start(self) -> _CommandRun:
        try:
            return _CommandRun(self._words, self._monotonic() + _AGAIN_SECONDS)
        except (OSError, ValueError, IndexError) as error:
            reason = getattr(error, "strerror", None) or "there is none"
            raise LiveUsageError(f"--logs-command cannot be run: {reason}; it is not given to a shell") from error

    def lines(self) -> Sequence[bytes]:
        """Return every whole line so far."""
        status = self._run.status()
        if status is None:
            return self._run.lines() if self._finished is None else self._finished
        self._finished = self._run.lines()
        if status != 0:
            self._fault = f"--logs-command ended with status {status}: {shown(self._run.complaint())}"
        elif self._monotonic() >= self._run.again_at:
            self._run.close()
            self._run = self._start()
        return self._finished

    def fault(self) -> str | None:
        """Say with which status the command has failed, or that it printed more than is read."""
        return _too_much("--logs-command") if self._run.is_full else self._fault

    def close(self) -> None:
        """End the command, and what it has started."""
        self._run.close()


class _CommandRun:
    """One run of a command, and what it has printed so far."""

    def __init__(self, words: list[str], again_at: float) -> None:
        self.again_at = again_at
        self._output = bytearray()
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the run
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the command of whoever runs us, and no shell
                words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._errors, start_new_session=True
            )
        except BaseException:
            self._errors.close()
            raise
        self._reader = Thread(target=self._read, name="logs-command", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        stream = self._process.stdout
        while stream is not None and not self.is_full and (piece := os.read(stream.fileno(), 65536)):
            self._output += piece

    @property
    def is_full(self) -> bool:
        """Whether it has printed as much as is read."""
        return len(self._output) >= _ADDED_BYTES_MAX

    def status(self) -> int | None:
        """Return how it ended, once all that it printed is here; None until then."""
        return None if self._reader.is_alive() else self._process.poll()

    def lines(self) -> list[bytes]:
        """Return the whole lines so far."""
        return [line + b"\n" for line in bytes(self._output).split(b"\n")[:-1]]

    def complaint(self) -> str:
        """Return the last line of what it wrote to its standard error."""
        self._errors.seek(max(0, self._errors.seek(0, os.SEEK_END) - _COMPLAINT_BYTES))
        return (self._errors.read().decode(errors="replace").strip().splitlines() or ["it said nothing"])[-1]

    def close(self) -> None:
        """End its process group, and wait for it."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        self._signal(signal.SIGKILL)  # a child of it may go on where it has ended itself
        self._process.wait()
        self._reader.join(_END_SECONDS)
        if self._process.stdout is not None and not self._reader.is_alive():
            self._process.stdout.close()
        self._errors.close()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


@contextmanager
def opened_sources(options: RecordOptions, memory: MemoryRecords | None = None) -> Iterator[RecordSources]:
    """Open what the options name for the time of the block; ``memory`` stands in where they name nothing.

    Raises LiveUsageError where one cannot be opened.
    """
    with ExitStack() as stack:
        lines: LineSource | None = memory
        spans: SpanSource | None = memory
        if options.log_file is not None:
            lines = stack.enter_context(closing(LogFile(options.log_file)))
        elif options.log_command is not None:
            lines = stack.enter_context(closing(LogCommand(options.log_command)))
        if options.tap is not None:
            spans = stack.enter_context(closing(OtlpTap(*options.tap)))
        yield RecordSources(lines, spans)
