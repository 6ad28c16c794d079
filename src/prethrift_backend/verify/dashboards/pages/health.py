"""The health checks, as the service sees itself, and as Prometheus reaches it."""

from __future__ import annotations

from typing import Final

from prethrift_backend.contracts import MetricsContract
from prethrift_backend.verify.dashboards.families import Families
from prethrift_backend.verify.dashboards.model import SELECTOR, Page, Panel, Query, Row, Threshold

_HEALTH_JOB: Final = SELECTOR.replace("$job", "prethrift-health")


def make_page(contract: MetricsContract) -> Page:
    """Make the page.

    Raises ContractError where it asks for what the contract has not.
    """
    families = Families(contract)
    return Page(
        "health",
        "Prethrift: health",
        "The health checks: what they say now, what they said, and whether they run.",
        (Row("State", _state(families)), Row("Runs", _runs(families)), Row("Schedule", _schedule(families))),
    )


def _state(families: Families) -> tuple[Panel, ...]:
    return (
        families.gauge("health_up", "instance").as_timeline(),
        families.gauge("health_check_up", "check").as_timeline(),
        _reached(),
        families.gauge("health_check_state", "check", "state").sized(12),
        families.rate("health_check_transitions_total", "check", "state").sized(12),
    )


def _reached() -> Panel:
    return Panel(
        title="Health endpoint by instance",
        description="`up` of the job prethrift-health: 0 where /health answers 503, or does not answer.",
        unit="short",
        queries=(Query(f"min by (instance) (up{{{_HEALTH_JOB}}})", "{{instance}}"),),
    ).as_timeline()


def _runs(families: Families) -> tuple[Panel, ...]:
    return (
        families.rate("health_checks_total", "check", "result"),
        families.gauge("health_check_duration_seconds", "check"),
        families.age("health_check_last_success_timestamp_seconds", "check"),
    )


def _schedule(families: Families) -> tuple[Panel, ...]:
    return (
        families.gauge("health_check_age_seconds", "check").sized(12),
        families.gauge("health_scheduler_heartbeat_age_seconds", "instance").marked(Threshold(30.0)).sized(12),
    )
