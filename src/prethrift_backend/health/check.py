"""One check: what its author writes, what it may answer, and in which words.

What a check says travels to people who may not be trusted, so the words come from a closed list. A failure is a code,
and each code has a sentence. The text of an exception is never part of it: such texts hold hosts, users and passwords.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from prethrift_backend.exceptions import (
    DatabaseUnavailableError,
    EmbeddingQueueFullError,
    ImageStoreUnavailableError,
    ModelsNotReadyError,
    ProbeFailedError,
)
from prethrift_backend.health.history import CheckHistory
from prethrift_backend.health.status import HealthStatus


class CheckCode(StrEnum):
    """Everything that can be said of one run of a check; the list is closed and part of the health contract."""

    OK = "ok"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    AUTH_FAILED = "auth_failed"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    WRONG_VERSION = "wrong_version"
    WRONG_DIMENSION = "wrong_dimension"
    WRONG_REGION = "wrong_region"
    LOADING = "loading"
    BUSY = "busy"
    POOL_SATURATED = "pool_saturated"
    MEMORY_HIGH = "memory_high"
    DEPENDENCY_FAILED = "dependency_failed"
    STALE = "stale"
    DISABLED = "disabled"
    INTERNAL = "internal"


_CODES: Final = frozenset(code.value for code in CheckCode)

DEFAULT_SENTENCES: Final[Mapping[CheckCode, str]] = {
    CheckCode.OK: "Check passed",
    CheckCode.TIMEOUT: "No answer within the time limit",
    CheckCode.UNREACHABLE: "Could not be reached",
    CheckCode.AUTH_FAILED: "The credentials were refused",
    CheckCode.FORBIDDEN: "Reachable, but access is not allowed",
    CheckCode.NOT_FOUND: "Reachable, but what is needed does not exist",
    CheckCode.WRONG_VERSION: "Reachable, but the version is not the expected one",
    CheckCode.WRONG_DIMENSION: "Reachable, but vectors have the wrong dimension",
    CheckCode.WRONG_REGION: "Reachable, but in another region than the configured one",
    CheckCode.LOADING: "Still loading",
    CheckCode.BUSY: "Busy: too much work is waiting",
    CheckCode.POOL_SATURATED: "Every pooled connection is in use",
    CheckCode.MEMORY_HIGH: "Memory use is close to its limit",
    CheckCode.DEPENDENCY_FAILED: "Not checked: something it depends on has failed",
    CheckCode.STALE: "The last result is too old to be trusted",
    CheckCode.DISABLED: "Switched off by configuration",
    CheckCode.INTERNAL: "The check itself failed",
}

STATUS_SENTENCES: Final[Mapping[HealthStatus, str]] = {
    HealthStatus.HEALTHY: DEFAULT_SENTENCES[CheckCode.OK],
    HealthStatus.DEGRADED: "The check reports degraded service",
    HealthStatus.UNHEALTHY: "The check reports a failure",
}
"""The words for a check that gave a status of its own and no code."""

# Busy is not down, and "not allowed to look" is not down either; whatever is not named here is unhealthy.
CODE_STATUSES: Final[Mapping[CheckCode, HealthStatus]] = {
    CheckCode.OK: HealthStatus.HEALTHY,
    CheckCode.DISABLED: HealthStatus.HEALTHY,
    CheckCode.FORBIDDEN: HealthStatus.DEGRADED,
    CheckCode.WRONG_VERSION: HealthStatus.DEGRADED,
    CheckCode.WRONG_REGION: HealthStatus.DEGRADED,  # requests are sent on to the right one, at a price
    CheckCode.LOADING: HealthStatus.DEGRADED,
    CheckCode.BUSY: HealthStatus.DEGRADED,
    CheckCode.POOL_SATURATED: HealthStatus.DEGRADED,
    CheckCode.MEMORY_HIGH: HealthStatus.DEGRADED,
}

# Looked up along the exception's base classes, the nearest first: TimeoutError is an OSError and still a timeout.
DEFAULT_CODES: Final[Mapping[type[Exception], CheckCode]] = {
    TimeoutError: CheckCode.TIMEOUT,
    PermissionError: CheckCode.FORBIDDEN,
    FileNotFoundError: CheckCode.NOT_FOUND,
    OSError: CheckCode.UNREACHABLE,
    DatabaseUnavailableError: CheckCode.UNREACHABLE,
    ImageStoreUnavailableError: CheckCode.UNREACHABLE,
    ModelsNotReadyError: CheckCode.LOADING,
    EmbeddingQueueFullError: CheckCode.BUSY,
}


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """The result of one check, as its author returns it and as the endpoints show it.

    ``duration_ms`` of 0 means "not measured": the engine then puts in its own figure. ``message`` is shown as it stands
    to callers who may see details; others see the sentence of the closed list, unless the message is one of those.
    ``details`` holds numbers, booleans and single words; the endpoints withhold any other value.
    Raises ValueError when ``status`` is none of the three.
    """

    name: str
    status: HealthStatus
    duration_ms: float = 0.0
    message: str = ""
    details: Mapping[str, object] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "status", HealthStatus(self.status))  # "healthy" written as a plain string is fine


CheckResult = HealthCheck | Mapping[str, object] | None
CheckFunction = Callable[[], Awaitable[CheckResult]] | Callable[[], CheckResult]
"""What may be registered, async or plain: it returns a result of its own; or it returns None, or details, for "ok" and
raises otherwise."""


class CheckFailed(Exception):  # noqa: N818 - reads as a sentence where it is raised, as pytest's Failed does
    """Raised by a check to say why, in a word of the closed list.

    ``status`` overrides the usual status of the code; ``details`` are shown to callers who may see them.
    """

    def __init__(
        self,
        code: CheckCode | str,
        *,
        status: HealthStatus | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        self.code = CheckCode(code)
        self.status = status or CODE_STATUSES.get(self.code, HealthStatus.UNHEALTHY)
        self.details = dict(details or {})
        super().__init__(self.code.value)


@dataclass(frozen=True, slots=True)
class CheckWording:
    """What a registration says in its own words: sentences by code, and codes by exception type.

    Both only add to the defaults. Every sentence given here belongs to the closed list: it is shown to everybody, so
    it must hold nothing that only some may know.
    """

    sentences: Mapping[CheckCode, str] = field(default_factory=dict)
    codes: Mapping[type[Exception], CheckCode] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for code, sentence in self.sentences.items():
            if not sentence or len(sentence) > 200 or not sentence.isprintable():
                raise ValueError(
                    f"the sentence {sentence!r} for code {str(code)!r} cannot be shown: it must be one line of 1 to "
                    "200 printable characters; shorten it"
                )

    def sentence(self, code: CheckCode) -> str:
        """Return the sentence for ``code``."""
        return self.sentences.get(code, DEFAULT_SENTENCES[code])

    def code_of(self, error: Exception) -> CheckCode:
        """Return the code for ``error``, by its type and never by its text; ``internal`` when nothing fits."""
        if isinstance(error, CheckFailed):
            return error.code
        if isinstance(error, ProbeFailedError):  # a word outside the closed list is a bug of the probe
            return CheckCode(error.probe_code) if error.probe_code in _CODES else CheckCode.INTERNAL
        for kind in type(error).__mro__:
            code = self.codes.get(kind) or DEFAULT_CODES.get(kind)
            if code is not None:
                return code
        return CheckCode.INTERNAL

    def is_closed(self, message: str) -> bool:
        """Tell whether ``message`` is one of the sentences that everybody may read."""
        return (
            message in self.sentences.values()
            or message in DEFAULT_SENTENCES.values()
            or message in STATUS_SENTENCES.values()
        )


@dataclass(frozen=True, slots=True)
class CheckReport:
    """One check at the moment of reading: its last result, and what the engine knows about it.

    ``check.status`` is the last result as it came (or unhealthy, when that is too old); ``settled`` is the same after
    hysteresis, and the one that decides about traffic. ``public_message`` is the sentence for callers who may not see
    details. ``age_seconds`` is None before the first result. ``history`` is for callers who may see details, and for
    the metrics.
    """

    check: HealthCheck
    critical: bool
    settled: HealthStatus
    code: CheckCode | None
    public_message: str
    age_seconds: float | None
    consecutive_failures: int
    history: CheckHistory = field(default_factory=CheckHistory)
