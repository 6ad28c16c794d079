"""The families of this process, pushed by OTLP: recorded once, exported twice, under the same names and values.

What is pushed is this process's own, with an identity of its own (``service.instance.id``); a scrape of one worker of
several shows the sum of all, which added up by a receiver would count everything several times.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.resources import Resource
from prometheus_client import Metric

from prethrift_backend.config import Settings
from prethrift_backend.observability._forking import restart_in_children
from prethrift_backend.observability._metric_points import (
    Ledger,
    Point,
    Temporality,
    batches,
    encode_request,
    read_points,
)
from prethrift_backend.observability.clock import Clock
from prethrift_backend.observability.export_protocols import ExportWatch, Reply
from prethrift_backend.observability.exporters import open_otlp
from prethrift_backend.observability.metrics import MetricSet
from prethrift_backend.observability.otlp import METRICS_PATH, OtlpConnection

_EXPORTER: Final = "otlp"
_TIMEOUT_SECONDS: Final = 2.0
# How often a receiver that takes no metrics is asked whether it does by now; it may have been configured anew.
# Arbitrary, and longer than any interval that is usual.
_RARELY_SECONDS: Final = 900.0
# A receiver may ask for a pause, but not for a day.
_LONGEST_PAUSE_SECONDS: Final = 300.0
# What a collector of traces alone answers, by HTTP and by gRPC.
_TAKES_NO_METRICS: Final = re.compile(r"HTTP (404|405|501)\b|UNIMPLEMENTED\b")
_ADVICE: Final = "it takes no metrics and is asked again every 15 minutes: OTLP_METRICS_INTERVAL_SECONDS=0 ends that"


class MetricsPush(Protocol):
    """The thread that pushes."""

    def close(self, deadline: float) -> None:
        """Push once more until ``deadline`` (of ``time.monotonic``) and stop; repeatable."""
        ...


@dataclass(frozen=True, slots=True)
class Timing:
    """Where time comes from: a test puts its own in the place of it.

    ``wait`` waits until the event is set (then it is true) or the seconds are over. ``share`` gives 0 to 1.
    """

    monotonic: Callable[[], float] = time.monotonic
    wait: Callable[[threading.Event, float], bool] = threading.Event.wait
    share: Callable[[], float] = random.SystemRandom().random


@dataclass(frozen=True, slots=True)
class PushPlan:
    """How often what is pushed, and of whom it is said to be; ``clock`` gives the times in it."""

    resource: Resource
    interval_seconds: float = 60.0
    temporality: Temporality = "cumulative"
    clock: Clock = field(default_factory=Clock)
    timing: Timing = field(default_factory=Timing)


class PeriodicPush:
    """Pushes what ``read`` gives at each interval. `start` starts its thread; a test calls `push` instead.

    Nothing is kept for later when a push fails: the next one has all that it would have had.
    """

    def __init__(
        self, read: Callable[[], Iterable[Metric]], connection: OtlpConnection, watch: ExportWatch, *, plan: PushPlan
    ) -> None:
        self._read = read
        self._connection = connection
        self._watch = watch
        self._plan = plan
        self._thread: threading.Thread | None = None
        self._is_child = False
        self._reset()

    def _reset(self) -> None:
        self._closing = threading.Event()
        self._deadline: float | None = None
        self._not_before = 0.0
        self._is_refused = False
        self._ledger = Ledger(self._plan.temporality, start_ns=self._plan.clock.time_ns())

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="prethrift-metrics-push", daemon=True)
        self._thread.start()
        restart_in_children(self)

    def close(self, deadline: float) -> None:
        """Push once more until ``deadline`` (of ``time.monotonic``) and stop; repeatable."""
        if self._deadline is None:
            self._deadline = deadline
        self._closing.set()
        if self._thread is not None:
            until = min(self._deadline, deadline)  # of two deadlines the first
            self._thread.join(max(0.0, until - self._plan.timing.monotonic()))

    def restart_after_fork(self) -> None:
        """Start anew in a child: what the parent had counted until then is the parent's.

        The child is another instance; see `ProcessResource`.
        """
        if self._thread is not None and not self._closing.is_set():
            self._reset()
            self._is_child = True
            self.start()

    # The thread.

    def _run(self) -> None:
        try:
            with suppress_instrumentation():  # its own requests are no work of the application
                self._push_regularly()
        finally:
            self._connection.close()

    def _push_regularly(self) -> None:
        if self._is_child:
            self._ledger.settle(read_points(self._read()), now_ns=self._plan.clock.time_ns())
        # Somewhere in the first interval: processes that were started together do not push together.
        pause = self._plan.interval_seconds * self._plan.timing.share()
        while not self._plan.timing.wait(self._closing, pause):
            if self._plan.timing.monotonic() >= self._not_before:
                self.push()
            pause = self._plan.interval_seconds
        if not self._is_refused:
            self.push()

    def push(self) -> None:
        """Read, encode and send everything once; never raises. What the receiver did not take is in the next push."""
        now_ns = self._plan.clock.time_ns()
        try:
            for batch in batches(read_points(self._read()), self._ledger):
                if not self._send(batch, now_ns):
                    return  # the others would fare no better
            self._ledger.end_push(now_ns=now_ns)
        except Exception as error:  # noqa: BLE001 - a thread has nobody above it, and the next push may be better
            self._note(Reply("failure", detail=f"metrics could not be read: {type(error).__name__}"))

    def _send(self, batch: list[tuple[Point, Point]], now_ns: int) -> bool:
        """Send one request; return whether it was taken."""
        measured = (point for _, point in batch)
        body = encode_request(measured, resource=self._plan.resource, temporality=self._plan.temporality, now_ns=now_ns)
        seconds = self._seconds_left()
        if seconds <= 0:
            return False
        reply = self._connection.post(METRICS_PATH, body, timeout_seconds=seconds)
        self._note(reply)
        # Of a partial success nobody knows which points were refused; sending all again would double the others.
        is_taken = reply.outcome in ("success", "partial")
        if is_taken:
            self._ledger.accept((point for point, _ in batch), now_ns=now_ns)
        return is_taken

    def _seconds_left(self) -> float:
        if self._deadline is None:
            return _TIMEOUT_SECONDS
        return min(_TIMEOUT_SECONDS, self._deadline - self._plan.timing.monotonic())

    def _note(self, reply: Reply) -> None:
        """Tell how it went, and find out when to try again."""
        self._is_refused = reply.outcome == "failure" and _TAKES_NO_METRICS.match(reply.detail) is not None
        pause, detail = min(reply.retry_after_seconds or 0.0, _LONGEST_PAUSE_SECONDS), reply.detail
        if self._is_refused:
            pause, detail = _RARELY_SECONDS, f"{detail}; {_ADVICE}"
        self._not_before = self._plan.timing.monotonic() + pause
        self._watch.exported(_EXPORTER, "metrics", reply.outcome, detail)


def make_metrics_push(
    settings: Settings, metrics: MetricSet, watch: ExportWatch, *, resource: Resource, clock: Clock
) -> MetricsPush | None:
    """Make and start the push that OTLP_ENDPOINT and OTLP_METRICS_INTERVAL_SECONDS ask for; None without it.

    Raises ConfigurationError where OTLP_PROTOCOL is grpc and its package is missing.
    """
    interval_seconds = settings.otlp_metrics_interval_seconds
    if settings.otlp_endpoint is None or not interval_seconds:
        return None
    plan = PushPlan(resource, interval_seconds, settings.otlp_metrics_temporality, clock)
    push = PeriodicPush(metrics.own_metrics, open_otlp(settings), watch, plan=plan)
    push.start()
    return push
