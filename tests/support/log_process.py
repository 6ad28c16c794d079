"""A process that serves and logs, whatever its log does; run as ``python -m tests.support.log_process``.

Its settings are environment variables. For each number that it reads from standard input it serves that many requests
and reports a line of JSON on standard error: how many were answered, how many log lines were dropped, by how many bytes
its memory has grown, and whether no line waits to be written. At the end of the input it closes its telemetry and ends.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import orjson
import psutil
from fastapi import FastAPI
from tests.support.asgi import drive, http_scope

from prethrift_backend.config import load_settings
from prethrift_backend.observability import configure, get_logger, instrument

# A handler's lines and their size, besides the access line.
LINES = 20
TEXT = "x" * 1000

_log = get_logger(__name__)


async def _talk() -> int:
    for number in range(LINES):
        _log.info("talked", number=number, text=TEXT)
    return LINES


async def main() -> None:
    """Serve as often as standard input says."""
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})
    app.get("/")(_talk)
    telemetry = configure(load_settings())
    instrumented = instrument(app, telemetry)
    await drive(instrumented, http_scope())
    before = psutil.Process().memory_info().rss
    while given := await asyncio.to_thread(sys.stdin.readline):
        answers = [await drive(instrumented, http_scope()) for _ in range(int(given))]
        report: dict[str, Any] = {
            "answered": sum(answer.status == 200 for answer in answers),
            "dropped": telemetry.metrics.registry.get_sample_value("log_events_dropped_total"),
            "grown_bytes": psutil.Process().memory_info().rss - before,
            "errors": telemetry.errors,
            "is_idle": all(writer.is_idle for writer in telemetry._pipeline._writers()),
        }
        sys.stderr.write(orjson.dumps(report).decode() + "\n")
        sys.stderr.flush()
    await telemetry.aclose()


if __name__ == "__main__":
    asyncio.run(main())
