"""Error events for Sentry: one for each fault, on the trace of its request, with its last log lines.

A fault is taken down in the request, as plain values; all that costs (reading the source, Sentry's serializer,
redaction, sending) is done in threads. The client is the `Telemetry`'s own: nothing is patched, no scope is forked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol
from uuid import uuid4

import sentry_sdk
from sentry_sdk.transport import Transport

from prethrift_backend.config import Settings
from prethrift_backend.observability import _sentry_scope, context
from prethrift_backend.observability._fault_limits import FaultLimits, Rate
from prethrift_backend.observability._faults import Reported, is_fault, kind_of, take_down
from prethrift_backend.observability._job_thread import JobThread
from prethrift_backend.observability._sentry_event import Fault, add_facts, event_of, facts_of, timestamp_of
from prethrift_backend.observability._sentry_redaction import EventRedaction
from prethrift_backend.observability._sentry_transport import (
    CapturedEvents,
    Count,
    EventOutcome,
    EventReceiver,
    HttpReceiver,
    KeptReceiver,
    Outlet,
    Target,
    envelope_of,
    sentry_target,
)
from prethrift_backend.observability.clock import Clock
from prethrift_backend.observability.context import RequestContext
from prethrift_backend.observability.export_protocols import ExportWatch
from prethrift_backend.observability.redaction import Redactor

__all__ = ["CapturedEvents", "ErrorReporter", "EventOutcome", "ReportWatch", "make_error_reporter", "report_error"]

# A dependency that is away fails every request; one event says so, and one a minute says that it still is.
_OPERATIONAL_RATE: Final = Rate(at_once=1, every_seconds=60.0)
# Arbitrary: enough to see what a bug's occurrences have in common.
_BUG_RATE: Final = Rate(at_once=10, every_seconds=6.0)
# Arbitrary. Faults wait only while one is being made into an event, for some milliseconds.
_MAX_WAITING: Final = 100


class ErrorReporter(Protocol):
    """Who turns faults into events."""

    def capture(
        self, error: BaseException, *, event: str, request: RequestContext | None, handled: bool = False
    ) -> str | None:
        """Report a fault; ``event`` is the name of its log line. Return the id of its event.

        Never waits. None where no event was made: for an expected error, a repetition within its rate, or the same
        exception again. ``handled`` says that somebody answered it.
        """
        ...

    def enter(self) -> None:
        """Let ``sentry_sdk.capture_exception()`` and its like reach this reporter's client, until `leave`."""
        ...

    def leave(self) -> None:
        """Give back what `enter` took; repeatable."""
        ...

    def flush(self, deadline: float) -> bool:
        """Wait until every event is sent or ``deadline`` (of ``time.monotonic``) is over; return which of the two."""
        ...

    def close(self, deadline: float) -> None:
        """Send what is there until ``deadline`` (of ``time.monotonic``) and stop; repeatable."""
        ...


@dataclass(frozen=True, slots=True)
class ReportWatch:
    """Who is told how reporting goes: of events, of requests to receivers, and of faults of our own."""

    count: Count
    exports: ExportWatch
    fail: Callable[[str, Exception], None]


