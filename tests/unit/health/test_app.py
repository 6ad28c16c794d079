"""The ASGI application around the endpoint."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.unit.health._parts import PROMETHEUS_OPENMETRICS, Harness, ScriptedCheck

from prethrift_backend.health import DetailsGate, HealthApp
from prethrift_backend.health.http import Receive, Scope, Send


async def _other(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 418, as nothing else here does."""
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def _harness() -> Harness:
    harness = Harness(details=DetailsGate("authorized", token="t"))
    harness.registry.register("x", ScriptedCheck())
    harness.lifecycle.mark_ready()
    return harness


def _client(app: HealthApp, **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, **options), base_url="http://test")


async def test_paths_are_served() -> None:
    """The three paths answer, and nothing in the query changes that."""
    async with _client(HealthApp(_harness().endpoint)) as client:
        codes = [
            (await client.get(f"{path}?status=500")).status_code
            for path in ("/health", "/health/live", "/health/ready")
        ]

    assert codes == [200, 200, 200]


async def test_method_and_headers_reach_the_endpoint() -> None:
    """HEAD, Accept in several lines, and Authorization arrive as they were sent."""
    async with _client(HealthApp(_harness().endpoint)) as client:
        head = await client.head("/health")
        lines = await client.get("/health", headers=[("accept", "image/png"), ("accept", PROMETHEUS_OPENMETRICS)])
        bearer = await client.get("/health", headers={"authorization": "Bearer t"})
        post = await client.post("/health/live")

    assert (head.status_code, head.content) == (200, b"")
    assert lines.headers["content-type"].startswith("application/openmetrics-text")
    assert bearer.json()["checks"][0]["details"]["code"] == "ok"
    assert (post.status_code, post.headers["allow"]) == (405, "GET, HEAD")


async def test_checks_and_groups_are_served() -> None:
    """Each check has a path, in front of another application as well; what does not exist is 404 here."""
    async with _client(HealthApp(_harness().endpoint, _other)) as client:
        check = await client.get("/health/checks/x", headers={"authorization": "Bearer t"})
        unknown = [await client.get(path) for path in ("/health/checks/y", "/health/groups/x", "/health/checks/x/y")]

    assert (check.status_code, check.json()["checks"][0]["details"]["code"]) == (200, "ok")
    assert [answer.status_code for answer in unknown] == [404, 404, 404]
    assert unknown[0].json()["checks"] == ["x"]


@pytest.mark.parametrize("path", ["/", "/healthy", "/health/", "/health/live/x", "/patients/health"])
async def test_other_paths_go_on(path: str) -> None:
    """Only the exact paths are taken; the rest is the wrapped application's, or 404."""
    endpoint = _harness().endpoint
    async with _client(HealthApp(endpoint, _other)) as wrapped, _client(HealthApp(endpoint)) as alone:
        codes = (await wrapped.get(path)).status_code, (await alone.get(path)).status_code

    assert codes == (418, 404)


async def test_mounted_application_looks_behind_its_mount() -> None:
    """Under a root path the paths are those after it."""
    async with _client(HealthApp(_harness().endpoint), root_path="/internal") as client:
        assert (await client.get("/internal/health/live")).status_code == 200


async def test_other_scopes_go_on_or_are_refused() -> None:
    """A lifespan is the wrapped application's; alone there is none, which an exception tells the server."""
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def nothing(*_: object) -> Any:
        return None

    endpoint = _harness().endpoint
    await HealthApp(endpoint, app)({"type": "lifespan"}, nothing, nothing)

    assert seen == ["lifespan"]
    with pytest.raises(RuntimeError, match="'lifespan'"):
        await HealthApp(endpoint)({"type": "lifespan"}, nothing, nothing)
