"""Put the parts together: `configure` makes a `Telemetry`, which owns them and gives them back."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any, Final, Literal

import structlog
from prometheus_client import CollectorRegistry

from prethrift_backend.config import Settings
from prethrift_backend.contracts import MetricsContract, load_metrics
from prethrift_backend.observability import context
from prethrift_backend.observability._names import (
    LOG_EVENTS_DROPPED_TOTAL,
    LOGGER,
    TELEMETRY_ERRORS_TOTAL,
    TELEMETRY_FAILED,
)
from prethrift_backend.observability.logs import (
    ConsoleRender,
    Output,
    Pipeline,
    Sink,
    StandardTakeover,
    StreamOutput,
    open_file,
    render_json,
    structlog_options,
)
from prethrift_backend.observability.metrics import MetricSet
from prethrift_backend.observability.multiprocess import Publisher

# The standard library has one root logger a process, so there is one take-over, shared by all telemetries.
_takeover: Final = StandardTakeover()
_open: Final[list[Telemetry]] = []


class Telemetry:
    """Everything that one application says of itself; made by `configure`, given back by `aclose`.

    ``errors`` counts the faults of the telemetry itself, which never reach a request.
    """

    def __init__(self, settings: Settings, *, metrics: MetricSet, log_stream: IO[Any] | None, strict: bool) -> None:
        self.settings = settings
        self.metrics = metrics
        self.strict = strict
        self.errors = 0
        self._known_faults: set[tuple[str, str]] = set()
        self._closed = False
        self._publisher: Publisher | None = None
        self._pipeline = Pipeline(
            _sinks(settings, log_stream),
            level=logging.getLevelNamesMapping()[settings.log_level],
            static={
                "service": settings.service_name,
                "version": settings.service_version,
                "environment": settings.environment,
            },
            on_drop=self._count_dropped,
        )
        self.logger = self._pipeline.logger
        self.handle_record = self._pipeline.handle_record

    def adopt_standard_loggers(self) -> None:
        """Lead the standard library's loggers into the chain; repeat it after a server has set its own up."""
        if not self._closed:
            _takeover.adopt(level=self._pipeline.level)

    def log(self, level: Literal["debug", "info"], event: str, fields: Mapping[str, Any]) -> None:
        """Write a line of this package's own, past structlog's wrapper: every request pays for one."""
        if self._pipeline.level <= (logging.INFO if level == "info" else logging.DEBUG):
            self._pipeline.write(level, LOGGER, event, fields, None)

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

    async def aclose(self) -> None:
        """Write the lines that are queued and give the standard library's loggers back; repeatable."""
        if self._closed:
            return
        self._release()
        # Joining the writer waits for a disk or a terminal, at most two seconds: not on the event loop.
        await asyncio.to_thread(self._join)

    def close(self) -> None:
        """Do what `aclose` does, where there is no event loop."""
        if not self._closed:
            self._release()
            self._join()

    def _join(self) -> None:
        if self._publisher is not None:
            self._publisher.close()
        self._pipeline.close()

    def _release(self) -> None:
        self._closed = True
        _open.remove(self)
        context.remove_configured(self)
        if _open:
            _open[-1].adopt_standard_loggers()
            structlog.configure(**structlog_options(_open[-1]._pipeline))
        else:
            _takeover.restore()
            structlog.reset_defaults()

    def _enter(self) -> None:
        _open.append(self)
        context.add_configured(self)
        self.adopt_standard_loggers()
        structlog.configure(**structlog_options(self._pipeline))
        publish = self.metrics.publish
        if publish is not None:  # a worker of several
            self._publisher = Publisher(publish, on_error=lambda error: self.fail("publish_metrics", error))

    def _count_dropped(self, count: int) -> None:
        self.metrics.family(LOG_EVENTS_DROPPED_TOTAL).labels().inc(count)


def _sinks(settings: Settings, log_stream: IO[Any] | None) -> list[Sink]:
    stream = sys.stdout if log_stream is None else log_stream
    output: Output = StreamOutput(stream)
    if settings.log_format == "json":
        sinks = [Sink(output, render_json)]
    else:
        sinks = [Sink(output, ConsoleRender(colors=stream.isatty()))]
    if settings.log_file is not None:
        sinks.append(Sink(open_file(settings.log_file), render_json))
    return sinks


def configure(
    settings: Settings,
    *,
    contract: MetricsContract | None = None,
    registry: CollectorRegistry | None = None,
    log_stream: IO[Any] | None = None,
    strict: bool = False,
) -> Telemetry:
    """Make the telemetry of an application and the default of the process, until its `aclose`.

    Without ``contract`` the packaged ``contracts/metrics.txt`` is in force. Lines go to ``log_stream``, standard
    output by default. Under ``strict`` a broken contract and a fault of the telemetry raise, which tests want.
    Raises ConfigurationError when LOG_FILE cannot be opened.
    """
    metrics = MetricSet(
        contract or load_metrics(), registry=registry, strict=strict, service_version=settings.service_version
    )
    telemetry = Telemetry(settings, metrics=metrics, log_stream=log_stream, strict=strict)
    telemetry._enter()
    return telemetry
