"""The bounded queue of log lines, the one thread that empties it, and the outputs that it writes to.

The caller puts bytes into the queue and never waits; what does not fit is dropped and counted. Each output has a writer
of its own: a terminal that takes nothing does not keep lines from the file.
"""

from __future__ import annotations

import atexit
import os
import queue
import select
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final, Protocol

from prethrift_backend.exceptions import ConfigurationError, ConfigurationFault
from prethrift_backend.observability._forking import restart_in_children


class Output(Protocol):
    """Where finished lines go."""

    def write(self, lines: bytes) -> None:
        """Write whole lines at once."""
        ...

    def close(self) -> None:
        """Give back what the output owns."""
        ...


class StreamOutput:
    """A stream of text or bytes that somebody else owns, standard output as a rule.

    What has a file descriptor is written to by that, past the stream's own buffer: a thread that hangs in a pipe which
    nobody reads would hold the buffer's lock, and whoever prints, and the interpreter at its end, would wait for it.
    """

    def __init__(self, stream: IO[Any]) -> None:
        self._stream: IO[Any] = getattr(stream, "buffer", stream)
        self._takes_bytes = "b" in getattr(self._stream, "mode", "") or not hasattr(self._stream, "encoding")
        self._descriptor = _descriptor_of(self._stream)

    def write(self, lines: bytes) -> None:
        """Write and flush; the stream's own errors reach the caller."""
        if self._descriptor is None:
            self._stream.write(lines if self._takes_bytes else lines.decode())
            self._stream.flush()
        elif self._stream.closed:  # its number may by now be another file's
            raise ValueError("the log stream was closed by somebody else")
        else:
            _write_whole(self._descriptor, lines)

    def close(self) -> None:
        """Leave the stream open: it is not ours."""


def _descriptor_of(stream: IO[Any]) -> int | None:
    try:
        stream.flush()  # what was printed before comes first
        return stream.fileno()
    except (AttributeError, OSError, ValueError):  # in memory, closed, or not a file at all
        return None


def _write_whole(descriptor: int, lines: bytes) -> None:
    view = memoryview(lines)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # somebody made the shared pipe or terminal non-blocking
            waiting = select.poll()
            waiting.register(descriptor, select.POLLOUT)
            waiting.poll()


