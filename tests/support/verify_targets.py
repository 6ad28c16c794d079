"""Real services to be verified, as processes, and the command that verifies them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from tests.support.foreign_shop import app as shop_app
from tests.support.processes import ServerProcess, free_port

from prethrift_backend.devstack.stack import development_models

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("prethrift-backend")
SHOP_OPTIONS = (
    "--contracts",
    str(shop_app.CONTRACTS),
    *("--live-path", "/livez", "--ready-path", "/readyz", "--health-path", "/healthz"),
)
START_SECONDS = 120


@contextmanager
def backend(database_url: str, **environ: str) -> Iterator[tuple[ServerProcess, str]]:
    """Run this application; yield it and its address. It may not be ready yet."""
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


def is_ready(address: str, status: int = 200) -> bool:
    """Say whether readiness answers with a status."""
    try:
        return httpx.get(f"{address}/health/ready", timeout=5, trust_env=False).status_code == status
    except httpx.TransportError:
        return False


def is_healthy(address: str) -> bool:
    """Say whether every check of the health answer is well, those that readiness does not wait for included."""
    try:
        answer = httpx.get(f"{address}/health", timeout=5, trust_env=False)
    except httpx.TransportError:
        return False
    return answer.status_code == 200 and answer.json()["status"] == "healthy"


@contextmanager
def shop(fault: str = "", *options: str) -> Iterator[str]:
    """Run the shop of another team, spoilt in one way; yield its address."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "tests.support.foreign_shop.app:app", "--port", str(port), *options]
    with ServerProcess(command, environ={**os.environ, "SHOP_FAULT": fault}, directory=ROOT) as process:
        process.wait_for_http(f"http://127.0.0.1:{port}/livez", deadline_seconds=60)
        yield f"http://127.0.0.1:{port}"


def verify(address: str, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command on an address."""
    command = [str(COMMAND), "contracts", "verify", address, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environ})


def verdict(address: str, *options: str) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Return the exit status, the message of each rule that was broken, and the whole report."""
    done = verify(address, "--rate", "100", "--report", "json", *options)
    assert done.returncode in (0, 1, 3), done.stderr
    report = json.loads(done.stdout)
    return done.returncode, {finding["rule"]: finding["message"] for finding in report["findings"]}, report
