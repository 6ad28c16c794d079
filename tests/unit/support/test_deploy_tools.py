"""Whether the tests of ops/kubernetes and ops/compose.yaml run."""

from __future__ import annotations

import pytest
from tests.support.deploy_tools import DeployDecision, decide_deploy_tools


def _found(name: str) -> str:
    return f"/usr/bin/{name}"


def _only_kustomize(name: str) -> str | None:
    return _found(name) if name == "kustomize" else None


@pytest.mark.parametrize("required", [True, False])
def test_with_both_programs_they_run(required: bool) -> None:
    """There is nothing to say then."""
    assert decide_deploy_tools(required=required, find=_found) == DeployDecision(is_collected=True)


def test_in_ci_a_missing_program_is_a_failure() -> None:
    """Nobody would notice there that the tests were left out."""
    decision = decide_deploy_tools(required=True, find=_only_kustomize)

    assert decision.is_collected
    assert "there is no docker-compose under build/" in (decision.failure or "")
    assert "run `scripts/ci-tools`" in (decision.failure or "")


def test_on_a_users_machine_a_missing_program_is_a_note() -> None:
    """The tests are left out, and the end of the run says so and what brings it."""
    decision = decide_deploy_tools(required=False, find=_only_kustomize)

    assert not decision.is_collected
    assert "`scripts/ci-tools` brings them" in (decision.note or "")
