"""The three words in which health is told, and their order."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class HealthStatus(StrEnum):
    """How well something is. Ordered from best to worst: ``HEALTHY < DEGRADED < UNHEALTHY``.

    The order is that of severity and not of the letters: as plain strings, ``"degraded" < "healthy"``, so that
    ``max()`` over results would hide a degraded one.
    """

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"

    @property
    def severity(self) -> int:
        """Return 0 for healthy, 1 for degraded, 2 for unhealthy."""
        return _SEVERITY[self.value]

    def __lt__(self, other: str) -> bool:
        return self.severity < HealthStatus(other).severity

    def __le__(self, other: str) -> bool:
        return self.severity <= HealthStatus(other).severity

    def __gt__(self, other: str) -> bool:
        return self.severity > HealthStatus(other).severity

    def __ge__(self, other: str) -> bool:
        return self.severity >= HealthStatus(other).severity


_SEVERITY: Final = {"healthy": 0, "degraded": 1, "unhealthy": 2}


def worst(statuses: Iterable[HealthStatus]) -> HealthStatus:
    """Return the most severe of ``statuses``; healthy when there is none."""
    return max(statuses, default=HealthStatus.HEALTHY)
