"""Whether the tests on a real nginx run."""

from __future__ import annotations

import pytest
from tests.support.nginx import decide_nginx
from tests.support.prometheus import PrometheusDecision


@pytest.mark.parametrize("required", [False, True])
def test_where_nginx_is_the_tests_run(required: bool) -> None:
    """There is nothing to remark."""
    assert decide_nginx(required=required, find=lambda: "/usr/sbin/nginx") == PrometheusDecision(is_collected=True)


def test_in_ci_a_missing_nginx_fails() -> None:
    """Where it is required the tests are collected, to fail with what to do."""
    decision = decide_nginx(required=True, find=lambda: None)

    assert (decision.is_collected, decision.note) == (True, None)
    assert "run `scripts/ci-tools` as root" in str(decision.failure)


def test_on_a_users_machine_a_missing_nginx_is_remarked() -> None:
    """Elsewhere the tests are left out and the note says so."""
    decision = decide_nginx(required=False, find=lambda: None)

    assert (decision.is_collected, decision.failure) == (False, None)
    assert "nginx-light" in str(decision.note)
