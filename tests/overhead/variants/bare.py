"""The application alone, FastAPI's own telemetry off."""

from __future__ import annotations

from fastapi import FastAPI
from tests.overhead.workload import Variant, add_routes


def make_app(routes: int) -> FastAPI:
    """Make the application that this variant serves as it is, and the others observe."""
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})
    add_routes(app, routes)
    return app


def build(routes: int, sink: str, *, sampled: float) -> Variant:
    """Make the variant; nothing is sent and nothing sampled."""
    return Variant(make_app(routes))
