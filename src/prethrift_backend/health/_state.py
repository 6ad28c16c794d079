"""What is known of one check between its runs, and how a new result changes it. Pure: no clock, no task."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from prethrift_backend.exceptions import ProbeFailedError
from prethrift_backend.health._calls import Outcome
from prethrift_backend.health.check import (
    CODE_STATUSES,
    STATUS_SENTENCES,
    CheckCode,
    CheckFailed,
    CheckReport,
    HealthCheck,
)
from prethrift_backend.health.history import CheckHistory, Transition
from prethrift_backend.health.registry import Registration
from prethrift_backend.health.status import HealthStatus, worst

FAILURES_TO_FALL: Final = 3
"""Results in a row before a check that was well counts as unhealthy. One lost packet must not move traffic."""

SUCCESSES_TO_RISE: Final = 2
"""Results in a row before a fallen check counts as back."""

_WORD: Final = re.compile(r"[A-Za-z0-9_.+-]{1,64}")
_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_LARGEST_INTEGER: Final = 2**53  # beyond it, readers of JSON disagree
_WITHHELD: Final = "withheld"
ENGINE_DETAILS: Final = frozenset(
    {"code", "critical", "consecutive_failures", "age_seconds", "since", "last_success", "history"}
)
"""What the engine itself says among the details, in forms of its own; a check cannot."""

_CODES: Final = frozenset(code.value for code in CheckCode)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One result, judged. ``error_type`` is for the log only."""

    check: HealthCheck
    code: CheckCode | None
    error_type: str | None = None


def judge(registration: Registration, outcome: Outcome, *, duration_ms: float) -> Verdict:
    """Turn what a call gave back into a result; the exception's text does not get past here."""
    if outcome.error is not None:
        return _judge_error(registration, outcome.error, duration_ms)
    if outcome.value is None:
        return verdict_of(registration, CheckCode.OK, duration_ms=duration_ms)
    with suppress(TypeError, ValueError, AttributeError):  # a field of the wrong type, from code without types
        if isinstance(outcome.value, HealthCheck):
            return _judge_own(registration, outcome.value, duration_ms)
        if isinstance(outcome.value, Mapping):
            return verdict_of(registration, CheckCode.OK, duration_ms=duration_ms, details=outcome.value)
    # False, for one, might mean "bad": a value that was not agreed on is not read as "well".
    return verdict_of(registration, CheckCode.INTERNAL, duration_ms=duration_ms, error_type="UnexpectedResult")


def verdict_of(
    registration: Registration,
    code: CheckCode,
    *,
    duration_ms: float = 0.0,
    status: HealthStatus | None = None,
    details: Mapping[str, object] | None = None,
    error_type: str | None = None,
) -> Verdict:
    """Make the result that ``code`` stands for, in the registration's words."""
    check = HealthCheck(
        registration.name,
        status or CODE_STATUSES.get(code, HealthStatus.UNHEALTHY),
        duration_ms,
        registration.wording.sentence(code),
        shown_details(details or {}),
    )
    return Verdict(check, code, error_type)


def _judge_error(registration: Registration, error: Exception, duration_ms: float) -> Verdict:
    code = registration.wording.code_of(error)
    return verdict_of(
        registration,
        code,
        duration_ms=duration_ms,
        status=error.status if isinstance(error, CheckFailed) else None,
        details=error.details if isinstance(error, CheckFailed | ProbeFailedError) else None,
        error_type=type(error).__name__,
    )


def _judge_own(registration: Registration, own: HealthCheck, duration_ms: float) -> Verdict:
    code = _own_code(own)
    check = HealthCheck(
        registration.name,
        own.status,
        own.duration_ms if math.isfinite(own.duration_ms) and own.duration_ms > 0 else duration_ms,
        _one_line(own.message) or _sentence(registration, code, own.status),
        shown_details(own.details or {}),
    )
    return Verdict(check, code)


def _own_code(own: HealthCheck) -> CheckCode | None:
    given = (own.details or {}).get("code")
    if isinstance(given, str) and given in _CODES:
        return CheckCode(given)
    return CheckCode.OK if own.status is HealthStatus.HEALTHY else None


def _sentence(registration: Registration, code: CheckCode | None, status: HealthStatus) -> str:
    return STATUS_SENTENCES[status] if code is None else registration.wording.sentence(code)


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)[:200].strip()


def shown_details(details: Mapping[Any, object]) -> dict[str, object]:
    """Keep numbers, booleans and single words; put "withheld" in the place of any other value."""
    return {
        key: value if _is_plain(value) else _WITHHELD
        for key, value in details.items()
        if isinstance(key, str) and _KEY.fullmatch(key) and key not in ENGINE_DETAILS
    }


