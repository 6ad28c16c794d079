"""`contracts record` on real processes: what is drafted is verified right away, and still bites."""

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

from prethrift_backend.contracts import load_contracts
from prethrift_backend.devstack.stack import development_models

ROOT = Path(__file__).parents[3]
COMMAND = Path(sys.executable).with_name("prethrift-backend")
HEALTH = ("--live-path", "/livez", "--ready-path", "/readyz", "--health-path", "/healthz")


@contextmanager
def _shop(fault: str = "") -> Iterator[str]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "tests.support.foreign_shop.app:app", "--port", str(port)]
    with ServerProcess(command, environ={**os.environ, "SHOP_FAULT": fault}, directory=ROOT) as process:
        process.wait_for_http(f"http://127.0.0.1:{port}/livez", deadline_seconds=60)
        yield f"http://127.0.0.1:{port}"


def _run(command: str, *options: str | Path) -> subprocess.CompletedProcess[str]:
    words = [str(COMMAND), "contracts", command, *map(str, options)]
    if command != "fmt":
        words += ["--rate", "100"]
    return subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.fixture(scope="module")
def drafts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Record the shop after some traffic."""
    folder = tmp_path_factory.mktemp("record") / "contracts"
    with _shop() as address:
        for basket in range(3):
            httpx.get(f"{address}/baskets/{basket}", trust_env=False)
        recorded = _run("record", address, "--metrics-path", "/stats/", "--job", "shop", "--out", folder)
    assert recorded.returncode == 0, recorded.stderr
    return folder


def test_a_service_of_another_team_keeps_its_draft(drafts: Path) -> None:
    """The draft is canonical, and the service that it was drafted from is verified with it at once, probed too."""
    with _shop() as address:
        httpx.get(f"{address}/baskets/1", trust_env=False)
        read = _run("verify", address, "--contracts", drafts, *HEALTH)
        probed = _run("verify", address, "--contracts", drafts, *HEALTH, "--probe")

    assert _run("fmt", "--check", "--contracts", drafts).returncode == 0
    assert read.returncode == 0, read.stdout
    assert probed.returncode == 0, probed.stdout


@pytest.mark.parametrize(("fault", "rule"), [("renamed", "LV081"), ("raw-paths", "LV122"), ("lying-probe", "LV040")])
def test_a_draft_bites(drafts: Path, fault: str, rule: str) -> None:
    """What breaks after the recording is found with nothing but the draft."""
    with _shop(fault) as address:
        done = _run("verify", address, "--contracts", drafts, *HEALTH, "--probe")

    assert done.returncode == 1, done.stdout
    assert rule in done.stdout


def test_the_backend_keeps_its_draft(
    tmp_path: Path, migrated_database_url: str, s3_endpoint: str, images_bucket: str
) -> None:
    """The application itself is recorded with the usual paths, and is verified with what was drafted."""
    port, folder = free_port(), tmp_path / "drafts"
    address = f"http://127.0.0.1:{port}"
    environ = {
        **os.environ,
        **{name.upper(): value for name, value in development_models().items()},
        "DATABASE_URL": migrated_database_url,
        "AWS_ENDPOINT_URL_S3": s3_endpoint,
        "IMAGES_BUCKET": images_bucket,
        "PORT": str(port),
        "LOG_FILE": str(tmp_path / "app.log"),
    }
    with ServerProcess([str(COMMAND), "serve"], environ=environ) as process:
        process.wait_for_http(f"{address}/health/ready", 120, accept=lambda answer: answer.status_code == 200)
        for _ in range(3):
            httpx.get(f"{address}/api/items/17", trust_env=False)
        recorded = _run("record", address, "--out", folder, "--logs", tmp_path / "app.log")
        verified = _run("verify", address, "--contracts", folder)

    contracts = load_contracts(folder)
    assert recorded.returncode == 0, recorded.stderr
    assert verified.returncode == 0, verified.stdout
    assert _run("fmt", "--check", "--contracts", folder).returncode == 0
    assert len(contracts.metrics.families) > 20
    assert contracts.logs is not None
    assert "request_completed" in {event.name for event in contracts.logs.events}


def test_an_application_is_recorded_without_a_server(tmp_path: Path) -> None:
    """With --app it runs in the process of the command, and is verified there with its draft."""
    recorded = _run(
        "record", "--app", "tests.support.foreign_shop.app:app", "--metrics-path", "/stats/", "--out", tmp_path / "a"
    )
    verified = _run("verify", "--app", "tests.support.foreign_shop.app:app", "--contracts", tmp_path / "a", *HEALTH)

    assert recorded.returncode == 0, recorded.stderr
    assert "verify --app tests.support.foreign_shop.app:app" in recorded.stdout
    assert verified.returncode == 0, verified.stdout


def test_an_application_that_is_not_there_ends_with_2(tmp_path: Path) -> None:
    """The text says which, and nothing is written."""
    done = _run("record", "--app", "no_such_shop:app", "--out", tmp_path / "a")

    assert done.returncode == 2
    assert "no_such_shop" in done.stderr
    assert not (tmp_path / "a").exists()
