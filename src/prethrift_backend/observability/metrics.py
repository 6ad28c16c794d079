"""Metric families made from the contract: names, types, help, labels and buckets exist only there.

A value that the contract does not allow never reaches a series: it is exported as the label's overflow value, or, where
the label has none, not at all. A family that has as many series as its bound takes no new ones. Each such use counts in
``contract_violations_total{family,label}``, and in strict mode (tests) it raises. Outside strict mode ``labels`` never
raises: telemetry does not fail a request.

In a worker of several (`multiprocess`) all of this holds for each process, and the registry shows the sum of them.
"""

from __future__ import annotations

import contextlib
import platform
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any, Final, Generic, TypeVar, cast

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Metric,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.registry import Collector

from prethrift_backend import __version__
from prethrift_backend.contracts import MetricFamily, MetricLabel, MetricsContract
from prethrift_backend.exceptions import ContractError
from prethrift_backend.observability._series import Buckets, FamilyMetric, Series, Single, bound_texts
from prethrift_backend.observability.multiprocess import SharedCollector, WorkerFolder, shared_folder

VIOLATIONS: Final = "contract_violations_total"
BUILD_INFO: Final = "build_info"
CONTRACT_INFO: Final = "contract_info"

# What is broken where it is not the value of one label; they begin with an underscore, as no label of ours does.
_SERIES: Final = "_series"
_NAMES: Final = "_names"
_CALLBACK: Final = "_callback"

# The bound of a family whose contract states none. Arbitrary: no family of ours comes near it.
_DEFAULT_MAX_SERIES: Final = 5000

_PARENTS: Final[Mapping[str, type[Counter | Gauge | Histogram]]] = {
    "counter": Counter,
    "gauge": Gauge,
    "histogram": Histogram,
}

ChildT = TypeVar("ChildT", Counter, Gauge, Histogram)
# The key of a mapping is invariant: pairs of texts are not tuples of texts to a type checker unless it is a variable.
LabelsT = TypeVar("LabelsT", bound=tuple[str, ...])
_Read = Callable[[], Mapping[Any, float]]
_Report = Callable[[str, str, str], None]


