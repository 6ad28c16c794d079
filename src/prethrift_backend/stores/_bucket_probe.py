"""Looking at the bucket for the health check: one HeadBucket, and what its status says."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiobotocore.config import AioConfig
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from prethrift_backend.exceptions import ProbeFailedError

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

_STEP_SECONDS: Final = 1
_LIMIT_SECONDS: Final = 1.9  # just under the two seconds that the check has, so that the reason comes from here

# A HEAD has no body, so the status is all there is. A bucket in another region answers 301, or 400 where the signature
# is checked first; a prefix-scoped policy answers 403 to HeadBucket while objects can be read and written.
_CODES: Final[Mapping[int, str]] = {
    301: "wrong_region",
    307: "wrong_region",
    400: "wrong_region",
    401: "auth_failed",
    403: "forbidden",
    404: "not_found",
    429: "busy",
    503: "busy",  # S3 says "slow down" with it
}


def probe_limits() -> AioConfig:
    """Return the limits of the probe's client: a second to connect, a second to read, one attempt."""
    return AioConfig(
        connect_timeout=_STEP_SECONDS,
        read_timeout=_STEP_SECONDS,
        max_pool_connections=1,
        retries={"mode": "standard", "total_max_attempts": 1},
    )


def only_one_call(client: S3Client) -> None:
    """Keep ``client`` from following a bucket to its region, which costs further calls and hides the wrong setting."""
    client.meta.events.register("before-call.s3.HeadBucket", _pretend_redirected)


def _pretend_redirected(*, context: dict[str, Any], **_: object) -> None:
    # The library follows a bucket only once, and keeps in the request's context whether it has.
    context.setdefault("s3_redirect", {})["redirected"] = True


async def look_at_bucket(client: S3Client, bucket: str) -> None:
    """Ask for ``bucket`` once; raise ProbeFailedError with the reason unless it is there and may be used."""
    try:
        async with asyncio.timeout(_LIMIT_SECONDS):  # the client's own limits leave out how credentials are found
            await client.head_bucket(Bucket=bucket)
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        raise ProbeFailedError(_CODES.get(status, "unreachable"), details={"http_status": status}) from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise ProbeFailedError("auth_failed") from error
    except ParamValidationError as error:  # no bucket can have this name
        raise ProbeFailedError("not_found") from error
    except (BotoCoreError, aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
        raise ProbeFailedError("unreachable") from error
