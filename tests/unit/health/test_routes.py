"""The FastAPI routes of health: what they answer, what they document, and how quiet they are."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from tests.support.asgi import Recorder, drive, http_scope
from tests.unit.health._parts import Harness, ScriptedCheck

from prethrift_backend.api import health_router
from prethrift_backend.contracts import load_health_schema
from prethrift_backend.health import HealthEndpoint, HealthGroup, HealthStatus
from prethrift_backend.observability import instrument

_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
PATHS = [
    "/health",
    "/health/live",
    "/health/ready",
    "/health/checks/database",
    "/health/checks/nobody",
    "/health/groups/storage",
    "/health/groups/nobody",
]


class _Routed(Harness):
    """Two checks and a group behind FastAPI."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.database = ScriptedCheck()
        self.registry.register("database", self.database)
        self.registry.register("s3", ScriptedCheck(), critical=False)
        self.lifecycle.mark_ready()
        group = HealthGroup("storage", ("database", "s3"), {HealthStatus.DEGRADED: 429})
        self.endpoint = HealthEndpoint(
            self.engine, self.lifecycle, version="1", environment="production", groups=[group]
        )
        self.app = FastAPI(telemetry=_NO_TELEMETRY)
        self.app.include_router(health_router(self.endpoint, load_health_schema()))

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://test")


@pytest.mark.parametrize("path", PATHS)
async def test_routes_answer_as_the_endpoint_does(path: str) -> None:
    """Code, type and caching arrive as health made them, for GET and for HEAD."""
    stack = _Routed()
    async with stack.client() as client:
        get, head = await client.get(path), await client.head(path)

    assert get.status_code == head.status_code == (404 if "nobody" in path else 200)
    assert get.headers["cache-control"] == head.headers["cache-control"] == "no-store"
    assert get.headers["content-type"] == ("application/problem+json" if "nobody" in path else "application/json")
    assert (get.headers["content-length"], head.content) == (str(len(get.content)), b"")


async def test_failing_check_has_its_code_at_its_path() -> None:
    """503 comes through, for the check and for the group that it is critical to."""
    stack = _Routed()
    stack.database.fail()
    async with stack.client() as client:
        codes = [(await client.get(path)).status_code for path in PATHS if "nobody" not in path]

    assert codes == [503, 200, 503, 503, 503]


def _operations(document: dict[str, Any], path: str) -> dict[str, Any]:
    operation: dict[str, Any] = document["paths"][path]
    return operation


def test_document_names_checks_groups_and_codes() -> None:
    """The OpenAPI document lists the names that exist, and every code that may come."""
    document = _Routed().app.openapi()
    check = _operations(document, "/health/checks/{name}")["get"]
    group = _operations(document, "/health/groups/{name}")["get"]

    assert [parameter["schema"]["enum"] for parameter in (*check["parameters"], *group["parameters"])] == [
        ["database", "s3"],
        ["storage"],
    ]
    assert sorted(check["responses"]) == ["200", "404", "503"]
    assert sorted(group["responses"]) == ["200", "404", "429", "503"]


def test_operation_ids_are_unique() -> None:
    """GET and HEAD of one path are two operations with two ids."""
    document = _Routed().app.openapi()

    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]

    assert len(ids) == len(set(ids)) == 10


async def test_a_hundred_probes_are_quiet() -> None:
    """Probes that pass or fail leave no line at INFO and nothing in the figures of requests."""
    recorder, stack = Recorder(log_level="INFO"), _Routed()
    app = instrument(stack.app, recorder.telemetry)

    for number in range(100):
        await drive(app, http_scope(path=PATHS[number % len(PATHS)]))

    total = sum(s.value for s in _samples(recorder, "http_requests_total"))
    lines = recorder.lines()
    assert [line for line in lines if line["event"] == "request_completed"] == []
    assert total == 0


async def test_failure_is_logged_once_a_transition_and_not_once_a_probe() -> None:
    """A check that falls and rises under a hundred probes is told at each change, through the real log."""
    recorder, stack = Recorder(log_level="INFO"), _Routed()
    app = instrument(stack.app, recorder.telemetry)

    for error in (None, OSError("postgresql://u:p@h/d"), None):
        stack.database.error = error
        for _ in range(5):
            stack.clock.advance(8)
            for _ in range(7):
                await drive(app, http_scope(path="/health/ready"))

    lines = [line for line in recorder.lines("health_check_changed") if line["check"] == "database"]
    assert [(line["before"], line["after"], line["level"]) for line in lines] == [
        ("unknown", "healthy", "info"),
        ("healthy", "degraded", "warning"),
        ("degraded", "unhealthy", "warning"),
        ("unhealthy", "healthy", "info"),
    ]
    assert "u:p@h" not in orjson.dumps(lines).decode()


def _samples(recorder: Recorder, name: str) -> list[Any]:
    return [
        sample
        for family in recorder.telemetry.metrics.registry.collect()
        for sample in family.samples
        if sample.name == name
    ]