class MetricSet:
    """The families of one contract in one registry, with the collectors of process, platform and gc.

    The registry is the set's own unless one is given, so that two applications in one process do not meet.
    ``service_version`` is the version that ``build_info`` shows. In a worker of several the registry shows what all of
    them have counted; then there is something to ``publish``.

    Raises ContractError where a family cannot be made, because the contract states no type for it.
    """

    def __init__(
        self,
        contract: MetricsContract,
        *,
        registry: CollectorRegistry | None = None,
        strict: bool = False,
        service_version: str = __version__,
    ) -> None:
        self.contract = contract
        self.registry = CollectorRegistry() if registry is None else registry
        self.strict = strict
        self._families = {family.name: BoundFamily[Any](family, self._report) for family in contract.families}
        self._shared: SharedCollector | None = None
        self._runtime = CollectorRegistry()
        _register_runtime(self._runtime)
        folder = shared_folder()
        if folder is None:
            self._register_families()
            _register_runtime(self.registry)
        else:
            self._share(folder)
        self._inform(BUILD_INFO, version=service_version, python_version=platform.python_version())
        self._inform(CONTRACT_INFO, contract="metrics", version=contract.version, sha256=contract.sha256)

    def family(self, name: str) -> BoundFamily[Any]:
        """Return the family of this name.

        Raises ContractError where the contract has none.
        """
        bound = self._families.get(name)
        if bound is None:
            self.contract.family(name)  # raises, with the text for it
            raise AssertionError(name)
        return bound

    def find(self, name: str) -> BoundFamily[Any] | None:
        """Return the family of this name, None where the contract has none: another application's need not have all."""
        return self._families.get(name)

    @property
    def takes_exemplars(self) -> bool:
        """Whether exemplars are kept; in a worker of several they have no room, and giving them is wasted."""
        return self._shared is None

    def counter(self, name: str) -> BoundFamily[Counter]:
        """Return the counter of this name; raise ContractError where the contract has no such counter."""
        return self._of_kind(name, "counter")

    def gauge(self, name: str) -> BoundFamily[Gauge]:
        """Return the gauge of this name; raise ContractError where the contract has no such gauge."""
        return self._of_kind(name, "gauge")

    def histogram(self, name: str) -> BoundFamily[Histogram]:
        """Return the histogram of this name; raise ContractError where the contract has no such histogram."""
        return self._of_kind(name, "histogram")

    def observe(self, name: str, read: Callable[[], Mapping[LabelsT, float]]) -> None:
        """Let the values of a counter or gauge come from ``read``, called at each scrape and push, in their threads.

        ``read`` returns the value for each tuple of label values, in the order of the contract; ``{(): 3}`` where the
        family has no labels. The family then exports nothing else. A later call replaces the earlier one. When
        ``read`` raises, the scrape goes on without the family and the failure is counted.

        Raises ContractError where the family does not exist or is a histogram.
        """
        self.family(name).read_from(read)

    def own_metrics(self) -> Iterator[Metric]:
        """Yield what this process itself has counted and read, also where the registry shows the sum of several."""
        for family in self._families.values():
            yield from family.collect()
        yield from self._runtime.collect()

    @property
    def publish(self) -> Callable[[], None] | None:
        """What shows this worker's readings to the others, to be called now and then; None in the only process."""
        return None if self._shared is None else self._shared.publish

    def _register_families(self) -> None:
        for family in sorted(self._families.values(), key=lambda bound: bound.family.name == VIOLATIONS):
            self.registry.register(family)  # the violations last: a scrape then shows its own

    def _share(self, folder: WorkerFolder) -> None:
        """Register the families of all workers in the place of this one's."""

        def read_own() -> Iterator[Metric]:
            for family in self._families.values():
                if family.is_read:
                    yield from family.collect()
            yield from self._runtime.collect()

        self._shared = SharedCollector(folder, self.contract.families, read_own)
        self.registry.register(self._shared)

    def _of_kind(self, name: str, kind: str) -> BoundFamily[Any]:
        bound = self.family(name)
        if bound.family.kind != kind:
            raise ContractError(
                f"metric family {name!r} is a {bound.family.kind}, not a {kind}: the type is the contract's; "
                f"use .{bound.family.kind}({name!r}), or change TYPE in {self.contract.source}:{bound.family.line}"
            )
        return bound

    def _inform(self, name: str, **labels: str) -> None:
        """Set an info gauge, where the contract has it: another application's contract need not."""
        if name in self._families:
            self.gauge(name).labels(**labels).set(1)

    def _report(self, family: str, label: str, fault: str) -> None:
        """Count a use that breaks the contract; raise it in strict mode."""
        if VIOLATIONS in self._families and family != VIOLATIONS:
            self.counter(VIOLATIONS).labels(family=family, label=label).inc()
        if self.strict:
            line = self.contract.family(family).line
            raise ContractError(f"{fault} (contract: {self.contract.source}:{line})")


def _register_runtime(registry: CollectorRegistry) -> None:
    """Add the collectors of process, platform and gc; a registry that came with them keeps its own."""
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        with contextlib.suppress(ValueError):
            collector(registry=registry)


class NoSeries:
    """What ``labels`` returns for a series that may not exist, or that nobody would read; it keeps nothing."""

    def inc(self, amount: float = 1, exemplar: dict[str, str] | None = None) -> None:
        """Forget the amount."""

    def dec(self, amount: float = 1) -> None:
        """Forget the amount."""

    def set(self, value: float) -> None:
        """Forget the value."""

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """Forget the amount."""


NO_SERIES: Final = NoSeries()


