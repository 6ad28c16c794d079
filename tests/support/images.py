"""The backend's image: whether it can be built here, how it is built, and containers of it.

It is built as a user builds it, from `Dockerfile`, on PRETHRIFT_TEST_PYTHON_IMAGE or the official image of Python. The
packages come by way of this machine's own pip, into build/wheels, and from there over loopback: the settings of its pip
need not be known to the image, and nothing of them is written into it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker  # type: ignore[import-untyped]  # published without type information
import httpx
from tests.support.engine import EngineReport
from tests.support.processes import LOOPBACK, ServerProcess, free_port
from tests.support.waiting import wait_for

ROOT = Path(__file__).parents[2]
IMAGE = "prethrift-backend-test"
BASE_VARIABLE = "PRETHRIFT_TEST_PYTHON_IMAGE"
WHEELS = ROOT / "build" / "wheels"
EXTRAS = "embeddings,grpc"
BUILD_SECONDS = 900
# Arbitrary, and the same each time if it is free: it is in an argument of the build, and the engine takes the layer of
# the dependencies from its cache only when the arguments are the same.
_WHEELS_PORT = 47853
READY_SECONDS = 240.0
# As in ops/kubernetes; the check of memory is degraded from 85 % of it.
SERVER_MEMORY = "2g"
MIGRATION_MEMORY = "256m"


@dataclass(frozen=True)
class ImageDecision:
    """Whether the tests are collected; `note` for the end of the run, `failure` for the tests to fail with."""

    is_collected: bool
    note: str | None = None
    failure: str | None = None


def base_image(environ: Mapping[str, str]) -> str:
    """Return the image to build on, which has this Python's version: the wheels are of it."""
    return environ.get(BASE_VARIABLE) or f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"


def decide_image(report: EngineReport, *, required: bool) -> ImageDecision:
    """Choose from what was found and whether the tests are required."""
    if report.problem is None:
        return ImageDecision(is_collected=True)
    what = f"the backend's image cannot be built on {report.image!r}: {report.problem}"
    if required:
        fix = f"run `scripts/ci-engine start` and `scripts/ci-engine python`, and name its image in {BASE_VARIABLE}"
        return ImageDecision(is_collected=True, failure=f"{what}, and CI allows no run without it: {fix}")
    return ImageDecision(is_collected=False, note=f"the tests of the image were left out: {what}")


@dataclass(frozen=True)
class BuiltImage:
    """The image that was built, as the engine describes it."""

    attributes: dict[str, Any]
    layer_bytes: tuple[int, ...]  # the last one first

    @property
    def configuration(self) -> dict[str, Any]:
        """What a container of it starts with."""
        found: dict[str, Any] = self.attributes["Config"]
        return found

    @property
    def size_bytes(self) -> int:
        """All that it is made of."""
        return int(self.attributes["Size"])


def build_image(base: str) -> BuiltImage:
    """Build it, with every package from a folder that is filled first."""
    _download(WHEELS)
    port = _wheels_port()
    server = [sys.executable, "-m", "http.server", str(port), "--bind", LOOPBACK, "--directory", str(WHEELS)]
    with ServerProcess(server) as wheels:
        wheels.wait_for_http(f"http://{LOOPBACK}:{port}/", 30.0)
        _build({"BASE": base, "EXTRAS": EXTRAS, "PIP_FIND_LINKS": f"http://{LOOPBACK}:{port}/", "PIP_NO_INDEX": "1"})
    with contextlib.closing(docker.from_env()) as client:
        image = client.images.get(IMAGE)
        return BuiltImage(image.attrs, tuple(layer["Size"] for layer in image.history()))


def _wheels_port() -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind((LOOPBACK, _WHEELS_PORT))
        except OSError:
            return free_port()
    return _WHEELS_PORT


def _download(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    needed = _succeed([sys.executable, "ops/image/requirements.py", EXTRAS]).splitlines()
    _succeed(
        [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "-c",
            "constraints.txt",
            "-d",
            str(folder),
            "hatchling",
            *needed,
        ]
    )


def _build(arguments: Mapping[str, str]) -> None:
    given = [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
    # The classic builder: the other one is a plugin that Debian does not install with the client.
    _succeed(["docker", "build", "--network", "host", "--tag", IMAGE, *given, "."], DOCKER_BUILDKIT="0")


def _succeed(command: list[str], **environ: str) -> str:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=BUILD_SECONDS,
    )
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def _is_200(response: httpx.Response) -> bool:
    return response.status_code == 200


class Container:
    """A container of the image on this machine's network, with a file system that cannot be written to."""

    def __init__(self, container: Any, port: int) -> None:
        self._container = container
        self.url = f"http://{LOOPBACK}:{port}"

    def wait_for(
        self, path: str, deadline_seconds: float, *, accept: Callable[[httpx.Response], bool] = _is_200
    ) -> httpx.Response:
        """Ask until an answer satisfies ``accept``; a container that ends meanwhile fails at once."""
        answers: list[httpx.Response] = []

        def answered() -> bool:
            assert self._attributes["State"]["Running"], self.output
            with contextlib.suppress(httpx.TransportError):
                answers.append(httpx.get(self.url + path, trust_env=False, timeout=5.0))
            return bool(answers) and accept(answers[-1])

        wait_for(answered, deadline_seconds, what=f"an answer of {path}")
        return answers[-1]

    @property
    def health(self) -> str:
        """What the engine has found by the image's health check."""
        return str(self._attributes["State"]["Health"]["Status"])

    @property
    def process_id(self) -> int:
        """The id of its first process on this machine."""
        return int(self._attributes["State"]["Pid"])

    @property
    def changed_paths(self) -> list[str]:
        """What has been written to its own file system."""
        return [change["Path"] for change in self._container.diff() or []]

    @property
    def output(self) -> str:
        """All that it has written so far."""
        return str(self._container.logs().decode())

    def run(self, *command: str) -> tuple[int, str]:
        """Run a command in it; return status and output."""
        status, output = self._container.exec_run(list(command))
        return int(status), output.decode()

    def wait_for_exit(self, deadline_seconds: float) -> int:
        """Wait until it has ended by itself and return the exit status."""
        return int(self._container.wait(timeout=deadline_seconds)["StatusCode"])

    def stop(self, *, grace_seconds: int) -> int:
        """Send SIGTERM, and SIGKILL when the time is over; return the exit status."""
        self._container.stop(timeout=grace_seconds)
        return int(self._container.wait()["StatusCode"])

    @property
    def _attributes(self) -> dict[str, Any]:
        self._container.reload()
        found: dict[str, Any] = self._container.attrs
        return found


@contextlib.contextmanager
def run_container(
    environ: Mapping[str, str], *, command: str = "serve", memory: str = SERVER_MEMORY
) -> Iterator[Container]:
    """Run the image with no right, no disk but a little memory at /tmp, and the network of this machine.

    That network, so that everything stays on loopback: the bridge of the engine has addresses of its own.
    """
    port = free_port()
    with contextlib.closing(docker.from_env()) as client:
        container = client.containers.run(
            IMAGE,
            command,
            detach=True,
            environment={"HOST": LOOPBACK, "PORT": str(port), **environ},
            network_mode="host",
            read_only=True,
            tmpfs={"/tmp": "size=64m"},  # noqa: S108 - in the container
            mem_limit=memory,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
        )
        try:
            yield Container(container, port)
        finally:
            container.remove(force=True, v=True)
