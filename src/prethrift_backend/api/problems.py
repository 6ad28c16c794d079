"""How an error becomes a problem document (RFC 9457), in one place.

Expected errors are 4xx and operational ones 503 with Retry-After. Anything else is a bug: a 500 that says nothing but
its ids, because an exception's text may hold what no caller may see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import compile_path

from prethrift_backend.catalogue import ItemExistsError
from prethrift_backend.exceptions import (
    BodyTooLargeError,
    ExpectedError,
    InvalidPictureError,
    InvalidQueryError,
    ItemNotFoundError,
    OperationalError,
    UnsupportedPictureError,
)
from prethrift_backend.observability import current_request_id, current_trace_id, get_logger, redact_text, report_error

PROBLEM_MEDIA_TYPE = "application/problem+json"
_SCHEMA_REFERENCE = {"$ref": "#/components/schemas/Problem"}
_TYPE_PREFIX = "urn:prethrift:problem:"

_log = get_logger(__name__)

_STATUSES: Mapping[type[ExpectedError], HTTPStatus] = {
    ItemNotFoundError: HTTPStatus.NOT_FOUND,
    ItemExistsError: HTTPStatus.CONFLICT,
    InvalidQueryError: HTTPStatus.UNPROCESSABLE_ENTITY,
    InvalidPictureError: HTTPStatus.UNPROCESSABLE_ENTITY,
    UnsupportedPictureError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    BodyTooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
}


class InvalidField(BaseModel):
    """One part of the request that breaks its rule."""

    location: str = Field(description="Where it stands, such as `query.limit`.", examples=["query.limit"])
    rule: str = Field(description="The rule that it breaks.", examples=["Input should be less than or equal to 100"])


class Problem(BaseModel):
    """A problem document (RFC 9457)."""

    type: str = Field(description="What kind of problem, as a URI.", examples=["urn:prethrift:problem:item_not_found"])
    title: str = Field(description="The kind of problem in words.", examples=["Not Found"])
    status: int = Field(description="The HTTP status code.", examples=[404])
    detail: str = Field(description="What went wrong this time, and what to do.")
    instance: str = Field(description="The path that was asked for.", examples=["/api/items/…"])
    code: str = Field(description="The kind of problem as a word, for programs.", examples=["item_not_found"])
    request_id: str | None = Field(default=None, description="The id to name when you ask about this answer.")
    trace_id: str | None = Field(default=None, description="The trace of this answer, sampled or not.")
    errors: list[InvalidField] = Field(default_factory=list, description="Every part that breaks a rule, if known.")


def problem_response(
    request: Request,
    status: HTTPStatus,
    *,
    code: str,
    detail: str,
    errors: Sequence[InvalidField] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Build the response; its body is a `Problem` and its media type says so."""
    problem = Problem(
        type=_TYPE_PREFIX + code,
        title=status.phrase,
        status=status,
        detail=detail,
        instance=redact_text(request.url.path),  # answers are kept and quoted like log lines
        code=code,
        request_id=current_request_id(),
        trace_id=current_trace_id(),
        errors=list(errors),
    )
    body = orjson.dumps(problem.model_dump())
    return Response(body, status_code=status, headers=dict(headers or {}), media_type=PROBLEM_MEDIA_TYPE)


async def answer_expected(request: Request, error: Exception) -> Response:
    """Answer an error that the caller can mend."""
    assert isinstance(error, ExpectedError)  # noqa: S101 - registered for this class alone; for the type checker
    # A subclass without a line of its own in the table takes that of its nearest base.
    status = next(_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES)
    return problem_response(request, status, code=error.code, detail=str(error))


async def answer_operational(request: Request, error: Exception) -> Response:
    """Answer that a dependency is away or busy; note which one in the log and, one in a while, in Sentry."""
    assert isinstance(error, OperationalError)  # noqa: S101 - registered for this class alone; for the type checker
    report_error(error, event="dependency_unavailable")
    _log.warning("dependency_unavailable", code=error.code, reason=str(error))
    return problem_response(
        request,
        HTTPStatus.SERVICE_UNAVAILABLE,
        code=error.code,
        detail=str(error),
        headers={"Retry-After": str(error.retry_after_seconds)},
    )


async def answer_invalid(request: Request, error: Exception) -> Response:
    """Answer a request that FastAPI refused, naming every fault and no value: a value may be a secret."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class alone
    errors = [_invalid_field(fault) for fault in error.errors()]
    return problem_response(
        request,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        code="invalid_request",
        detail="; ".join(f"{fault.location}: {fault.rule}" for fault in errors),
        errors=errors,
    )


def _invalid_field(fault: Mapping[str, Any]) -> InvalidField:
    return InvalidField(location=".".join(str(part) for part in fault["loc"]), rule=str(fault["msg"]))


async def answer_http(request: Request, error: Exception) -> Response:
    """Answer what the framework refused: no such path, no such method, a body over the limit."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class alone; for the type checker
    status = HTTPStatus(error.status_code)
    code = "_".join(status.phrase.lower().replace("-", " ").split())
    headers = dict(error.headers or {})
    if status is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(_documented_methods(request) | _named_methods(headers)))
    return problem_response(request, status, code=code, detail=str(error.detail), headers=headers)


def _documented_methods(request: Request) -> set[str]:
    """Return every method of the path: the router names those of one route, and a path may have several."""
    paths: Mapping[str, Mapping[str, Any]] = request.app.openapi()["paths"]
    matching = (methods for path, methods in paths.items() if compile_path(path)[0].match(request.url.path))
    return {method.upper() for methods in matching for method in methods}


def _named_methods(headers: Mapping[str, str]) -> set[str]:
    return {method.strip() for method in headers.get("Allow", "").split(",") if method.strip()}


async def answer_bug(request: Request, _error: Exception) -> Response:
    """Answer a bug: the ids to find it by, and nothing of the exception, which the telemetry layer logs."""
    return problem_response(
        request,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        code="internal",
        detail="the server failed on this request: try again, and name the request id if it stays",
    )


def install_handlers(app: FastAPI) -> None:
    """Register the answers for every kind of error."""
    app.add_exception_handler(ExpectedError, answer_expected)
    app.add_exception_handler(OperationalError, answer_operational)
    app.add_exception_handler(RequestValidationError, answer_invalid)
    app.add_exception_handler(HTTPException, answer_http)
    app.add_exception_handler(Exception, answer_bug)


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Build the OpenAPI entries for the error statuses of an operation."""
    return {int(status): {"model": Problem, "description": HTTPStatus(status).phrase} for status in statuses}


UPLOAD_PROBLEMS: Final = problem_responses(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
"""What an operation that takes a picture may answer beside its result."""


def use_problem_media_type(document: dict[str, Any]) -> None:
    """Give every `Problem` of an OpenAPI document its media type, in place: FastAPI writes application/json."""
    for path in document.get("paths", {}).values():
        for operation in path.values():
            for response in operation.get("responses", {}).values():
                content = response.get("content", {})
                if content.get("application/json", {}).get("schema") == _SCHEMA_REFERENCE:
                    content[PROBLEM_MEDIA_TYPE] = content.pop("application/json")
