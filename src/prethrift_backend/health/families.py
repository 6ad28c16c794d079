"""The metric families of health, by the names and words of ``contracts/metrics.txt``.

One list serves both places where they are shown: the Prometheus form of ``/health`` and ``/metrics``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from prethrift_backend.health.aggregate import Overall
from prethrift_backend.health.check import CheckReport
from prethrift_backend.health.status import HealthStatus

Readings = Mapping[tuple[str, ...], float]
"""The values of one family, each by its label values in the order of the family's labels."""


@dataclass(frozen=True, slots=True)
class HealthFamily:
    """One metric family."""

    name: str
    kind: Literal["counter", "gauge"]
    description: str
    labels: tuple[str, ...] = ("check",)


@dataclass(frozen=True, slots=True)
class Moment:
    """Everything that the families are read from."""

    overall: Overall
    reports: Sequence[CheckReport]
    heartbeat_age_seconds: float | None = None


_Sample = tuple[tuple[str, ...], float]
_Read = Callable[[Moment], Iterator[_Sample]]


def _up(moment: Moment) -> Iterator[_Sample]:
    yield (), float(moment.overall.status is not HealthStatus.UNHEALTHY)


def _check_up(moment: Moment) -> Iterator[_Sample]:
    for report in moment.reports:
        yield (report.check.name,), float(report.settled is not HealthStatus.UNHEALTHY)


def _states(moment: Moment) -> Iterator[_Sample]:
    for report in moment.reports:
        for state in HealthStatus:
            yield (report.check.name, state.value), float(report.check.status is state)


def _durations(moment: Moment) -> Iterator[_Sample]:
    for report in moment.reports:
        yield (report.check.name,), report.check.duration_ms / 1000


def _ages(moment: Moment) -> Iterator[_Sample]:
    for report in moment.reports:
        if report.age_seconds is not None:
            yield (report.check.name,), report.age_seconds


def _last_successes(moment: Moment) -> Iterator[_Sample]:
    for report in moment.reports:
        if report.history.last_success_at is not None:
            yield (report.check.name,), report.history.last_success_at


def _results(moment: Moment) -> Iterator[_Sample]:
    for report in moment.reports:
        for status, count in report.history.results.items():
            yield (report.check.name, status.value), float(count)


def _changes(moment: Moment) -> Iterator[_Sample]:
    for report in moment.reports:
        for status, count in report.history.changes.items():
            yield (report.check.name, status.value), float(count)


def _heartbeat_age(moment: Moment) -> Iterator[_Sample]:
    if moment.heartbeat_age_seconds is not None:
        yield (), moment.heartbeat_age_seconds


_READERS: Final[Mapping[HealthFamily, _Read]] = {
    HealthFamily("health_up", "gauge", "1 unless the service as a whole is unhealthy.", ()): _up,
    HealthFamily("health_check_up", "gauge", "1 unless a check counts as unhealthy, after hysteresis."): _check_up,
    HealthFamily(
        "health_check_state",
        "gauge",
        "1 for the state that a health check is in, 0 for the other states.",
        ("check", "state"),
    ): _states,
    HealthFamily("health_check_duration_seconds", "gauge", "Time that the last run of a check took."): _durations,
    HealthFamily("health_check_age_seconds", "gauge", "Age of the last result of a check."): _ages,
    HealthFamily(
        "health_check_last_success_timestamp_seconds", "gauge", "When a check last passed, in seconds since the epoch."
    ): _last_successes,
    HealthFamily("health_checks_total", "counter", "Runs of a check by what they gave.", ("check", "result")): _results,
    HealthFamily(
        "health_check_transitions_total",
        "counter",
        "Changes of a check's state after hysteresis, by the state they led to.",
        ("check", "state"),
    ): _changes,
    HealthFamily(
        "health_scheduler_heartbeat_age_seconds", "gauge", "Time since the schedule of the checks last showed life.", ()
    ): _heartbeat_age,
}

FAMILIES: Final[tuple[HealthFamily, ...]] = tuple(_READERS)
"""Every family, in the order in which the Prometheus form of ``/health`` shows them."""


def readings_of(moment: Moment) -> Mapping[str, Readings]:
    """Return the readings of every family by its name; a family may have none."""
    return {family.name: dict(read(moment)) for family, read in _READERS.items()}
