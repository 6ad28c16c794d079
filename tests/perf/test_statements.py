"""How many SQL statements each request of the API sends, sampled or not: counted where the driver gets them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image
from pydantic import SecretStr
from pytest_benchmark.fixture import BenchmarkFixture
from sqlalchemy import event
from tests.perf.conftest import Figures, migrated_database
from tests.support.databases import PostgresServer
from tests.support.s3 import fresh_bucket, s3_server
from tests.support.waiting import wait_for_async

from prethrift_backend.config import Settings
from prethrift_backend.contracts import load_overhead
from prethrift_backend.embeddings import NullEmbeddings
from prethrift_backend.main import Overrides, build
from prethrift_backend.stores import Postgres

READY_WITHIN_SECONDS = 20
FIELDS = {"title": "Blue striped dress", "category": "dress", "price": "10"}


def _picture() -> bytes:
    buffer = BytesIO()
    Image.radial_gradient("L").convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


class Traffic:
    """Sends each kind of request once, and counts what it sends to the database."""

    def __init__(self, client: httpx.AsyncClient, sent: list[str]) -> None:
        self._client = client
        self._sent = sent

    async def count_all(self) -> Mapping[str, int]:
        """Return the statements of each request, by the names that overhead.txt uses."""
        files = {"image": _picture()}
        added = await self._client.post("/api/items", data=FIELDS, files=files)
        item = f"/api/items/{added.raise_for_status().json()['id']}"
        requests: dict[str, tuple[str, str, dict[str, Any]]] = {
            "add_item": ("POST", "/api/items", {"data": FIELDS, "files": files}),
            "search_by_text": ("GET", "/api/search", {"params": {"q": "dress"}}),
            "search_by_picture": ("POST", "/api/search/visual", {"files": files}),
            "look_at_item": ("GET", item, {}),
            "look_at_picture": ("GET", f"{item}/image", {}),
            "take_item_out": ("DELETE", item, {}),
            "ready_probe": ("GET", "/health/ready", {}),
        }
        return {case: await self._count(*request) for case, request in requests.items()}

    async def _count(self, method: str, path: str, options: dict[str, Any]) -> int:
        before = len(self._sent)
        (await self._client.request(method, path, **options)).raise_for_status()
        return len(self._sent) - before


@asynccontextmanager
async def _traffic(server: PostgresServer, endpoint: str, bucket: str, *, rate: float) -> AsyncIterator[Traffic]:
    """Run the application on real parts, its checks so seldom that none falls into what is counted."""
    async with migrated_database(server) as url:
        settings = Settings(
            database_url=SecretStr(url),
            aws_endpoint_url_s3=endpoint,
            images_bucket=bucket,
            log_level="WARNING",
            trace_sample_rate=rate,
        )
        postgres, sent = Postgres.from_settings(settings), list[str]()
        app = build(settings, overrides=Overrides(embeddings=NullEmbeddings(), postgres=postgres, health_pace=0.001))
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://t") as client,
        ):

            async def is_ready() -> bool:
                return (await client.get("/health/ready")).status_code == 200

            await wait_for_async(is_ready, READY_WITHIN_SECONDS)
            event.listen(
                postgres.engine.sync_engine,
                "before_cursor_execute",
                lambda _, __, statement, *___: sent.append(statement),
            )
            yield Traffic(client, sent)
        await postgres.aclose()


async def _count(server: PostgresServer, *, rate: float) -> Mapping[str, int]:
    with s3_server() as endpoint, fresh_bucket(endpoint) as bucket:
        async with _traffic(server, endpoint, bucket, rate=rate) as traffic:
            return await traffic.count_all()


@pytest.mark.parametrize("rate", [0.0, 1.0], ids=["unsampled", "sampled"])
def test_a_request_sends_as_many_statements_as_promised(
    rate: float,
    runner: asyncio.Runner,
    server: PostgresServer,
    figures: Figures,
    benchmark: BenchmarkFixture,
    keep: Callable[..., None],
) -> None:
    """Each kind of request sends exactly the statements of its budget, whether it is sampled or not."""
    counted = benchmark.pedantic(lambda: runner.run(_count(server, rate=rate)))  # type: ignore[no-untyped-call] # the plugin has no annotation

    keep(sql_statements=counted)
    for case, count in counted.items():
        limit = load_overhead().budget(case).limits["sql_statements"]
        figures.take(f"{case}: SQL statements, {rate:.0%} sampled", count, "statements", at_most=limit.value)
        assert limit.allows(count), f"{case} sends {count}, promised {limit}; see contracts/overhead.txt"
