"""One run of the models' process, seen from the backend: spawn it, ask it, see it end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from prethrift_backend.embeddings.frames import Frame, FrameError, receive_frame
from prethrift_backend.embeddings.protocol import EmbeddingFailedError, EmbeddingInterruptedError, Vector
from prethrift_backend.exceptions import OperationalError

_MODULE: Final = "prethrift_backend.embeddings.worker"
# The child runs other people's code on other people's pictures; it has no use for these.
_WITHHELD: Final = ("DATABASE_URL", "HEALTH_TOKEN", "JAEGER_ENDPOINT", "OTLP_API_KEY", "SENTRY_DSN")
_WITHHELD_PREFIXES: Final = ("AWS_", "OTEL_")
_LINES_KEPT: Final = 20


class ModelLoadError(OperationalError):
    """The models' process could not load its models; ``final`` says that trying again would not help."""

    code = "models_not_ready"

    def __init__(self, message: str, *, final: bool) -> None:
        super().__init__(message)
        self.final = final


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What the models' process says of itself when it is ready; ``square_px`` as in ``pictures.cut_to``."""

    pid: int
    versions: Mapping[str, str]
    dimensions: Mapping[str, int]
    square_px: int | None
    load_seconds: float


@dataclass(slots=True)
class ModelProcess:
    """A running child. Made by ``spawn``; ``aclose`` ends it within a second or so."""

    _process: Process
    _request_timeout_seconds: float
    _ids: itertools.count[int] = field(default_factory=itertools.count)
    _pending: dict[int, asyncio.Future[Frame]] = field(default_factory=dict)
    _stderr: deque[str] = field(default_factory=lambda: deque(maxlen=_LINES_KEPT))
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _ended: bool = False

    @classmethod
    async def spawn(cls, *, clip_model: str, text_model: str, request_timeout_seconds: float = 30.0) -> ModelProcess:
        """Start the child; the models are not loaded yet when this returns.

        A session of its own keeps Ctrl-C at the terminal away from it: the backend says when it is time to go.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            _MODULE,
            clip_model,
            text_model,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            start_new_session=True,
            env=child_environment(os.environ),
        )
        return cls(process, request_timeout_seconds)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    @property
    def last_lines(self) -> tuple[str, ...]:
        """The last lines that the child, or a library in it, wrote to standard error."""
        return tuple(self._stderr)

    async def ready(self) -> ModelFacts:
        """Wait for the models to be loaded; raise ModelLoadError when they are not going to be."""
        self._tasks.append(asyncio.create_task(self._keep_stderr(), name="embedding-worker-stderr"))
        try:
            header = (await receive_frame(_stdout(self._process))).header
        except (asyncio.IncompleteReadError, FrameError) as error:
            if isinstance(error, FrameError):
                self.kill()  # it lives, and writes what is no frame
            status = await self.wait()
            raise ModelLoadError(
                f"the models' process ended while it loaded them, with status {status}; see its last lines in the log",
                final=False,
            ) from error
        if header.get("event") != "ready":
            raise ModelLoadError(header["message"], final=header["final"])
        self._tasks.append(asyncio.create_task(self._receive(), name="embedding-worker-answers"))
        return ModelFacts(
            self.pid, header["versions"], header["dimensions"], header["square_px"], header["load_seconds"]
        )

    async def request(self, operation: str, fields: Mapping[str, Any], payload: bytes = b"") -> Vector:
        """Return the rows for one batch, shape (items, dimensions).

        Raises EmbeddingInterruptedError when the process ends, or is ended because it did not answer in time, and
        EmbeddingFailedError when the model raised.
        """
        identifier = next(self._ids)
        frame = Frame({"id": identifier, "operation": operation, **fields}, payload).encode()
        future: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._pending[identifier] = future
        try:
            async with asyncio.timeout(self._request_timeout_seconds):
                answer = await self._exchange(frame, future)
        except TimeoutError as error:
            self.kill()  # a model that hangs does not come back; a new process does
            raise EmbeddingInterruptedError(
                f"the models did not answer within {self._request_timeout_seconds} s; they are being loaded again"
            ) from error
        finally:
            del self._pending[identifier]
        return _rows(answer, operation)

    async def wait(self) -> int:
        """Return the exit status once the child has ended; negative is the signal that ended it."""
        return await self._process.wait()

    def kill(self) -> None:
        """End the child at once."""
        # Not ``Process.kill``: it polls first, and so takes the exit status away from asyncio's own watcher.
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def aclose(self, *, grace_seconds: float = 1.0) -> None:
        """Close its input, which tells it to go, and kill it if it stays for longer than ``grace_seconds``."""
        _stdin(self._process).close()
        try:
            async with asyncio.timeout(grace_seconds):
                await self.wait()
        except TimeoutError:
            self.kill()
            await self.wait()
        finally:
            self._end()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _exchange(self, frame: bytes, future: asyncio.Future[Frame]) -> Frame:
        if self._ended:
            raise _interrupted()
        stdin = _stdin(self._process)
        try:
            stdin.write(frame)
            await stdin.drain()
        except ConnectionError as error:
            raise _interrupted() from error
        return await future

    async def _receive(self) -> None:
        try:
            while True:
                frame = await receive_frame(_stdout(self._process))
                future = self._pending.get(frame.header.get("id", -1))
                if future is not None and not future.done():  # else nobody waits any more
                    future.set_result(frame)
        except asyncio.IncompleteReadError:
            pass
        except FrameError:
            self.kill()  # after a broken frame the pipe is of no use
        finally:
            self._end()

    def _end(self) -> None:
        self._ended = True
        for future in self._pending.values():
            if not future.done():
                future.set_exception(_interrupted())

    async def _keep_stderr(self) -> None:
        reader = self._process.stderr
        # ``read``, not ``readline``: a line without an end must not be an error. Its only reader is a person.
        while reader is not None and (chunk := await reader.read(4096)):
            self._stderr.extend(chunk.decode(errors="replace").splitlines())


def child_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the child may see of the backend's environment: no secret, and nothing of AWS or OpenTelemetry."""
    return {
        name: value
        for name, value in environ.items()
        if name not in _WITHHELD and not name.startswith(_WITHHELD_PREFIXES)
    }


def _rows(answer: Frame, operation: str) -> Vector:
    header = answer.header
    if "error" in header:
        raise EmbeddingFailedError(
            f"the model raised {header['error']} on a batch of {operation!r}: it takes any text and picture; "
            "see the log of the models' process"
        )
    return np.frombuffer(answer.payload, dtype=np.float32).reshape(header["rows"], header["dimensions"])


def _interrupted() -> EmbeddingInterruptedError:
    return EmbeddingInterruptedError(
        "the models' process ended while it worked on this; it is being started again, try once more"
    )


def _stdin(process: Process) -> asyncio.StreamWriter:
    if process.stdin is None:
        raise RuntimeError("the models' process was started without a pipe to its input")
    return process.stdin


def _stdout(process: Process) -> asyncio.StreamReader:
    if process.stdout is None:
        raise RuntimeError("the models' process was started without a pipe from its output")
    return process.stdout
