"""The image, built from the Dockerfile and run by the engine: on real parts, without rights, and to its end."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from random import Random

import httpx
import pytest
from tests.support.databases import create_database, start_server, through
from tests.support.engine import EMBEDDED
from tests.support.images import (
    MIGRATION_MEMORY,
    READY_SECONDS,
    BuiltImage,
    Container,
    base_image,
    build_image,
    run_container,
)
from tests.support.ports import LOOPBACK, free_port
from tests.support.proxy import FaultProxy
from tests.support.s3 import fresh_bucket, s3_server
from tests.support.waiting import wait_for

from prethrift_backend.devstack.garments import Garment, draw
from prethrift_backend.probe import TIMEOUT_SECONDS_MAX

ROOT = Path(__file__).parents[3]
USER = "10001"
STOP_SECONDS = 45  # as in ops/kubernetes

pytestmark = pytest.mark.timeout(900)  # whichever test comes first builds the image


@pytest.fixture(scope="module")
def image(image_tools: None, record_image: list[str]) -> BuiltImage:
    """Build the image; its size is among the last lines of the run."""
    built = build_image(base_image(os.environ))
    package, dependencies = sorted(size for size in built.layer_bytes if size > 1_000_000)[:2]
    record_image.append(
        f"the image has {built.size_bytes / 1e6:.0f} MB, {package / 1e6:.1f} MB of it change with the code"
    )
    assert package < dependencies
    return built


@pytest.fixture(scope="module")
def environ(image: BuiltImage) -> Iterator[dict[str, str]]:
    """Give the settings of production for real parts on loopback, with a database that the image has migrated.

    Nobody listens where telemetry goes to: a receiver that is away holds nothing.
    """
    nobody = f"{LOOPBACK}:{free_port()}"
    with (
        start_server(EMBEDDED, image="") as server,
        FaultProxy(server.target) as proxy,
        s3_server() as s3,
        fresh_bucket(s3) as bucket,
    ):
        name = asyncio.run(create_database(server))
        given = {
            "ENVIRONMENT": "production",
            "DATABASE_URL": through(server.url(name), proxy.port),
            "AWS_ENDPOINT_URL_S3": s3,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "IMAGES_BUCKET": bucket,
            "OTLP_ENDPOINT": f"http://{nobody}",
            "OTLP_API_KEY": "a-key-of-nobody",
            "SENTRY_DSN": f"http://key@{nobody}/1",
            "CLIP_MODEL": "/package/models/clip",
            "TEXT_MODEL": "/package/models/text",
            "HF_HUB_OFFLINE": "1",
            "DRAIN_SECONDS": "1",
        }
        with run_container(given, command="migrate", memory=MIGRATION_MEMORY) as migration:
            assert migration.wait_for_exit(READY_SECONDS) == 0, migration.output
        yield given


@pytest.fixture(scope="module")
def running(environ: dict[str, str]) -> Iterator[Container]:
    """Run the server until its models are loaded."""
    with run_container(environ) as container:
        container.wait_for("/health/ready", READY_SECONDS)
        yield container


def test_the_image_starts_as_a_user_without_rights(image: BuiltImage) -> None:
    """Its user is a number that is not root's; what it runs is the server, what it asks for health is the command."""
    configuration = image.configuration

    assert configuration["User"] == f"{USER}:{USER}"
    assert (configuration["Entrypoint"], configuration["Cmd"]) == (["prethrift-backend"], ["serve"])
    assert configuration["Healthcheck"]["Test"] == ["CMD", "prethrift-backend", "health", "--kind", "live"]
    assert list(configuration["ExposedPorts"]) == ["8000/tcp"]


def test_the_image_says_nothing_of_the_machine_that_built_it(image: BuiltImage) -> None:
    """The settings of pip are those of the building stages alone."""
    assert not [line for line in image.configuration["Env"] if line.startswith("PIP_")]


def test_it_serves_on_real_parts(running: Container) -> None:
    """A garment is taken in, its picture stored, and found by words, by the models in the image."""
    picture = BytesIO()
    draw(Garment("red", "plain", "hat"), size_pixels=200, rng=Random(7)).save(picture, "PNG")
    form = {"title": "Red hat", "description": "A red hat", "category": "hat", "price": "5"}
    added = httpx.post(
        f"{running.url}/api/items", data=form, files={"image": picture.getvalue()}, trust_env=False, timeout=30.0
    )
    assert added.status_code == 201, added.text

    found = httpx.get(f"{running.url}/api/search", params={"q": "red hat"}, trust_env=False, timeout=30.0).json()

    assert [hit["id"] for hit in found["hits"]] == [added.json()["id"]]


def test_all_of_it_is_healthy(running: Container) -> None:
    """So say the backend itself and the engine, by the image's own health check."""
    running.wait_for("/health", 60.0, accept=lambda answer: answer.json()["status"] == "healthy")
    wait_for(lambda: running.health == "healthy", 60.0, what="the engine finds the container healthy")


def test_the_health_check_has_time_for_an_answer(image: BuiltImage) -> None:
    """The engine waits longer than the command does, which then says what it waited for."""
    seconds = image.configuration["Healthcheck"]["Timeout"] / 1e9

    assert 2.0 < seconds < TIMEOUT_SECONDS_MAX


def test_every_process_is_of_the_user(running: Container) -> None:
    """The server and its models; none is root's, and none can become more than it is."""
    first = running.process_id
    processes = [first, *_children(first)]

    assert len(processes) > 1
    for process in processes:
        status = dict(re.findall(r"^(\w+):\s*(.*)$", Path(f"/proc/{process}/status").read_text(), re.MULTILINE))
        assert set(status["Uid"].split()) == set(status["Gid"].split()) == {USER}
        assert (int(status["CapEff"], 16), status["NoNewPrivs"]) == (0, "1")


def _children(process: int) -> list[int]:
    own = [int(number) for number in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return [*own, *(deeper for child in own for deeper in _children(child))]


def test_nothing_is_written_but_to_tmp(running: Container) -> None:
    """It serves on a file system that refuses everything else."""
    status, output = running.run("touch", "/package/written")

    assert status != 0, output
    assert running.changed_paths == []


def test_there_is_no_installer_in_it(running: Container) -> None:
    """Nor a compiler: what is not there cannot be used."""
    status, output = running.run("sh", "-c", "command -v /app/bin/pip gcc cc || python3 -c 'import pip'")

    assert status != 0, output


def test_sigterm_ends_it_in_order(environ: dict[str, str]) -> None:
    """The first process of the container hears it: it drains, closes and ends with status 0."""
    with run_container(environ) as container:
        container.wait_for("/health/live", READY_SECONDS)

        status = container.stop(grace_seconds=STOP_SECONDS)

        events = [json.loads(line)["event"] for line in container.output.splitlines() if line.startswith("{")]
    assert status == 0, events
    assert "service_draining" in events
