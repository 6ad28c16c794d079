"""The bounded queue of log lines, the one thread that empties it, and the outputs that it writes to.

The caller puts bytes into the queue and never waits; what does not fit is dropped and counted.
"""

from __future__ import annotations

import atexit
import os
import queue
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol, TypeAlias

from prethrift_backend.exceptions import ConfigurationError, ConfigurationFault


class Output(Protocol):
    """Where finished lines go."""

    def write(self, lines: bytes) -> None:
        """Write whole lines at once."""
        ...

    def close(self) -> None:
        """Give back what the output owns."""
        ...


class StreamOutput:
    """A stream of text or bytes that somebody else owns, standard output as a rule."""

    def __init__(self, stream: IO[Any]) -> None:
        self._stream: IO[Any] = getattr(stream, "buffer", stream)
        self._takes_bytes = "b" in getattr(self._stream, "mode", "") or not hasattr(self._stream, "encoding")

    def write(self, lines: bytes) -> None:
        """Write and flush; the stream's own errors reach the caller."""
        self._stream.write(lines if self._takes_bytes else lines.decode())
        self._stream.flush()

    def close(self) -> None:
        """Leave the stream open: it is not ours."""


class FileOutput:
    """A file that is appended to and opened again when it was moved or removed, as log rotation does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = self._open()

    def _open(self) -> int:
        return os.open(self._path, os.O_APPEND | os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o640)

    def _reopen_if_moved(self) -> None:
        with suppress(FileNotFoundError):
            if os.path.samestat(self._path.stat(), os.fstat(self._descriptor)):
                return
        fresh = self._open()
        os.close(self._descriptor)
        self._descriptor = fresh

    def write(self, lines: bytes) -> None:
        """Append all of ``lines``; OSError when the disk refuses."""
        self._reopen_if_moved()
        view = memoryview(lines)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def open_file(path: Path) -> FileOutput:
    """Open ``path`` for log lines, its folder made if need be; ConfigurationError when that cannot be done."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileOutput(path)
    except OSError as error:
        rule = f"cannot be opened for appending ({error.strerror})"
        fault = ConfigurationFault("LOG_FILE", str(path), rule, "give a path that this user may write to")
        raise ConfigurationError([fault]) from error


Lines: TypeAlias = tuple[bytes, ...]


class Writer:
    """The bounded queue and the one thread behind it.

    The thread sleeps until a line comes, then waits a moment for more and writes them together: a thread that woke for
    each line would take the interpreter's lock from the server each time. A line at ERROR or above ends the wait.
    The bound is checked before the put, without a lock: it can be passed by one line a thread.
    """

    # 10,000 lines of 500 bytes are 5 MB; 20 ms are too short for a reader to see. Both arbitrary.
    def __init__(
        self,
        outputs: Sequence[Output],
        *,
        on_drop: Callable[[int], None],
        capacity: int = 10_000,
        gather_seconds: float = 0.02,
    ) -> None:
        self._outputs = tuple(outputs)
        self._on_drop = on_drop
        self._capacity = capacity
        self._gather_seconds = gather_seconds
        self._closed = False
        self._start()
        _writers.add(self)
        _prepare_fork()
        # The thread is a daemon, so that one stuck at a dead terminal cannot keep the process alive.
        atexit.register(self.close)

    def _start(self) -> None:
        self._queue: queue.SimpleQueue[Lines | None] = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prethrift-log-writer", daemon=True)
        self._thread.start()

    def put(self, lines: Lines, *, urgent: bool = False) -> None:
        """Hand over one line, rendered once for each output; never waits."""
        if self._closed or self._queue.qsize() >= self._capacity:
            self._drop(1)
            return
        self._queue.put(lines)
        if urgent:
            self._hurry.set()

    def close(self, *, timeout_seconds: float = 2.0) -> None:
        """Write what is queued, for at most ``timeout_seconds``; what is left then counts as dropped."""
        if self._closed:
            return
        self._closed = True
        atexit.unregister(self.close)
        self._queue.put(None)
        self._hurry.set()
        self._thread.join(timeout_seconds)
        if self._thread.is_alive():
            self._drop(self._queue.qsize())
            return
        for output in self._outputs:
            output.close()

    def restart_after_fork(self) -> None:
        """Start anew in a child: it inherits the queue, whose lines the parent writes, but no thread."""
        if not self._closed:
            self._start()

    def _run(self) -> None:
        ending = False
        while not ending:
            batch, ending = self._next_batch()
            if batch:
                self._write(batch)

    def _next_batch(self) -> tuple[list[Lines], bool]:
        first = self._queue.get()
        if first is None:
            return [], True
        self._hurry.wait(self._gather_seconds)
        self._hurry.clear()
        batch = [first]
        with suppress(queue.Empty):
            while len(batch) < 1000:
                following = self._queue.get_nowait()
                if following is None:
                    return batch, True
                batch.append(following)
        return batch, False

    def _write(self, batch: list[Lines]) -> None:
        for output, lines in zip(self._outputs, zip(*batch, strict=True), strict=True):
            try:
                output.write(b"".join(lines))
            except Exception:  # noqa: BLE001 - a full disk, a closed pipe: nobody is left to tell but the counter
                self._drop(len(lines))

    def _drop(self, count: int) -> None:
        with suppress(Exception):
            self._on_drop(count)


_writers: weakref.WeakSet[Writer] = weakref.WeakSet()
_fork_is_prepared = threading.Event()


def _prepare_fork() -> None:
    # A hook cannot be taken back, so there is one for all writers, set when the first one starts.
    if not _fork_is_prepared.is_set():
        _fork_is_prepared.set()
        os.register_at_fork(after_in_child=_restart_writers)


def _restart_writers() -> None:
    for writer in tuple(_writers):
        writer.restart_after_fork()
