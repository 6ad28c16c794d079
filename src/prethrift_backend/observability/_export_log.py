"""How exporting goes, counted each time and logged when it changes."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

from prethrift_backend.observability._names import (
    EXPORT_FAILED,
    EXPORT_RECOVERED,
    LOGGER,
    SPANS_DROPPED,
    TELEMETRY_EXPORTS_TOTAL,
    TELEMETRY_SPANS_DROPPED_TOTAL,
)
from prethrift_backend.observability.context import Signals
from prethrift_backend.observability.export_protocols import DropReason, Outcome, Signal


class ExportLog:
    """Count every export and every dropped span; log the first failure, the first drop, and the recovery.

    A receiver that is away for ten minutes is two lines, not ten thousand.
    """

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self._failing: set[tuple[str, Signal]] = set()
        self._dropping: set[tuple[str, DropReason]] = set()
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def dropped(self, exporter: str, reason: DropReason, count: int) -> None:
        """Note spans that reach no receiver."""
        with suppress(Exception):
            family = self._signals.metrics.family(TELEMETRY_SPANS_DROPPED_TOTAL)
            family.labels(exporter=exporter, reason=reason).inc(count)
        with self._own_lock():
            is_known = (exporter, reason) in self._dropping
            self._dropping.add((exporter, reason))
        if not is_known:
            with suppress(Exception):
                self._signals.logger(LOGGER).warning(SPANS_DROPPED, exporter=exporter, reason=reason, count=count)

    def _own_lock(self) -> threading.Lock:
        """Return the lock of this process: a request in a forked child must not wait for a thread of the parent."""
        if self._pid != os.getpid():
            self._lock, self._pid = threading.Lock(), os.getpid()
        return self._lock

    def exported(self, exporter: str, signal: Signal, outcome: Outcome, detail: str = "") -> None:
        """Note one request to a receiver."""
        with suppress(Exception):
            family = self._signals.metrics.family(TELEMETRY_EXPORTS_TOTAL)
            family.labels(exporter=exporter, signal=signal, outcome=outcome).inc()
        with suppress(Exception):
            self._log_change(exporter, signal, outcome, detail)

    def _log_change(self, exporter: str, signal: Signal, outcome: Outcome, detail: str) -> None:
        key = (exporter, signal)
        with self._own_lock():
            was_failing = key in self._failing
            if outcome == "success":
                self._failing.discard(key)
                if signal == "traces":  # spans are all that is ever dropped
                    self._dropping = {pair for pair in self._dropping if pair[0] != exporter}
            else:
                self._failing.add(key)
        logger = self._signals.logger(LOGGER)
        if outcome == "success" and was_failing:
            logger.info(EXPORT_RECOVERED, exporter=exporter, signal=signal)
        elif outcome != "success" and not was_failing:
            logger.warning(EXPORT_FAILED, exporter=exporter, signal=signal, outcome=outcome, detail=detail)
