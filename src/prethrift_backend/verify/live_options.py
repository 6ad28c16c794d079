"""What a run of ``verify`` is given, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass, field

from prethrift_backend.verify.findings import Outcome
from prethrift_backend.verify.health_checks import HealthPaths
from prethrift_backend.verify.live_client import LiveLimits
from prethrift_backend.verify.live_items import Stage


@dataclass(frozen=True, slots=True)
class LiveTokens:
    """The bearer tokens that the service asks for, or None."""

    health: str | None = None
    metrics: str | None = None

    @property
    def all(self) -> tuple[str, ...]:
        """Those that there are; no report shows them."""
        return tuple(token for token in (self.health, self.metrics) if token)


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """How a run is made and judged; ``probe`` allows requests that leave traces in the metrics."""

    limits: LiveLimits = field(default_factory=LiveLimits)
    tokens: LiveTokens = field(default_factory=LiveTokens)
    paths: HealthPaths = field(default_factory=HealthPaths)
    min_coverage: float = 0.9
    probe: bool = False


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
