"""SIGTERM on the backend itself: `prethrift-backend serve` and uvicorn started by hand, with one and two workers.

What the two workers of a supervisor do one by one is looked at in test_draining.py.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import httpx
import pytest
from tests.integration.health_process._processes import FOREVER_SECONDS, Site
from tests.support.databases import fresh_database, start_server
from tests.support.engine import EMBEDDED
from tests.support.processes import ServerProcess, free_port

from prethrift_backend.devstack.stack import development_models
from prethrift_backend.stores.migrations import migrate

START_SECONDS = 120.0
DEADLINE_SECONDS = 30.0

SERVE = (str(Path(sys.executable).with_name("prethrift-backend")), "serve")
UVICORN = (sys.executable, "-m", "uvicorn", "prethrift_backend.main:app", "--port", "{port}")
COMMANDS = {
    "serve": SERVE,
    "serve with workers": SERVE,
    "uvicorn": UVICORN,
    "uvicorn with workers": (*UVICORN, "--workers", "2"),
}
# uvicorn ends by the signal that it was stopped with, its supervisor and our own command with 0.
USUAL_STATUS = {"serve": 0, "serve with workers": 0, "uvicorn": -signal.SIGTERM, "uvicorn with workers": 0}


@dataclass(frozen=True)
class Service:
    """The backend as a process, ready when the test begins."""

    kind: str
    worker_count: int
    process: ServerProcess
    site: Site


@pytest.fixture(scope="module")
def embedded_url() -> Iterator[str]:
    """Give a migrated database; which server it is on has nothing to do with signals, so one is enough."""
    with start_server(EMBEDDED, image="") as server, asyncio.Runner() as runner:
        database = fresh_database(server)
        url = server.url(runner.run(database.__aenter__()))
        runner.run(migrate(url))
        yield url
        runner.run(database.__aexit__(None, None, None))


def _service(kind: str, url: str, drain_seconds: float) -> Iterator[Service]:
    site, worker_count = Site(free_port()), 2 if "workers" in kind else 1
    environ = {
        **os.environ,
        **{name.upper(): value for name, value in development_models().items()},
        "DATABASE_URL": url,
        "PORT": str(site.port),
        "WORKERS": "2" if kind == "serve with workers" else "1",
        "DRAIN_SECONDS": str(drain_seconds),
        "LOG_FORMAT": "json",
    }
    command = [word.format(port=site.port) for word in COMMANDS[kind]]
    with ServerProcess(command, environ=environ, stop_seconds=0.5) as process:
        process.wait_for(lambda: process.output.count("service_ready") == worker_count, START_SECONDS, what="readiness")
        process.wait_for(lambda: site.outcome("/health/ready") == (200, None), START_SECONDS)
        yield Service(kind, worker_count, process, site)


@pytest.fixture(params=COMMANDS)
def service(request: pytest.FixtureRequest, embedded_url: str) -> Iterator[Service]:
    """Start the backend with a drain that does not end by itself."""
    yield from _service(request.param, embedded_url, FOREVER_SECONDS)


@pytest.fixture
def brief(embedded_url: str) -> Iterator[Service]:
    """Start the backend with a drain of half a second."""
    yield from _service("serve", embedded_url, 0.5)


class Upload:
    """A request that is under way for as long as the test likes: its body is sent in two halves."""

    def __init__(self, site: Site, pool: ThreadPoolExecutor) -> None:
        self._rest = Event()
        self._begun = Event()
        url = f"http://127.0.0.1:{site.port}/api/search/visual"
        headers = {"content-type": "multipart/form-data; boundary=b"}
        self._future = pool.submit(
            httpx.post, url, content=self._body(), headers=headers, timeout=DEADLINE_SECONDS, trust_env=False
        )
        assert self._begun.wait(DEADLINE_SECONDS)

    def _body(self) -> Iterator[bytes]:
        yield b'--b\r\ncontent-disposition: form-data; name="image"; filename="a"\r\n\r\nno'
        self._begun.set()
        self._rest.wait(DEADLINE_SECONDS)
        yield b" picture\r\n--b--\r\n"

    def finish(self) -> httpx.Response:
        """Send the rest and return the answer."""
        self._rest.set()
        return self._future.result()


def test_the_service_answers_on_while_readiness_says_no(service: Service) -> None:
    """After SIGTERM ready is 503 and live 200, requests under way and new ones are answered; a second SIGTERM ends it.

    A supervisor of several workers has passed the first signal on and waits for them; it does not pass on the second.
    """
    with ThreadPoolExecutor(1) as pool:
        upload = Upload(service.site, pool)
        service.process.send(signal.SIGTERM)
        service.process.wait_for(
            lambda: service.process.output.count('"service_draining"') == service.worker_count, DEADLINE_SECONDS
        )
        paths = ("/health/live", "/health", "/api/search?q=hat")
        readiness = service.site.outcome("/health/ready")
        others = [service.site.get(path).status_code for path in paths]
        answered = upload.finish()

    assert readiness == (503, "draining")
    assert others == [200, 200, 200]
    assert (answered.status_code, answered.json()["code"]) == (415, "unsupported_picture")
    assert service.process.exit_status is None
    if service.worker_count == 1:
        service.process.send(signal.SIGTERM)
        assert service.process.wait_for_exit(DEADLINE_SECONDS) == USUAL_STATUS[service.kind]


@pytest.mark.parametrize("service", ["serve", "serve with workers"], indirect=True)
def test_a_client_that_keeps_its_connection_is_sent_elsewhere(service: Service) -> None:
    """While draining each answer is the last of its connection, so that a proxy's next request goes to another."""
    with httpx.Client(base_url=f"http://127.0.0.1:{service.site.port}", trust_env=False) as client:
        before = client.get("/health/live")
        service.process.send(signal.SIGTERM)
        service.process.wait_for(lambda: client.get("/health/live").headers.get("connection") == "close", 10)

    assert "connection" not in before.headers


def test_the_service_ends_by_itself_in_order(brief: Service) -> None:
    """When the time is over the process finishes the request under way and ends with the usual status."""
    with ThreadPoolExecutor(1) as pool:
        upload = Upload(brief.site, pool)
        brief.process.send(signal.SIGTERM)
        brief.process.wait_for(lambda: "Shutting down" in brief.process.output, DEADLINE_SECONDS)
        answered = upload.finish()

    assert answered.status_code == 415
    assert brief.process.wait_for_exit(DEADLINE_SECONDS) == USUAL_STATUS[brief.kind]
