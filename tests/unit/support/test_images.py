"""Whether the tests of the backend's image run, and what it is built on."""

from __future__ import annotations

import sys

import pytest
from tests.support.engine import EngineReport
from tests.support.images import BASE_VARIABLE, ImageDecision, base_image, decide_image

MISSING = EngineReport("python:3.11-slim", engine_found=False, problem="no Docker engine answers (refused)")


def test_the_base_has_this_python() -> None:
    """The wheels are of the Python that fetches them; another image may be named."""
    assert base_image({}) == f"python:3.{sys.version_info.minor}-slim"
    assert base_image({BASE_VARIABLE: "an/image"}) == "an/image"


@pytest.mark.parametrize("required", [True, False])
def test_with_an_engine_and_the_base_they_run(required: bool) -> None:
    """There is nothing to say then."""
    report = EngineReport("an/image", engine_found=True)

    assert decide_image(report, required=required) == ImageDecision(is_collected=True)


def test_in_ci_a_missing_engine_is_a_failure() -> None:
    """Nobody would notice there that the tests were left out."""
    decision = decide_image(MISSING, required=True)

    assert decision.is_collected
    assert "run `scripts/ci-engine start`" in (decision.failure or "")


def test_on_a_users_machine_a_missing_engine_is_a_note() -> None:
    """The tests are left out, and the end of the run says why."""
    decision = decide_image(MISSING, required=False)

    assert not decision.is_collected
    assert "left out: the backend's image cannot be built on 'python:3.11-slim'" in (decision.note or "")
