"""A process that forks after its telemetry was configured, as servers with preloading do; run as a program.

Prints one line of JSON a process: which one it is, and the trace id and instance of its request.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from tests.support.asgi import drive, http_scope

from prethrift_backend.config import Settings
from prethrift_backend.observability import configure, instrument


async def answer(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer 200."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def main(endpoint: str) -> int:
    """Serve a request before the fork, one in the child and one in the parent; return the child's exit status."""
    settings = Settings(
        log_format="json", otlp_endpoint=endpoint, otlp_metrics_interval_seconds=3600, trace_sample_rate=1.0
    )
    telemetry = configure(settings)
    app = instrument(answer, telemetry)
    asyncio.run(drive(app, http_scope("GET", "/")))
    child = os.fork()
    asyncio.run(drive(app, http_scope("POST" if child == 0 else "PUT", "/")))
    telemetry.close()
    if child == 0:
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
