"""What a query's parts are made of: which labels their series carry, by the contract.

A *shape* is the set of label names that the series of an expression have. It is ``open`` where there may be others as
well: series of libraries, or of another service. What is open is given the benefit of the doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from prethrift_backend.contracts import MetricFamily, MetricLabel, MetricsContract
from prethrift_backend.verify.promql.tree import (
    SET_OPERATORS,
    Aggregation,
    Binary,
    Call,
    Grouping,
    Node,
    Number,
    Selector,
    Subquery,
    Text,
    metric_name,
)

SeriesKind: TypeAlias = Literal["counter", "gauge", "bucket", "unknown"]

# What Prometheus adds to each series of a target, and the series that it makes itself.
TARGET_LABELS: Final = frozenset({"instance", "job"})
_OWN_SERIES: Final = ("up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_series_added",
                      "scrape_samples_post_metric_relabeling", "scrape_timeout_seconds", "scrape_sample_limit",
                      "scrape_body_size_bytes")  # fmt: skip
_OWN_OPEN_SERIES: Final = ("ALERTS", "ALERTS_FOR_STATE")
_PARTS: Final[tuple[tuple[str, SeriesKind], ...]] = (("_bucket", "bucket"), ("_sum", "counter"), ("_count", "counter"))

_MADE_OF_NOTHING: Final = frozenset({"vector", "absent", "absent_over_time"})
_SCALARS: Final = frozenset({"scalar", "time", "pi"})
_ROWS_KEPT: Final = frozenset({"topk", "bottomk"})


@dataclass(frozen=True, slots=True)
class Shape:
    """The labels of an expression's series. A scalar or a string has no series at all: then it is None, not this.

    ``gone`` are the labels that even the series of an open shape do not have, since something took them away.
    """

    labels: frozenset[str] = frozenset()
    is_open: bool = False
    gone: frozenset[str] = frozenset()

    def may_have(self, label: str) -> bool:
        """Say whether some series could carry this label."""
        return label in self.labels or (self.is_open and label not in self.gone)

    def without(self, labels: Iterable[str]) -> Shape:
        """Take labels away."""
        taken = frozenset(labels)
        return Shape(self.labels - taken, self.is_open, self.gone | taken)

    def having(self, labels: Iterable[str]) -> Shape:
        """Add labels."""
        added = frozenset(labels)
        return Shape(self.labels | added, self.is_open, self.gone - added)

    def only(self, labels: Iterable[str]) -> Shape:
        """Keep these labels, and of those no more than there can be."""
        return Shape(frozenset(label for label in labels if self.may_have(label)))


@dataclass(frozen=True, slots=True)
class Series:
    """What a metric name stands for: a family of the contract, a part of it, or something that others promise."""

    name: str
    kind: SeriesKind
    shape: Shape
    family: MetricFamily | None = None

    def label(self, name: str) -> MetricLabel | None:
        """Return the promise about this label, where there is one."""
        labels = self.family.labels if self.family is not None else ()
        return next((label for label in labels if label.name == name), None)


@dataclass(frozen=True)
class Known:
    """What a query may be about.

    ``jobs`` are the scrape jobs there are, the contract's own included. ``target_labels`` are the labels that service
    discovery gives every series. ``recorded`` has the shapes of recording rules by name. ``absent_jobs`` are the jobs
    for which another rule asks ``absent(up{job=…})``. ``retention_seconds`` is how far back Prometheus can look.
    """

    contract: MetricsContract
    jobs: frozenset[str] = frozenset()
    target_labels: frozenset[str] = TARGET_LABELS
    recorded: Mapping[str, Shape] = field(default_factory=dict)
    absent_jobs: frozenset[str] = frozenset()
    retention_seconds: float = 15 * 86400.0
    _series: dict[str, Series] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        for family in self.contract.families:
            self._series.update(_family_series(family, self.target_labels))
        own = Shape(self.target_labels)
        self._series.update({name: Series(name, "gauge", own) for name in _OWN_SERIES})
        self._series.update({name: Series(name, "gauge", Shape(is_open=True)) for name in _OWN_OPEN_SERIES})
        self._series.update({name: Series(name, "unknown", shape) for name, shape in self.recorded.items()})

    @property
    def interval_seconds(self) -> float:
        """How often the service is scraped; Prometheus' own default where the contract does not say."""
        return self.contract.scrape.interval_seconds if self.contract.scrape is not None else 60.0

    @property
    def all_jobs(self) -> frozenset[str]:
        """The jobs that a query may name; empty where nobody said."""
        return self.jobs | ({self.contract.scrape.job} if self.contract.scrape is not None else frozenset())

    @property
    def names(self) -> Iterable[str]:
        """Every metric name there is, those of libraries left out."""
        return self._series

    def series(self, name: str) -> Series | None:
        """Return what the name stands for; None where nothing has it."""
        found = self._series.get(name)
        if found is None and self.contract.is_external(name):
            return Series(name, "counter" if name.endswith("_total") else "unknown", Shape(is_open=True))
        return found


