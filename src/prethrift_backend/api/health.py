"""The health endpoints as FastAPI routes, so that they stand in the OpenAPI document; the answers are health's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

from fastapi import APIRouter, Request, Response

from prethrift_backend.health import HealthEndpoint
from prethrift_backend.observability import mark_quiet

Kind = Literal["health", "live", "ready"]

_ROUTES: Mapping[str, tuple[Kind, str]] = {
    "/health": ("health", "The whole state, check by check; for people and, by Accept, for Prometheus"),
    "/health/live": ("live", "Whether the process runs at all: a restart helps only if it does not"),
    "/health/ready": ("ready", "Whether requests should be sent here now"),
}
_TEXT_FORMS = ("text/plain", "application/openmetrics-text")


def health_router(endpoint: HealthEndpoint, body_schema: Mapping[str, Any]) -> APIRouter:
    """Build the routes; ``body_schema`` is the JSON Schema of every body, 200 and 503 alike."""
    router = APIRouter(tags=["health"])
    for path, (kind, summary) in _ROUTES.items():
        answer = mark_quiet(_answering(endpoint, kind))
        router.add_api_route(
            path,
            answer,
            methods=["GET"],
            name=kind,
            summary=summary,
            response_class=Response,
            responses=_documented(kind, body_schema),
        )
        router.add_api_route(
            path,
            answer,
            methods=["HEAD"],
            name=f"{kind}_head",
            summary=f"{summary}: the status alone",
            response_class=Response,
            responses=_DOCUMENTED_HEAD,
        )
    return router


def _answering(endpoint: HealthEndpoint, kind: Kind) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        found = await endpoint.answer(
            kind,
            method=request.method,
            accept=request.headers.get("accept"),
            authorization=request.headers.get("authorization"),
        )
        return Response(found.body, status_code=found.status_code, headers=dict(found.headers))

    return answer


_DESCRIPTIONS = {
    200: "Healthy, or degraded: requests are served.",
    503: "Unhealthy, starting or draining: send requests elsewhere.",
}
_DOCUMENTED_HEAD: dict[int | str, dict[str, Any]] = {
    status: {"description": description} for status, description in _DESCRIPTIONS.items()
}


def _documented(kind: Kind, body_schema: Mapping[str, Any]) -> dict[int | str, dict[str, Any]]:
    content: dict[str, Any] = {"application/json": {"schema": dict(body_schema)}}
    if kind == "health":
        content |= {form: {"schema": {"type": "string"}} for form in _TEXT_FORMS}
    return {status: {"description": description, "content": content} for status, description in _DESCRIPTIONS.items()}