class FileOutput:
    """A file that is appended to and opened again when it was moved or removed, as log rotation does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_torn = False
        self._descriptor = self._open()

    def _open(self) -> int:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(self._path, os.O_APPEND | os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o640)

    def _reopen_if_moved(self) -> None:
        with suppress(FileNotFoundError):
            if os.path.samestat(self._path.stat(), os.fstat(self._descriptor)):
                return
        fresh = self._open()
        os.close(self._descriptor)
        self._descriptor, self._is_torn = fresh, False

    def write(self, lines: bytes) -> None:
        """Append all of ``lines``; OSError when the disk refuses."""
        self._reopen_if_moved()
        # A disk that filled up in the middle of a line: the next one must not be glued to its first half.
        view = memoryview(b"\n" + lines if self._is_torn else lines)
        while view:
            view = view[os.write(self._descriptor, view) :]
            self._is_torn = bool(view)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def open_file(path: Path) -> FileOutput:
    """Open ``path`` for log lines, its folder made if need be; ConfigurationError when that cannot be done."""
    try:
        return FileOutput(path)
    except OSError as error:
        rule = f"cannot be opened for appending ({error.strerror})"
        fault = ConfigurationFault("LOG_FILE", str(path), rule, "give a path that this user may write to")
        raise ConfigurationError([fault]) from error


# 10,000 lines of 500 bytes are 5 MB, which is what a server writes in a second at most; but lines may be 16 KB long.
# 20 ms are too short for a reader to see. All arbitrary.
_CAPACITY: Final = 10_000
_CAPACITY_BYTES: Final = 8 * 1024 * 1024
_GATHER_SECONDS: Final = 0.02
_BATCH: Final = 1000


class Writer:
    """The bounded queue and the one thread behind it.

    The thread sleeps until a line comes, then waits a moment for more and writes them together: a thread that woke for
    each line would take the interpreter's lock from the server each time. A line at ERROR or above ends the wait.

    There is no lock in `put`: a finalizer may log while the same thread stands in the middle of a `put`, and would wait
    for itself. Hence the bell, a queue that may be put into from anywhere, and the bounds, which are checked before the
    put: several threads can pass them by a line each.

    ``describe_loss`` makes the line that is written when the output takes lines again, from how many it did not take.
    """

    def __init__(
        self,
        output: Output,
        *,
        on_drop: Callable[[int], None],
        describe_loss: Callable[[int], bytes] | None = None,
        capacity: int = _CAPACITY,
        capacity_bytes: int = _CAPACITY_BYTES,
    ) -> None:
        self._output = output
        self._on_drop = on_drop
        self._describe_loss = describe_loss
        self._capacity = capacity
        self._capacity_bytes = capacity_bytes
        self._is_closed = False
        self._start()
        restart_in_children(self)
        # The thread is a daemon, so that one stuck at a dead terminal cannot keep the process alive.
        atexit.register(self.close)

    def _start(self) -> None:
        self._lines: deque[bytes] = deque()
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._is_asleep = False
        self._is_gathering = False
        self._is_urgent = False
        self._bytes_put = 0
        self._bytes_taken = 0
        self._in_hand = 0
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="prethrift-log-writer", daemon=True)
        self._thread.start()

    def put(self, line: bytes, *, urgent: bool = False) -> None:
        """Hand over one line; never waits."""
        if (
            self._is_closed
            or len(self._lines) >= self._capacity
            or self._bytes_put - self._bytes_taken >= self._capacity_bytes
        ):
            self._drop(1)
            return
        self._lines.append(line)
        self._bytes_put += len(line)
        if urgent:
            self._is_urgent = True
        if self._is_asleep or (urgent and self._is_gathering):
            # Until the thread has the interpreter's lock many lines may come: it is rung for once.
            self._is_asleep = self._is_gathering = False
            self._bell.put(None)

    @property
    def is_idle(self) -> bool:
        """Whether every line that was put is written; what a test waits for."""
        # In this order: a line that was gone from the queue before the thread fell asleep again is written.
        return (not self._lines and self._is_asleep) or not self._thread.is_alive()

    def stop(self) -> None:
        """Take no more lines, and have the thread end when it has written what is queued; does not wait for it."""
        self._is_closed = True
        self._bell.put(None)

    def close(self, *, timeout_seconds: float = 2.0) -> None:
        """Write what is queued, for at most ``timeout_seconds``; what is left then counts as dropped."""
        self.stop()
        atexit.unregister(self.close)
        self._thread.join(timeout_seconds)
        if self._thread.is_alive():
            left = len(self._lines) + self._in_hand
            self._lines.clear()
            self._drop(left)

    def restart_after_fork(self) -> None:
        """Start anew in a child: it inherits the queue, whose lines the parent writes, but no thread."""
        if not self._is_closed:
            self._start()

    def _run(self) -> None:
        while self._lines or not self._is_closed:
            self._await_lines()
            batch = self._next_batch()
            if batch:
                self._write(batch)
        self._output.close()

    def _await_lines(self) -> None:
        self._is_asleep = True
        if not self._lines and not self._is_closed:  # after the flag: a line that comes now rings the bell
            self._bell.get()
        self._is_asleep = False
        self._is_gathering = True
        if not self._is_urgent and not self._is_closed and len(self._lines) < _BATCH:
            with suppress(queue.Empty):
                self._bell.get(timeout=_GATHER_SECONDS)
        self._is_gathering = False
        self._is_urgent = False

    def _next_batch(self) -> list[bytes]:
        batch: list[bytes] = []
        with suppress(IndexError):
            while len(batch) < _BATCH:
                batch.append(self._lines.popleft())
        self._bytes_taken += sum(map(len, batch))
        if not self._lines:
            self._bytes_taken = self._bytes_put  # no error that threads made in counting stays
        return batch

    def _write(self, batch: list[bytes]) -> None:
        self._in_hand = len(batch)
        try:
            self._output.write(b"".join(batch))
        except Exception:  # noqa: BLE001 - a full disk, a closed pipe: nobody is left to tell but the counter
            self._drop(len(batch))
        else:
            self._recover()
        self._in_hand = 0

    def _recover(self) -> None:
        """Write how many lines are missing, past the queue: it is full as a rule when an output comes back."""
        lost, self._lost = self._lost, 0
        if lost and self._describe_loss is not None:
            try:
                self._output.write(self._describe_loss(lost))
            except Exception:  # noqa: BLE001 - told the next time
                self._lost += lost

    def _drop(self, count: int) -> None:
        self._lost += count
        with suppress(Exception):
            self._on_drop(count)
