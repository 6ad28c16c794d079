"""What an access line costs, measured the same way wherever it is asked for."""

from __future__ import annotations

import io
import time
from statistics import median
from typing import IO, cast

from tests.support.waiting import wait_for

from prethrift_backend.config import Settings
from prethrift_backend.observability import Telemetry, configure
from prethrift_backend.observability._names import REQUEST_COMPLETED
from prethrift_backend.observability.context import RequestContext, enter_request, leave_request

WRITTEN_WITHIN_SECONDS = 10.0
FIELDS = {
    "method": "GET",
    "endpoint": "/items/{item_id}",
    "status_code": 200,
    "duration_ms": 1.234,
    "ttfb_ms": 1.1,
    "response_bytes": 123,
    "client_disconnected": False,
}


class _Nowhere(io.RawIOBase):
    """A stream that takes everything and keeps nothing."""

    def writable(self) -> bool:
        return True

    def write(self, lines: object) -> int:
        return len(lines)  # type: ignore[arg-type] # bytes


def _run(telemetry: Telemetry, lines: int, *, is_logging: bool) -> float:
    """Return the CPU time of the process, in seconds, for work between which lines are written."""
    began = time.process_time()
    for _ in range(lines):
        sum(range(1000))  # what a request does in between: the caches are not the log's alone
        if is_logging:
            telemetry.log("info", REQUEST_COMPLETED, dict(FIELDS))
    # The writer's thread has its part in it.
    wait_for(lambda: all(writer.is_idle for writer in telemetry._pipeline._writers()), WRITTEN_WITHIN_SECONDS)
    return time.process_time() - began


def access_line_microseconds(*, rounds: int = 20, lines: int = 300) -> float:
    """Return the CPU time that an access line adds, the writing thread's part included: the median of paired rounds."""
    telemetry = configure(Settings(log_format="json"), log_stream=cast("IO[bytes]", _Nowhere()))
    request = RequestContext("0" * 32, telemetry)
    request.trace_id, request.span_id = "1" * 32, "2" * 16
    token = enter_request(request)
    try:
        added = [
            _run(telemetry, lines, is_logging=True) - _run(telemetry, lines, is_logging=False) for _ in range(rounds)
        ]
    finally:
        leave_request(token)
        telemetry.close()
    return median(added) / lines * 1e6
