"""Watch what telemetries say: everything that is configured while an observer is there is shown to it as well.

The observer gets what a reader of the log and a receiver of traces would get, as JSON and redacted, however the
settings send it elsewhere. This is how a test run or a check learns what an application says that it did not make
itself; nothing of it is on the way of a request where nobody observes.

The list of observers is the process's, like the default telemetry: an application may be made on any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, Protocol

from opentelemetry.sdk.trace import ReadableSpan

if TYPE_CHECKING:
    from prethrift_backend.observability.metrics import MetricSet

_observers: Final[list[Observer]] = []


class Observer(Protocol):
    """Who is shown what telemetries say; called on the threads of their makers, its errors are dropped."""

    def configured(self, metrics: MetricSet) -> None:
        """Note the metrics of a telemetry that was just made."""
        ...

    def line(self, line: bytes) -> None:
        """Take one rendered line of JSON, as a log file would have it, its line end included."""
        ...

    def span(self, span: ReadableSpan) -> None:
        """Take one finished span that was sampled, as a receiver would get it."""
        ...


@contextmanager
def observed_by(observer: Observer) -> Iterator[None]:
    """Show ``observer`` what the telemetries that are configured within the block say, for as long as they live."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)


def current_observers() -> tuple[Observer, ...]:
    """Return who observes now."""
    return tuple(_observers)


class ObserverOutput:
    """The log of one telemetry, as an output of its writer."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def write(self, lines: bytes) -> None:
        """Hand over line by line: the writer puts together what came in the meantime."""
        for line in lines.splitlines(keepends=True):
            with suppress(Exception):
                self._observer.line(line)

    def close(self) -> None:
        """Do nothing: the observer is somebody else's."""


class ObserverSink:
    """The spans of one telemetry, as a sink beside its exporters."""

    def __init__(self, observer: Observer, redact_span: Callable[[ReadableSpan], ReadableSpan]) -> None:
        self._observer = observer
        self._redact_span = redact_span

    def put(self, span: ReadableSpan) -> None:
        """Hand a span over at once."""
        with suppress(Exception):
            self._observer.span(self._redact_span(span))

    def close(self, deadline: float) -> None:
        """Do nothing: there is nothing to be sent."""