def _is_plain(value: object) -> bool:
    if isinstance(value, int):
        return abs(value) <= _LARGEST_INTEGER
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str) and _WORD.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class CheckState:
    """The state of one check: the last result, the settled status, and the two counters.

    ``failures`` and ``successes`` count results in a row; each result resets the other one. Counted are runs and never
    requests, so that many probers do not make a check fall faster.
    """

    verdict: Verdict | None = None
    settled: HealthStatus = HealthStatus.UNHEALTHY
    failures: int = 0
    successes: int = 0
    finished_at: float | None = None
    history: CheckHistory = field(default_factory=CheckHistory)

    def after(self, verdict: Verdict, *, now: float, is_first: bool, at: float = 0.0) -> CheckState:
        """Return the state after a new result; ``at`` is the time of day that ``now`` is, in seconds since the epoch.

        ``is_first``: nothing before it counts, so that it settles at once.
        """
        has_failed = verdict.check.status is HealthStatus.UNHEALTHY
        failures = 0 if not has_failed else 1 if is_first else self.failures + 1
        successes = 0 if has_failed else 1 if is_first else self.successes + 1
        settled = verdict.check.status if is_first else self._settle(verdict.check.status, failures, successes)
        transition = Transition(at, settled, verdict.code) if self._is_change(settled) else None
        history = self.history.after(verdict.check.status, at=at, transition=transition)
        return CheckState(verdict, settled, failures, successes, now, history)

    @property
    def is_in_doubt(self) -> bool:
        """Tell whether the last result and the settled status disagree, so that the next results decide."""
        if self.verdict is None:
            return False
        unhealthy = HealthStatus.UNHEALTHY
        return (self.verdict.check.status is unhealthy) is not (self.settled is unhealthy)

    def _is_change(self, settled: HealthStatus) -> bool:
        return self.verdict is None or self.settled is not settled

    def _settle(self, status: HealthStatus, failures: int, successes: int) -> HealthStatus:
        if self.settled is HealthStatus.UNHEALTHY:
            return status if successes >= SUCCESSES_TO_RISE else HealthStatus.UNHEALTHY
        if status is HealthStatus.UNHEALTHY and failures < FAILURES_TO_FALL:
            return HealthStatus.DEGRADED
        return status

    def age_seconds(self, now: float) -> float | None:
        """Return the age of the last result, or None when there is none."""
        return None if self.finished_at is None else max(0.0, now - self.finished_at)

    def is_stale(self, registration: Registration, now: float) -> bool:
        """Tell whether there is no result, or one that is too old to be believed."""
        age = self.age_seconds(now)
        return age is None or age > registration.max_age_seconds

    def is_expired(self, registration: Registration, now: float) -> bool:
        """Tell whether a reader should have the check run before it reads."""
        age = self.age_seconds(now)
        return age is None or age > registration.ttl_seconds

    def report(self, registration: Registration, now: float) -> CheckReport:
        """Return what to show at ``now``; the age is judged here, at reading, so that a dead engine cannot hide it."""
        verdict, settled = self.verdict, self.settled
        if verdict is None or self.is_stale(registration, now):
            # Never a result: the run that the reader waited for has not ended. Otherwise: the runs have stopped.
            code = CheckCode.TIMEOUT if verdict is None else CheckCode.STALE
            verdict, settled = verdict_of(registration, code), HealthStatus.UNHEALTHY
        return CheckReport(
            check=verdict.check,
            critical=registration.critical,
            settled=settled,
            code=verdict.code,
            public_message=_public_message(registration, verdict),
            age_seconds=self.age_seconds(now),
            consecutive_failures=self.failures,
            history=self.history,
        )


def dependent_report(registration: Registration, own: CheckReport, dependency: CheckReport) -> CheckReport:
    """Return what to show while the check that this one depends on fails.

    Both settle together: a single failure of the dependency must not move traffic by way of its dependents.
    """
    verdict = verdict_of(registration, CheckCode.DEPENDENCY_FAILED)
    has_result = own.age_seconds is not None and own.code is not CheckCode.STALE
    settled = worst((own.settled, dependency.settled)) if has_result else dependency.settled
    return replace(own, check=verdict.check, code=verdict.code, public_message=verdict.check.message, settled=settled)


def disabled_report(registration: Registration) -> CheckReport:
    """Return what a check that is switched off shows, so that every name is always there."""
    verdict = verdict_of(registration, CheckCode.DISABLED, details={"enabled": False})
    return CheckReport(
        verdict.check, registration.critical, HealthStatus.HEALTHY, verdict.code, verdict.check.message, None, 0
    )


def _public_message(registration: Registration, verdict: Verdict) -> str:
    if registration.wording.is_closed(verdict.check.message):
        return verdict.check.message
    return _sentence(registration, verdict.code, verdict.check.status)
