"""Metrics as text: the Prometheus format 0.0.4 and OpenMetrics 1.0.0, written in pieces and without haste.

prometheus_client writes the same bytes, a scrape at a time, and takes 8 microseconds a line for it. Here a family of
ours writes its own lines, from label texts that it keeps; any other metric is written sample by sample; and what is
rare (a time stamp, an info, an exemplar that is not ours) is left to prometheus_client.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import chain
from typing import Any, Final

from prometheus_client import Metric
from prometheus_client import generate_latest as text_by_library
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics_by_library
from prometheus_client.samples import Exemplar, Sample
from prometheus_client.utils import floatToGoString

from prethrift_backend.observability._pace import Pace

END_OF_OPENMETRICS: Final = b"# EOF\n"

# 256 lines are some 25 KB: joining them takes a few microseconds. Arbitrary.
_LINES: Final = 256

# The types whose samples both formats write as they are; text says untyped for unknown.
_ORDINARY: Final = frozenset({"counter", "gauge", "histogram", "summary", "unknown"})
# Samples that text puts at the end, as gauges of their own.
_OPENMETRICS_ONLY: Final = ("_created", "_gsum", "_gcount")
# Without the colon, which is for rules: the library has a way of its own with it.
_PLAIN_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_INFINITY: Final = float("inf")

_go_text: Final[Callable[[float], str]] = floatToGoString
_by_library: Final[Mapping[bool, Callable[[Any], bytes]]] = {False: text_by_library, True: openmetrics_by_library}


class LiveMetric(Metric, ABC):
    """A metric that writes itself; its samples are made only for those who ask for them."""

    def __init__(self, name: str, documentation: str, kind: str) -> None:
        self._samples: list[Sample] | None = None
        super().__init__(name, documentation, kind)

    @abstractmethod
    def lines(self, *, with_exemplars: bool) -> Iterator[str]:
        """Yield its samples as whole lines; names, labels and values as ``read`` gives them."""

    @abstractmethod
    def read(self) -> Iterator[Sample]:
        """Yield its samples."""

    @property
    def samples(self) -> list[Sample]:
        """The samples as they were when somebody asked first; made in slices."""
        if self._samples is None:
            pace, self._samples = Pace(), []
            for sample in self.read():
                self._samples.append(sample)
                pace.breathe()
        return self._samples

    @samples.setter
    def samples(self, samples: list[Sample]) -> None:
        self._samples = samples or None  # Metric.__init__ sets an empty list


def number_text(value: float) -> str:
    """Return a value as both formats have it: as Go writes it."""
    plain = float(value)  # whatever a caller counts with, numpy's numbers too
    # Python and Go agree below a million.
    return repr(plain) if -_INFINITY < plain < 1e6 else _go_text(plain)


def label_text(labels: Iterable[tuple[str, str]]) -> str:
    """Return labels as both formats have them, without the braces; the order is the caller's."""
    return ",".join(
        '{}="{}"'.format(name, value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\""))
        for name, value in labels
    )


def exemplar_text(exemplar: Exemplar) -> str:
    """Return an exemplar as OpenMetrics has it behind a value."""
    when = "" if exemplar.timestamp is None else f" {exemplar.timestamp}"
    return f" # {{{label_text(sorted(exemplar.labels.items()))}}} {number_text(exemplar.value)}{when}"


def write(metrics: Iterable[Metric], *, openmetrics: bool) -> Iterator[bytes]:
    """Yield the exposition of ``metrics``, whole lines a piece; pauses so often that nobody waits for the lock."""
    pace = Pace()
    for metric in metrics:
        if _is_ordinary(metric, pace):
            yield from _pieces(chain(_header(metric, openmetrics=openmetrics), _lines(metric, openmetrics)), pace)
        else:
            yield _by_library[openmetrics](_Only(metric)).removesuffix(END_OF_OPENMETRICS if openmetrics else b"")
        pace.breathe()
    if openmetrics:
        yield END_OF_OPENMETRICS


def _pieces(lines: Iterator[str], pace: Pace) -> Iterator[bytes]:
    piece: list[str] = []
    for line in lines:
        piece.append(line)
        pace.breathe()
        if len(piece) == _LINES:
            yield "".join(piece).encode()
            piece.clear()
    yield "".join(piece).encode()


def _header(metric: Metric, *, openmetrics: bool) -> Iterator[str]:
    name, kind = metric.name, metric.type
    about = metric.documentation.replace("\\", r"\\").replace("\n", r"\n")
    if openmetrics:
        about = about.replace('"', r"\"")
    elif kind == "counter":
        name += "_total"
    elif kind == "unknown":
        kind = "untyped"
    yield f"# HELP {name} {about}\n# TYPE {name} {kind}\n"
    if openmetrics and metric.unit:
        yield f"# UNIT {name} {metric.unit}\n"


def _lines(metric: Metric, openmetrics: bool) -> Iterator[str]:
    if isinstance(metric, LiveMetric):
        return metric.lines(with_exemplars=openmetrics)
    return (_line(sample) for sample in metric.samples)


def _line(sample: Sample) -> str:
    labels = f"{{{label_text(sorted(sample.labels.items()))}}}" if sample.labels else ""
    return f"{sample.name}{labels} {number_text(sample.value)}\n"


def _is_ordinary(metric: Metric, pace: Pace) -> bool:
    """Say whether the metric is written here."""
    if isinstance(metric, LiveMetric):
        return True
    if metric.type not in _ORDINARY or not _is_plain(metric.name):
        return False
    for sample in metric.samples:
        if not _is_ordinary_sample(sample):
            return False
        pace.breathe()
    return True


def _is_ordinary_sample(sample: Sample) -> bool:
    return (
        sample.timestamp is None
        and sample.exemplar is None
        and sample.native_histogram is None
        and not sample.name.endswith(_OPENMETRICS_ONLY)
        and _is_plain(sample.name)
        and all(map(_is_plain, sample.labels))
    )


@lru_cache(maxsize=4096)  # names of metrics and labels, not values: they do not grow without end
def _is_plain(name: str) -> bool:
    return _PLAIN_NAME.fullmatch(name) is not None


class _Only:
    """A registry of one metric."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return (self._metric,)
