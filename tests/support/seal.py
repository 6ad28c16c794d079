"""The seal on the network: unit tests open no socket, and this is what notices when one does."""

import contextlib
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

# Everything that makes a socket reach, or be reached from, outside the process, by the names of Python's audit events.
SEALED_EVENTS = frozenset(
    {"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"}
)


class NetworkSealedError(BaseException):
    """A unit test touched the network.

    Not an Exception, so that `except Exception` or `except OSError` in the code under test does not hide it.
    """


@dataclass
class NetworkSeal:
    """Whether the network is sealed now, and what was tried while it was."""

    closed: bool = False
    attempts: list[str] = field(default_factory=list)
    _installed: bool = False

    @contextlib.contextmanager
    def sealed(self) -> Iterator[None]:
        """Refuse the network inside the block."""
        self._install()
        self.attempts.clear()
        self.closed = True
        try:
            yield
        finally:
            self.closed = False

    def _install(self) -> None:
        # An audit hook sees what goes past socket.socket as well, and needs no patching. It cannot be taken out again,
        # so a run without unit tests never puts it in.
        if not self._installed:
            sys.addaudithook(self._audit)
            self._installed = True

    def _audit(self, event: str, args: tuple[object, ...]) -> None:
        if not self.closed or event not in SEALED_EVENTS or _stays_inside(args):
            return
        attempt = f"{event}{tuple(arg for arg in args if not isinstance(arg, socket.socket))!r}"
        self.attempts.append(attempt)
        raise NetworkSealedError(
            f"{attempt}: a unit test may open no socket; fake the client (respx), or move the test to tests/integration"
        )


def _stays_inside(args: tuple[object, ...]) -> bool:
    """Say whether a socket is of the local family, which asyncio's own socket pair is."""
    return getattr(args[0], "family", None) == socket.AF_UNIX
