"""The bodies: JSON by ``contracts/health.schema.json``, and the Prometheus form of ``/health``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from prethrift_backend.health.aggregate import Overall
from prethrift_backend.health.check import CheckReport
from prethrift_backend.health.families import FAMILIES, HealthFamily, Moment, Readings, readings_of
from prethrift_backend.health.history import CheckHistory


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
        "timestamp": _written(timestamp),
        "version": identity.version,
        "environment": identity.environment,
        "uptime_seconds": round(uptime_seconds, 3),
        "checks": [_check(report, shows_details=shows_details) for report in reports],
    }
    if overall.reason is not None:
        body["reason"] = overall.reason.value
    return orjson.dumps(body)


def _written(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _of_epoch(seconds: float) -> str:
    return _written(datetime.fromtimestamp(seconds, UTC))


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
    return details | _past(report.history)


def _past(history: CheckHistory) -> dict[str, object]:
    """Tell the history, oldest change first; nothing of what has not been yet."""
    past: dict[str, object] = {}
    if history.last_success_at is not None:
        past["last_success"] = _of_epoch(history.last_success_at)
    if history.since is not None:
        past["since"] = _of_epoch(history.since)
        past["history"] = [
            {"at": _of_epoch(change.at), "status": change.status.value}
            | ({} if change.code is None else {"code": change.code})
            for change in history.transitions
        ]
    return past


def metrics_body(moment: Moment, *, is_openmetrics: bool) -> bytes:
    """Return the Prometheus form: the families of health, with the values of this moment."""
    readings = readings_of(moment)
    lines = [line for family in FAMILIES for line in _family(family, readings[family.name], is_openmetrics)]
    return "".join(f"{line}\n" for line in (*lines, *(["# EOF"] if is_openmetrics else []))).encode()


def _family(family: HealthFamily, readings: Readings, is_openmetrics: bool) -> Iterator[str]:
    # OpenMetrics names a counter without the ending that its samples have.
    name = family.name.removesuffix("_total") if is_openmetrics else family.name
    yield f"# HELP {name} {family.description}"
    yield f"# TYPE {name} {family.kind}"
    for values, number in readings.items():
        yield f"{family.name}{_labels(family, values)} {number:.15g}"


def _labels(family: HealthFamily, values: tuple[str, ...]) -> str:
    # Names need no escaping: the registry admits a-z, 0-9 and _ only.
    pairs = ",".join(f'{label}="{value}"' for label, value in zip(family.labels, values, strict=True))
    return f"{{{pairs}}}" if pairs else ""
