"""Put the parts together: `configure` makes a `Telemetry`, which owns them and gives them back."""

from __future__ import annotations

import asyncio
import atexit
import logging
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import IO, Any, Final, Literal, Protocol, TypedDict, Unpack
from uuid import uuid4

import structlog
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry
from sentry_sdk.transport import Transport as SentryTransport

from prethrift_backend.config import Settings
from prethrift_backend.contracts import MetricsContract, load_metrics
from prethrift_backend.observability import context
from prethrift_backend.observability._export_log import ExportLog
from prethrift_backend.observability._fed_families import check_fed_families
from prethrift_backend.observability._names import (
    LOG_EVENTS_DROPPED_TOTAL,
    LOGGER,
    TELEMETRY_ERROR_EVENTS_TOTAL,
    TELEMETRY_ERRORS_TOTAL,
    TELEMETRY_FAILED,
    TELEMETRY_QUEUE_LENGTH,
)
from prethrift_backend.observability._request_metrics import RequestMetrics
from prethrift_backend.observability.clock import Clock, Ids
from prethrift_backend.observability.errors import EventOutcome, ReportWatch, make_error_reporter
from prethrift_backend.observability.export_protocols import SpanSink
from prethrift_backend.observability.exporters import make_span_sinks, queue_lengths
from prethrift_backend.observability.logs import (
    ConsoleRender,
    LineOptions,
    Output,
    Pipeline,
    Processor,
    Sink,
    StandardTakeover,
    StreamOutput,
    open_file,
    render_json,
    structlog_options,
)
from prethrift_backend.observability.metrics import MetricSet
from prethrift_backend.observability.multiprocess import Publisher
from prethrift_backend.observability.observing import ObserverOutput, ObserverSink, current_observers
from prethrift_backend.observability.otlp_metrics import make_metrics_push
from prethrift_backend.observability.redaction import STANDARD, Redactor
from prethrift_backend.observability.spans import INSTANCE_ID, ProcessResource, redacted_span
from prethrift_backend.observability.tracing import Tracing

# Everything that is still to be sent shares this, whatever the receivers do.
_CLOSING_SECONDS: Final = 3.0
# And this much is the log's in any case: a disk that works needs a hundredth of it.
_LAST_LINES_SECONDS: Final = 0.3

# The standard library has one root logger a process, so there is one take-over, shared by all telemetries.
_takeover: Final = StandardTakeover()
_open: Final[list[Telemetry]] = []


class Sender(Protocol):
    """Something that has a thread and still holds what is to be sent."""

    def close(self, deadline: float) -> None:
        """Send what is there until ``deadline`` (of ``time.monotonic``) and stop."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What a `Telemetry` is given besides its settings, and tests put their own in the place of."""

    log_stream: IO[Any] | None = None
    clock: Clock = field(default_factory=Clock)
    ids: Ids = field(default_factory=Ids)
    redactor: Redactor = STANDARD
    processors: Sequence[Processor] = ()
    span_sinks: Sequence[SpanSink] = ()
    sentry_transport: SentryTransport | None = None


class PartsGiven(TypedDict, total=False):
    """The fields of `Parts`, as keywords of `configure`."""

    log_stream: IO[Any] | None
    clock: Clock
    ids: Ids
    redactor: Redactor
    processors: Sequence[Processor]
    span_sinks: Sequence[SpanSink]
    sentry_transport: SentryTransport | None