class BoundFamily(Collector, Generic[ChildT]):
    """One family in a process: its children, and the contract's bounds on them."""

    def __init__(self, family: MetricFamily, report: _Report) -> None:
        self.family = family
        self._report = report
        self._parent = _parent(family)
        self._width = len(family.labels)
        # One name gives the value itself, several give a tuple: either serves as a key.
        self._key: Callable[[Mapping[str, object]], object] = (
            itemgetter(*family.label_names) if family.labels else _no_key
        )
        self._children: dict[object, ChildT] = {}
        self._series: list[Series] = []
        self._bounds = bound_texts(family) if family.kind == "histogram" else ()
        self._lock = threading.RLock()
        self._admission = _Admission(family)
        self._read: _Read | None = None
        for values in family.initial_label_sets() if family.labels else ((),):
            self._child(values)

    def labels(self, **labels: object) -> ChildT:
        """Return the child for these label values, made when it is first asked for.

        A value that is not a string counts by its text. A value outside the contract is exported as the overflow value;
        where that cannot be, the returned child takes inc, dec, set and observe and keeps nothing.

        Raises ContractError in strict mode, where a name or value breaks the contract or the family is full.
        """
        try:
            if len(labels) == self._width:
                return self._children[self._key(labels)]
        except (KeyError, TypeError):  # not seen before, a wrong name, or a value that cannot be a key
            pass
        return self._resolve(labels)

    @property
    def is_read(self) -> bool:
        """Whether its values are those of the moment in which they are read, and not those of a count."""
        return self._read is not None or self.family.kind == "gauge"

    def read_from(self, read: Callable[[], Mapping[LabelsT, float]]) -> None:
        """Export what ``read`` returns at each scrape; see ``MetricSet.observe``."""
        if self.family.kind == "histogram":
            raise ContractError(
                f"histogram {self.family.name!r} cannot be read at the scrape: only a counter or gauge is one number; "
                f"call labels(…).observe(…) where the thing happens"
            )
        self._read = read

    def describe(self) -> Iterable[Metric]:
        """Return the family without samples, so that a registry refuses the name a second time."""
        return [self._metric()]

    def collect(self) -> Iterator[Metric]:
        """Yield the family with its samples.

        Creation times are left out: they would double the series of every counter, and the scrape's cost with them.
        """
        if self._read is not None:
            yield self._read_metric(self._read)
            return
        yield FamilyMetric(*self._about(), series=tuple(self._series))

    # Children.

    def _resolve(self, labels: Mapping[str, object]) -> ChildT:
        """Find the child by the contract's rules; the way for values that were not seen before."""
        if set(labels) != set(self.family.label_names):
            given, wanted = ", ".join(sorted(labels)) or "none", ", ".join(self.family.label_names) or "none"
            self._violate(_NAMES, f"labels {given} given to {self.family.name!r}: it has {wanted}; give exactly these")
            return self._refuse()
        values = tuple(_text(labels[name]) for name in self.family.label_names)
        with self._lock:
            admitted, broken = self._admission.admit(values)
            child = self._refuse() if admitted is None else self._child(admitted)
            if not broken and all(type(labels[name]) in (str, int) for name in self.family.label_names):
                # A status code given as a number is found by that number the next time. Values that were mapped or
                # refused are never kept: a hostile client could make them without end.
                self._children[self._key(labels)] = child
        for label, fault in broken:
            self._violate(label, fault)
        return child

    def _child(self, values: tuple[str, ...]) -> ChildT:
        """Return the child for admitted values; it is kept under them, so that the number kept is bounded."""
        key = values[0] if self._width == 1 else values
        with self._lock:
            child = self._children.get(key)
            if child is None:
                self._admission.take(values)
                child = cast(ChildT, self._parent.labels(*values) if values else self._parent)
                self._children[key] = child
                self._series.append(self._as_series(child, values))
        return child

    def _as_series(self, child: ChildT, values: tuple[str, ...]) -> Series:
        if isinstance(child, Histogram):
            return Buckets(child, self.family, values, bounds=self._bounds)
        return Single(child, self.family, values)

    def _refuse(self) -> ChildT:
        return cast(ChildT, NO_SERIES)

    def _violate(self, label: str, fault: str) -> None:
        self._report(self.family.name, label, fault)

    # Values that are read at the scrape.

    def _metric(self) -> Metric:
        return Metric(*self._about())

    def _about(self) -> tuple[str, str, str]:
        return self.family.name.removesuffix("_total"), self.family.help, self.family.kind

    def _read_metric(self, read: _Read) -> Metric:
        metric = self._metric()
        try:
            readings = self._admitted(read())
        except Exception as error:  # noqa: BLE001 - whatever a reader raises, the other families are still scraped
            with contextlib.suppress(ContractError):
                self._violate(_CALLBACK, f"the reader of {self.family.name!r} failed with {type(error).__name__}")
            return metric
        for values, number in readings.items():
            metric.add_sample(self.family.name, dict(zip(self.family.label_names, values, strict=True)), number)
        return metric

    def _admitted(self, readings: Mapping[Any, float]) -> dict[tuple[str, ...], float]:
        """Map the readings by the contract; those that fall on one overflow value are added up."""
        admission = _Admission(self.family)
        admitted: dict[tuple[str, ...], float] = {}
        for raw, number in readings.items():
            values, broken = admission.admit(tuple(_text(value) for value in raw))
            for label, fault in broken:
                self._violate(label, fault)
            if values is not None:
                admission.take(values)
                admitted[values] = admitted.get(values, 0.0) + self._checked(float(number))
        return admitted

    def _checked(self, number: float) -> float:
        """Return what was read; a count that is none would make the whole scrape invalid for those who are strict."""
        if self.family.kind == "counter" and not number >= 0:  # neither is NaN
            raise ValueError(f"{number!r} is no count: the reader of {self.family.name!r} returns 0 or more")
        return number


