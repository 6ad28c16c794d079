"""METRICS_TOKEN on the real application: who scrapes has to send it, and it is written nowhere."""

from __future__ import annotations

import io

import httpx
import pytest
from pydantic import SecretStr

from prethrift_backend.config import Settings
from prethrift_backend.main import Overrides, build
from prethrift_backend.observability import configure

TOKEN = "a-token-for-whoever-scrapes"
# Nothing is opened: what these tests look at needs no database.
NOWHERE = SecretStr("postgresql://user@127.0.0.1:1/none")


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), ({"authorization": f"Bearer {TOKEN}"}, 200), ({"authorization": f"Bearer {TOKEN}x"}, 401)],
)
async def test_application_asks_for_its_token(headers: dict[str, str], status: int) -> None:
    """/metrics is for those who have the token, and neither it nor a wrong one is in a line of the log."""
    settings, stream = Settings(database_url=NOWHERE, metrics_token=SecretStr(TOKEN), log_level="DEBUG"), io.StringIO()
    telemetry = configure(settings, log_stream=stream)
    transport = httpx.ASGITransport(app=build(settings, overrides=Overrides(telemetry=telemetry)))
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
        answer = await client.get("/metrics", headers=headers)
        other = await client.get("/health/live", headers=headers)
    await telemetry.aclose()

    assert (answer.status_code, other.status_code) == (status, 200)
    assert ("http_requests_in_progress" in answer.text) is (status == 200)
    assert TOKEN not in stream.getvalue() + answer.text + str(answer.headers)


async def test_without_a_token_the_application_serves_anybody() -> None:
    """As long as METRICS_TOKEN is not set, nothing is asked for."""
    settings = Settings(database_url=NOWHERE)
    telemetry = configure(settings, log_stream=io.StringIO())
    transport = httpx.ASGITransport(app=build(settings, overrides=Overrides(telemetry=telemetry)))
    async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
        answer = await client.get("/metrics")
    await telemetry.aclose()

    assert answer.status_code == 200
