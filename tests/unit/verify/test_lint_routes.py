"""The routes of an application against the paths that contracts promise."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from tests.support.contract_edits import CONTRACTS

from prethrift_backend.contracts import Contracts, load_contracts
from prethrift_backend.verify.application_routes import endpoints_of
from prethrift_backend.verify.lint.routes import check_routes, health_paths, route_items


def _contracts(description: str = "The body of /healthz and /healthz/checks/{name}.") -> Contracts:
    return replace(load_contracts(CONTRACTS), health_schema={"description": description})


async def _answer(request: object) -> PlainTextResponse:
    return PlainTextResponse("")


async def _mounted(scope: object, receive: object, send: object) -> None:
    """Answer nothing, and keep no routes."""


def _findings(*routes: Route | Mount) -> list[tuple[str, str]]:
    endpoints = endpoints_of(Starlette(routes=list(routes)))
    return [(finding.rule, finding.name) for finding in check_routes(_contracts(), endpoints)]


HEALTH = Route("/healthz", _answer)
CHECK = Route("/healthz/checks/{check}", _answer)
METRICS = Route("/metrics", _answer)


def test_promised_paths_that_are_routed_are_no_finding() -> None:
    """Parameters may have other names, and a mount takes everything below it."""
    assert _findings(HEALTH, CHECK, METRICS) == []
    assert _findings(HEALTH, CHECK, Mount("/metrics", _mounted)) == []
    assert _findings(Mount("/healthz", routes=[Route("/", _answer), Route("/checks/{name}", _answer)]), METRICS) == []


def test_a_promised_path_without_a_route_is_found() -> None:
    """Health and metrics paths that nothing answers are V006."""
    assert _findings(HEALTH) == [("V006", "/healthz/checks/{name}"), ("V006", "/metrics")]


def test_a_promised_path_that_takes_no_get_is_found() -> None:
    """A route of other methods is CD015."""
    assert _findings(Route("/healthz", _answer, methods=["POST"]), CHECK, METRICS) == [("CD015", "/healthz")]


def test_the_routes_of_an_included_router_have_their_prefix() -> None:
    """FastAPI keeps included routers apart; their paths are whole all the same."""
    router = APIRouter(prefix="/inner")
    router.add_api_route("/{thing}", _answer, methods=["GET"], response_model=None)
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})
    app.include_router(router, prefix="/outer")

    assert "/outer/inner/{thing}" in [endpoint.template for endpoint in endpoints_of(app)]


def test_an_application_without_routes_is_not_judged_and_says_why() -> None:
    """Every promised path is an item that was not observed, with the reason."""
    items = list(route_items(_contracts(), why_not="it has none"))

    assert endpoints_of(_mounted) == ()
    assert [item.name for item in items] == ["/healthz", "/healthz/checks/{name}", "/metrics"]
    assert {item.not_observed for item in items} == {"it has none"}


@pytest.mark.parametrize("description", ["", "Words without a path, and 1/2."])
def test_a_schema_that_names_no_path_promises_none(description: str) -> None:
    """Only what the description names is looked for."""
    assert health_paths(_contracts(description)) == ()
