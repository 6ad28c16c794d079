"""Ports on loopback for servers that a test starts."""

import socket

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Return a port on loopback that nobody listens on now.

    Another process may take it before the caller does; the system hands out such ports in turn, so that is rare enough
    for tests. A server that can bind port 0 and say what it got should do that.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port
