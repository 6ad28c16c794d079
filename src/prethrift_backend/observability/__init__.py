"""Logs, metrics, traces and errors of a process, and the one ASGI layer that feeds them for each request.

``configure(settings)`` makes a `Telemetry`; ``instrument(app, telemetry)`` puts it around an application. Nothing is
set up by an import, and several telemetries may live in one process.
"""

from prethrift_backend.observability.asgi import EXPOSED_HEADERS, Instrumented, instrument, mark_quiet
from prethrift_backend.observability.context import bind_user, current_request_id, current_trace_id
from prethrift_backend.observability.errors import report_error
from prethrift_backend.observability.logs import Logger, Processor, get_logger
from prethrift_backend.observability.operations import (
    EMBEDDING_OPERATIONS,
    HTTP_REQUEST_DURATION,
    HTTP_REQUESTS,
    SEARCH_OPERATIONS,
    Operation,
    track_embedding_operation,
    track_search_operation,
)
from prethrift_backend.observability.propagation import trace_headers
from prethrift_backend.observability.redaction import Redactor, redact, redact_text
from prethrift_backend.observability.setup import Telemetry, configure
from prethrift_backend.observability.tracing import get_tracer

__all__ = [
    "EMBEDDING_OPERATIONS",
    "EXPOSED_HEADERS",
    "HTTP_REQUESTS",
    "HTTP_REQUEST_DURATION",
    "SEARCH_OPERATIONS",
    "Instrumented",
    "Logger",
    "Operation",
    "Processor",
    "Redactor",
    "Telemetry",
    "bind_user",
    "configure",
    "current_request_id",
    "current_trace_id",
    "get_logger",
    "get_tracer",
    "instrument",
    "mark_quiet",
    "redact",
    "redact_text",
    "report_error",
    "trace_headers",
    "track_embedding_operation",
    "track_search_operation",
]
