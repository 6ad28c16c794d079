"""A change of a contract as a value, and what it comes to: its level, and the version that it needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass, replace
from typing import Final, Literal, TypeAlias

from prethrift_backend.verify.diff.consumers import ConsumerIndex, Use
from prethrift_backend.verify.findings import Finding, Level, Place, Signal
from prethrift_backend.verify.rules import RULES

Stability: TypeAlias = Literal["development", "beta", "stable"]
Bump: TypeAlias = Literal["patch", "minor", "major"]

# From the least to the most.
BUMPS: Final[tuple[Bump, ...]] = ("patch", "minor", "major")
STABILITIES: Final[tuple[Stability, ...]] = ("development", "beta", "stable")

_BUMP_OF_LEVEL: Final[dict[Level, Bump]] = {"error": "major", "warning": "minor", "info": "minor"}
# Where the level says less than contracts/README.md demands: what a consumer can hold on to goes, or words only change.
_BUMP_OF_RULE: Final[dict[str, Bump]] = {
    "M012": "major",
    "M015": "major",
    "M020": "major",
    "M031": "major",
    "M050": "patch",
    "H010": "patch",
    "L009": "patch",
    "S008": "patch",
    "C003": "major",
    "C007": "patch",
    "O003": "patch",
}


def parse_version(version: str) -> tuple[int, ...]:
    """Return the three numbers of a version."""
    return tuple(int(part) for part in version.split("."))


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two contracts.

    ``stability`` is what the old contract promised of the item; ``use`` says what a consumer of it names. ``level`` and
    ``bump`` are given only where they differ from those of the rule.
    """

    rule: str
    signal: Signal
    name: str
    message: str
    _: KW_ONLY
    expected: str | None = None
    observed: str | None = None
    line: int | None = None
    stability: Stability = "stable"
    use: Use | None = None
    level: Level | None = None
    bump: Bump | None = None
    places: tuple[Place, ...] = ()
    fix: str = ""

    def shown(self, expected: str | None, observed: str | None) -> Change:
        """Return the change with what was and what is."""
        return replace(self, expected=expected, observed=observed)

    @property
    def needed_bump(self) -> Bump:
        """The part of the version that this change has to raise: what is not stable may break in a minor version."""
        if self.stability == "development":
            return "patch"
        bump = self.bump or _BUMP_OF_RULE.get(self.rule) or _BUMP_OF_LEVEL[RULES[self.rule].level]
        return "minor" if self.stability == "beta" and bump == "major" else bump


def largest_bump(changes: Iterable[Change]) -> Bump:
    """Return the greatest bump that one of the changes needs; patch where there is none."""
    return max((change.needed_bump for change in changes), key=BUMPS.index, default="patch")


def make_finding(change: Change, *, path: str, consumers: ConsumerIndex) -> Finding:
    """Return the change as a finding: milder where the item was not stable, an error where a consumer uses it."""
    rule = RULES[change.rule]
    users = change.places or (consumers.find(change.use) if change.use is not None else ())
    level = _softened(change.level or rule.level, change.stability)
    return Finding(
        change.rule,
        "error" if level == "warning" and users else level,
        change.signal,
        change.name,
        change.message,
        category=rule.category,
        expected=change.expected,
        observed=change.observed,
        place=Place(path, change.line),
        consumers=() if level == "info" else users,
        fix=change.fix or ("" if level == "info" else rule.help),
    )


def _softened(level: Level, stability: Stability) -> Level:
    if stability == "development":
        return "info"
    return "warning" if stability == "beta" and level == "error" else level
