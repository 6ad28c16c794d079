"""A finding of ``lint``, with level and category from its rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass
from typing import TypeAlias

from prethrift_backend.verify.findings import Finding, Level, Place, Signal
from prethrift_backend.verify.rules import RULES


@dataclass(frozen=True, slots=True)
class About:
    """The item of a contract that a check is about, and where it stands."""

    signal: Signal
    name: str
    place: Place

    def at(self, line: int) -> About:
        """Return the same item at another line of its file."""
        return About(self.signal, self.name, Place(self.place.path, line or self.place.line))

    def fault(self, rule: str, message: str, fix: str, **more: str | Level | None) -> Finding:
        """Return a finding about the item; ``more`` may have ``expected``, ``observed`` and a ``level`` of its own."""
        return make_finding(Fault(rule, message, fix, **more), self)  # type: ignore[arg-type] # the keywords of Fault


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, whatever it is wrong with."""

    rule: str
    message: str
    fix: str
    _: KW_ONLY
    expected: str | None = None
    observed: str | None = None
    level: Level | None = None


Check: TypeAlias = Callable[[About], Iterator[Finding]]


def make_finding(fault: Fault, about: About) -> Finding:
    """Put a fault and what it is about together."""
    rule = RULES[fault.rule]
    return Finding(
        fault.rule,
        fault.level or rule.level,
        about.signal,
        about.name,
        fault.message,
        category=rule.category,
        expected=fault.expected,
        observed=fault.observed,
        place=about.place,
        fix=fault.fix,
    )
