"""The address that a server listens on, taken before anything else is started."""

from __future__ import annotations

import errno
import socket

from prethrift_backend.config import Settings
from prethrift_backend.exceptions import ConfigurationError, ConfigurationFault

_BACKLOG = 2048


def listen(settings: Settings) -> socket.socket:
    """Take the address that the server will serve on, before anything else is started.

    Raises:
        ConfigurationError: the port is in use or not allowed, or the host is not an address of this machine.
    """
    try:
        sock = _bound(settings)
    except OSError as error:
        raise ConfigurationError([_address_fault(settings, error)]) from error
    sock.set_inheritable(True)
    return sock


def _bound(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # By name: asyncio turns Nagle's algorithm off only for a socket that says it is TCP, and without that an answer in
    # two pieces waits 40 ms for the client's acknowledgement of the first.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((settings.host, settings.port))
        # From here on a second process that tries the same port is told; a bound socket alone would let it bind, too.
        sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _address_fault(settings: Settings, error: OSError) -> ConfigurationFault:
    if isinstance(error, socket.gaierror) or error.errno in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
        rule, fix = "is not an address of this machine", "give one, such as 127.0.0.1 or 0.0.0.0"
        return ConfigurationFault("HOST", settings.host, rule, fix)
    if error.errno == errno.EACCES:
        rule, fix = "is kept for the administrator", "give a port from 1024 to 65535"
        return ConfigurationFault("PORT", str(settings.port), rule, fix)
    rule, fix = f"is in use on {settings.host}", "stop what uses it, or give another, such as PORT=8001"
    return ConfigurationFault("PORT", str(settings.port), rule, fix)


def address_of(sock: socket.socket) -> str:
    """Return the URL of a listening socket, as a person on this machine would open it."""
    host, port = sock.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - shown
    return f"http://{shown}:{port}"