class Telemetry:
    """Everything that one application says of itself; made by `configure`, given back by `aclose`.

    ``errors`` counts the faults of the telemetry itself, which never reach a request.
    """

    def __init__(self, settings: Settings, *, metrics: MetricSet, parts: Parts, strict: bool) -> None:
        self.settings = settings
        self.metrics = metrics
        self.requests = RequestMetrics(metrics)
        self.strict = strict
        self.clock = parts.clock
        self.ids = parts.ids
        self.redactor = parts.redactor
        self.errors = 0
        self._known_faults: set[tuple[str, str]] = set()
        self._closed = False
        self._publisher: Publisher | None = None
        observers = current_observers()
        self._pipeline = Pipeline(
            [
                *_sinks(settings, parts.log_stream),
                *(Sink(ObserverOutput(observer), render_json) for observer in observers),
            ],
            _line_options(settings, parts),
            on_drop=self._count_dropped,
            on_fault=self.fail,
        )
        self.logger = self._pipeline.logger
        self.handle_record = self._pipeline.handle_record
        resource, watch = _resource(settings), ExportLog(self)
        redact_span = partial(redacted_span, redactor=parts.redactor)
        self.tracing = Tracing(
            settings,
            sinks=[
                *make_span_sinks(settings, watch, redact_span=redact_span),
                *parts.span_sinks,
                *(ObserverSink(observer, redact_span) for observer in observers),
            ],
            resource=resource,
            clock=parts.clock,
            ids=parts.ids,
            is_clean=parts.redactor.is_clean,
        )
        self.tracer = self.tracing.tracer
        if metrics.find(TELEMETRY_QUEUE_LENGTH) is not None:
            metrics.observe(TELEMETRY_QUEUE_LENGTH, partial(queue_lengths, self.tracing.sinks))
        self.trace_headers = self.tracing.trace_headers
        self.reporter = make_error_reporter(
            settings,
            redactor=parts.redactor,
            clock=parts.clock,
            watch=ReportWatch(self._count_error_events, watch, self.fail),
            transport=parts.sentry_transport,
        )
        self._push = make_metrics_push(settings, metrics, watch, resource=resource, clock=parts.clock)
        for observer in observers:
            observer.configured(metrics)

    def adopt_standard_loggers(self) -> None:
        """Lead the standard library's loggers into the chain; repeat it after a server has set its own up."""
        if not self._closed:
            # They are the process's: each telemetry leaves out by itself what is below its own level.
            _takeover.adopt(level=min(telemetry._pipeline.level for telemetry in _open))

    def log(
        self,
        level: Literal["debug", "info"],
        event: str,
        fields: Mapping[str, Any],
        request: context.RequestContext | None = None,
    ) -> None:
        """Write the line that tells how a request ended, past structlog's wrapper: every request pays for one.

        It has the ids of the request's context: those of the server span, where that was set. A request that may be
        closed where nothing of it is current is given.
        """
        if self._pipeline.level <= (logging.INFO if level == "info" else logging.DEBUG):
            self._pipeline.write_closing(level, event, fields, request)

    def fail(self, where: str, error: Exception) -> None:
        """Count a fault of the telemetry itself and log the first of its kind; under strict raise it."""
        self.errors += 1
        with suppress(Exception):
            self.metrics.family(TELEMETRY_ERRORS_TOTAL).labels().inc()
        kind = (where, type(error).__qualname__)
        if kind not in self._known_faults:
            self._known_faults.add(kind)
            with suppress(Exception):
                self.logger(LOGGER).error(TELEMETRY_FAILED, where=where, exc_info=error)
        if self.strict:
            raise error

    def report_error(self, error: BaseException, *, event: str) -> str | None:
        """Report an error that somebody handled to Sentry; see `prethrift_backend.observability.report_error`."""
        if self.reporter is None:
            return None
        return self.reporter.capture(error, event=event, request=context.current_request(), handled=True)

    async def aclose(self) -> None:
        """Send and write what is queued, within 3 seconds, and give the standard library's loggers back; repeatable."""
        if self._closed:
            return
        self._release()
        # Joining waits for receivers, a disk or a terminal, three seconds at most: not on the event loop.
        await asyncio.to_thread(self._join)

    def close(self) -> None:
        """Do what `aclose` does, where there is no event loop."""
        if not self._closed:
            self._release()
            self._join()

    def _join(self, deadline: float | None = None) -> None:
        if deadline is None:
            deadline = time.monotonic() + _CLOSING_SECONDS
        _close_together(self._senders(), deadline=deadline - _LAST_LINES_SECONDS)
        # Last: the others have said why they could not send. A log that takes nothing has what they left of the time.
        self._pipeline.close(timeout_seconds=max(_LAST_LINES_SECONDS, deadline - time.monotonic()))

    def _senders(self) -> list[Sender]:
        others = [sender for sender in (self.reporter, self._push, self._publisher) if sender is not None]
        return [*self.tracing.sinks, *others]

    def _close_at_exit(self, deadline: float) -> None:
        self._release()
        self._join(deadline)

    def _release(self) -> None:
        self._closed = True
        _open.remove(self)
        context.remove_configured(self)
        if self.reporter is not None:
            self.reporter.leave()
        if _open:
            _open[-1].adopt_standard_loggers()
            structlog.configure(**structlog_options(_open[-1]._pipeline))
        else:
            _takeover.restore()
            structlog.reset_defaults()

    def _enter(self) -> None:
        _open.append(self)
        context.add_configured(self)
        if self.reporter is not None:
            self.reporter.enter()
        self.adopt_standard_loggers()
        structlog.configure(**structlog_options(self._pipeline))
        publish = self.metrics.publish
        # Always the last one registered, hence the first to run: the parts have hooks of their own, for a part alone.
        atexit.unregister(_close_all)
        atexit.register(_close_all)
        if publish is not None:  # a worker of several
            self._publisher = Publisher(publish, on_error=lambda error: self.fail("publish_metrics", error))

    def _count_dropped(self, count: int) -> None:
        self.metrics.family(LOG_EVENTS_DROPPED_TOTAL).labels().inc(count)

    def _count_error_events(self, outcome: EventOutcome, count: int) -> None:
        with suppress(Exception):
            self.metrics.family(TELEMETRY_ERROR_EVENTS_TOTAL).labels(outcome=outcome).inc(count)


