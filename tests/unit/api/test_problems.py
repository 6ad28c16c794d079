"""How errors become problem documents."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated

import httpx
import pytest
from fastapi import FastAPI, Query
from starlette.responses import Response
from tests.support.sentry import Reporting

from prethrift_backend.api import problems
from prethrift_backend.api.problems import Problem, install_handlers, problem_responses, use_problem_media_type
from prethrift_backend.exceptions import (
    BodyTooLargeError,
    DatabaseUnavailableError,
    EmbeddingQueueFullError,
    ExpectedError,
    ImageStoreUnavailableError,
    InvalidPictureError,
    InvalidQueryError,
    ItemNotFoundError,
    ModelsNotReadyError,
    PrethriftError,
    UnsupportedPictureError,
)
from prethrift_backend.observability import instrument

Client = httpx.AsyncClient


def _raising(error: Exception) -> Callable[[], Response]:
    def endpoint() -> Response:
        raise error

    return endpoint


def _application(*, debug: bool = False) -> FastAPI:
    app = FastAPI(debug=debug, telemetry={"tracing": False, "metrics": False, "logs": False})
    install_handlers(app)

    @app.get("/limited", responses=problem_responses())
    async def limited(limit: Annotated[int, Query(le=100)], secret: str) -> None:
        """Take a number."""

    return app


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """Give a client of an application with our handlers and one route that validates."""
    async with _client_of(_application()) as client:
        yield client


def _client_of(app: FastAPI) -> Client:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return Client(transport=transport, base_url="http://test")


async def _problem_for(error: Exception, *, debug: bool = False) -> httpx.Response:
    app = _application(debug=debug)
    app.add_api_route("/failing", _raising(error))
    async with _client_of(app) as client:
        return await client.get("/failing")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ItemNotFoundError("no such item"), 404),
        (InvalidQueryError("no such query"), 422),
        (InvalidPictureError("broken"), 422),
        (UnsupportedPictureError("not a picture"), 415),
        (BodyTooLargeError("too large"), 413),
        (DatabaseUnavailableError("away"), 503),
        (ImageStoreUnavailableError("away"), 503),
        (ModelsNotReadyError("loading"), 503),
        (EmbeddingQueueFullError("full"), 503),
    ],
)
async def test_every_error_of_ours_is_a_problem_with_its_own_code(error: PrethriftError, status: int) -> None:
    """An error raised on purpose answers its status, its code and its text, as application/problem+json."""
    response = await _problem_for(error)

    problem = Problem.model_validate(response.json())
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.status_code, problem.status) == (status, status)
    assert (problem.code, problem.type) == (error.code, f"urn:prethrift:problem:{error.code}")
    assert (problem.detail, problem.instance) == (str(error), "/failing")


async def test_an_error_class_without_a_status_of_its_own_takes_that_of_its_base() -> None:
    """A subclass of an expected error is answered like its parent, never with a 500."""

    class LostItemError(ItemNotFoundError):
        code = "lost_item"

    response = await _problem_for(LostItemError("lost"))

    assert (response.status_code, response.json()["code"]) == (404, "lost_item")


def test_every_expected_error_has_a_status() -> None:
    """No expected error was forgotten in the table of statuses."""
    own = {kind for kind in ExpectedError.__subclasses__() if kind.__module__.startswith("prethrift_backend")}

    assert set(problems._STATUSES) == own


@pytest.mark.parametrize(
    ("error", "seconds"), [(DatabaseUnavailableError("away"), "5"), (EmbeddingQueueFullError("full"), "1")]
)
async def test_an_operational_error_says_when_to_try_again(error: PrethriftError, seconds: str) -> None:
    """A 503 carries Retry-After, from the error's class."""
    response = await _problem_for(error)

    assert response.headers["retry-after"] == seconds


async def test_a_bug_tells_the_caller_nothing_of_the_exception() -> None:
    """A 500 has the code `internal` and not a word of the exception's text."""
    response = await _problem_for(RuntimeError("postgresql://app:hunter2@db/x is broken"))

    assert (response.status_code, response.json()["code"]) == (500, "internal")
    assert "hunter2" not in response.text


async def test_with_debug_a_bug_is_answered_by_its_traceback() -> None:
    """DEBUG shows all of it, which is why production refuses it; errors that are expected stay problems."""
    bug = await _problem_for(RuntimeError("what nobody thought of"), debug=True)
    expected = await _problem_for(ItemNotFoundError("no such item"), debug=True)

    assert (bug.status_code, bug.headers["content-type"]) == (500, "text/plain; charset=utf-8")
    assert "RuntimeError: what nobody thought of" in bug.text
    assert expected.json()["code"] == "item_not_found"


