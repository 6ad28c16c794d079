"""One port in front of several, a connection to each in turn: what workers behind a balancer look like."""

from __future__ import annotations

import contextlib
import itertools
import socket
import socketserver
import threading
from collections.abc import Iterator, Sequence

from tests.support.ports import LOOPBACK


@contextlib.contextmanager
def alternating(ports: Sequence[int]) -> Iterator[int]:
    """Listen, pass each connection on to the next of the ports, and yield the port that listens."""
    turns = itertools.cycle(ports)

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((LOOPBACK, next(turns)), timeout=30) as server:
                back = threading.Thread(target=_pump, args=(server, self.request))
                back.start()
                _pump(self.request, server)
                back.join()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server((LOOPBACK, 0), Relay) as listening:
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield listening.server_address[1]
        finally:
            listening.shutdown()
            thread.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Pass bytes on until their end, and pass the end on."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
