"""A server that answers every request as a test says, and counts them: S3 when it is not well."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from tests.support.ports import LOOPBACK


@dataclass
class StubS3:
    """What the server answers from now on, and what it was asked. ``hangs``: it reads and says nothing."""

    endpoint: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False
    requests: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection until the client ends it."""
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError), contextlib.closing(writer):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                self.heads.append(head)
                self.requests.append(head.split(" HTTP/")[0])
                if self.hangs:
                    await reader.read()
                    return
                writer.write(self._answer())
                await writer.drain()

    def _answer(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}", "Content-Length: 0"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


@contextlib.asynccontextmanager
async def stub_s3() -> AsyncIterator[StubS3]:
    """Run a server on a port of its own, on the loop of the test."""
    stub = StubS3()
    connections: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Tasks of our own: those that asyncio starts for a server log their cancellation as an error.
        task = asyncio.create_task(stub.serve(reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)

    server = await asyncio.start_server(accept, LOOPBACK, 0)
    stub.endpoint = f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    try:
        yield stub
    finally:
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
