"""Which servers the integration suite runs on."""

import pytest
from tests.support.engine import (
    CONTAINER,
    DEFAULT_IMAGE,
    EMBEDDED,
    EngineReport,
    container_required,
    decide,
    image_name,
    in_ci,
)

GOOD = EngineReport("an/image", engine_found=True)
NO_ENGINE = EngineReport(DEFAULT_IMAGE, engine_found=False, problem="no Docker engine answers (refused)")
NO_IMAGE = EngineReport("an/image", engine_found=True, problem="404: not found")


@pytest.mark.parametrize("required", [False, True])
def test_a_good_engine_gives_both_servers(required: bool) -> None:
    """Where a container can be started, both servers are tested and nothing is remarked."""
    decision = decide(GOOD, required=required)

    assert decision.servers == (EMBEDDED, CONTAINER)
    assert (decision.note, decision.failure) == (None, None)


@pytest.mark.parametrize("report", [NO_ENGINE, NO_IMAGE])
def test_in_ci_a_missing_container_fails(report: EngineReport) -> None:
    """Where the container is required its tests are collected, to fail with what is missing and what to do."""
    decision = decide(report, required=True)

    assert decision.servers == (EMBEDDED, CONTAINER)
    assert decision.note is None
    assert str(report.problem) in str(decision.failure)
    assert "scripts/ci-engine start" in str(decision.failure)


def test_on_a_users_machine_a_missing_engine_is_remarked() -> None:
    """Without an engine the suite runs on the embedded server alone, and the last lines say so."""
    decision = decide(NO_ENGINE, required=False)

    assert decision.servers == (EMBEDDED,)
    assert decision.failure is None
    assert decision.note == (
        "integration ran on the embedded PostgreSQL alone: no Docker engine was found "
        "(start one to run the suite on pgvector/pgvector:pg18 as well)"
    )


def test_on_a_users_machine_a_missing_image_is_remarked() -> None:
    """With an engine that cannot get the image the remark names the image and the reason."""
    decision = decide(NO_IMAGE, required=False)

    assert decision.servers == (EMBEDDED,)
    assert decision.note == (
        "integration ran on the embedded PostgreSQL alone: the image an/image could not be had (404: not found)"
    )


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"CI": "true"}, True),
        ({"CI": "1"}, True),
        ({"CI": "false"}, False),
        ({"CI": ""}, False),
        ({"PRETHRIFT_REQUIRE_CONTAINER": "1"}, True),
        ({"PRETHRIFT_REQUIRE_CONTAINER": "0"}, False),
    ],
)
def test_the_container_is_required_in_ci_or_on_demand(environ: dict[str, str], expected: bool) -> None:
    """CI=true and PRETHRIFT_REQUIRE_CONTAINER=1 each turn a missing container into a failure."""
    assert container_required(environ) is expected


def test_ci_is_told_by_its_variable_alone() -> None:
    """Asking for the container does not make a run one of CI."""
    assert in_ci({"CI": "true"})
    assert not in_ci({"PRETHRIFT_REQUIRE_CONTAINER": "1"})


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "pgvector/pgvector:pg18"),
        ({"PRETHRIFT_TEST_POSTGRES_IMAGE": ""}, "pgvector/pgvector:pg18"),
        ({"PRETHRIFT_TEST_POSTGRES_IMAGE": "prethrift/pgvector-test"}, "prethrift/pgvector-test"),
    ],
)
def test_the_image_has_a_default_and_can_be_named(environ: dict[str, str], expected: str) -> None:
    """The official image is taken unless PRETHRIFT_TEST_POSTGRES_IMAGE names another."""
    assert image_name(environ) == expected
