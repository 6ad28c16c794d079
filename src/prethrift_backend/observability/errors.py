"""Error events for Sentry: one for each fault, on the trace of its request, with its last log lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

from sentry_sdk.transport import Transport

from prethrift_backend.config import Settings
from prethrift_backend.observability.clock import Clock
from prethrift_backend.observability.context import RequestContext
from prethrift_backend.observability.redaction import Redactor

EventOutcome: TypeAlias = Literal["sent", "suppressed", "dropped"]


class ErrorReporter(Protocol):
    """Who turns faults into events."""

    def capture(self, error: BaseException, *, event: str, request: RequestContext | None) -> str | None:
        """Report a fault that nobody handled; ``event`` is the name of its log line. Return the event's id.

        Never raises and never waits. None where no event was sent: an expected error, a repetition, or the same
        exception again.
        """
        ...

    def close(self, deadline: float) -> None:
        """Send what is there until ``deadline`` (of ``time.monotonic``) and stop; repeatable."""
        ...


def make_error_reporter(
    settings: Settings,
    *,
    redactor: Redactor,
    clock: Clock,
    count: Callable[[EventOutcome, int], None],
    transport: Transport | None = None,
) -> ErrorReporter | None:
    """Make the reporter that SENTRY_DSN and SENTRY_SPOTLIGHT ask for; None where neither is set."""
    return None
