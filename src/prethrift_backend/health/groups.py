"""Groups as data: which checks, how they become one word, and which HTTP code each word is.

``/health`` and ``/health/ready`` are groups themselves, of every check; what differs is how they judge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from prethrift_backend.health.aggregate import Overall, alone_of, health_of, measured_of, readiness_of
from prethrift_backend.health.check import CheckReport
from prethrift_backend.health.lifecycle import Lifecycle
from prethrift_backend.health.status import HealthStatus

Judge = Callable[[Sequence[CheckReport], Lifecycle], Overall]
"""The aggregation of a group: from the reports of its checks to one word."""

DEFAULT_STATUSES: Final[Mapping[HealthStatus, int]] = MappingProxyType(
    {HealthStatus.HEALTHY: 200, HealthStatus.DEGRADED: 200, HealthStatus.UNHEALTHY: 503}
)
"""The HTTP codes: degraded is served, because taking a limping process away makes the others limp."""

HEALTH_DEADLINE_SECONDS: Final = 2.0
READY_DEADLINE_SECONDS: Final = 0.8
"""Below the second after which a kubelet gives up by default: an answer that nobody reads is none."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
_CODES: Final = range(200, 600)


@dataclass(frozen=True, slots=True)
class HealthGroup:
    """Some checks that are asked for together, under ``/health/groups/{name}``.

    ``checks`` are names of registered checks, None means all. ``statuses`` gives the HTTP code of each status; those
    left out have the usual one. ``judge`` is how the reports become one word: by default as for ``/health``, where a
    critical check can make the whole unhealthy and any other one degraded. A probe waits ``deadline_seconds`` at most.
    Raises ValueError for a name, a code or a deadline that is none.
    """

    name: str
    checks: tuple[str, ...] | None = None
    statuses: Mapping[HealthStatus, int] = field(default_factory=lambda: DEFAULT_STATUSES)
    judge: Judge = measured_of
    deadline_seconds: float = HEALTH_DEADLINE_SECONDS

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"the group name {self.name!r} cannot be used: it is part of a path, so give 1 to 64 of a-z, 0-9 and "
                "_, beginning with a letter"
            )
        if not self.deadline_seconds > 0:
            raise ValueError(f"group {self.name!r}: deadline_seconds={self.deadline_seconds!r} is not above 0")
        given = {HealthStatus(status): code for status, code in self.statuses.items()}
        for status, code in given.items():
            if code not in _CODES:
                raise ValueError(
                    f"group {self.name!r}: {code!r} for {status.value!r} is not an HTTP code: give one from 200 to 599"
                )
        object.__setattr__(self, "statuses", MappingProxyType({**DEFAULT_STATUSES, **given}))

    def code_of(self, status: HealthStatus) -> int:
        """Return the HTTP code for ``status``."""
        return self.statuses[status]


def single(check_name: str) -> HealthGroup:
    """Make the group of one check, which is judged by that check alone, critical or not."""
    return HealthGroup(check_name, (check_name,), judge=alone_of)


HEALTH: Final = HealthGroup("health", judge=health_of)
READY: Final = HealthGroup("ready", judge=readiness_of, deadline_seconds=READY_DEADLINE_SECONDS)
