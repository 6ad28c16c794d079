"""Calls of S3 as spans; docs/decisions/0006-spans-of-s3-by-hand.md says why by hand.

Names: OpenTelemetry's conventions for AWS SDK clients and for S3. The key of an object is left out: ours are ids, but
another team's may be names of people, and the conventions do not tell them apart. Nothing is added to a request: a
trace header would go to AWS, or to whoever runs the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final
from urllib.parse import urlsplit

from botocore.exceptions import ClientError
from opentelemetry.trace import SpanKind

from prethrift_backend.observability.child_spans import Attributes, ChildSpan, report

_SHOWN: Final = {"http.response.status_code": "HTTPStatusCode", "aws.request_id": "RequestId"}


def bucket_attributes(bucket: str, *, region: str, endpoint_url: str) -> Attributes:
    """Return what all calls of one bucket have in common; a login in the address is left out."""
    split = urlsplit(endpoint_url)
    return {
        "rpc.system": "aws-api",
        "rpc.service": "S3",
        "aws.s3.bucket": bucket,
        "cloud.region": region,
        "server.address": split.hostname or "",
        "server.port": split.port or (443 if split.scheme == "https" else 80),
    }


class S3Call(ChildSpan):
    """One operation of S3 as a ``with`` block; give the answer to ``answered``.

    ``operation`` is the name that the API has for it, such as GetObject. The block may hold the reading of a body.
    """

    __slots__ = ()

    def __init__(self, operation: str, shared: Attributes) -> None:
        attributes = {**shared, "rpc.method": operation}
        super().__init__(__name__, f"S3.{operation}", kind=SpanKind.CLIENT, attributes=attributes)

    def answered(self, answer: Mapping[str, Any]) -> None:
        """Show what the answer says of itself: status, id, and how often it was asked again."""
        if not self.is_recorded:
            return
        about = answer.get("ResponseMetadata", {})
        for name, key in _SHOWN.items():
            if key in about:
                self.set(name, about[key])
        if about.get("RetryAttempts"):
            self.set("http.request.resend_count", about["RetryAttempts"])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if isinstance(error, ClientError):
                self.answered(error.response)
        except Exception as fault:  # noqa: BLE001 - showing a call must not fail it
            report(fault)
        super().__exit__(kind, error, trace)

    def error_type(self, error: BaseException) -> str | None:
        """Return S3's own code of an error, such as NoSuchKey."""
        return error_code(error) or None


def error_code(error: BaseException | None) -> str:
    """Return the code that S3 gave with an error, an empty text where it gave none."""
    if not isinstance(error, ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", ""))
