"""Clocks, checks and a harness that the tests of health share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from jsonschema import Draft202012Validator, FormatChecker

from prethrift_backend.contracts import load_health_schema
from prethrift_backend.health import (
    CheckCode,
    CheckFailed,
    DetailsGate,
    HealthEndpoint,
    HealthEngine,
    HealthRegistry,
    HealthResponse,
    Lifecycle,
)

PROMETHEUS_TEXT = "text/plain;version=0.0.4"
PROMETHEUS_OPENMETRICS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


FIRST_TICK = 1000.0
NEW_YEAR = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()


def health_validator() -> Draft202012Validator:
    """Make a validator of the checked-in schema that looks at formats as well."""
    return Draft202012Validator(load_health_schema(), format_checker=FormatChecker(["date-time"]))


def valid_body(response: HealthResponse) -> Any:
    """Parse a JSON body, after validating it by the schema."""
    body = orjson.loads(response.body)
    health_validator().validate(body)
    return body


class FakeClock:
    """A monotonic clock that stands still until it is told to move."""

    def __init__(self) -> None:
        self.now = FIRST_TICK

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Move on by ``seconds``."""
        self.now += seconds


@dataclass
class ScriptedCheck:
    """An async check that passes, raises or hangs as it is told, and counts its runs."""

    error: Exception | None = None
    gate: asyncio.Event | None = None
    runs: int = 0

    async def __call__(self) -> None:
        self.runs += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error

    def fail(self, code: CheckCode = CheckCode.UNREACHABLE) -> None:
        """Raise from now on."""
        self.error = CheckFailed(code)


@dataclass
class Harness:
    """A whole health stack with a hand-moved clock and no schedule."""

    details: DetailsGate = field(default_factory=lambda: DetailsGate("always"))
    deadline_seconds: float = 5.0
    clock: FakeClock = field(default_factory=FakeClock)
    registry: HealthRegistry = field(default_factory=HealthRegistry)
    version: str = "1.2.3"

    def __post_init__(self) -> None:
        self.lifecycle = Lifecycle(startup_grace_seconds=60, clock=self.clock)
        self.engine = HealthEngine(self.registry, clock=self.clock, time_of_day=self.time_of_day)
        self.endpoint = HealthEndpoint(
            self.engine,
            self.lifecycle,
            version=self.version,
            environment="production",
            gate=self.details,
            health_deadline_seconds=self.deadline_seconds,
            ready_deadline_seconds=self.deadline_seconds,
            utc_now=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        )

    def time_of_day(self) -> float:
        """Return seconds since the epoch: at the clock's beginning it is 2026-01-02T03:04:05Z."""
        return NEW_YEAR + self.clock.now - FIRST_TICK

    async def run_checks(self, times: int = 1) -> None:
        """Let every check run ``times`` times, each time because its result has expired."""
        for _ in range(times):
            self.clock.advance(8.0)  # beyond the lifetime of 7.25 s, short of the age limit of 16 s
            await self.engine.refresh(deadline_seconds=self.deadline_seconds)


def recording_sleep(
    pauses: list[float], release: Callable[[], Awaitable[object]]
) -> Callable[[float], Awaitable[None]]:
    """Make a ``sleep`` that notes each pause and ends it when ``release`` returns."""

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        await release()

    return sleep


def statuses(body: Any) -> Sequence[tuple[str, str]]:
    """Return (name, status) of the checks in a body."""
    return [(check["name"], check["status"]) for check in body["checks"]]
