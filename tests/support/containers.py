"""The Docker engine of this machine: whether it answers, whether it has the image, and a PostgreSQL container on it."""

import contextlib
import gc
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial

import docker  # type: ignore[import-untyped]  # published without type information
from docker.errors import DockerException, ImageNotFound  # type: ignore[import-untyped]  # as above
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.config import ConnectionMode, testcontainers_config
from tests.support.engine import EngineReport
from tests.support.ports import LOOPBACK

PING_SECONDS = 5
PULL_SECONDS = 600  # arbitrary; a refusal comes at once, this only ends a silent network

# The data of a test is gone after the test, so it need not survive a power cut.
FAST_SETTINGS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")


def probe_engine(image: str) -> EngineReport:
    """Look for an engine and the image, pulling the image if it is missing."""
    if problem := _problem_of(_ping):
        return EngineReport(image, engine_found=False, problem=f"no Docker engine answers ({problem})")
    return EngineReport(image, engine_found=True, problem=_problem_of(partial(_ensure_image, image)))


@contextlib.contextmanager
def postgres_container(image: str) -> Iterator[str]:
    """Run PostgreSQL from `image` with its port on loopback; yield the DSN of its first database."""
    configure_testcontainers()
    container = PostgresContainer(image, driver=None, dbname="first", username="prethrift", password="not-a-secret")
    # An address without a port: the engine picks the port, and no other interface of the machine is opened.
    container.ports["5432"] = (LOOPBACK,)  # type: ignore[assignment]  # wider in the engine's client than declared
    container.with_command(["postgres", *(part for setting in FAST_SETTINGS for part in ("-c", setting))])
    with container:
        yield container.get_connection_url(host=LOOPBACK)


def configure_testcontainers() -> None:
    """Set what its own environment variables would set, which it reads when it is imported.

    The reaper is off: its image cannot be pulled everywhere, and the fixture removes the container. Host and mode are
    set for a machine that looks like a container itself, where the answer would be the bridge's address: tests send
    traffic nowhere but to loopback.
    """
    testcontainers_config.ryuk_disabled = True
    testcontainers_config.tc_host_override = LOOPBACK
    testcontainers_config.connection_mode_override = ConnectionMode.docker_host


def _ping() -> None:
    with contextlib.closing(docker.from_env(timeout=PING_SECONDS)) as client:
        client.ping()


def _ensure_image(image: str) -> None:
    with contextlib.closing(docker.from_env(timeout=PULL_SECONDS)) as client:
        try:
            client.images.get(image)
        except ImageNotFound:
            sys.stderr.write(f"pulling {image}\n")
            client.images.pull(image)


def _problem_of(step: Callable[[], None]) -> str | None:
    """Take a step with the engine and return what went wrong, or None."""
    with warnings.catch_warnings():
        # The client leaves the socket of a failed connection to the garbage collector. Collected here, it is not
        # reported against whichever test happens to run when it goes.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            step()
        except DockerException as error:
            problem = _first_line(error)
        else:
            return None
        gc.collect()
    return problem


def _first_line(error: DockerException) -> str:
    # An answer of the engine carries its own words apart from the client's wrapping.
    lines = str(getattr(error, "explanation", None) or error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
