"""`contracts verify` on the real application: well, without its database, and with several workers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.support.processes import ServerProcess, free_port
from tests.support.proxy import FaultProxy

from prethrift_backend.devstack.stack import development_models

COMMAND = Path(sys.executable).with_name("prethrift-backend")
TOKEN = "a-token-of-sixteen-characters"


@contextmanager
def _backend(database_url: str, **environ: str) -> Iterator[tuple[ServerProcess, str]]:
    port = free_port()
    environment = {
        **os.environ,
        **{name.upper(): value for name, value in development_models().items()},
        "DATABASE_URL": database_url,
        "PORT": str(port),
        **environ,
    }
    with ServerProcess([str(COMMAND), "serve"], environ=environment) as process:
        yield process, f"http://127.0.0.1:{port}"


def _is_ready(address: str, status: int = 200) -> bool:
    try:
        return httpx.get(f"{address}/health/ready", timeout=5, trust_env=False).status_code == status
    except httpx.TransportError:
        return False


def _verify(address: str, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [str(COMMAND), "contracts", "verify", address, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environ})


@pytest.fixture
def store(s3_endpoint: str, images_bucket: str) -> dict[str, str]:
    """Give the settings of the bucket."""
    return {"AWS_ENDPOINT_URL_S3": s3_endpoint, "IMAGES_BUCKET": images_bucket}


def test_a_healthy_process_is_verified(migrated_database_url: str, store: dict[str, str]) -> None:
    """The application keeps its own contracts, read-only and under a probe, with tokens as in production."""
    tokens = {"METRICS_TOKEN": TOKEN, "HEALTH_TOKEN": f"{TOKEN}-2"}
    with _backend(migrated_database_url, **store, HEALTH_DETAILS="authorized", **tokens) as (process, address):
        process.wait_for(lambda: _is_ready(address), 120)

        read = _verify(address, **tokens)
        probed = _verify(address, "--probe", "--fail-on", "warning", **tokens)
        refused = _verify(address)

    assert read.returncode == 0, read.stdout
    assert probed.returncode == 0, probed.stdout
    assert refused.returncode == 3, refused.stdout
    assert TOKEN not in read.stdout + probed.stdout


def test_a_process_without_its_database_keeps_its_contract(
    proxied_database_url: str, database_proxy: FaultProxy, store: dict[str, str]
) -> None:
    """An outage that the service tells of as promised is no violation; the report says that it is down."""
    with _backend(proxied_database_url, **store) as (process, address):
        process.wait_for(lambda: _is_ready(address), 120)
        database_proxy.refuse()
        database_proxy.cut()  # the connections that are there, too: the probe's own lives for a minute
        process.wait_for(lambda: _is_ready(address, 503), 60)

        done = _verify(address)

    assert done.returncode == 0, done.stdout
    assert "'unhealthy'" in done.stdout


def test_two_workers_are_one_service(migrated_database_url: str, store: dict[str, str]) -> None:
    """Workers that share their counts look like one process to whoever scrapes them."""
    with _backend(migrated_database_url, **store, WORKERS="2") as (process, address):
        process.wait_for(lambda: _is_ready(address), 120)

        done = _verify(address)

    assert done.returncode == 0, done.stdout