async def test_a_faulty_request_names_every_fault_and_no_value(client: Client) -> None:
    """A 422 of the framework lists each part with its rule, and repeats nothing of what was sent."""
    response = await client.get("/limited?limit=hunter2")

    locations = [fault["location"] for fault in response.json()["errors"]]
    assert (response.status_code, locations) == (422, ["query.limit", "query.secret"])
    assert "hunter2" not in response.text


async def test_an_unknown_path_and_a_wrong_method_are_problems(client: Client) -> None:
    """The framework's own 404 and 405 come in the same form, and a 405 still names the methods."""
    missing = await client.get("/nowhere")
    refused = await client.post("/limited")

    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET")
    assert refused.headers["content-type"] == "application/problem+json"


async def test_a_wrong_method_is_told_every_method_of_the_path() -> None:
    """A path with two routes names the methods of both in Allow."""
    app = _application()
    app.add_api_route("/things/{name}", _raising(ItemNotFoundError("x")), methods=["GET"])
    app.add_api_route("/things/{name}", _raising(ItemNotFoundError("x")), methods=["DELETE"])
    async with _client_of(app) as client:
        refused = await client.post("/things/a")

    assert (refused.status_code, refused.headers["allow"]) == (405, "DELETE, GET")


def test_the_openapi_document_names_the_media_type_of_problems() -> None:
    """An error response stands in the document as application/problem+json, and not as application/json."""
    app = FastAPI()
    app.add_api_route("/x", _raising(ItemNotFoundError("x")), responses=problem_responses(404))
    document = app.openapi()

    use_problem_media_type(document)

    content = document["paths"]["/x"]["get"]["responses"]["404"]["content"]
    assert list(content) == ["application/problem+json"]


@pytest.fixture
def reporting() -> Iterator[Reporting]:
    """Give a telemetry whose error events stay in memory."""
    with Reporting() as made:
        yield made


async def _observed(reporting: Reporting, error: Exception) -> httpx.Response:
    app = _application()
    app.add_api_route("/failing/{item}", _raising(error))
    transport = httpx.ASGITransport(instrument(app, reporting.telemetry), raise_app_exceptions=False)
    async with Client(transport=transport, base_url="http://test") as client:
        return await client.get("/failing/7")


@pytest.mark.parametrize(
    "error", [ItemNotFoundError("no such item"), DatabaseUnavailableError("away"), RuntimeError("x")], ids=str
)
async def test_every_problem_names_its_request_and_its_trace(reporting: Reporting, error: Exception) -> None:
    """The body has the ids of the headers, so that a caller can name them whatever it kept."""
    response = await _observed(reporting, error)

    problem = Problem.model_validate(response.json())
    assert problem.request_id == response.headers["x-request-id"]
    assert problem.trace_id == response.headers["x-trace-id"]


async def test_without_a_telemetry_a_problem_has_no_ids(client: Client) -> None:
    """An application that is not instrumented answers all the same."""
    problem = (await client.get("/nowhere")).json()

    assert (problem["request_id"], problem["trace_id"]) == (None, None)


async def test_an_operational_error_is_reported(reporting: Reporting) -> None:
    """Sentry learns of it, as handled, on the trace of the answer, in a group of its code."""
    response = await _observed(reporting, DatabaseUnavailableError("away"))

    event = reporting.event
    mechanism = event["exception"]["values"][-1]["mechanism"]
    assert (event["level"], mechanism["handled"]) == ("warning", True)
    assert event["contexts"]["trace"]["trace_id"] == response.json()["trace_id"]
    assert event["fingerprint"][-1] == "database_unavailable"
    assert (event["transaction"], event["tags"]["log_event"]) == ("GET /failing/{item}", "dependency_unavailable")


async def test_a_caller_s_mistake_is_not_reported(reporting: Reporting) -> None:
    """A 4xx is nobody's fault but the caller's."""
    await _observed(reporting, ItemNotFoundError("no such item"))

    assert reporting.events == []


async def test_a_bug_is_reported_once(reporting: Reporting) -> None:
    """The answer to a bug reports nothing: the layer around the application does."""
    await _observed(reporting, RuntimeError("x"))

    assert reporting.event["tags"]["log_event"] == "request_failed"
