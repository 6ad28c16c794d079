"""A TCP proxy on loopback that makes faults: it refuses, freezes or cuts connections when a test says so."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.support.ports import LOOPBACK

T = TypeVar("T")

CHUNK_BYTES = 65_536
CALL_DEADLINE_SECONDS = 10.0

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Target:
    """Where a proxy passes traffic to: a TCP address, or a unix socket."""

    host: str = LOOPBACK
    port: int = 0
    unix_path: Path | None = None

    async def open(self) -> _Streams:
        """Open one connection to the target."""
        if self.unix_path is not None:
            return await asyncio.open_unix_connection(self.unix_path)
        return await asyncio.open_connection(self.host, self.port)


class FaultProxy:
    """Passes bytes between its own port and a target, until told otherwise.

    It runs on an event loop in a thread of its own: a test that blocks its loop, or a server in another process, sees
    the same behaviour. Every method returns once the proxy is in the new state.

        with FaultProxy(Target(port=5432)) as proxy:
            ...                 # talk to 127.0.0.1:proxy.port
            proxy.freeze()      # connections stay open and nothing moves, new ones are accepted and get no answer
            proxy.cut()         # open connections are reset
            proxy.refuse()      # new connections are refused; the open ones live on
            proxy.restore()     # as at the start
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.accepted = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._listen)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._call(self._close)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(CALL_DEADLINE_SECONDS)
            self._loop.close()

    @property
    def open_connections(self) -> int:
        """How many client connections are open now."""
        return len(self._tasks)

    def refuse(self) -> None:
        """Stop listening, so that a new connection is refused; open connections are left alone."""
        self._call(self._unlisten)

    def freeze(self) -> None:
        """Hold every byte in both directions; connections, old and new, stay open and silent."""
        self._call(self._set_flowing, False)

    def cut(self) -> None:
        """Reset every open connection; new ones are served."""
        self._call(self._reset_all)

    def restore(self) -> None:
        """Listen and pass traffic again, what was held first."""
        self._call(self._listen)
        self._call(self._set_flowing, True)

    def _call(self, action: Callable[..., Coroutine[Any, Any, T]], *args: object) -> T:
        return asyncio.run_coroutine_threadsafe(action(*args), self._loop).result(CALL_DEADLINE_SECONDS)

    async def _set_flowing(self, flowing: bool) -> None:
        if flowing:
            self._flowing.set()
        else:
            self._flowing.clear()

    async def _listen(self) -> None:
        if self._server is None:
            # The port stays the same over refuse() and restore(); asyncio sets SO_REUSEADDR, which that needs.
            self._server = await asyncio.start_server(self._serve, LOOPBACK, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _unlisten(self) -> None:
        if self._server is not None:
            # Not wait_closed(): from Python 3.12 on it waits for the open connections, which are to live on.
            self._server.close()
            self._server = None

    async def _reset_all(self) -> None:
        for writer in self._writers:
            _reset(writer)
        await self._end_tasks()

    async def _close(self) -> None:
        await self._unlisten()
        await self._reset_all()

    async def _end_tasks(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        # A task of our own: one that asyncio started for the server would log its cancellation as an error.
        task = asyncio.create_task(self._relay(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._owned(writer):
            await self._flowing.wait()
            with contextlib.suppress(OSError):
                target_reader, target_writer = await self._target.open()
                async with self._owned(target_writer):
                    await _first_of(self._pump(reader, target_writer), self._pump(target_reader, writer))

    @contextlib.asynccontextmanager
    async def _owned(self, writer: asyncio.StreamWriter) -> AsyncIterator[None]:
        self._writers.add(writer)
        try:
            yield
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
            await self._flowing.wait()  # an end of the stream is held as well as bytes are


async def _first_of(*pumps: Coroutine[Any, Any, None]) -> None:
    """Run the pumps until one direction has ended; half-open connections are of no use to the tests."""
    tasks = [asyncio.ensure_future(pump) for pump in pumps]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _reset(writer: asyncio.StreamWriter) -> None:
    # Closing with a linger time of zero sends RST instead of FIN.
    handle = writer.get_extra_info("socket")
    if handle is not None and handle.family != socket.AF_UNIX:
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
