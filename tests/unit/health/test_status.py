"""The three words and their order."""

from __future__ import annotations

from itertools import permutations

import pytest

from prethrift_backend.health import HealthStatus, worst

IN_ORDER = [HealthStatus.HEALTHY, HealthStatus.DEGRADED, HealthStatus.UNHEALTHY]


@pytest.mark.parametrize("given", list(permutations(IN_ORDER)))
def test_order_is_that_of_severity(given: tuple[HealthStatus, ...]) -> None:
    """Statuses sort from healthy to unhealthy, however they came."""
    assert sorted(given) == IN_ORDER


def test_every_comparison_agrees_with_severity() -> None:
    """All four comparisons tell the same story."""
    healthy, degraded, _ = IN_ORDER

    assert healthy < degraded
    assert healthy <= degraded
    assert degraded > healthy
    assert degraded >= healthy


def test_worst_of_nothing_is_healthy() -> None:
    """Without any status there is nothing to complain of."""
    assert worst([]) is HealthStatus.HEALTHY


def test_worst_is_not_deceived_by_the_alphabet() -> None:
    """Degraded is worse than healthy although its letter comes first."""
    assert worst([HealthStatus.HEALTHY, HealthStatus.DEGRADED]) is HealthStatus.DEGRADED
