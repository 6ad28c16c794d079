"""An OTLP receiver over gRPC on loopback that answers as a test tells it to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
from tests.support.ports import LOOPBACK

Answer: TypeAlias = Callable[["grpc.ServicerContext"], bytes]


@dataclass
class GrpcReceiver:
    """What it got, and how it answers."""

    port: int = 0
    calls: list[tuple[str, dict[str, str | bytes], bytes]] = field(default_factory=list)
    answer: Answer = lambda _context: b""

    @property
    def endpoint(self) -> str:
        """The endpoint, without TLS."""
        return f"http://{LOOPBACK}:{self.port}"


class _Everything(grpc.GenericRpcHandler):
    """Takes every method with its bytes as they are."""

    def __init__(self, receiver: GrpcReceiver) -> None:
        self._receiver = receiver

    def service(self, handler_call_details: Any) -> Any:
        """Return the handler of one call."""

        def handle(body: bytes, context: grpc.ServicerContext) -> bytes:
            metadata = dict(handler_call_details.invocation_metadata)
            self._receiver.calls.append((handler_call_details.method, metadata, body))
            return self._receiver.answer(context)

        return grpc.unary_unary_rpc_method_handler(handle)


@contextmanager
def running_grpc_receiver() -> Iterator[GrpcReceiver]:
    """Run a receiver on a free port; leaving the block ends it."""
    receiver = GrpcReceiver()
    server = grpc.server(ThreadPoolExecutor(2), handlers=[_Everything(receiver)])
    receiver.port = server.add_insecure_port(f"{LOOPBACK}:0")
    server.start()
    try:
        yield receiver
    finally:
        server.stop(None).wait()


def refuse(code: grpc.StatusCode, details: str, *trailing: tuple[str, str | bytes]) -> Answer:
    """Answer with this status."""

    def answer(context: grpc.ServicerContext) -> bytes:
        context.set_trailing_metadata(trailing)
        context.abort(code, details)
        raise AssertionError("abort has raised")

    return answer
