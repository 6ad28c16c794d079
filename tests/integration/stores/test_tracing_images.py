"""Calls of S3 as spans, on a real S3 server and on one that is not well."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from tests.support.span_list import Traced, attributes
from tests.support.stub_s3 import StubS3, stub_s3
from tests.support.waiting import wait_for_async

from prethrift_backend.exceptions import ImageStoreUnavailableError
from prethrift_backend.stores import ImageNotFoundError, ImageStore

REGION = "eu-central-1"
DEADLINE_SECONDS = 20.0


@pytest.fixture
async def images(s3_endpoint: str, images_bucket: str) -> AsyncIterator[ImageStore]:
    """Open a bucket that is empty."""
    store = ImageStore(images_bucket, region=REGION, endpoint_url=s3_endpoint)
    await store.open()
    yield store
    await store.aclose()


@pytest.fixture
async def stub() -> AsyncIterator[StubS3]:
    """Run the server that answers as it is told."""
    async with stub_s3() as running:
        yield running


@pytest.fixture
async def unwell(stub: StubS3) -> AsyncIterator[ImageStore]:
    """Open a store on the stub."""
    store = ImageStore("pictures", region=REGION, endpoint_url=stub.endpoint)
    await store.open()
    yield store
    await store.aclose()


async def test_each_call_is_a_client_span(traced_all: Traced, images: ImageStore, images_bucket: str) -> None:
    """Put, get, list and delete are one span each, named as AWS names them, with what the answer says of itself."""
    with traced_all.request():
        await images.put("items/person.png", b"picture", media_type="image/png")
        await images.get("items/person.png")
        assert len([key async for key in images.list_keys("items/")]) == 1
        await images.delete("items/person.png")

    names = ["S3.PutObject", "S3.GetObject", "S3.ListObjectsV2", "S3.DeleteObject"]
    assert traced_all.spans.names == [*names, "server"]
    span = traced_all.spans.named("S3.GetObject")
    shown = attributes(span)
    request_id, address = shown.pop("aws.request_id", None), (shown.pop("server.address"), shown.pop("server.port"))
    assert (span.kind, span.status.status_code) == (SpanKind.CLIENT, StatusCode.UNSET)
    assert shown == {
        "rpc.system": "aws-api",
        "rpc.service": "S3",
        "rpc.method": "GetObject",
        "aws.s3.bucket": images_bucket,
        "cloud.region": REGION,
        "http.response.status_code": 200,
    }
    assert address[0] == "127.0.0.1"
    assert request_id
    assert "person" not in str([attributes(known) for known in traced_all.spans.spans])


async def test_each_page_of_a_listing_is_a_call(
    traced_all: Traced, images: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing of several pages is as many spans, and every key comes once."""
    keys = [f"items/{number}" for number in range(5)]
    for key in keys:
        await images.put(key, b"x", media_type="image/png")
    ask = images._page
    monkeypatch.setattr(images, "_page", lambda prefix, **more: ask(prefix, MaxKeys=2, **more))

    with traced_all.request():
        found = [entry.key async for entry in images.list_keys("items/")]

    assert found == keys
    assert len(traced_all.spans.all_named("S3.ListObjectsV2")) == 3


async def test_a_missing_picture_has_its_code(traced_all: Traced, images: ImageStore) -> None:
    """What S3 refuses has its own code as the error, and its status."""
    with traced_all.request(), pytest.raises(ImageNotFoundError):
        await images.get("items/none.png")

    span = traced_all.spans.named("S3.GetObject")
    shown = attributes(span)
    assert (shown["error.type"], shown["http.response.status_code"]) == ("NoSuchKey", 404)
    assert (span.status.status_code, span.status.description, span.events) == (StatusCode.ERROR, None, ())


async def test_a_call_that_was_made_again_says_so(traced_all: Traced, unwell: ImageStore, stub: StubS3) -> None:
    """One span covers all attempts, and holds how many were made after the first."""
    stub.status = 503

    with traced_all.request(), pytest.raises(ImageStoreUnavailableError):
        await unwell.delete("items/a.png")

    shown = attributes(traced_all.spans.named("S3.DeleteObject"))
    assert len(stub.requests) == 2
    assert (shown["http.request.resend_count"], shown["http.response.status_code"]) == (1, 503)


async def test_a_store_that_is_away_is_an_error(traced_all: Traced) -> None:
    """A refused connection is an error of the client's class."""
    async with stub_s3() as gone:
        endpoint = gone.endpoint
    store = ImageStore("pictures", region=REGION, endpoint_url=endpoint)
    await store.open()

    with traced_all.request(), pytest.raises(ImageStoreUnavailableError):
        await store.delete("items/a.png")
    await store.aclose()

    assert attributes(traced_all.spans.named("S3.DeleteObject"))["error.type"] == "EndpointConnectionError"


async def test_a_cancelled_call_ends_its_span(traced_all: Traced, unwell: ImageStore, stub: StubS3) -> None:
    """A caller who gives up leaves a finished span that is no error."""
    stub.hangs = True

    async def is_asked() -> bool:
        return bool(stub.requests)

    with traced_all.request():
        task = asyncio.create_task(unwell.delete("items/a.png"))
        await wait_for_async(is_asked, DEADLINE_SECONDS, what="the call was sent")
        task.cancel()
        await asyncio.wait([task])

    span = traced_all.spans.named("S3.DeleteObject")
    assert (attributes(span)["outcome"], span.status.status_code) == ("cancelled", StatusCode.UNSET)


async def test_no_trace_header_leaves_the_process(traced_all: Traced, unwell: ImageStore, stub: StubS3) -> None:
    """A request to S3 carries no header of any trace: the store is not one of ours."""
    with traced_all.request() as request:
        await unwell.delete("items/a.png")

    (head,) = stub.heads
    span = traced_all.spans.named("S3.DeleteObject")
    assert span.context is not None
    assert f"{span.context.trace_id:032x}"[8:] not in head.lower()
    assert not [name for name in ("traceparent", "x-amzn-trace-id", "baggage", "b3:") if name in head.lower()]
    assert request.statements == 0


async def test_nothing_is_recorded_for_the_probe_or_unsampled(
    traced_all: Traced, images: ImageStore, s3_endpoint: str
) -> None:
    """The health check makes no spans, and a trace that is not sampled has none of S3."""
    with traced_all.request():
        await images.probe()
    with traced_all.request(is_sampled=False):
        await images.delete("items/none.png")
    await images.delete("items/none.png")

    assert traced_all.spans.names == ["server"]
    assert s3_endpoint


async def test_a_login_in_the_address_is_not_shown(traced_all: Traced, stub: StubS3) -> None:
    """User and password of an endpoint are in no attribute."""
    host = stub.endpoint.removeprefix("http://")
    store = ImageStore("pictures", region=REGION, endpoint_url=f"http://user:hunter2@{host}")
    await store.open()
    stub.status = 403
    with traced_all.request(), pytest.raises(ImageStoreUnavailableError):
        await store.delete("items/a.png")
    await store.aclose()

    assert "hunter2" not in str([attributes(span) for span in traced_all.spans.spans])
