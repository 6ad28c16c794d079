"""What a run of ``verify`` is given, and what it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from prethrift_backend.verify.findings import Outcome
from prethrift_backend.verify.inject.wire import Wire
from prethrift_backend.verify.live.client import LiveLimits
from prethrift_backend.verify.live.health_checks import HealthPaths
from prethrift_backend.verify.live.items import Stage
from prethrift_backend.verify.live.versions import VersionRange
from prethrift_backend.verify.promql.rule_files import RuleFile
from prethrift_backend.verify.records.options import RecordOptions


@dataclass(frozen=True, slots=True)
class LiveTokens:
    """The bearer tokens that the service and those around it ask for, or None."""

    health: str | None = None
    metrics: str | None = None
    prometheus: str | None = None
    alertmanager: str | None = None

    @property
    def all(self) -> tuple[str, ...]:
        """Those that there are; no report shows them."""
        given = (self.health, self.metrics, self.prometheus, self.alertmanager)
        return tuple(token for token in given if token)


@dataclass(frozen=True, slots=True)
class ArrivalOptions:
    """Where what the service shows arrives: addresses, the rules that are to be loaded, how long to wait.

    Without ``timeout_seconds`` it is a few scrape intervals of the contract.
    """

    prometheus: str | None = None
    alertmanager: str | None = None
    rule_files: tuple[RuleFile, ...] = ()
    timeout_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class InjectOptions:
    """Whether the service is treated badly, by whom, and the commands that take a dependency away and bring it back.

    ``owns`` allows it on another machine than this; ``timeout_seconds`` is for each turn of an outage.
    """

    is_asked: bool = False
    owns: bool = False
    down: str | None = None
    up: str | None = None
    timeout_seconds: float = 60.0
    make_wire: Callable[[str, float], Wire] | None = None


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """How a run is made and judged; ``probe`` allows requests that leave traces in the metrics.

    ``versions`` are those beside the one at hand that a process may have while a deployment rolls, and ``released`` is
    the folder that has their contracts.
    """

    limits: LiveLimits = field(default_factory=LiveLimits)
    tokens: LiveTokens = field(default_factory=LiveTokens)
    paths: HealthPaths = field(default_factory=HealthPaths)
    min_coverage: float = 0.9
    probe: bool = False
    versions: VersionRange | None = None
    released: Path | None = None
    arrival: ArrivalOptions = field(default_factory=ArrivalOptions)
    inject: InjectOptions = field(default_factory=InjectOptions)
    records: RecordOptions = field(default_factory=RecordOptions)


@dataclass(frozen=True, slots=True)
class LiveRun:
    """What one run found, and what it cost the service; one that was interrupted has what was seen until then."""

    outcome: Outcome
    stages: tuple[Stage, ...]
    coverage: float
    observed_count: int
    requests: int
    seconds: float
    is_interrupted: bool = False
