"""Stop a real PostgreSQL server in the middle of what it does, as a stuck disk or a suspended machine would."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import AsyncIterator

import asyncpg
import docker  # type: ignore[import-untyped]  # published without type information
import psutil
from tests.support.databases import PostgresServer
from tests.support.engine import CONTAINER


@contextlib.asynccontextmanager
async def frozen(server: PostgresServer) -> AsyncIterator[None]:
    """Hold every process of the server inside the block: its socket accepts, and nothing answers."""
    stop = _paused_container if server.kind == CONTAINER else _stopped_processes
    async with stop(server):
        yield


@contextlib.asynccontextmanager
async def _stopped_processes(server: PostgresServer) -> AsyncIterator[None]:
    connection = await asyncpg.connect(server.admin_url)
    postmaster = psutil.Process(await connection.fetchval("SELECT pg_backend_pid()")).parent()
    await connection.close()
    assert postmaster is not None
    # The first one first, so that it starts no further ones; each session has a process of its own.
    processes = [postmaster]
    postmaster.send_signal(signal.SIGSTOP)
    try:
        processes += postmaster.children(recursive=True)
        for process in processes[1:]:
            process.send_signal(signal.SIGSTOP)
        yield
    finally:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)


@contextlib.asynccontextmanager
async def _paused_container(server: PostgresServer) -> AsyncIterator[None]:
    with contextlib.closing(docker.from_env()) as client:
        container = next(one for one in client.containers.list() if _publishes(one, server.target.port))
        container.pause()
        try:
            yield
        finally:
            container.unpause()


def _publishes(container: object, port: int) -> bool:
    ports = getattr(container, "ports", {})
    return any(place["HostPort"] == str(port) for places in ports.values() for place in places or ())
