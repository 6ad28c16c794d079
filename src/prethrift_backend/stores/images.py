"""Pictures in S3, or in anything that speaks its protocol: one long-lived client, and one more for the health check."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import aioboto3
import aiohttp
from aiobotocore.config import AioConfig
from botocore.exceptions import BotoCoreError, ClientError

from prethrift_backend.config import Settings
from prethrift_backend.exceptions import ImageStoreUnavailableError
from prethrift_backend.observability.child_spans import Attributes
from prethrift_backend.stores._bucket_probe import look_at_bucket, only_one_call, probe_limits
from prethrift_backend.stores._s3_spans import S3Call, bucket_attributes, error_code

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client
    from types_aiobotocore_s3.literals import BucketLocationConstraintType
    from types_aiobotocore_s3.type_defs import ListObjectsV2OutputTypeDef

# Arbitrary, chosen so that two attempts end before a reader gives up: a picture is a few hundred kilobytes.
CONNECT_TIMEOUT_SECONDS = 2
READ_TIMEOUT_SECONDS = 5
MAX_ATTEMPTS = 2
# As many as the database pool may lend at most by default; more requests than that do not run at once.
MAX_CONNECTIONS = 20

_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})
_BUCKET_EXISTS = frozenset({"BucketAlreadyExists", "BucketAlreadyOwnedByYou"})


class ImageNotFoundError(KeyError):
    """The store has no picture under this key."""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """A picture as it lies in the store; ``etag`` is as HTTP writes it, in double quotes."""

    data: bytes
    media_type: str
    etag: str


@dataclass(frozen=True, slots=True)
class StoredKey:
    """One entry of a listing; ``last_modified`` has a time zone."""

    key: str
    last_modified: datetime
    size_bytes: int


class ImageStore:
    """One bucket. Every method but ``open`` needs it opened; all raise ImageStoreUnavailableError on faults."""

    def __init__(self, bucket: str, *, region: str, endpoint_url: str | None = None) -> None:
        self._bucket = bucket
        self._region = region
        self._endpoint_url = endpoint_url
        self._client: S3Client | None = None
        self._probe_client: S3Client | None = None
        self._resources = AsyncExitStack()
        self._attributes: Attributes = {}

    @classmethod
    def from_settings(cls, settings: Settings) -> ImageStore:
        """Build from ``settings``; credentials come from where every AWS client finds them."""
        return cls(settings.images_bucket, region=settings.aws_region, endpoint_url=settings.aws_endpoint_url_s3)

    async def open(self) -> None:
        """Make the client; sends nothing to the store yet. A second call does nothing."""
        if self._client is None:
            session = aioboto3.Session()
            with _store_faults():
                self._client = await self._make_client(session, _client_config())
                # Of its own: a probe must neither wait for the requests' connections nor be tried again.
                self._probe_client = await self._make_client(session, probe_limits())
            only_one_call(self._probe_client)
            self._attributes = bucket_attributes(
                self._bucket, region=self._region, endpoint_url=self._client.meta.endpoint_url
            )

    async def _make_client(self, session: aioboto3.Session, config: AioConfig) -> S3Client:
        if self._endpoint_url is not None:
            config = config.merge(_other_server())
        return await self._resources.enter_async_context(
            session.client("s3", region_name=self._region, endpoint_url=self._endpoint_url, config=config)
        )

    async def aclose(self) -> None:
        """Close the client and its connections; a second call does nothing."""
        self._client = self._probe_client = None
        await self._resources.aclose()

    async def put(self, key: str, data: bytes, *, media_type: str) -> None:
        """Store ``data`` under ``key``, over whatever lies there."""
        with _store_faults(), self._call("PutObject") as call:
            call.answered(
                await self._opened.put_object(Bucket=self._bucket, Key=key, Body=data, ContentType=media_type)
            )

    async def get(self, key: str) -> StoredImage:
        """Return the picture under ``key``; raise ImageNotFoundError if there is none."""
        with _store_faults(key=key), self._call("GetObject") as call:
            answer = await self._opened.get_object(Bucket=self._bucket, Key=key)
            call.answered(answer)
            async with answer["Body"] as body:
                data = await body.read()
        return StoredImage(data, answer["ContentType"], answer["ETag"])

    async def delete(self, key: str) -> None:
        """Remove the picture under ``key``; not finding one is no fault, as in S3 itself."""
        with _store_faults(), self._call("DeleteObject") as call:
            call.answered(await self._opened.delete_object(Bucket=self._bucket, Key=key))

    async def list_keys(self, prefix: str = "") -> AsyncIterator[StoredKey]:
        """Yield every entry whose key starts with ``prefix``, in the order of the keys."""
        with _store_faults():
            async for page in self._pages(prefix):
                for entry in page.get("Contents", ()):
                    yield StoredKey(entry["Key"], entry["LastModified"], entry["Size"])

    async def ensure_bucket(self) -> None:
        """Create the bucket unless it exists. For development: in production it is made with its policies."""
        try:
            await self._head_bucket()
        except ImageNotFoundError:
            await self._create_bucket()

    async def probe(self) -> None:
        """Ask once whether the bucket is there and may be used; no second try, and a second for each step.

        Raise ProbeFailedError: not_found, forbidden, wrong_region, auth_failed (no credentials), busy or unreachable.
        """
        if self._probe_client is None:
            raise RuntimeError("the image store is not open: await open() first")
        await look_at_bucket(self._probe_client, self._bucket)

    def _call(self, operation: str) -> S3Call:
        return S3Call(operation, self._attributes)

    async def _pages(self, prefix: str) -> AsyncIterator[ListObjectsV2OutputTypeDef]:
        """Yield the pages of a listing. Not by the client's paginator, which does not tell one call from the next."""
        page = await self._page(prefix)
        yield page
        while "NextContinuationToken" in page:
            page = await self._page(prefix, ContinuationToken=page["NextContinuationToken"])
            yield page

    async def _page(self, prefix: str, **more: Any) -> ListObjectsV2OutputTypeDef:
        with self._call("ListObjectsV2") as call:
            page = await self._opened.list_objects_v2(Bucket=self._bucket, Prefix=prefix, **more)
            call.answered(page)
        return page

    async def _head_bucket(self) -> None:
        with _store_faults(key=self._bucket), self._call("HeadBucket") as call:
            call.answered(await self._opened.head_bucket(Bucket=self._bucket))

    async def _create_bucket(self) -> None:
        try:
            with _store_faults(), self._call("CreateBucket"):
                if self._region == "us-east-1":  # the one region that S3 does not allow to be named
                    await self._opened.create_bucket(Bucket=self._bucket)
                else:
                    region: BucketLocationConstraintType = self._region  # type: ignore[assignment]  # a closed list
                    await self._opened.create_bucket(
                        Bucket=self._bucket, CreateBucketConfiguration={"LocationConstraint": region}
                    )
        except ImageStoreUnavailableError as error:
            if error_code(error.__cause__) not in _BUCKET_EXISTS:  # another starter was faster
                raise

    @property
    def _opened(self) -> S3Client:
        if self._client is None:
            raise RuntimeError("the image store is not open: await open() first")
        return self._client


def _client_config() -> AioConfig:
    return AioConfig(
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        read_timeout=READ_TIMEOUT_SECONDS,
        max_pool_connections=MAX_CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
    )


def _other_server() -> AioConfig:
    # Local servers have no wildcard DNS for bucket names, and not all know AWS's newer checksums.
    return AioConfig(
        s3={"addressing_style": "path"},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )


@contextmanager
def _store_faults(*, key: str | None = None) -> Iterator[None]:
    """Translate the client's faults; with ``key``, an answer that it is missing becomes ImageNotFoundError."""
    try:
        yield
    except ClientError as error:
        code = error_code(error)
        if key is not None and code in _MISSING:
            raise ImageNotFoundError(key) from error
        raise ImageStoreUnavailableError(
            f"the picture store refused with {code!r}: check IMAGES_BUCKET, the credentials and their rights"
        ) from error
    except (BotoCoreError, aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
        raise ImageStoreUnavailableError(
            "the picture store does not answer: check AWS_ENDPOINT_URL_S3, AWS_REGION and the credentials"
        ) from error
