"""Arms of one comparison in one process, block by block: ``python -m tests.overhead.paired_child BASE SHARE BLOCKS``.

The arms are the application alone, the same observed by the package of BASE (a folder of sources), and by that of this
tree; the last two stand there twice, and a twin has to be as fast as its brother. All are called by hand, without a
server and without an event loop. A block runs them in an order drawn anew and then in the opposite one, so that what
drifts meets all alike; of its two runs each arm keeps the better. Prints one JSON object: the CPU time of the serving
thread in microseconds a request, by arm and block.

SHARE is extra work in the layer of this tree, as a share of its cost: what a check of the checks puts in.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.overhead.workload import HEADERS, Application, log_stream, request_scope

REQUESTS = 40
WARM_UP_REQUESTS = 500
_PACKAGE = "prethrift_backend"
_BODY = b'{"id":7,"title":"Striped dress","price":12.5}'
# What Starlette's router leaves in the scope.
_ROUTED = {"route": SimpleNamespace(path="/items/{item_id}"), "endpoint": object()}
_START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}


async def answer(scope: Any, _receive: Any, send: Any) -> None:
    """Answer as an application does whose own work is next to nothing: what is compared is the layer around it."""
    scope.update(_ROUTED)
    await send({**_START})
    await send({"type": "http.response.body", "body": _BODY})


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(_message: Any) -> None:
    pass


def ask(app: Application, count: int) -> None:
    """Serve as many requests, each to its end."""
    scope = request_scope("/items/7")
    for _ in range(count):
        serving = app({**scope, "headers": [*HEADERS], "state": {}}, _receive, _send)
        try:
            serving.send(None)  # type: ignore[attr-defined] # an Awaitable that is a coroutine
        except StopIteration:
            continue
        raise RuntimeError("the application waits: what is compared goes through in one piece")


@contextmanager
def _imports_of(source: Path) -> Iterator[None]:
    """Import the package from ``source`` within the block, beside the one that is imported already."""
    kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == _PACKAGE}
    sys.path.insert(0, str(source))
    try:
        yield
    finally:
        sys.path.remove(str(source))
        for name in [name for name in sys.modules if name.split(".")[0] == _PACKAGE]:
            del sys.modules[name]
        sys.modules.update(kept)


def observed(extra: Callable[[], object] | None = None) -> Application:
    """Make the application, observed by the package that is imported now: lines, metrics, traces that are not kept."""
    settings_type = importlib.import_module(f"{_PACKAGE}.config").Settings
    observability = importlib.import_module(f"{_PACKAGE}.observability")
    settings = settings_type(environment="staging", log_format="json", log_level="INFO", trace_sample_rate=0.0)
    telemetry = observability.configure(settings, log_stream=log_stream())
    if extra is not None:
        log = telemetry.log

        def log_and_more(*arguments: Any) -> None:
            extra()
            log(*arguments)

        telemetry.log = log_and_more
    app: Application = observability.instrument(answer, telemetry)
    return app


def _microseconds(app: Application, count: int = REQUESTS) -> float:
    started = time.thread_time_ns()
    ask(app, count)
    return (time.thread_time_ns() - started) / count / 1e3


def _extra_work(app: Application, share: float) -> Callable[[], object] | None:
    """Return work that takes ``share`` of what the layer around ``app`` takes."""
    if not share:
        return None
    layer_us = min(_microseconds(app) for _ in range(50)) - min(_microseconds(answer) for _ in range(50))

    def spin(count: int) -> None:
        for _ in range(count):
            pass

    def spin_us() -> float:
        started = time.thread_time_ns()
        spin(100_000)
        return (time.thread_time_ns() - started) / 100_000 / 1e3

    count = round(share * layer_us / min(spin_us() for _ in range(9)))
    return lambda: spin(count)


def run_blocks(arms: dict[str, Application], blocks: int) -> dict[str, list[float]]:
    """Return the time of each arm in each block."""
    names = list(arms)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(blocks):
        order: Sequence[str] = random.sample(names, len(names))
        there = {name: _microseconds(arms[name]) for name in order}
        back = {name: _microseconds(arms[name]) for name in reversed(order)}
        for name in names:
            taken[name].append(min(there[name], back[name]))
    return taken


def main(base: str, share: str, blocks: str) -> None:
    """Make the arms, warm them, and print what the blocks took."""
    # Each package has two arms: what runs as often is as warm in the processor's caches.
    with _imports_of(Path(base)):
        arms: dict[str, Application] = {"bare": answer, "base": observed(), "base_twin": observed()}
    plain = observed()
    ask(plain, WARM_UP_REQUESTS)
    extra = _extra_work(plain, float(share))
    arms |= {"head": observed(extra), "head_twin": observed(extra)}
    for app in arms.values():
        ask(app, WARM_UP_REQUESTS)
    gc.collect()
    gc.freeze()
    gc.disable()
    print(json.dumps(run_blocks(arms, int(blocks))), flush=True)
    os._exit(0)  # nothing that was said is wanted


if __name__ == "__main__":
    main(*sys.argv[1:])
