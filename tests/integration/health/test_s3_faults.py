"""The check of the picture store: one call, its status read, and no traffic moved by it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr
from tests.integration.health.conftest import DEADLINE_SECONDS, served
from tests.support.ports import LOOPBACK, free_port
from tests.support.stub_s3 import StubS3, stub_s3
from tests.support.waiting import wait_for_async

from prethrift_backend.config import Settings
from prethrift_backend.exceptions import ProbeFailedError
from prethrift_backend.stores import ImageStore

BUCKET = "pictures"


@pytest.fixture
async def stub() -> AsyncIterator[StubS3]:
    """Run the server that answers as it is told."""
    async with stub_s3() as running:
        yield running


@pytest.fixture
async def images(stub: StubS3) -> AsyncIterator[ImageStore]:
    """Open a store on the stub."""
    store = ImageStore(BUCKET, region="eu-central-1", endpoint_url=stub.endpoint)
    await store.open()
    yield store
    await store.aclose()


async def _code(store: ImageStore) -> str:
    try:
        await store.probe()
    except ProbeFailedError as failure:
        return failure.probe_code
    return "ok"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (200, "ok"),
        (301, "wrong_region"),
        (307, "wrong_region"),
        (400, "wrong_region"),
        (401, "auth_failed"),
        (403, "forbidden"),
        (404, "not_found"),
        (429, "busy"),
        (500, "unreachable"),
        (503, "busy"),
        (504, "unreachable"),
    ],
)
async def test_each_status_has_its_word_and_costs_one_call(
    images: ImageStore, stub: StubS3, status: int, code: str
) -> None:
    """One HEAD of the bucket a probe: no second try, no list, and no journey after a bucket that is elsewhere."""
    stub.status = status
    stub.headers = {"x-amz-bucket-region": "us-west-2"}  # as S3 does, which sends no Location with a 301

    codes = [await _code(images), await _code(images)]

    assert codes == [code, code]
    assert stub.requests == [f"HEAD /{BUCKET}"] * 2


async def test_a_store_that_says_nothing_is_asked_once(images: ImageStore, stub: StubS3) -> None:
    """A hanging store cannot be reached; the probe ends by itself, and works again when the store does."""
    stub.hangs = True
    hanging = await _code(images)
    asked = len(stub.requests)
    stub.hangs = False

    assert (hanging, asked, await _code(images)) == ("unreachable", 1, "ok")


async def test_probes_share_one_connection(images: ImageStore, stub: StubS3) -> None:
    """A hundred probes use one connection of the one client."""
    for _ in range(100):
        await images.probe()

    assert (len(stub.requests), stub.connections) == (100, 1)


async def test_requests_go_on_being_tried_again(images: ImageStore, stub: StubS3) -> None:
    """The limits of the probe are its own: a picture is asked for twice where the store says 503."""
    stub.status = 503
    with pytest.raises(Exception, match="picture store"):
        await images.get("items/a.png")

    assert len(stub.requests) == 2


async def test_a_store_that_is_away_is_unreachable() -> None:
    """Nothing listens at the address."""
    store = ImageStore(BUCKET, region="eu-central-1", endpoint_url=f"http://{LOOPBACK}:{free_port()}")
    await store.open()

    code = await _code(store)

    await store.aclose()
    assert code == "unreachable"


async def test_without_credentials_nothing_is_sent(stub: StubS3, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no credentials are found, that is said, and the store is not asked."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    store = ImageStore(BUCKET, region="eu-central-1", endpoint_url=stub.endpoint)
    await store.open()

    code = await _code(store)

    await store.aclose()
    assert (code, stub.requests) == ("auth_failed", [])


async def test_a_name_that_no_bucket_can_have_is_not_found(stub: StubS3) -> None:
    """A slash in IMAGES_BUCKET is found before anything is sent."""
    store = ImageStore("not/a bucket", region="eu-central-1", endpoint_url=stub.endpoint)
    await store.open()

    code = await _code(store)

    await store.aclose()
    assert (code, stub.requests) == ("not_found", [])


@pytest.mark.parametrize("status", [400, 403, 404, 503])
async def test_a_store_that_is_unwell_degrades_and_moves_no_traffic(
    migrated_database_url: str, stub: StubS3, status: int
) -> None:
    """Whatever S3 answers, the service is ready: search needs no pictures from here."""
    stub.status = status
    async with served(_settings(migrated_database_url, stub)) as app:
        await app.until_ready(200)
        check = await app.until("s3", {400: "wrong_region", 403: "forbidden", 404: "not_found", 503: "busy"}[status])
        after = len(stub.requests)
        await _several_runs(stub, after)
        ready, health = await app.client.get("/health/ready"), await app.client.get("/health")

    assert check["details"]["http_status"] == status
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    assert (health.status_code, health.json()["status"]) == (200, "degraded")


async def test_a_store_that_hangs_moves_no_traffic(migrated_database_url: str, stub: StubS3) -> None:
    """A store that never answers is unhealthy by itself, and the whole is degraded at most."""
    stub.hangs = True
    async with served(_settings(migrated_database_url, stub)) as app:
        await app.until_ready(200)
        check = await app.until("s3", "unreachable")
        await _several_runs(stub, 3)
        ready, live = await app.client.get("/health/ready"), await app.status("live")

    assert check["status"] == "unhealthy"
    assert (ready.status_code, ready.json()["status"], live) == (200, "degraded", 200)


def _settings(database_url: str, stub: StubS3) -> Settings:
    return Settings(database_url=SecretStr(database_url), aws_endpoint_url_s3=stub.endpoint, images_bucket=BUCKET)


async def _several_runs(stub: StubS3, count: int) -> None:
    """Wait until the check ran so often that a critical one would have taken traffic away."""
    await wait_for_async(lambda: len(stub.requests) >= count + 3, DEADLINE_SECONDS)
