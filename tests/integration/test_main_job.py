"""The main job, started the way a newcomer starts it: `make run`, then searches."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from random import Random

import httpx
import psutil
import pytest
from tests.support.documents import blocks_of
from tests.support.processes import ServerProcess, free_port

from prethrift_backend.devstack.filling import sample_id
from prethrift_backend.devstack.garments import Garment, draw
from prethrift_backend.devstack.sample import SAMPLE_COUNT, sample_items

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
# The lines to start with, without what is said of them.
COMMANDS = [
    line.partition("#")[0].split() for block in blocks_of(README.read_text()) for line in block.text.splitlines()
]
FIRST_START_SECONDS = 240
SECOND_START_SECONDS = 120

GARMENTS = {str(sample_id(number)): sample.garment for number, sample in enumerate(sample_items())}


@dataclass(frozen=True)
class Running:
    """A stack that serves: its process, its address and the home of its data."""

    process: ServerProcess
    address: str
    home: Path


def _make_run(home: Path, port: int) -> ServerProcess:
    environ = {**os.environ, "XDG_DATA_HOME": str(home), "PORT": str(port)}
    return ServerProcess(COMMANDS[0], environ=environ, directory=ROOT)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """Give an empty home. Of root's pytest it cannot be: the next run closes that to other users."""
    with tempfile.TemporaryDirectory(prefix="prethrift-home-") as home:
        Path(home).chmod(0o755)  # PostgreSQL refuses to run as root, and the user it runs as must come through
        yield Path(home)


@pytest.fixture(scope="module")
def running(home: Path) -> Iterator[Running]:
    """Start the stack once, on an empty home, and stop it at the end."""
    port = free_port()
    with _make_run(home, port) as process:
        process.wait_for_output("Prethrift is ready", FIRST_START_SECONDS)
        yield Running(process, f"http://127.0.0.1:{port}", home)


def _garments(response: httpx.Response) -> list[Garment]:
    response.raise_for_status()
    return [GARMENTS[hit["id"]] for hit in response.json()["hits"]]


def test_the_readme_starts_it_so() -> None:
    """What the README says to start with is what is started here, and what runs this."""
    assert COMMANDS == [["make", "run"], ["make", "test"]]


def test_words_find_what_they_name_first(running: Running) -> None:
    """`blue striped dress` finds every blue striped dress of the catalogue before anything else."""
    wanted = Garment("blue", "striped", "dress")
    count = sum(garment == wanted for garment in GARMENTS.values())

    found = _garments(httpx.get(f"{running.address}/api/search", params={"q": "blue striped dress", "limit": 10}))

    assert count >= 1
    assert found[:count] == [wanted] * count


def test_a_picture_finds_its_like_first(running: Running) -> None:
    """A newly drawn red hat finds red hats first."""
    picture = BytesIO()
    draw(Garment("red", "plain", "hat"), size_pixels=400, rng=Random(7)).save(picture, "PNG")

    response = httpx.post(
        f"{running.address}/api/search/visual", params={"limit": 3}, files={"image": picture.getvalue()}
    )

    assert [(found.colour, found.kind) for found in _garments(response)] == [("red", "hat")] * 3


def test_every_hit_says_why_it_is_there(running: Running) -> None:
    """A hit has a score and at least one source with its rank; the best one of these words has all three."""
    response = httpx.get(f"{running.address}/api/search", params={"q": "blue striped dress"})

    hits = response.json()["hits"]
    assert all(hit["score"] > 0 and hit["sources"] for hit in hits)
    assert set(hits[0]["sources"]) == {"picture", "text", "words"}


def test_the_three_printed_curl_lines_work(running: Running, tmp_path: Path) -> None:
    """Each line to try that the start prints can be pasted as it stands, in its order."""
    lines = re.findall(r"(curl .+)", running.process.output)

    answers = [
        subprocess.run(["bash", "-c", f"{line} --fail -sS"], cwd=tmp_path, capture_output=True, check=True).stdout
        for line in lines
    ]

    assert len(lines) == 3
    assert GARMENTS[json.loads(answers[0])["hits"][0]["id"]] == Garment("blue", "striped", "dress")
    found = GARMENTS[json.loads(answers[2])["hits"][0]["id"]]
    assert (found.colour, found.kind) == ("red", "hat")


def test_the_process_says_that_it_is_well(running: Running) -> None:
    """The health endpoints answer 200, and the metrics count the searches that were made."""
    httpx.get(f"{running.address}/api/search", params={"q": "hat"}).raise_for_status()

    ready = httpx.get(f"{running.address}/health/ready")
    exposition = httpx.get(f"{running.address}/metrics").text

    assert ready.json()["status"] == "healthy"
    assert re.search(r'search_operations_total\{search_type="text",status="success"\} [1-9]', exposition)


def test_the_port_in_use_is_said_in_a_sentence(running: Running, tmp_path: Path) -> None:
    """A second start on the same port ends at once with status 2, the port, and what to do."""
    port = running.address.rpartition(":")[2]

    done = subprocess.run(
        [ROOT / ".venv/bin/prethrift-backend", "dev", "--data-dir", tmp_path],
        env={**os.environ, "PORT": port},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, f"PORT='{port}' is in use" in done.stderr) == (2, True)


def test_the_data_folder_in_use_is_said_in_a_sentence(running: Running) -> None:
    """A second start on the same data ends with a sentence that says who holds it and what to do."""
    done = subprocess.run(
        [ROOT / ".venv/bin/prethrift-backend", "dev"],
        env={**os.environ, "PORT": "0", "XDG_DATA_HOME": str(running.home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert "is in use by another 'prethrift-backend dev'" in done.stderr


def test_the_second_start_takes_nothing_in_again_and_interrupt_stops_all(running: Running) -> None:
    """Ctrl-C ends the server, S3 and PostgreSQL; the next start finds the catalogue whole and ingests nothing.

    SIGTERM then ends all of it as cleanly. Stands last: it ends the stack of the other tests.
    """
    running.process.interrupt()
    running.process.wait_for_exit(60)
    left = _processes_on(running.home)

    environ = {**os.environ, "XDG_DATA_HOME": str(running.home), "PORT": "0"}
    with ServerProcess([str(ROOT / ".venv/bin/prethrift-backend"), "dev"], environ=environ) as again:
        again.wait_for_output("Prethrift is ready", SECOND_START_SECONDS)
        again.send(signal.SIGTERM)
        status = again.wait_for_exit(60)
        output = again.output

    assert left == []
    assert f"the sample catalogue of {SAMPLE_COUNT} garments is there" in output
    assert "taking it in" not in output
    assert (status, "Traceback" in output, _processes_on(running.home)) == (0, False, [])


def _processes_on(home: Path) -> list[str]:
    lines = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    return [line for line in lines if str(home) in line]
