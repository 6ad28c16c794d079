"""The command line on real parts, each command as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from tests.support.processes import ServerProcess, free_port

from prethrift_backend.devstack.stack import development_models

BIN = Path(__file__).parents[2] / ".venv" / "bin"
COMMAND = str(BIN / "prethrift-backend")
SECRET = "hunter2hunter2hunter2"


def _environ(**settings: str) -> dict[str, str]:
    return {**os.environ, **{name.upper(): value for name, value in development_models().items()}, **settings}


def _run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environ = _environ(**settings)
    return subprocess.run([COMMAND, *arguments], env=environ, capture_output=True, text=True, check=False, timeout=90)


def _answers(port: int, path: str) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_migrate_says_what_it_did_and_does_it_once(database_url: str) -> None:
    """The first run goes to the newest revision, the second finds nothing to do."""
    first = _run("migrate", DATABASE_URL=database_url)
    second = _run("migrate", DATABASE_URL=database_url)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "from revision none to 0001" in first.stdout
    assert "up to date, at revision 0001" in second.stdout


def test_migrate_starts_at_once_all_succeed(database_url: str) -> None:
    """Four starts at the same moment end well; one of them did the work."""
    environ = _environ(DATABASE_URL=database_url)
    running = [subprocess.Popen([COMMAND, "migrate"], env=environ, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    outputs = [process.communicate(timeout=60)[0] for process in running]

    assert [process.returncode for process in running] == [0, 0, 0, 0]
    assert sum("from revision none" in output for output in outputs) == 1


@pytest.mark.parametrize("command", ["migrate", "serve", "sweep"])
def test_a_missing_database_is_a_configuration_fault(command: str) -> None:
    """What needs DATABASE_URL says so with status 2."""
    done = _run(command)

    assert (done.returncode, "DATABASE_URL is not set" in done.stderr) == (2, True)


def test_a_database_that_refuses_is_a_sentence_without_the_password() -> None:
    """Migrating a database that is not there ends with status 1, one sentence, and no secret."""
    done = _run("migrate", DATABASE_URL=f"postgresql://user:{SECRET}@127.0.0.1:{free_port()}/none")

    assert done.returncode == 1
    assert done.stderr.startswith("prethrift-backend: ")
    assert "Traceback" not in done.stderr
    assert SECRET not in done.stderr


def test_sweep_reports_on_an_empty_catalogue(migrated_database_url: str, s3_endpoint: str, images_bucket: str) -> None:
    """A sweep over real stores says what it found."""
    settings = {"DATABASE_URL": migrated_database_url, "AWS_ENDPOINT_URL_S3": s3_endpoint}
    done = _run("sweep", **settings, IMAGES_BUCKET=images_bucket)

    assert done.returncode == 0, done.stderr
    assert "0 pictures without an item, 0 of them removed; 0 items without a picture" in done.stdout


def test_config_masks_every_secret() -> None:
    """`config` shows where values come from and none of the secrets."""
    done = _run("config", HEALTH_TOKEN=SECRET, DATABASE_URL=f"postgresql://user:{SECRET}@db/name", PORT="8123")

    assert done.returncode == 0
    assert SECRET not in done.stdout
    assert "8123" in done.stdout


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"HOST": "203.0.113.7"}, "HOST='203.0.113.7' is not an address of this machine"),
        ({"ENVIRONMENT": "production"}, "SENTRY_DSN"),
        ({"WORKERS": "2", "LOG_FILE": "/proc/none/log"}, "LOG_FILE"),
    ],
)
def test_serve_refuses_what_it_cannot_do(settings: dict[str, str], words: str) -> None:
    """A wrong address and an incomplete production end with status 2 and the reason."""
    done = _run("serve", **{"DATABASE_URL": "postgresql://user@127.0.0.1/none", "PORT": "0"} | settings)

    assert done.returncode == 2
    assert words in done.stderr


def test_serve_refuses_a_port_in_use() -> None:
    """A port that something else listens on is named, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = _run("serve", DATABASE_URL="postgresql://user@127.0.0.1/none", PORT=port)

    assert done.returncode == 2
    assert f"PORT='{port}' is in use on 127.0.0.1" in done.stderr


@pytest.mark.parametrize(
    "command",
    [[COMMAND, "serve"], [sys.executable, "-m", "uvicorn", "prethrift_backend.main:app", "--port", "{port}"]],
    ids=["serve", "uvicorn"],
)
def test_the_server_starts_answers_and_stops(command: list[str], migrated_database_url: str) -> None:
    """Started by us or by uvicorn's own command, it becomes ready, answers, and ends on SIGTERM in order.

    Every line of its log is JSON in the staging environment, the server's own lines included.
    """
    port = free_port()
    arguments = [argument.format(port=port) for argument in command]
    environ = _environ(DATABASE_URL=migrated_database_url, PORT=str(port), ENVIRONMENT="staging")
    with ServerProcess(arguments, environ=environ) as process:
        process.wait_for(lambda: _answers(port, "/health/ready"), 90)
        httpx.get(f"http://127.0.0.1:{port}/api/search", params={"q": "dress"}).raise_for_status()
        process.send(signal.SIGTERM)
        process.wait_for_exit(20)
        lines = process.output.splitlines()

    # uvicorn's own command logs its first line before it has the application, and its last two after.
    events = [json.loads(line)["event"] for line in lines if line.startswith("{")]
    assert [line for line in lines if not line.startswith(("{", "INFO: "))] == []
    assert {"service_ready", "request_completed"} <= set(events)


def test_every_line_of_serve_is_json(migrated_database_url: str) -> None:
    """From the first line to the last, which tells of the end in order, what `serve` writes to its log is JSON."""
    port = free_port()
    environ = _environ(DATABASE_URL=migrated_database_url, PORT=str(port), ENVIRONMENT="staging")
    with ServerProcess([COMMAND, "serve"], environ=environ) as process:
        process.wait_for(lambda: _answers(port, "/health/live"), 60)
        process.send(signal.SIGTERM)
        status = process.wait_for_exit(20)
        lines = process.output.splitlines()

    assert status == 0
    assert "Finished server process" in lines[-1]
    assert len([json.loads(line) for line in lines]) == len(lines) >= 4