class _Admission:
    """Which label sets of a family may exist, and which do; not safe by itself for several threads."""

    def __init__(self, family: MetricFamily) -> None:
        self._family = family
        self._max_sets = (family.max_series or _DEFAULT_MAX_SERIES) // family.series_per_label_set
        self._sets: set[tuple[str, ...]] = set()
        self._values: tuple[set[str], ...] = tuple(set() for _ in family.labels)

    def admit(self, values: tuple[str, ...]) -> tuple[tuple[str, ...] | None, list[tuple[str, str]]]:
        """Return the values to export, None where there is no series for them, and each (label, fault)."""
        if len(values) != len(self._family.labels):
            return None, [(_NAMES, f"{len(values)} label values for {self._family.name!r}; give one for each label")]
        broken: list[tuple[str, str]] = []
        admitted: list[str | None] = []
        for label, seen, value in zip(self._family.labels, self._values, values, strict=True):
            fault = self._fault(label, seen, value)
            admitted.append(value if fault is None else label.overflow)
            broken += [] if fault is None else [(label.name, fault)]
        known = tuple(value for value in admitted if value is not None)
        if len(known) < len(values):
            return None, broken
        if known not in self._sets and len(self._sets) >= self._max_sets:
            fault = f"{self._family.name!r} is full: it may have {self._max_sets} label sets; raise max= of its SERIES"
            return None, [*broken, (_SERIES, fault)]
        return known, broken

    def take(self, values: tuple[str, ...]) -> None:
        """Note that the series of these admitted values exist."""
        self._sets.add(values)
        for label, seen, value in zip(self._family.labels, self._values, values, strict=True):
            if value != label.overflow:
                seen.add(value)

    def _fault(self, label: MetricLabel, seen: set[str], value: str) -> str | None:
        where = f"{self._family.name}{{{label.name}={value!r}}}"
        if not label.allows(value):
            return f"{where} is not allowed: {label.rule}; use such a value or change the LABEL line"
        bound = label.max_values
        if bound is None or value in seen or value == label.overflow or len(seen) < bound:
            return None
        return f"{where} is one value too many: the label may have {bound}; use fewer, or raise max= of the LABEL line"


def _parent(family: MetricFamily) -> Counter | Gauge | Histogram:
    make: Callable[..., Counter | Gauge | Histogram] | None = _PARENTS.get(family.kind)
    if make is None:
        raise ContractError(
            f"metric family {family.name!r} cannot be made: its contract states no type; "
            f"add '# TYPE {family.name} counter|gauge|histogram' and HELP"
        )
    options = {"buckets": family.buckets} if family.kind == "histogram" else {}
    return make(family.name, family.help, family.label_names, registry=None, **options)


def _no_key(_labels: Mapping[str, object]) -> tuple[()]:
    return ()


def _text(value: object) -> str:
    # A str enum counts by its value, which str() of it would not give.
    return str.__str__(value) if isinstance(value, str) else str(value)
