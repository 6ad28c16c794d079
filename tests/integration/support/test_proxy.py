"""The proxy that makes faults."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio
from tests.support.proxy import FaultProxy, Target
from tests.support.waiting import wait_for_async

WAIT_SECONDS = 30.0

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest_asyncio.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    """Put a proxy in front of a server that sends back each line."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(line)
        except ConnectionError:
            pass  # the proxy resets connections; that is what it is for
        finally:
            writer.close()  # when the test ends first, too: one that is left open warns in whatever test comes next

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server:
        with FaultProxy(Target(port=server.sockets[0].getsockname()[1])) as front:
            yield front


async def connected(proxy: FaultProxy) -> Streams:
    """Connect to the proxy and see one line come back."""
    streams = await asyncio.open_connection("127.0.0.1", proxy.port)
    assert await exchanged(streams) == b"hello\n"
    return streams


async def exchanged(streams: Streams) -> bytes:
    """Send one line and return the next one."""
    streams[1].write(b"hello\n")
    return await asyncio.wait_for(streams[0].readline(), WAIT_SECONDS)


async def test_traffic_passes(proxy: FaultProxy) -> None:
    """Without a fault the proxy is not noticed."""
    _, writer = await connected(proxy)

    assert proxy.open_connections == 1
    writer.close()
    await wait_for_async(lambda: proxy.open_connections == 0, WAIT_SECONDS)


async def test_refusing_leaves_open_connections_alone(proxy: FaultProxy) -> None:
    """A new connection is refused while the old one works; after restore() new ones work on the same port."""
    port = proxy.port
    streams = await connected(proxy)

    proxy.refuse()

    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
    assert await exchanged(streams) == b"hello\n"

    proxy.restore()

    assert proxy.port == port
    _, second = await connected(proxy)
    second.close()
    streams[1].close()


async def test_frozen_bytes_arrive_after_restore(proxy: FaultProxy) -> None:
    """While frozen nothing arrives and nothing fails; what was held arrives later."""
    reader, writer = await connected(proxy)

    proxy.freeze()
    writer.write(b"held\n")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.readline(), 0.2)
    proxy.restore()

    assert await asyncio.wait_for(reader.readline(), WAIT_SECONDS) == b"held\n"
    writer.close()


async def test_a_connection_made_while_frozen_waits(proxy: FaultProxy) -> None:
    """A new connection is accepted while frozen and served after restore()."""
    proxy.freeze()
    streams = await asyncio.open_connection("127.0.0.1", proxy.port)
    proxy.restore()

    assert await exchanged(streams) == b"hello\n"
    streams[1].close()


async def test_cutting_resets_open_connections(proxy: FaultProxy) -> None:
    """An open connection is reset; a new one works."""
    reader, writer = await connected(proxy)

    proxy.cut()

    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.readline(), WAIT_SECONDS)
    writer.close()
    _, second = await connected(proxy)
    second.close()


async def test_a_database_is_reached_through_the_proxy(proxied_database_url: str, database_proxy: FaultProxy) -> None:
    """A client of either server sees the database through the proxy, and loses it when that is cut."""
    connection = await asyncpg.connect(proxied_database_url)
    assert await connection.fetchval("select 1") == 1

    database_proxy.cut()

    with pytest.raises((OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError)):
        await connection.fetchval("select 1")
    connection.terminate()
