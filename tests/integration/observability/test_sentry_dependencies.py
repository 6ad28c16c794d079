"""What Sentry learns when a dependency of the running application is away: one event, and how many there were."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from typing import Any
from uuid import uuid4

import httpx
import pytest
from PIL import Image
from tests.support.ports import LOOPBACK, free_port
from tests.support.proxy import FaultProxy
from tests.support.sentry import Reporting, exceptions_of
from tests.support.waiting import wait_for_async

from prethrift_backend.config import Settings
from prethrift_backend.embeddings import NullEmbeddings
from prethrift_backend.main import Overrides, build

DEADLINE_SECONDS = 30.0
FIELDS = {"title": "Blue dress", "description": "Worn twice.", "category": "dress", "price": "24.50"}


@pytest.fixture
def reporting() -> Iterator[Reporting]:
    """Give a telemetry whose error events stay in memory."""
    with Reporting() as made:
        yield made


@contextlib.asynccontextmanager
async def _served(settings: Settings, reporting: Reporting) -> AsyncIterator[httpx.AsyncClient]:
    app = build(settings, overrides=Overrides(telemetry=reporting.telemetry, embeddings=NullEmbeddings()))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client,
    ):
        yield client


async def _events(reporting: Reporting) -> list[dict[str, Any]]:
    return await asyncio.to_thread(lambda: list(reporting.events))


async def test_a_database_that_is_gone_is_one_event_a_minute(
    integration_settings: Settings, proxied_database_url: str, database_proxy: FaultProxy, reporting: Reporting
) -> None:
    """Every request is answered 503; the first is an event on its trace, and a later one says how many there were."""
    settings = Settings(
        database_url=proxied_database_url,
        aws_endpoint_url_s3=integration_settings.aws_endpoint_url_s3,
        images_bucket=integration_settings.images_bucket,
    )
    async with _served(settings, reporting) as client:

        async def look() -> httpx.Response:
            return await client.get(f"/api/items/{uuid4()}")

        async def is_back() -> bool:
            return (await look()).status_code == 404

        await wait_for_async(is_back, DEADLINE_SECONDS)
        database_proxy.refuse()
        database_proxy.cut()
        away = [await look() for _ in range(10)]
        reporting.clock.tick(61)
        later = await look()
        database_proxy.restore()
        await wait_for_async(is_back, DEADLINE_SECONDS)
        events = await _events(reporting)

    assert {response.status_code for response in [*away, later]} == {503}
    first, second = events
    assert first["fingerprint"] == second["fingerprint"]
    assert first["fingerprint"][-1] == "database_unavailable"
    assert first["contexts"]["trace"]["trace_id"] == away[0].json()["trace_id"] == away[0].headers["x-trace-id"]
    assert second["contexts"]["repetition"] == {"suppressed_before": 9}
    assert exceptions_of(first)[-1]["mechanism"]["handled"] is True
    assert first["transaction"] == "GET /api/items/{item_id}"


async def test_a_picture_store_that_is_gone_is_one_event(migrated_database_url: str, reporting: Reporting) -> None:
    """An upload that cannot be stored is answered 503, and reported as that."""
    settings = Settings(
        database_url=migrated_database_url, aws_endpoint_url_s3=f"http://{LOOPBACK}:{free_port()}", images_bucket="away"
    )
    picture = BytesIO()
    Image.new("RGB", (64, 48), "red").save(picture, "PNG")
    async with _served(settings, reporting) as client:
        responses = [
            await client.post("/api/items", data=FIELDS, files={"image": picture.getvalue()}) for _ in range(2)
        ]
        (event,) = await _events(reporting)

    assert [response.status_code for response in responses] == [503, 503]
    assert event["fingerprint"][-1] == "image_store_unavailable"
    assert event["tags"]["log_event"] == "dependency_unavailable"
