"""The API over a real database and S3; the vectors come from the null embedder, whose shape is that of the models."""

from __future__ import annotations

from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image
from tests.support.waiting import wait_for_async

from prethrift_backend.config import Settings
from prethrift_backend.embeddings import NullEmbeddings
from prethrift_backend.main import Overrides, build

FIELDS = {"title": "Blue striped dress", "description": "Worn twice.", "category": "dress", "price": "24.50"}
LARGEST_PICTURE_BYTES = 10 * 1024 * 1024


def _picture(colour: str = "red", kind: str = "PNG") -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (64, 48), colour).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
async def client(integration_settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Run the application, its lifespan included, and give a client of it."""
    app = build(integration_settings, overrides=Overrides(embeddings=NullEmbeddings()))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client,
    ):
        yield client


async def _add(client: httpx.AsyncClient, picture: bytes | None = None, *, title: str = "Dress") -> httpx.Response:
    return await _post(client, picture or _picture(), {"title": title})


async def _post(client: httpx.AsyncClient, picture: bytes, fields: dict[str, str]) -> httpx.Response:
    return await client.post("/api/items", data=FIELDS | fields, files={"image": picture})


async def _added(client: httpx.AsyncClient, **fields: str) -> dict[str, Any]:
    response = await _post(client, _picture(), fields)
    assert response.status_code == 201, response.text
    item: dict[str, Any] = response.json()
    return item


async def test_an_item_that_was_put_in_can_be_looked_at(client: httpx.AsyncClient) -> None:
    """The answer is 201 with Location; the item there is the same, and its price lost no cent."""
    added = await _add(client)
    seen = await client.get(added.headers["location"])

    assert added.status_code == 201
    assert seen.json() == added.json()
    assert seen.json()["price"] == "24.50"


async def test_the_picture_is_served_with_a_tag_and_its_type(client: httpx.AsyncClient) -> None:
    """The picture comes back as PNG, cacheable for ever, and a caller who has it gets 304 and no body."""
    item = await _added(client)

    picture = await client.get(item["image"]["url"])
    again = await client.get(item["image"]["url"], headers={"If-None-Match": picture.headers["etag"]})

    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
    assert Image.open(BytesIO(picture.content)).size == (64, 48)
    assert "immutable" in picture.headers["cache-control"]
    assert (again.status_code, again.content) == (304, b"")


async def test_a_deleted_item_is_gone_with_its_picture(client: httpx.AsyncClient) -> None:
    """After DELETE the item, its picture and a second DELETE answer 404."""
    item = await _added(client)
    path = f"/api/items/{item['id']}"

    deleted = await client.delete(path)

    assert deleted.status_code == 204
    statuses = [
        (await client.get(path)).status_code,
        (await client.get(f"{path}/image")).status_code,
        (await client.delete(path)).status_code,
    ]
    assert statuses == [404, 404, 404]


async def test_search_by_words_finds_and_explains(client: httpx.AsyncClient) -> None:
    """The item with the words comes first and names the source `words`; filters leave the other out."""
    dress = await _added(client)
    await _added(client, title="Green wool coat", category="coat", price="80")

    found = await client.get("/api/search", params={"q": "striped dress", "max_price": "50", "category": "dress"})

    hits = found.json()["hits"]
    assert [hit["id"] for hit in hits] == [dress["id"]]
    assert hits[0]["sources"]["words"]["rank"] == 1
    assert hits[0]["score"] > 0


async def test_search_by_picture_finds_the_same_picture_first(client: httpx.AsyncClient) -> None:
    """The item whose picture is uploaded again is the first hit, with similarity 1."""
    item = await _added(client)
    await _add(client, _picture("blue"), title="Another")

    found = await client.post("/api/search/visual", files={"image": _picture()})

    best = found.json()["hits"][0]
    assert best["id"] == item["id"]
    assert best["sources"]["picture"]["similarity"] == pytest.approx(1, abs=1e-3)


async def test_pages_follow_one_another(client: httpx.AsyncClient) -> None:
    """next_offset leads through all hits, none twice, and is null at the end."""
    expected = {(await _added(client, title=f"Dress number {number}"))["id"] for number in range(5)}
    seen: list[str] = []
    offset: int | None = 0
    while offset is not None:
        page = (await client.get("/api/search", params={"q": "dress", "limit": 2, "offset": offset})).json()
        seen += [hit["id"] for hit in page["hits"]]
        offset = page["next_offset"]

    assert (len(seen), set(seen)) == (5, expected)


@pytest.mark.parametrize(
    ("picture", "status", "code"),
    [
        (b"GIF89a not a picture we take", 415, "unsupported_picture"),
        (_picture()[:60], 422, "invalid_picture"),
        (b"\x89PNG\r\n\x1a\n" + bytes(LARGEST_PICTURE_BYTES), 413, "body_too_large"),
    ],
)
async def test_a_picture_that_is_none_is_refused(
    client: httpx.AsyncClient, picture: bytes, status: int, code: str
) -> None:
    """A wrong type, a broken file and one that is too large each have their own status and code."""
    response = await _add(client, picture)

    assert (response.status_code, response.json()["code"]) == (status, code)


async def test_a_body_over_the_limit_is_refused_before_it_is_read(client: httpx.AsyncClient) -> None:
    """A body larger than picture and form may be answers 413 as a problem, with or without its length announced."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        for _ in range(12):
            yield bytes(1024 * 1024)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    announced = await client.post("/api/items", content=bytes(12 * 1024 * 1024), headers=headers)
    streamed = await client.post("/api/items", content=chunks(), headers=headers)

    assert [announced.status_code, streamed.status_code] == [413, 413]
    assert streamed.headers["content-type"] == "application/problem+json"
    assert announced.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "query",
    [
        "q=",
        "q=%20",
        "q=a%00b",
        "q=a&limit=0",
        "q=a&limit=101",
        "q=a&offset=-1",
        "q=a&offset=199&limit=100",
        "q=a&max_price=-1",
        "q=a&max_price=NaN",
        "limit=5",
        f"q={'a' * 201}",
    ],
)
async def test_a_query_that_breaks_a_rule_is_refused(client: httpx.AsyncClient, query: str) -> None:
    """Each rule of the query answers 422 as a problem."""
    response = await client.get(f"/api/search?{query}")

    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")


async def test_every_answer_carries_the_request_id(client: httpx.AsyncClient) -> None:
    """A valid id is given back, on errors too, where it stands in the problem as well."""
    headers = {"X-Request-ID": "my-id.1"}
    missing = await client.get("/api/items/00000000-0000-0000-0000-000000000000", headers=headers)

    assert missing.headers["x-request-id"] == "my-id.1"
    assert missing.json()["request_id"] == "my-id.1"


async def test_the_process_tells_its_health_and_its_metrics(client: httpx.AsyncClient) -> None:
    """Ready turns 200 once the models and the database are there; the scrape counts the requests by template."""
    item = await _added(client)
    await client.get(f"/api/items/{item['id']}")

    async def is_ready() -> bool:
        return (await client.get("/health/ready")).status_code == 200

    await wait_for_async(is_ready, 10)
    health = (await client.get("/health")).json()
    scrape = (await client.get("/metrics")).text

    assert [check["message"] for check in health["checks"] if check["name"] == "database"] == [
        "Database connection successful"
    ]
    line = 'http_requests_total{endpoint="/api/items/{item_id}",method="GET",status_code="200"} 1.0'
    assert line in scrape
    assert "/health" not in scrape.replace("health_check", "")
    assert 'health_check_state{check="database",state="healthy"} 1.0' in scrape
