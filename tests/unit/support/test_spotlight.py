"""Whether the tests on a real Spotlight run."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.spotlight import SpotlightDecision, decide_spotlight


def _is_there(_path: Path) -> bool:
    return True


def _is_missing(_path: Path) -> bool:
    return False


@pytest.mark.parametrize("required", [True, False])
def test_with_a_spotlight_they_run(required: bool) -> None:
    """Where `scripts/ci-tools` has run there is nothing to say."""
    assert decide_spotlight(required=required, is_there=_is_there) == SpotlightDecision(is_collected=True)


def test_in_ci_a_missing_spotlight_is_a_failure() -> None:
    """Nobody would notice there that the tests were left out."""
    decision = decide_spotlight(required=True, is_there=_is_missing)

    assert decision.is_collected
    assert "run `scripts/ci-tools`" in (decision.failure or "")


def test_on_a_users_machine_a_missing_spotlight_is_a_note() -> None:
    """The tests are left out, and the end of the run says so and what brings it."""
    decision = decide_spotlight(required=False, is_there=_is_missing)

    assert not decision.is_collected
    assert "`scripts/ci-tools` brings it" in (decision.note or "")
