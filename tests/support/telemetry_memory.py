"""A process that has served requests: ``python -m tests.support.telemetry_memory bare|ours SINK``.

It says ``served`` and then waits for a line, so that its memory can be read. What the backend loads for other reasons
is loaded in both cases. What only developers have is hidden: structlog and sentry_sdk load it where they find it.
"""

from __future__ import annotations

import asyncio
import importlib
import sys

from tests.overhead.workload import Client, Variant, path_of_last, warm_up

_OF_DEVELOPERS = ("rich", "pygments", "httpcore", "better_exceptions", "psutil")
_LOADED_ANYWAY = ("prethrift_backend.config", "sqlalchemy.ext.asyncio", "asyncpg", "aiobotocore.session")
REQUESTS = 1_000


def main(variant: str, sink: str) -> None:
    """Serve a thousand requests and wait."""
    for name in _OF_DEVELOPERS:
        sys.modules[name] = None  # type: ignore[assignment]  # the interpreter's own mark of what cannot be imported
    for name in _LOADED_ANYWAY:
        importlib.import_module(name)
    built: Variant = importlib.import_module(f"tests.overhead.variants.{variant}").build(1, sink, sampled=0.1)
    client = Client(built.app, path_of_last(1))
    asyncio.run(warm_up(client, drain=built.drain))
    asyncio.run(client.send(REQUESTS))
    built.drain()
    print("served", flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    main(*sys.argv[1:])