class SentryReporter:
    """Faults to events, by a client of Sentry's that belongs to one `Telemetry`."""

    def __init__(
        self,
        settings: Settings,
        outlet: Outlet,
        *,
        redactor: Redactor,
        clock: Clock,
        watch: ReportWatch,
    ) -> None:
        self._outlet = outlet
        self._redactor = redactor
        self._clock = clock
        self._count = watch.count
        self._fail = watch.fail
        self._service = settings.service_name
        self._static = _static(settings)
        self._reported = Reported()
        self._limits = FaultLimits(clock.monotonic)
        self._client = _make_client(settings, outlet, self._before_send)
        self._jobs: JobThread[Fault] = JobThread(
            self._make_event,
            name="prethrift-error-events",
            capacity=_MAX_WAITING,
            on_drop=lambda _fault: watch.count("dropped", 1),
        )

    def capture(
        self, error: BaseException, *, event: str, request: RequestContext | None, handled: bool = False
    ) -> str | None:
        """Report a fault; see `ErrorReporter.capture`."""
        try:
            return self._capture(error, event, request, handled=handled)
        except Exception as fault:  # noqa: BLE001 - never into the request
            self._fail("error_event", fault)
            return None

    def _capture(
        self, error: BaseException, event: str, request: RequestContext | None, *, handled: bool
    ) -> str | None:
        if not is_fault(error) or not self._reported.note(error):
            return None
        kind = kind_of(error)
        suppressed = self._limits.admit(kind, _OPERATIONAL_RATE if kind.is_operational else _BUG_RATE)
        if suppressed is None:
            self._count("suppressed", 1)
            return None
        fault = Fault(
            event_id=uuid4().hex,
            time_ns=self._clock.time_ns(),
            log_event=event,
            is_handled=handled,
            kind=kind,
            chain=take_down(error),
            facts=facts_of(request, redact_query=self._redactor.redact_query),
            suppressed=suppressed,
        )
        return fault.event_id if self._jobs.put(fault) else None

    def _make_event(self, fault: Fault) -> None:
        """Build, redact and hand over one event; in the reporter's thread."""
        try:
            event = self._finished({**self._static, **event_of(fault)})
            self._outlet.capture_envelope(envelope_of(event, sent_at=timestamp_of(self._clock.time_ns())))
        except Exception as error:
            self._note(error)
            raise  # to its thread, which drops the fault

    def _before_send(self, event: dict[str, Any], hint: Mapping[str, Any]) -> dict[str, Any] | None:
        """Finish an event that the program captured itself; Sentry calls this where it did, last of all."""
        try:
            return self._finished(event) if self._adopt(event, hint) else None
        except Exception as error:  # noqa: BLE001 - an event that cannot be redacted does not leave
            self._count("dropped", 1)
            self._note(error)
            return None

    def _finished(self, event: dict[str, Any]) -> dict[str, Any]:
        """Take an event through the redaction, the last step before the receivers."""
        event["tags"] = {"service": self._service, **(event.get("tags") or {})}
        event.pop("server_name", None)  # a host's name says nothing that the trace does not
        return EventRedaction(self._redactor).redact(event)

    def _note(self, error: Exception) -> None:
        with suppress(Exception):  # strict would raise it into Sentry's code, or end the thread
            self._fail("error_event", error)

    def _adopt(self, event: dict[str, Any], hint: Mapping[str, Any]) -> bool:
        """Give an event of the program's own what ours have; False where its exception is none or was reported."""
        error = (hint.get("exc_info") or (None, None))[1]
        if error is not None and not (is_fault(error) and self._reported.note(error)):
            return False
        add_facts(event, facts_of(context.current_request(), redact_query=self._redactor.redact_query))
        return True

    def enter(self) -> None:
        """Let Sentry's own functions reach this client."""
        _sentry_scope.offer(self._client)

    def leave(self) -> None:
        """Give back what `enter` took; repeatable."""
        _sentry_scope.withdraw(self._client)

    def flush(self, deadline: float) -> bool:
        """Wait until every event is sent; see `ErrorReporter.flush`."""
        return self._jobs.wait_idle(deadline) and self._outlet.wait_idle(deadline)

    def close(self, deadline: float) -> None:
        """Send what is there and stop; see `ErrorReporter.close`."""
        self.leave()
        self._jobs.stop()
        self._jobs.join(deadline)
        self._outlet.close(deadline)
        with suppress(Exception):  # it has nothing left to send
            self._client.close(timeout=0.0)


def _make_client(
    settings: Settings, outlet: Outlet, before_send: Callable[[dict[str, Any], Mapping[str, Any]], Any]
) -> sentry_sdk.Client:
    """Make a client that takes nothing from the environment, patches nothing and starts no thread."""
    return sentry_sdk.Client(
        dsn="",
        transport=outlet,
        spotlight=False,
        debug=False,
        default_integrations=False,
        auto_enabling_integrations=False,
        auto_session_tracking=False,
        enable_backpressure_handling=False,
        send_client_reports=False,
        include_local_variables=False,
        max_breadcrumbs=50,
        before_send=before_send,  # type: ignore[arg-type] # Sentry's Event is a TypedDict, ours any dictionary
        release=_release(settings),
        environment=settings.environment,
        server_name="",  # None would ask the system for it
        in_app_include=["prethrift_backend"],
    )


def _static(settings: Settings) -> dict[str, Any]:
    """Return what every event says of the process."""
    return {
        "release": _release(settings),
        "environment": settings.environment,
        "sdk": {"name": "sentry.python", "version": sentry_sdk.VERSION},
    }


def _release(settings: Settings) -> str:
    return f"{settings.service_name}@{settings.service_version}"


def make_error_reporter(
    settings: Settings,
    *,
    redactor: Redactor,
    clock: Clock,
    watch: ReportWatch,
    transport: Transport | None = None,
) -> ErrorReporter | None:
    """Make the reporter that SENTRY_DSN and SENTRY_SPOTLIGHT ask for; None where neither is set.

    A ``transport`` takes the place of both.
    """
    receivers = _receivers(settings, watch) if transport is None else [KeptReceiver(transport, count=watch.count)]
    if not receivers:
        return None
    return SentryReporter(settings, Outlet(receivers), redactor=redactor, clock=clock, watch=watch)


def _receivers(settings: Settings, watch: ReportWatch) -> Sequence[EventReceiver]:
    """Make the receivers; where there are two, Sentry's counts."""
    receivers: list[EventReceiver] = []
    if settings.sentry_dsn is not None:
        target = sentry_target(settings.sentry_dsn.get_secret_value())
        receivers.append(HttpReceiver(target, watch=watch.exports, count=watch.count))
    if settings.sentry_spotlight is not None:
        count = _count_nothing if receivers else watch.count
        target = Target("spotlight", settings.sentry_spotlight)
        receivers.append(HttpReceiver(target, watch=watch.exports, count=count))
    return receivers


def _count_nothing(_outcome: EventOutcome, _count: int) -> None:
    pass


def report_error(error: BaseException, *, event: str = "error_reported") -> str | None:
    """Report an error that somebody handled, such as a dependency that is away; return the id of its event.

    Works in a request and outside of one; never raises, never waits. ``event`` is the name of the log line about it.
    None where no event was made: nothing is configured, it was reported, it is the caller's mistake (`ExpectedError`),
    or one of its kind was sent a moment ago: operational errors of one code are one event a minute.
    """
    signals = context.current_signals()
    return None if signals is None else signals.report_error(error, event=event)
