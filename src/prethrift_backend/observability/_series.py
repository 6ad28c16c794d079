"""One series of a family, or one set of a histogram's: its child in prometheus_client, and its labels as text.

The children are read where they keep their values. Their own ``collect`` makes a tuple and a dict for each sample; for
10,000 series that is most of the cost of a scrape. Tests hold what is read and written here against what
prometheus_client makes of the same children.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.samples import Exemplar, Sample

from prethrift_backend.contracts import MetricFamily
from prethrift_backend.observability._exposition_text import LiveMetric, exemplar_text, label_text, number_text


class Series(Protocol):
    """What a family is made of."""

    def lines(self, *, with_exemplars: bool) -> Iterator[str]:
        """Yield each sample as a line."""
        ...

    def read(self) -> Iterator[Sample]:
        """Yield each sample."""
        ...


def _labels(family: MetricFamily, values: Sequence[str]) -> dict[str, str]:
    return dict(zip(family.label_names, values, strict=True))


def _sample_name(family: MetricFamily) -> str:
    """Return the name of a single number; that of a counter ends in _total, whatever the contract writes."""
    return family.name.removesuffix("_total") + "_total" if family.kind == "counter" else family.name


class Single:
    """A counter or gauge: one number."""

    __slots__ = ("_child", "_family", "_start", "_values")

    def __init__(self, child: Counter | Gauge, family: MetricFamily, values: Sequence[str]) -> None:
        self._child: Any = child
        self._family = family
        self._values = tuple(values)
        text = label_text(sorted(_labels(family, values).items()))
        self._start = f"{_sample_name(family)}{{{text}}} " if text else f"{_sample_name(family)} "

    def lines(self, *, with_exemplars: bool) -> Iterator[str]:
        """Yield the one line."""
        exemplar: Exemplar | None = self._child._value.get_exemplar() if with_exemplars else None
        shown = "" if exemplar is None else exemplar_text(exemplar)
        yield f"{self._start}{number_text(self._child._value.get())}{shown}\n"

    def read(self) -> Iterator[Sample]:
        """Yield the one sample."""
        value = self._child._value
        labels = _labels(self._family, self._values)
        yield Sample(_sample_name(self._family), labels, value.get(), None, value.get_exemplar())


class Buckets:
    """A histogram: its buckets, their count, and the sum."""

    __slots__ = ("_after", "_all", "_before", "_bounds", "_child", "_family", "_values")

    def __init__(
        self, child: Histogram, family: MetricFamily, values: Sequence[str], *, bounds: tuple[str, ...]
    ) -> None:
        self._child: Any = child
        self._bounds = bounds
        self._family = family
        self._values = tuple(values)
        pairs = sorted(_labels(family, values).items())
        # ``le`` stands in its place by the alphabet, as prometheus_client writes it.
        before, after = ([pair for pair in pairs if (pair[0] < "le") is is_before] for is_before in (True, False))
        self._before = f"{family.name}_bucket{{{label_text(before)}{',' if before else ''}le=" + '"'
        self._after = f'"{"," if after else ""}{label_text(after)}}} '
        self._all = f"{{{label_text(pairs)}}} " if pairs else " "

    def lines(self, *, with_exemplars: bool) -> Iterator[str]:
        """Yield buckets, count and sum."""
        child, total = self._child, 0.0
        for bound, bucket in zip(self._bounds, child._buckets, strict=True):
            total += bucket.get()
            exemplar = bucket.get_exemplar() if with_exemplars else None
            shown = "" if exemplar is None else exemplar_text(exemplar)
            yield f"{self._before}{bound}{self._after}{number_text(total)}{shown}\n"
        name = self._family.name
        yield f"{name}_count{self._all}{number_text(total)}\n"
        if child._upper_bounds[0] >= 0:
            yield f"{name}_sum{self._all}{number_text(child._sum.get())}\n"

    def read(self) -> Iterator[Sample]:
        """Yield buckets, count and sum."""
        child, total, name, labels = self._child, 0.0, self._family.name, _labels(self._family, self._values)
        for bound, bucket in zip(self._bounds, child._buckets, strict=True):
            total += bucket.get()
            yield Sample(f"{name}_bucket", {**labels, "le": bound}, total, None, bucket.get_exemplar())
        yield Sample(f"{name}_count", labels, total)
        if child._upper_bounds[0] >= 0:
            yield Sample(f"{name}_sum", labels, child._sum.get())


def bound_texts(family: MetricFamily) -> tuple[str, ...]:
    """Return the label ``le`` of each bucket of a histogram, the one without a bound included."""
    return tuple(number_text(bound) for bound in (*family.buckets, float("inf")))


class FamilyMetric(LiveMetric):
    """A family with the series that it has now; their values are those of the moment they are written."""

    def __init__(self, name: str, documentation: str, kind: str, *, series: Sequence[Series]) -> None:
        super().__init__(name, documentation, kind)
        self._series = series

    def lines(self, *, with_exemplars: bool) -> Iterator[str]:
        """Yield the lines of each series."""
        for series in self._series:
            yield from series.lines(with_exemplars=with_exemplars)

    def read(self) -> Iterator[Sample]:
        """Yield the samples of each series."""
        for series in self._series:
            yield from series.read()