def _close_together(senders: Sequence[Sender], *, deadline: float) -> None:
    """Close all at the same time: one receiver that hangs takes nothing of the time of the others."""
    threads = [threading.Thread(target=sender.close, args=(deadline,), daemon=True) for sender in senders]
    try:
        for thread in threads:
            thread.start()
    except RuntimeError:  # at the end of the process some versions of Python start no threads
        for sender in senders:
            sender.close(deadline)
        return
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))


def _close_all() -> None:
    """Send what a process that ends without `aclose` has to say, within the time of one closing."""
    deadline = time.monotonic() + _CLOSING_SECONDS
    for telemetry in reversed(_open.copy()):
        telemetry._close_at_exit(deadline)


def _resource(settings: Settings) -> Resource:
    """Return what every span and every pushed metric says of this process; the instance is new for each."""
    return ProcessResource(
        {
            "service.name": settings.service_name,
            "service.version": settings.service_version,
            INSTANCE_ID: str(uuid4()),
            "deployment.environment.name": settings.environment,
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.version": version("opentelemetry-sdk"),
        }
    )


def _sinks(settings: Settings, log_stream: IO[Any] | None) -> list[Sink]:
    stream = sys.stdout if log_stream is None else log_stream
    output: Output = StreamOutput(stream)
    if settings.log_format == "json":
        sinks = [Sink(output, render_json)]
    else:
        sinks = [Sink(output, ConsoleRender(colors=stream.isatty()))]
    if settings.log_file is not None:
        sinks.append(Sink(open_file(settings.log_file), render_json, "file"))
    return sinks


def _line_options(settings: Settings, parts: Parts) -> LineOptions:
    static = {
        "service": settings.service_name,
        "version": settings.service_version,
        "environment": settings.environment,
    }
    if settings.log_datadog:
        static |= {f"dd.{key}": static[name] for key, name in _DATADOG_NAMES.items()}
    return LineOptions(
        level=logging.getLevelNamesMapping()[settings.log_level],
        static=static,
        redactor=parts.redactor,
        processors=tuple(parts.processors),
        has_datadog_ids=settings.log_datadog,
        time_ns=parts.clock.time_ns,
    )


# Datadog's unified service tagging, as its own log injection names the fields.
_DATADOG_NAMES: Final = {"service": "service", "env": "environment", "version": "version"}


def configure(
    settings: Settings,
    *,
    contract: MetricsContract | None = None,
    registry: CollectorRegistry | None = None,
    strict: bool = False,
    **parts: Unpack[PartsGiven],
) -> Telemetry:
    """Make the telemetry of an application and the default of the process, until its `aclose`.

    Without ``contract`` the packaged ``contracts/metrics.txt`` is in force. Under ``strict`` a broken contract and a
    fault of the telemetry raise, which tests want. The rest are the fields of `Parts`: lines go to ``log_stream``,
    standard output by default; ``redactor`` hides more than the standard one; ``processors`` add fields to every line
    before it is redacted; ``span_sinks`` get every sampled span besides the receivers of the settings.

    Raises ConfigurationError when LOG_FILE cannot be opened, and ContractError where ``contract`` has a family that the
    telemetry feeds with other labels.
    """
    if contract is not None:
        check_fed_families(contract)
    metrics = MetricSet(
        contract or load_metrics(), registry=registry, strict=strict, service_version=settings.service_version
    )
    telemetry = Telemetry(settings, metrics=metrics, parts=Parts(**parts), strict=strict)
    telemetry._enter()
    return telemetry
