"""Requests by hand, without a server and without an event loop, and what they took: counted, or timed in pairs."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Coroutine, Generator, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context, copy_context
from statistics import median
from typing import Any, Final, cast

from opentelemetry.sdk.trace import ReadableSpan
from tests.overhead.paired_child import run_blocks
from tests.overhead.workload import HEADERS, Application, log_stream, request_scope
from tests.perf.counters import count_opcodes

from prethrift_backend.config import Settings
from prethrift_backend.contracts import MetricsContract
from prethrift_backend.observability import Telemetry, configure, instrument
from prethrift_backend.observability.clock import Clock
from prethrift_backend.observability.testing import CapturedEvents, CountingIds

# The smallest of these counts: once in a while the thread that serves has to wake the one that writes lines.
REPEATS: Final = 5
WARM_UP_REQUESTS: Final = 30
BLOCKS: Final = 40
_STARTED_NS: Final = 1_767_225_600_000_000_000


class Gate:
    """What a handler waits for: until it is driven on."""

    def __await__(self) -> Generator[None, None, None]:
        """Wait once."""
        yield


class _NoSpans:
    """Takes finished spans and keeps none."""

    def put(self, _span: ReadableSpan) -> None:
        """Do nothing."""

    def close(self, deadline: float) -> None:
        """Do nothing."""


class OpenRequest:
    """A request that has been handed over, in a context of its own as a server's task has one."""

    def __init__(self, app: Application, path: str) -> None:
        self._context: Context = copy_context()
        scope = {**request_scope(path), "headers": [*HEADERS], "state": {}}
        self._serving = cast(Coroutine[Any, Any, None], app(scope, _receive, _send))

    def drive(self) -> bool:
        """Go on to where the application waits, or to the end; tell whether that is reached."""
        try:
            self._context.run(self._serving.send, None)
        except StopIteration:
            return True
        return False


def drive_all(requests: Sequence[OpenRequest]) -> list[bool]:
    """Drive each of them, whichever has ended before."""
    return [request.drive() for request in requests]


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: dict[str, Any]) -> None:
    if message["type"] == "http.response.start" and message["status"] != 200:
        raise RuntimeError(f"the application answered {message['status']}: what is measured is a 200")


def ask(app: Application, path: str) -> None:
    """Serve one request to its end; RuntimeError where the application waits for something."""
    if not OpenRequest(app, path).drive():
        raise RuntimeError("the application waits: what is measured here goes through in one piece")


@contextmanager
def observed(
    app: Any, *, sampled: float = 0.0, contract: MetricsContract | None = None, is_clock_real: bool = False
) -> Iterator[tuple[Application, Telemetry]]:
    """Give the application with everything on. For counts the clock stands still: what depends on times is the same."""
    settings = Settings(
        environment="staging",
        log_format="json",
        log_level="INFO",
        trace_sample_rate=sampled,
        sentry_dsn="http://key@127.0.0.1:9/1",
        sentry_traces=False,
    )
    clock = Clock() if is_clock_real else Clock(time_ns=lambda: _STARTED_NS, monotonic=lambda: 1_000.0)
    with log_stream() as lines:
        telemetry = configure(
            settings,
            contract=contract,
            log_stream=lines,
            clock=clock,
            ids=CountingIds(),
            span_sinks=[_NoSpans()],
            sentry_transport=CapturedEvents(),
        )
        try:
            yield instrument(app, telemetry), telemetry
        finally:
            telemetry.close()


def least_opcodes(work: Callable[[], object], *, repeats: int = REPEATS) -> int:
    """Return the smallest count of some runs; nothing is collected meanwhile."""
    with no_collection():
        return min(count_opcodes(work) for _ in range(repeats))


@contextmanager
def no_collection() -> Iterator[None]:
    """Keep the garbage collector away within the block: its turns are not the work's own."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def request_opcodes(app: Application, path: str) -> int:
    """Return the instructions of a request of an application that is warm."""
    for _ in range(WARM_UP_REQUESTS):
        ask(app, path)
    return least_opcodes(lambda: ask(app, path))


def added_us(bare: Application, with_telemetry: Application, path: str, *, blocks: int = BLOCKS) -> tuple[float, float]:
    """Return the CPU time of a bare request and what the telemetry adds, both of the serving thread, in microseconds.

    The two take turns within blocks of some milliseconds, and the difference is taken within a block.
    """
    arms = {"bare": _at(bare, path), "ours": _at(with_telemetry, path)}
    for arm in arms.values():
        for _ in range(WARM_UP_REQUESTS):
            ask(arm, path)
    with no_collection():
        taken = run_blocks(arms, blocks)
    differences = [mine - its for mine, its in zip(taken["ours"], taken["bare"], strict=True)]
    return median(taken["bare"]), median(differences)


def _at(app: Application, path: str) -> Application:
    """Return the application, asked for ``path`` whatever path is asked for."""

    async def ask_there(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "path": path, "raw_path": path.encode()}, receive, send)

    return ask_there


def cpu_ms(work: Callable[[], object], *, repeats: int = 5) -> float:
    """Return the CPU time of the process for the work, all threads, in milliseconds: the median of some runs."""

    def run() -> float:
        began = time.process_time()
        work()
        return (time.process_time() - began) * 1e3

    work()
    return median(run() for _ in range(repeats))
