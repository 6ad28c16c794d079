"""The time that one request may take as a whole: libraries limit each read, and a server may send a byte a second."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from threading import Timer
from types import TracebackType
from typing import Any, Final, Self

_OPENED: Final = (".connect_tcp.complete", ".start_tls.complete")


class Deadline:
    """Shuts the connection of a request when its time is over, so that whoever reads of it goes on."""

    def __init__(self, seconds: float) -> None:
        self.is_over = False
        self._connection: socket.socket | None = None
        self._timer = Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        """Let the time begin."""
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Forget the connection."""
        self._timer.cancel()
        self._connection = None

    def hold(self, connection: socket.socket) -> None:
        """Take the connection that is to be shut."""
        self._connection = connection
        if self.is_over:
            self._shut(connection)

    def trace(self, event: str, details: Mapping[str, Any]) -> None:
        """Take the connection that httpcore opens; this is the extension ``trace`` of a request."""
        if event.endswith(_OPENED):
            connection = details["return_value"].get_extra_info("socket")
            if connection is not None:
                self.hold(connection)

    def _end(self) -> None:
        self.is_over = True
        connection = self._connection
        if connection is not None:
            self._shut(connection)

    @staticmethod
    def _shut(connection: socket.socket) -> None:
        # Not the method of a TLS socket, which would leave the one who reads with a socket that has none.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(connection, socket.SHUT_RDWR)
