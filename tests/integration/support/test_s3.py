"""The S3 server of the tests."""

import httpx


def test_a_bucket_keeps_an_object(s3_endpoint: str, images_bucket: str) -> None:
    """What is put over HTTP is got back over HTTP."""
    url = f"{s3_endpoint}/{images_bucket}/a/key"

    with httpx.Client(trust_env=False) as client:
        # Readable by all: the request below carries no signature.
        client.put(url, content=b"picture", headers={"x-amz-acl": "public-read"}).raise_for_status()
        answer = client.get(url).raise_for_status()

    assert answer.content == b"picture"


def test_a_bucket_is_empty_at_first(s3_endpoint: str, images_bucket: str) -> None:
    """Each test has a bucket of its own, without another test's objects."""
    answer = httpx.get(f"{s3_endpoint}/{images_bucket}?list-type=2", trust_env=False)

    assert "<KeyCount>0</KeyCount>" in answer.text
