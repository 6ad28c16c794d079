"""Answers that come within their time as a whole, head and body, or not at all.

A time limit of urllib3 and of sockets is about each piece that arrives: a receiver that sends a byte of its answer
every second would hold the thread that waits for it for days.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection


class _TimedReader(io.RawIOBase):
    """What comes from a socket, until its time limit is over, counted from now."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._file = connected.makefile("rb", buffering=0)
        limit_seconds = connected.gettimeout()
        self._deadline = float("inf") if limit_seconds is None else time.monotonic() + limit_seconds

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what there is; raise TimeoutError where the time is over."""
        left_seconds = self._deadline - time.monotonic()
        if left_seconds <= 0:
            raise TimeoutError("the answer was not complete in time")
        if left_seconds < float("inf"):
            self._socket.settimeout(left_seconds)
        return self._file.readinto(buffer)

    def close(self) -> None:
        """Give the socket back."""
        self._file.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_TimedReader(sock))


class _TimedHttp(HTTPConnection):
    response_class = _TimedResponse


class _TimedHttps(HTTPSConnection):
    response_class = _TimedResponse


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _TimedHttp


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TimedHttps


def timed(manager: urllib3.PoolManager) -> urllib3.PoolManager:
    """Have all connections of ``manager`` read their answers so; to be called before the first request."""
    manager.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
    return manager
