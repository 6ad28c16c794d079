"""The health endpoints as FastAPI routes, so that they stand in the OpenAPI document; the answers are health's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal

from fastapi import APIRouter, Request, Response

from prethrift_backend.health import HealthEndpoint, HealthResponse
from prethrift_backend.observability import mark_quiet

Kind = Literal["health", "live", "ready"]
_Answer = Callable[[Request], Awaitable[HealthResponse]]

_KINDS: Mapping[str, tuple[Kind, str]] = {
    "/health": ("health", "The whole state, check by check; for people and, by Accept, for Prometheus"),
    "/health/live": ("live", "Whether the process runs at all: a restart helps only if it does not"),
    "/health/ready": ("ready", "Whether requests should be sent here now"),
}
_CHECK_PATH, _CHECK_SUMMARY = "/health/checks/{name}", "The state of one check, whether it is critical or not"
_GROUP_PATH, _GROUP_SUMMARY = "/health/groups/{name}", "The state of a group of checks, with the codes of the group"
_TEXT_FORMS = ("text/plain", "application/openmetrics-text")


def health_router(endpoint: HealthEndpoint, body_schema: Mapping[str, Any]) -> APIRouter:
    """Build the routes; ``body_schema`` is the JSON Schema of every body, 200 and 503 alike."""
    router = APIRouter(tags=["health"])
    for path, (kind, summary) in _KINDS.items():
        _add(router, path, kind, summary, _of_kind(endpoint, kind), _documented(body_schema, has_text=kind == "health"))
    named = _documented(body_schema) | _NOT_FOUND
    _add(
        router,
        _CHECK_PATH,
        "check",
        _CHECK_SUMMARY,
        _by_name(endpoint.answer_check),
        named,
        names=endpoint.check_names,
    )
    groups = [group.name for group in endpoint.groups]
    codes = {code for group in endpoint.groups for code in group.statuses.values()}
    answers = _documented(body_schema, codes=sorted({200, 503} | codes)) | _NOT_FOUND
    _add(router, _GROUP_PATH, "group", _GROUP_SUMMARY, _by_name(endpoint.answer_group), answers, names=groups)
    return router


def _add(  # noqa: PLR0913 - what a pair of routes is made of, given by the one function above
    router: APIRouter,
    path: str,
    name: str,
    summary: str,
    answer: _Answer,
    responses: dict[int | str, dict[str, Any]],
    *,
    names: Sequence[str] | None = None,
) -> None:
    """Add the routes of a path, for GET and for HEAD apart: one route for both would give two operations one id."""
    endpoint = mark_quiet(_responding(answer))
    extra = {} if names is None else {"parameters": [_name_parameter(names)]}
    for method, suffix, words in (("GET", "", ""), ("HEAD", "_head", ": the status alone")):
        router.add_api_route(
            path,
            endpoint,
            methods=[method],
            name=f"{name}{suffix}",
            summary=f"{summary}{words}",
            response_class=Response,
            responses=responses if method == "GET" else _without_content(responses),
            openapi_extra=extra,
        )


def _responding(answer: _Answer) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        found = await answer(request)
        return Response(found.body, status_code=found.status_code, headers=dict(found.headers))

    return respond


def _of_kind(endpoint: HealthEndpoint, kind: Kind) -> _Answer:
    async def answer(request: Request) -> HealthResponse:
        return await endpoint.answer(
            kind,
            method=request.method,
            accept=request.headers.get("accept"),
            authorization=request.headers.get("authorization"),
            scrape_timeout=request.headers.get("x-prometheus-scrape-timeout-seconds"),
        )

    return answer


def _by_name(answer_named: Callable[..., Awaitable[HealthResponse]]) -> _Answer:
    async def answer(request: Request) -> HealthResponse:
        return await answer_named(
            request.path_params["name"],
            method=request.method,
            authorization=request.headers.get("authorization"),
        )

    return answer


_DESCRIPTIONS = {
    200: "Healthy, or degraded: requests are served.",
    503: "Unhealthy, starting or draining: send requests elsewhere.",
}
_NOT_FOUND: dict[int | str, dict[str, Any]] = {
    404: {
        "description": "Nothing has this name; the answer lists the names that exist.",
        "content": {
            "application/problem+json": {
                "schema": {
                    "type": "object",
                    "required": ["type", "title", "status", "detail", "code"],
                    "properties": {
                        **{key: {"type": "string"} for key in ("type", "title", "detail", "code")},
                        "status": {"const": 404},
                        **{key: {"type": "array", "items": {"type": "string"}} for key in ("checks", "groups")},
                    },
                }
            }
        },
    }
}


def _documented(
    body_schema: Mapping[str, Any], *, has_text: bool = False, codes: Sequence[int] = (200, 503)
) -> dict[int | str, dict[str, Any]]:
    content: dict[str, Any] = {"application/json": {"schema": dict(body_schema)}}
    if has_text:
        content |= {form: {"schema": {"type": "string"}} for form in _TEXT_FORMS}
    return {code: {"description": _DESCRIPTIONS.get(code, "As the group says."), "content": content} for code in codes}


def _without_content(responses: Mapping[int | str, Mapping[str, Any]]) -> dict[int | str, dict[str, Any]]:
    return {status: {"description": response["description"]} for status, response in responses.items()}


def _name_parameter(names: Sequence[str]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"} | ({"enum": list(names)} if names else {})
    return {"name": "name", "in": "path", "required": True, "schema": schema}
