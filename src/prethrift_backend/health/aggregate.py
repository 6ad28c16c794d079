"""From the checks to one word: the whole, as ``/health`` tells it and as ``/health/ready`` decides it.

Nothing here knows HTTP, and nothing runs a check.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from prethrift_backend.health.check import CheckCode, CheckReport
from prethrift_backend.health.lifecycle import Lifecycle, Phase
from prethrift_backend.health.status import HealthStatus


class Reason(StrEnum):
    """Why the whole is not what its checks alone would make it."""

    STARTING = "starting"
    DRAINING = "draining"
    STALE = "stale"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Overall:
    """The whole in one word, with the reason where the checks do not show it."""

    status: HealthStatus
    reason: Reason | None = None


def aggregate(reports: Sequence[CheckReport]) -> HealthStatus:
    """Return unhealthy if a critical check is steadily so, degraded if anything is not healthy, healthy otherwise."""
    if any(report.critical and report.settled is HealthStatus.UNHEALTHY for report in reports):
        return HealthStatus.UNHEALTHY
    if any(_is_blemished(report) for report in reports):
        return HealthStatus.DEGRADED
    return HealthStatus.HEALTHY


def health_of(reports: Sequence[CheckReport], lifecycle: Lifecycle) -> Overall:
    """Return what ``/health`` tells. Draining does not change it: a deployment is no reason to page anybody."""
    if lifecycle.is_in_startup_grace:
        return Overall(HealthStatus.DEGRADED, Reason.STARTING)
    return measured_of(reports, lifecycle)


def readiness_of(reports: Sequence[CheckReport], lifecycle: Lifecycle) -> Overall:
    """Return whether traffic should come; unhealthy means no."""
    if lifecycle.phase is Phase.DRAINING:
        return Overall(HealthStatus.UNHEALTHY, Reason.DRAINING)
    if lifecycle.phase is Phase.STARTING:
        return Overall(HealthStatus.UNHEALTHY, Reason.STARTING)
    return measured_of(reports, lifecycle)


def measured_of(reports: Sequence[CheckReport], _lifecycle: Lifecycle) -> Overall:
    """Return what the checks say, whatever phase the process is in."""
    status = aggregate(reports)
    is_stale = any(report.critical and report.code is CheckCode.STALE for report in reports)
    return Overall(status, Reason.STALE if is_stale and status is HealthStatus.UNHEALTHY else None)


def alone_of(reports: Sequence[CheckReport], lifecycle: Lifecycle) -> Overall:
    """Return what the checks say when each of them matters, critical or not."""
    return measured_of([replace(report, critical=True) for report in reports], lifecycle)


def _is_blemished(report: CheckReport) -> bool:
    return report.settled is not HealthStatus.HEALTHY or report.check.status is not HealthStatus.HEALTHY
