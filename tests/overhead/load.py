"""Load on a server: wrk where it is installed, else a client of our own; bounded in time and in connections."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

CONNECTIONS = 16
_COUNT = re.compile(r"(\d+) requests in ([\d.]+)s")
_FAULTS = re.compile(r"(Non-2xx or 3xx responses|Socket errors).*")
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


class LoadFailedError(Exception):
    """The server did not answer as it should."""


def name() -> str:
    """Return what puts the load on."""
    return "wrk" if shutil.which("wrk") else "a client in Python"


@dataclass(frozen=True, slots=True)
class Load:
    """How many answers came, and how long that took."""

    answers: int
    seconds: float

    @property
    def a_second(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


def put_load(url: str, *, seconds: float) -> Load:
    """Ask for ``url`` over and over on sixteen connections; LoadFailedError where an answer is not 200."""
    if shutil.which("wrk"):
        return _by_wrk(url, seconds)
    return asyncio.run(_by_ourselves(url, seconds))


def _by_wrk(url: str, seconds: float) -> Load:
    # wrk takes whole seconds only.
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", url]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30).stdout
    count, fault = _COUNT.search(said), _FAULTS.search(said)
    if count is None or fault is not None:
        raise LoadFailedError(fault[0] if fault else said)
    return Load(int(count[1]), float(count[2]))


class _Connection(asyncio.Protocol):
    """One connection that sends a request as soon as the last one is answered."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._waiting = b""
        self.answers = 0
        self.fault: str | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        head, end, rest = self._waiting.partition(b"\r\n\r\n")
        if not end:
            return
        length = _LENGTH.search(head + b"\r\n")
        if not head.startswith(b"HTTP/1.1 200") or length is None:
            self.fault = head.split(b"\r\n")[0].decode("latin-1")
            return
        if len(rest) >= int(length[1]):
            self.answers += 1
            self._waiting = b""
            if self.transport is not None:
                self.transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        self.fault = self.fault or f"the connection was closed: {exc}"


async def _by_ourselves(url: str, seconds: float) -> Load:
    where = urlsplit(url)
    request = f"GET {where.path} HTTP/1.1\r\nhost: {where.netloc}\r\naccept: application/json\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    began_at = time.perf_counter()
    pairs = [
        await loop.create_connection(lambda: _Connection(request), str(where.hostname), where.port or 80)
        for _ in range(CONNECTIONS)
    ]
    await asyncio.sleep(seconds)
    connections = [connection for _, connection in pairs]
    answers, elapsed = sum(connection.answers for connection in connections), time.perf_counter() - began_at
    faults = [connection.fault for connection in connections if connection.fault]
    for transport, _ in pairs:
        transport.abort()
    if faults or not answers:
        raise LoadFailedError(faults[0] if faults else "no answer")
    return Load(answers, elapsed)
