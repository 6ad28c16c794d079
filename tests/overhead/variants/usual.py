"""What most people put together: OpenTelemetry's instrumentation, a Prometheus one, and an access line by structlog."""

from __future__ import annotations

import time
from typing import Any

import orjson
import structlog
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from prometheus_fastapi_instrumentator import Instrumentator
from tests.overhead.variants._otlp import tracer_provider
from tests.overhead.variants.bare import make_app
from tests.overhead.workload import Application, Variant, log_stream


def build(routes: int, sink: str, *, sampled: float) -> Variant:
    """Make the variant; each part is set up as its own documentation says, the line by the fastest way there is."""
    provider = tracer_provider(sink, sampled=sampled)
    trace.set_tracer_provider(provider)
    app = make_app(routes)
    add_access_line(app)
    Instrumentator().instrument(app).expose(app)
    FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)

    def drain() -> None:
        provider.force_flush()

    return Variant(app, drain)


def add_access_line(app: FastAPI) -> None:
    """Let structlog write one JSON line a request, by orjson, with the ids of the trace."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _add_trace,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(20),
        logger_factory=structlog.BytesLoggerFactory(log_stream()),  # type: ignore[arg-type]  # an unbuffered file serves
        cache_logger_on_first_use=True,
    )
    app.add_middleware(_AccessLine)


def _add_trace(_: object, __: str, fields: Any) -> Any:
    ids = trace.get_current_span().get_span_context()
    if ids.is_valid:
        fields["trace_id"], fields["span_id"] = f"{ids.trace_id:032x}", f"{ids.span_id:016x}"
    return fields


class _AccessLine:
    """Write a line when a request is answered: a plain ASGI middleware, which costs least."""

    def __init__(self, app: Application) -> None:
        self._app = app
        self._log = structlog.get_logger()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_at = time.perf_counter()
        status = 500

        async def note(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note)
        finally:
            route = scope.get("route")
            self._log.info(
                "request_completed",
                method=scope["method"],
                endpoint=getattr(route, "path", scope["path"]),
                status_code=status,
                duration_ms=round((time.perf_counter() - began_at) * 1000, 3),
            )
