"""Which PostgreSQL servers the integration suite runs on, decided from what the machine has.

The rules: the suite runs on the embedded server and on a container. Where a missing engine would go unnoticed (CI), it
fails; on a user's machine the suite runs on the embedded server alone and says so at its end. Nothing is ever skipped.
"""

from collections.abc import Mapping
from dataclasses import dataclass

DEFAULT_IMAGE = "pgvector/pgvector:pg18"
IMAGE_VARIABLE = "PRETHRIFT_TEST_POSTGRES_IMAGE"
REQUIRE_VARIABLE = "PRETHRIFT_REQUIRE_CONTAINER"

EMBEDDED = "embedded"
CONTAINER = "container"

_NO = frozenset({"", "0", "false", "no", "off"})


@dataclass(frozen=True)
class EngineReport:
    """What a look at the machine found: `problem` is None when a container of `image` can be started."""

    image: str
    engine_found: bool
    problem: str | None = None


@dataclass(frozen=True)
class Decision:
    """The servers to run on; `note` for the end of the run, `failure` for the container's tests to fail with."""

    servers: tuple[str, ...]
    note: str | None = None
    failure: str | None = None


def image_name(environ: Mapping[str, str]) -> str:
    """Return the image to test with: PRETHRIFT_TEST_POSTGRES_IMAGE, or the official one."""
    return environ.get(IMAGE_VARIABLE) or DEFAULT_IMAGE


def container_required(environ: Mapping[str, str]) -> bool:
    """Return whether a missing engine or image is a failure: in CI, or where the user asks for it."""
    return in_ci(environ) or _is_on(environ.get(REQUIRE_VARIABLE, ""))


def in_ci(environ: Mapping[str, str]) -> bool:
    """Return whether this run is one of CI, by the variable that every CI service sets."""
    return _is_on(environ.get("CI", ""))


def decide(report: EngineReport, *, required: bool) -> Decision:
    """Choose the servers from what was found and whether the container is required."""
    if report.problem is None:
        return Decision((EMBEDDED, CONTAINER))
    if required:
        return Decision((EMBEDDED, CONTAINER), failure=_failure(report))
    return Decision((EMBEDDED,), note=_note(report))


def _is_on(value: str) -> bool:
    return value.strip().lower() not in _NO


def _failure(report: EngineReport) -> str:
    fix = "run `scripts/ci-engine start` as root, or start Docker"
    if report.engine_found:
        fix = f"run `scripts/ci-engine start` as root, or name an image that is here in {IMAGE_VARIABLE}"
    return (
        f"the integration tests need a container of {report.image!r} and cannot have one: {report.problem}. "
        f"CI and {REQUIRE_VARIABLE}=1 allow no run without it: {fix}."
    )


def _note(report: EngineReport) -> str:
    if report.engine_found:
        return (
            f"integration ran on the embedded PostgreSQL alone: the image {report.image} could not be had "
            f"({report.problem})"
        )
    return (
        "integration ran on the embedded PostgreSQL alone: no Docker engine was found "
        f"(start one to run the suite on {report.image} as well)"
    )