def _family_series(family: MetricFamily, target_labels: frozenset[str]) -> Iterable[tuple[str, Series]]:
    shape = Shape(frozenset(family.label_names) | target_labels)
    if family.kind != "histogram":
        kind: SeriesKind = "unknown" if family.kind == "untyped" else family.kind
        return [(family.name, Series(family.name, kind, shape, family))]
    return [
        (name, Series(name, kind, shape.having(["le"]) if kind == "bucket" else shape, family))
        for name, kind in ((family.name + suffix, kind) for suffix, kind in _PARTS)
    ]


class Shapes:
    """The shapes of one tree's parts, each worked out once."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._found: dict[int, tuple[Node, Shape | None]] = {}

    def of(self, node: Node) -> Shape | None:
        """Return the shape; None for a scalar or a string."""
        # The node is kept with its shape: an id may be given again once its owner is gone.
        if id(node) not in self._found:
            self._found[id(node)] = (node, self._work_out(node))
        return self._found[id(node)][1]

    def _work_out(self, node: Node) -> Shape | None:
        match node:
            case Selector():
                return self._of_selector(node)
            case Subquery():
                return self.of(node.inner)
            case Call():
                return self._of_call(node)
            case Aggregation():
                return self._of_aggregation(node)
            case Binary():
                return self._of_binary(node)
            case Number() | Text():
                return None

    def _of_selector(self, node: Selector) -> Shape:
        name = metric_name(node)
        series = self._known.series(name) if name is not None else None
        return series.shape if series is not None else Shape(is_open=True)

    def _of_call(self, node: Call) -> Shape | None:
        if node.function in _SCALARS:
            return None
        if node.function in _MADE_OF_NOTHING:
            return Shape(frozenset(_pinned(node)))
        shapes = [shape for shape in map(self.of, node.arguments) if shape is not None]
        if not shapes:
            return None if node.function == "-" else Shape()
        if node.function == "histogram_quantile":
            return shapes[0].without(["le"])
        if node.function in ("label_replace", "label_join"):
            return shapes[0].having(a.value for a in node.arguments[1:2] if isinstance(a, Text))
        return shapes[0]

    def _of_aggregation(self, node: Aggregation) -> Shape:
        inner = self.of(node.inner) or Shape()
        if node.operator in _ROWS_KEPT:
            return inner
        if node.grouping is None:
            grouped = Shape()
        elif node.grouping.word == "by":
            grouped = inner.only(node.grouping.labels)
        else:
            grouped = inner.without(node.grouping.labels)
        counted = isinstance(node.parameter, Text) and node.operator == "count_values"
        return grouped.having([node.parameter.value]) if counted and isinstance(node.parameter, Text) else grouped

    def _of_binary(self, node: Binary) -> Shape | None:
        left, right = self.of(node.left), self.of(node.right)
        if left is None or right is None:
            return left if right is None else right
        if node.operator == "or":
            return Shape(left.labels | right.labels, left.is_open or right.is_open)
        if node.operator in SET_OPERATORS:
            return left
        if node.side is not None:
            many = left if node.side == "left" else right
            return many.having(node.carried)
        return matched(left, node.matching)


def matched(shape: Shape, matching: Grouping | None) -> Shape:
    """Return the labels by which two sides are put together."""
    if matching is None:
        return shape
    return shape.only(matching.labels) if matching.word == "on" else shape.without(matching.labels)


def _pinned(node: Call) -> list[str]:
    """Return the labels that ``absent`` takes over: those that the selector has with ``=``, once each."""
    if node.function == "vector" or not node.arguments or not isinstance(node.arguments[0], Selector):
        return []
    return [m.name for m in node.arguments[0].matchers if m.operator == "=" and m.name != "__name__"]
