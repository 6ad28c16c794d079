"""What one check has been through: its changes, its last success, and counts that only grow. Pure, like the state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from prethrift_backend.health.status import HealthStatus

KEPT_TRANSITIONS: Final = 20
"""How many changes of a check are remembered; enough to see a flapping night, and bounded. Arbitrary."""

_NONE: Final[Mapping[HealthStatus, int]] = dict.fromkeys(HealthStatus, 0)


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of the settled status of a check: when (seconds since the epoch), to what, and for which code."""

    at: float
    status: HealthStatus
    code: str | None


@dataclass(frozen=True, slots=True)
class CheckHistory:
    """The past of one check.

    ``results`` counts runs by what they gave; ``changes`` counts transitions by the status that they led to, and goes
    on counting where ``transitions`` (oldest first) forgets. ``last_success_at`` is in seconds since the epoch.
    """

    transitions: tuple[Transition, ...] = ()
    last_success_at: float | None = None
    results: Mapping[HealthStatus, int] = field(default_factory=lambda: _NONE)
    changes: Mapping[HealthStatus, int] = field(default_factory=lambda: _NONE)

    @property
    def since(self) -> float | None:
        """Return when the settled status of now began; None before the first result."""
        return self.transitions[-1].at if self.transitions else None

    def after(self, result: HealthStatus, *, at: float, transition: Transition | None) -> CheckHistory:
        """Return the history with one more run, which changed the settled status where ``transition`` is given."""
        transitions, changes = self.transitions, self.changes
        if transition is not None:
            transitions = (*transitions, transition)[-KEPT_TRANSITIONS:]
            changes = _counted(changes, transition.status)
        last_success_at = at if result is HealthStatus.HEALTHY else self.last_success_at
        return CheckHistory(transitions, last_success_at, _counted(self.results, result), changes)


def _counted(counts: Mapping[HealthStatus, int], status: HealthStatus) -> Mapping[HealthStatus, int]:
    return {**counts, status: counts[status] + 1}
