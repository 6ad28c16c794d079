"""A small instrumented application for tests of a whole process: `uvicorn --factory tests.support.telemetry_app:serve`.

``/items/{item}`` makes a span inside the request's, with a secret in its attributes; ``/fail`` raises with a secret in
the text; ``/metrics`` is the exposition. The whole process gets its settings from the environment.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.routing import Route

from prethrift_backend.config import load_settings
from prethrift_backend.observability import Telemetry, configure, get_tracer, instrument, mark_quiet
from prethrift_backend.observability.asgi import Instrumented
from prethrift_backend.observability.exposition import MetricsEndpoint

CANARY = "canary-hunter22"
TRACER = get_tracer("telemetry_app")


def make_app(telemetry: Telemetry) -> Instrumented:
    """Make the application around ``telemetry``, which it closes at its end."""

    @asynccontextmanager
    async def life(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await telemetry.aclose()

    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False}, lifespan=life)
    app.get("/items/{item}")(show_item)
    app.get("/fail")(fail)
    secret = telemetry.settings.metrics_token
    token = None if secret is None else secret.get_secret_value()
    app.router.routes.append(Route("/metrics", mark_quiet(MetricsEndpoint(telemetry.metrics.registry, token=token))))
    return instrument(app, telemetry)


async def show_item(item: str) -> dict[str, str]:
    """Answer, with a span of its own."""
    with TRACER.start_as_current_span("look_up", attributes={"item": item, "password": CANARY}):
        return {"item": item}


async def fail() -> None:
    """Fail as a bug does."""
    raise RuntimeError(f"token={CANARY}")


def serve() -> Instrumented:
    """Make the application by the settings of the environment."""
    return make_app(configure(load_settings()))
