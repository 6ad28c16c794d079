"""`contracts verify` on the real application: well, without its database, and with several workers."""

from __future__ import annotations

import pytest
from tests.support.proxy import FaultProxy
from tests.support.verify_targets import START_SECONDS, backend, is_healthy, is_ready, verify

TOKEN = "a-token-of-sixteen-characters"


@pytest.fixture
def store(s3_endpoint: str, images_bucket: str) -> dict[str, str]:
    """Give the settings of the bucket."""
    return {"AWS_ENDPOINT_URL_S3": s3_endpoint, "IMAGES_BUCKET": images_bucket}


def test_a_healthy_process_is_verified(migrated_database_url: str, store: dict[str, str]) -> None:
    """The application keeps its own contracts, read-only and under a probe, with tokens as in production."""
    tokens = {"METRICS_TOKEN": TOKEN, "HEALTH_TOKEN": f"{TOKEN}-2"}
    with backend(migrated_database_url, **store, HEALTH_DETAILS="authorized", **tokens) as (process, address):
        process.wait_for(lambda: is_healthy(address), START_SECONDS)

        read = verify(address, **tokens)
        probed = verify(address, "--probe", "--fail-on", "warning", **tokens)
        refused = verify(address)

    assert read.returncode == 0, read.stdout
    assert probed.returncode == 0, probed.stdout
    assert refused.returncode == 3, refused.stdout
    assert TOKEN not in read.stdout + probed.stdout


def test_a_process_without_its_database_keeps_its_contract(
    proxied_database_url: str, database_proxy: FaultProxy, store: dict[str, str]
) -> None:
    """An outage that the service tells of as promised is no violation; the report says that it is down."""
    with backend(proxied_database_url, **store) as (process, address):
        process.wait_for(lambda: is_ready(address), START_SECONDS)
        database_proxy.refuse()
        database_proxy.cut()  # the connections that are there, too: the probe's own lives for a minute
        process.wait_for(lambda: is_ready(address, 503), 60)

        done = verify(address)

    assert done.returncode == 0, done.stdout
    assert "'unhealthy'" in done.stdout


def test_two_workers_are_one_service(migrated_database_url: str, store: dict[str, str]) -> None:
    """Workers that share their counts look like one process to whoever scrapes them."""
    with backend(migrated_database_url, **store, WORKERS="2") as (process, address):
        process.wait_for(lambda: is_ready(address), START_SECONDS)

        done = verify(address)

    assert done.returncode == 0, done.stdout
