"""The bodies: JSON by ``contracts/health.schema.json``, and the Prometheus form of ``/health``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from prethrift_backend.health.aggregate import Overall
from prethrift_backend.health.check import CheckReport
from prethrift_backend.health.status import HealthStatus


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answers: the version and the environment that every body names."""

    version: str
    environment: str


def json_body(
    identity: Identity,
    overall: Overall,
    reports: Sequence[CheckReport],
    *,
    timestamp: datetime,
    uptime_seconds: float,
    shows_details: bool,
) -> bytes:
    """Return the JSON body; without ``shows_details`` each check says only a sentence of the closed list."""
    body: dict[str, object] = {
        "status": overall.status.value,
        "timestamp": timestamp.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "version": identity.version,
        "environment": identity.environment,
        "uptime_seconds": round(uptime_seconds, 3),
        "checks": [_check(report, shows_details=shows_details) for report in reports],
    }
    if overall.reason is not None:
        body["reason"] = overall.reason.value
    return orjson.dumps(body)


def _check(report: CheckReport, *, shows_details: bool) -> dict[str, object]:
    check = report.check
    return {
        "name": check.name,
        "status": check.status.value,
        "duration_ms": round(check.duration_ms, 3),
        "message": check.message if shows_details else report.public_message,
        "details": _details(report) if shows_details else {},
    }


def _details(report: CheckReport) -> dict[str, object]:
    details: dict[str, object] = {
        **(report.check.details or {}),
        "critical": report.critical,
        "consecutive_failures": report.consecutive_failures,
    }
    if report.code is not None:
        details["code"] = report.code.value
    if report.age_seconds is not None:
        details["age_seconds"] = round(report.age_seconds, 3)
    return details


def metrics_body(overall: Overall, reports: Sequence[CheckReport], *, is_openmetrics: bool) -> bytes:
    """Return the Prometheus form. All families are gauges, which both exposition formats write alike."""
    lines = [
        *_family("health_up", "1 unless the service as a whole is unhealthy.", _up(overall)),
        *_family("health_check_state", "1 for the state that a check is in, 0 for the others.", _states(reports)),
        *_family("health_check_duration_seconds", "Time that the last run of a check took.", _durations(reports)),
        *_family("health_check_age_seconds", "Age of the last result of a check.", _ages(reports)),
    ]
    return "".join(f"{line}\n" for line in (*lines, *(["# EOF"] if is_openmetrics else []))).encode()


def _family(name: str, description: str, samples: Iterator[tuple[str, float]]) -> Iterator[str]:
    yield f"# HELP {name} {description}"
    yield f"# TYPE {name} gauge"
    for labels, value in samples:
        yield f"{name}{labels} {value:.9g}"


def _up(overall: Overall) -> Iterator[tuple[str, float]]:
    yield "", float(overall.status is not HealthStatus.UNHEALTHY)


def _states(reports: Sequence[CheckReport]) -> Iterator[tuple[str, float]]:
    # Names need no escaping: the registry admits a-z, 0-9 and _ only.
    for report in reports:
        for state in HealthStatus:
            yield f'{{check="{report.check.name}",state="{state.value}"}}', float(report.check.status is state)


def _durations(reports: Sequence[CheckReport]) -> Iterator[tuple[str, float]]:
    for report in reports:
        yield f'{{check="{report.check.name}"}}', report.check.duration_ms / 1000


def _ages(reports: Sequence[CheckReport]) -> Iterator[tuple[str, float]]:
    for report in reports:
        if report.age_seconds is not None:
            yield f'{{check="{report.check.name}"}}', report.age_seconds
