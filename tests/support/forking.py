"""A process that forks after its telemetry was configured, as servers with preloading do; run as a program.

Prints one line of JSON a process: which one it is, and the trace id and instance of its request.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from tests.support.asgi import drive, http_scope
from tests.support.waiting import wait_for

from prethrift_backend.config import Settings
from prethrift_backend.observability import configure, instrument


async def answer(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer 200."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def main(endpoint: str, protocol: str) -> int:
    """Serve a request before the fork, one in the child and one in the parent; return the child's exit status.

    By HTTP the fork finds the first one in the queue; by gRPC it finds a channel that is in use.
    """
    given = {"log_format": "json", "otlp_metrics_interval_seconds": 3600, "trace_sample_rate": 1.0}
    settings = Settings.model_validate({"otlp_endpoint": endpoint, "otlp_protocol": protocol, **given})
    telemetry = configure(settings)
    app = instrument(answer, telemetry)
    asyncio.run(drive(app, http_scope("GET", "/")))
    if protocol == "grpc":
        labels = {"exporter": "otlp", "signal": "traces", "outcome": "success"}
        wait_for(lambda: telemetry.metrics.registry.get_sample_value("telemetry_exports_total", labels), 20)
    child = os.fork()
    asyncio.run(drive(app, http_scope("POST" if child == 0 else "PUT", "/")))
    telemetry.close()
    if child == 0:
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
