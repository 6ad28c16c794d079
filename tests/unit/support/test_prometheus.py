"""Whether the tests on a real Prometheus run."""

from __future__ import annotations

import pytest
from tests.support.prometheus import COMMANDS, PrometheusDecision, decide_prometheus


def _find(*present: str) -> dict[str, str]:
    return {name: f"/usr/bin/{name}" for name in present}


@pytest.mark.parametrize("required", [False, True])
def test_where_all_commands_are_the_tests_run(required: bool) -> None:
    """With a Prometheus, its promtool and an Alertmanager there is nothing to remark."""
    find = _find(*COMMANDS).get

    assert decide_prometheus(required=required, find=find) == PrometheusDecision(is_collected=True)


def test_in_ci_a_missing_command_fails() -> None:
    """Where they are required the tests are collected, to fail with what is missing and what to do."""
    decision = decide_prometheus(required=True, find=_find("prometheus", "prometheus-alertmanager").get)

    assert decision.is_collected
    assert decision.note is None
    assert decision.failure == (
        "no promtool is in the PATH, and CI allows no run without it: run `scripts/ci-tools` as root"
    )


def test_on_a_users_machine_missing_commands_are_remarked() -> None:
    """Elsewhere the tests are left out and the note says so."""
    decision = decide_prometheus(required=False, find=_find().get)

    assert (decision.is_collected, decision.failure) == (False, None)
    assert "no prometheus and no promtool and no prometheus-alertmanager is in the PATH" in str(decision.note)
