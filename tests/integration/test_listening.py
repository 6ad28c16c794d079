"""The socket that the server listens on."""

import asyncio
import socket

from tests.support.ports import LOOPBACK
from tests.support.waiting import wait_for_async

from prethrift_backend.config import Settings
from prethrift_backend.server import listen


async def test_answers_do_not_wait_for_acknowledgements() -> None:
    """Connections have TCP_NODELAY on, on asyncio's own event loop as well."""
    without_delay: list[int] = []

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        without_delay.append(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    sock = listen(Settings(host=LOOPBACK, port=0))
    async with await asyncio.start_server(serve, sock=sock):
        _, writer = await asyncio.open_connection(*sock.getsockname())
        await wait_for_async(lambda: without_delay, 10, what="a connection")
        writer.close()
        await writer.wait_closed()

    assert without_delay == [1]
