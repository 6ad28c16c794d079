"""Which checks there are, and how each is run. The owner of a resource registers its check; nobody else knows it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from prethrift_backend.health.check import CheckFunction, CheckWording

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Registration:
    """One check with its schedule. ``critical``: the service cannot do its work when this check fails."""

    name: str
    check: CheckFunction
    critical: bool = True
    interval_seconds: float = 5.0
    timeout_seconds: float = 1.0
    wording: CheckWording = field(default_factory=CheckWording)
    enabled: bool = True
    depends_on: str | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"the check name {self.name!r} cannot be used: names are labels and keys, so give 1 to 64 of a-z, 0-9 "
                "and _, beginning with a letter"
            )
        for what, seconds in (("interval_seconds", self.interval_seconds), ("timeout_seconds", self.timeout_seconds)):
            if not (math.isfinite(seconds) and seconds > 0):
                raise ValueError(f"check {self.name!r}: {what}={seconds!r} is not a time; give a number above 0")

    @property
    def ttl_seconds(self) -> float:
        """Return the age up to which a result is simply used.

        A quarter above the interval, because the schedule varies by a tenth and its machine may be busy (the rest of
        the quarter is arbitrary), and the time that a run may take. Within it a probe never runs a check.
        """
        return 1.25 * self.interval_seconds + self.timeout_seconds

    @property
    def max_age_seconds(self) -> float:
        """Return the age beyond which a result is not believed: three intervals and the time one run may take."""
        return 3 * self.interval_seconds + self.timeout_seconds


class HealthRegistry:
    """The checks of one application, in the order of registration."""

    def __init__(self) -> None:
        self._registrations: dict[str, Registration] = {}
        self._is_frozen = False

    def register(  # noqa: PLR0913 - each is one independent property of a check, and all but two have defaults
        self,
        name: str,
        check: CheckFunction,
        *,
        critical: bool = True,
        interval_seconds: float = 5.0,
        timeout_seconds: float = 1.0,
        wording: CheckWording | None = None,
        enabled: bool = True,
        depends_on: str | None = None,
    ) -> None:
        """Add a check.

        ``check`` is ``async def check() -> HealthCheck``, or an async or plain function that returns None when all is
        well (or a mapping of details) and raises otherwise (``CheckFailed(code)`` to say why). A plain function runs on
        a thread of its own. A check that is not ``enabled`` is listed as healthy and disabled, and never runs.
        ``depends_on`` names a check that is registered already: while that one's last result is unhealthy, this one is
        reported as ``dependency_failed`` and does not run.
        Raises ValueError for a name that is taken or unusable, for times that are none and for an unknown dependency,
        and RuntimeError once the engine has started.
        """
        if self._is_frozen:
            raise RuntimeError(f"the check {name!r} comes too late: the engine has started; register before start()")
        if name in self._registrations:
            raise ValueError(f"the check name {name!r} is taken: names are unique in a registry; choose another")
        if depends_on is not None and depends_on not in self._registrations:
            raise ValueError(
                f"the check {name!r} cannot depend on {depends_on!r}: no check of that name is registered yet; "
                f"register {depends_on!r} first"
            )
        self._registrations[name] = Registration(
            name, check, critical, interval_seconds, timeout_seconds, wording or CheckWording(), enabled, depends_on
        )

    def freeze(self) -> None:
        """Refuse further registrations; the engine calls it at its start."""
        self._is_frozen = True

    def __iter__(self) -> Iterator[Registration]:
        return iter(tuple(self._registrations.values()))

    def __len__(self) -> int:
        return len(self._registrations)

    def __contains__(self, name: object) -> bool:
        return name in self._registrations
