"""The picture store against a real S3 server."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.ports import free_port

from prethrift_backend.exceptions import ImageStoreUnavailableError, ProbeFailedError
from prethrift_backend.stores import ImageNotFoundError, ImageStore


@pytest.fixture
async def images(s3_endpoint: str, images_bucket: str) -> AsyncIterator[ImageStore]:
    """Open a bucket that is empty."""
    store = ImageStore(images_bucket, region="eu-central-1", endpoint_url=s3_endpoint)
    await store.open()
    yield store
    await store.aclose()


async def test_what_is_put_can_be_got(images: ImageStore) -> None:
    """Bytes and media type come back as they were given, with an entity tag."""
    await images.put("items/a.png", b"picture", media_type="image/png")

    stored = await images.get("items/a.png")
    assert (stored.data, stored.media_type) == (b"picture", "image/png")
    assert stored.etag.startswith('"')


async def test_a_missing_key_is_a_key_error(images: ImageStore) -> None:
    """What is not there raises ImageNotFoundError; removing it is no fault."""
    await images.delete("items/none.png")

    with pytest.raises(ImageNotFoundError):
        await images.get("items/none.png")


async def test_keys_are_listed_by_prefix(images: ImageStore) -> None:
    """A listing is in the order of the keys and keeps to its prefix."""
    for number in range(3):
        await images.put(f"items/{number}", b"12345", media_type="image/png")
    await images.put("other/0", b"", media_type="image/png")

    listed = [entry async for entry in images.list_keys("items/")]

    assert [entry.key for entry in listed] == ["items/0", "items/1", "items/2"]
    assert listed[0].size_bytes == 5
    assert datetime.now(UTC) - listed[0].last_modified < timedelta(hours=1)


async def test_a_bucket_is_made_once(s3_endpoint: str) -> None:
    """A bucket that is missing is reported by the probe, and made by ensure_bucket, twice without harm."""
    store = ImageStore(f"made-{free_port()}", region="eu-central-1", endpoint_url=s3_endpoint)
    await store.open()
    with pytest.raises(ProbeFailedError, match="not_found"):
        await store.probe()
    await store.ensure_bucket()
    await store.ensure_bucket()

    await store.probe()
    await store.aclose()


async def test_a_server_that_is_away_is_unavailable() -> None:
    """Nothing listens there: the error says which settings to look at."""
    store = ImageStore("any", region="eu-central-1", endpoint_url=f"http://127.0.0.1:{free_port()}")
    await store.open()

    with pytest.raises(ImageStoreUnavailableError, match="AWS_ENDPOINT_URL_S3"):
        await store.get("items/a.png")
    await store.aclose()


async def test_a_missing_bucket_is_unavailable(s3_endpoint: str) -> None:
    """Putting into a bucket that does not exist is a fault of the store, not of the caller."""
    store = ImageStore("no-such-bucket", region="eu-central-1", endpoint_url=s3_endpoint)
    await store.open()

    with pytest.raises(ImageStoreUnavailableError, match="NoSuchBucket"):
        await store.put("a", b"", media_type="image/png")
    await store.aclose()
