"""Schemathesis against a running backend, a healthy and an unhealthy one, by its own OpenAPI document."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import pytest
from tests.support.databases import fresh_database, start_server
from tests.support.processes import ServerProcess, free_port
from tests.support.s3 import fresh_bucket, s3_server

from prethrift_backend.devstack.stack import development_models
from prethrift_backend.stores.migrations import migrate

BIN = Path(__file__).parents[2] / ".venv" / "bin"
CONFIG = Path(__file__).with_name("schemathesis.toml")
GENERATED = Path(__file__).parents[2] / "docs" / "reference" / "schema" / "health.openapi.json"
HEALTH_PATHS = "^/health"
API_PATHS = "^/api/"


def _backend(port: int, database_url: str, **environ: str) -> ServerProcess:
    environment: Mapping[str, str] = {
        **os.environ,
        **{name.upper(): value for name, value in development_models().items()},
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "DATABASE_URL": database_url,
        "PORT": str(port),
        **environ,
    }
    return ServerProcess([str(BIN / "prethrift-backend"), "serve"], environ=environment)


def _status(port: int, path: str) -> int | None:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5).status_code
    except httpx.TransportError:
        return None


@pytest.fixture(scope="module")
def healthy() -> Iterator[str]:
    """Serve on a real database and S3; give the address once the models are ready."""
    port = free_port()
    with start_server("embedded", image="") as server, s3_server() as endpoint, fresh_bucket(endpoint) as bucket:
        context = fresh_database(server)
        with asyncio.Runner() as runner:
            url = server.url(runner.run(context.__aenter__()))
            runner.run(migrate(url))
            with _backend(port, url, AWS_ENDPOINT_URL_S3=endpoint, IMAGES_BUCKET=bucket) as process:
                process.wait_for(lambda: _status(port, "/health/ready") == 200, 120)
                yield f"http://127.0.0.1:{port}"
            runner.run(context.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def unhealthy() -> Iterator[str]:
    """Serve with a database that refuses connections; give the address once that shows."""
    port, nobody = free_port(), free_port()
    with _backend(port, f"postgresql://user:password@127.0.0.1:{nobody}/none") as process:
        # Live is not enough: within the grace of a start, /health is degraded while its first checks run.
        process.wait_for(lambda: _status(port, "/health/ready") == 503, 60)
        yield f"http://127.0.0.1:{port}"


def _schemathesis(address: str, paths: str, document: str = "") -> subprocess.CompletedProcess[str]:
    """Fuzz the paths by the server's own document, or by another one."""
    command = [
        str(BIN / "schemathesis"),
        "--config-file",
        str(CONFIG),
        "run",
        document or f"{address}/openapi.json",
        f"--url={address}",
        "--include-path-regex",
        paths,
        "--max-examples=30",
        "--no-color",
        "--max-response-time=10",
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


def test_the_health_endpoints_of_a_healthy_process_keep_their_promises(healthy: str) -> None:
    """Whatever is sent to the health endpoints, each answer is as its schema says."""
    done = _schemathesis(healthy, HEALTH_PATHS)

    assert done.returncode == 0, done.stdout


def test_the_health_endpoints_of_an_unhealthy_process_keep_their_promises(unhealthy: str) -> None:
    """A process without its database answers in the same form, with its documented 503."""
    done = _schemathesis(unhealthy, HEALTH_PATHS)

    assert _status(int(unhealthy.rpartition(":")[2]), "/health/ready") == 503
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("state", ["healthy", "unhealthy"])
def test_the_health_endpoints_keep_what_the_contract_alone_says(state: str, request: pytest.FixtureRequest) -> None:
    """The document that is generated from the health schema knows nothing of the code, and holds as well."""
    done = _schemathesis(request.getfixturevalue(state), HEALTH_PATHS, str(GENERATED))

    assert done.returncode == 0, done.stdout


@pytest.mark.timeout(600)
def test_the_api_keeps_its_promises(healthy: str) -> None:
    """Whatever is sent to the API, it never fails, and each answer is as the document says."""
    done = _schemathesis(healthy, API_PATHS)

    assert done.returncode == 0, done.stdout
