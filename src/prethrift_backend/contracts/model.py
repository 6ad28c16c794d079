"""The metrics contract as frozen values: what the parser returns and everybody else reads."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from prethrift_backend.exceptions import ContractError

LabelKind = Literal["enum", "enum+", "match", "open", "const"]
FamilyKind = Literal["counter", "gauge", "histogram", "untyped"]
Across = Literal["sum", "max", "min"]


@dataclass(frozen=True, slots=True)
class MetricLabel:
    """One label of a family and the values it may take.

    ``enum`` and ``const`` are closed lists. ``enum+`` lists the known values and may gain others. ``match`` holds a
    regular expression for the whole value. ``max_values`` bounds how many different values one process may export;
    ``overflow`` is the value exported in place of one that is not allowed. ``note`` is what the comments right above
    the label's line say.
    """

    name: str
    kind: LabelKind = "open"
    values: tuple[str, ...] = ()
    pattern: str | None = None
    overflow: str | None = None
    max_values: int | None = None
    line: int = field(default=0, compare=False)
    note: str = field(default="", compare=False)

    @property
    def is_closed(self) -> bool:
        """Whether every value is listed."""
        return self.kind in ("enum", "const")

    @property
    def fewest_values(self) -> int:
        """How many values the label needs room for: all of a closed list, at least one otherwise."""
        return len(self.values) if self.is_closed else 1

    @property
    def most_values(self) -> int | None:
        """How many values the label can have, the overflow value included; None where nothing bounds it."""
        if self.is_closed:
            return len(self.values)
        if self.max_values is None:
            return None
        return self.max_values + (self.overflow is not None)

    @property
    def rule(self) -> str:
        """The allowed values in words, for error texts."""
        if self.pattern is not None:
            return f"a value matches {self.pattern}"
        return f"a value is one of {'|'.join(self.values)}" if self.is_closed else "any UTF-8 text is a value"

    def allows(self, value: str) -> bool:
        """Say whether this value may be exported, the bound on their number aside."""
        if value == self.overflow:
            return True
        if self.is_closed:
            return value in self.values
        if not _is_encodable(value):
            return False
        return self.pattern is None or re.fullmatch(self.pattern, value) is not None


def _is_encodable(value: str) -> bool:
    """Say whether the value survives UTF-8; a lone surrogate would break every scrape after it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class MetricSample:
    """One sample line of the contract: an example, and the fixture of generated tests."""

    name: str
    labels: tuple[tuple[str, str], ...]
    value: float
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class MetricFamily:
    """One family: its type, help, labels and bounds.

    ``kind`` is ``untyped`` where the contract gives only names and labels. ``buckets`` are the finite upper bounds, in
    rising order. ``max_series`` bounds the series of one process, a histogram's buckets, sum and count included.
    ``presence`` is ``always``, ``after-traffic``, ``after-error`` or ``if=FEATURE``. ``init`` names the series that
    exist at 0 from the start: ``all``, or pairs of label and value. ``across`` is how the values that several workers
    have for one series of a gauge become the one that is exported; counters and histograms are always added up.
    ``note`` is what the comments right above its lines say, those of its labels apart.
    """

    name: str
    kind: FamilyKind
    help: str = ""
    labels: tuple[MetricLabel, ...] = ()
    buckets: tuple[float, ...] = ()
    max_series: int | None = None
    presence: str = "after-traffic"
    init: Literal["all"] | tuple[tuple[str, str], ...] | None = None
    stability: Literal["development", "beta", "stable"] = "development"
    since: str | None = None
    owner: str | None = None
    unit: str | None = None
    expires: str | None = None
    across: Across = "sum"
    samples: tuple[MetricSample, ...] = ()
    line: int = field(default=0, compare=False)
    note: str = field(default="", compare=False)

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names of the labels in the declared order."""
        return tuple(label.name for label in self.labels)

    @property
    def series_per_label_set(self) -> int:
        """How many series one set of label values exports: a histogram has its buckets, +Inf, sum and count."""
        return len(self.buckets) + 3 if self.kind == "histogram" else 1

    @property
    def fewest_series(self) -> int:
        """How many series the closed labels alone can make; a smaller bound would drop promised series."""
        return self.series_per_label_set * math.prod(label.fewest_values for label in self.labels)

    @property
    def most_series(self) -> int | None:
        """How many series the label bounds allow together; None where a label has no bound."""
        bounds = [label.most_values for label in self.labels]
        known = [bound for bound in bounds if bound is not None]
        return self.series_per_label_set * math.prod(known) if len(known) == len(bounds) else None

    def initial_label_sets(self) -> tuple[tuple[str, ...], ...]:
        """Return the label values, in the declared order, of every series that exists from the start."""
        if self.init is None:
            return ()
        pairs = () if self.init == "all" else self.init
        chosen = [tuple(v for name, v in pairs if name == label.name) or label.values for label in self.labels]
        return tuple(itertools.product(*chosen))


@dataclass(frozen=True, slots=True)
class Deprecation:
    """A family that will go, or has gone, and what takes its place."""

    name: str
    since: str
    remove: str
    replaced_by: str | None = None
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Scrape:
    """How Prometheus collects: the job's name, the path, interval and timeout."""

    job: str
    path: str = "/metrics"
    interval_seconds: float = 15.0
    timeout_seconds: float = 10.0
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Budget:
    """What one scrape may cost as a whole."""

    series: int | None = None
    bytes: int | None = None
    scrape_seconds: float | None = None
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class MetricsContract:
    """Everything that one metrics contract promises; ``source`` and ``sha256`` say which text it was."""

    version: str
    sha256: str
    source: str = field(compare=False)
    families: tuple[MetricFamily, ...] = ()
    scrape: Scrape | None = None
    budget: Budget = Budget()
    deprecations: tuple[Deprecation, ...] = ()
    external: tuple[str, ...] = ()
    _by_name: Mapping[str, MetricFamily] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {family.name: family for family in reversed(self.families)})

    def family(self, name: str) -> MetricFamily:
        """Return the family of this name.

        Raises ContractError where the contract has none.
        """
        if name in self._by_name:
            return self._by_name[name]
        raise ContractError(
            f"metric family {name!r} is not in {self.source}: a family exists only where the contract declares it; "
            f"add HELP, TYPE and LABEL lines for it there"
        )

    def is_external(self, name: str) -> bool:
        """Say whether a family of this name may come from a library: allowed, not promised."""
        return any(
            name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern for pattern in self.external
        )
