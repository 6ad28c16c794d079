"""What a check has to say, as values: findings, the items that were looked at, and the outcome of one run."""

from __future__ import annotations

import hashlib
import json
from dataclasses import KW_ONLY, dataclass
from typing import Final, Literal, TypeAlias

Level: TypeAlias = Literal["error", "warning", "info"]
Signal: TypeAlias = Literal[
    "metrics", "logs", "spans", "health", "settings", "overhead", "alerts", "dashboards", "docs", "code", "live"
]

# From the worst to the mildest; reports are sorted so.
LEVELS: Final[tuple[Level, ...]] = ("error", "warning", "info")


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file; lines and columns count from 1, columns in characters."""

    path: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.path, self.line, self.column) if part is not None)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as a contract says.

    ``name`` is the item of the contract (a family, an event, a span, a setting, an alert); ``message`` one sentence;
    ``fix`` what to do; ``reproduce`` a command line that shows it; ``consumers`` who uses the item, by file and line.
    ``part`` says what of the item is meant, where one rule may find several things wrong with it.
    """

    rule: str
    level: Level
    signal: Signal
    name: str
    message: str
    _: KW_ONLY
    category: str | None = None
    expected: str | None = None
    observed: str | None = None
    place: Place | None = None
    consumers: tuple[Place, ...] = ()
    fix: str = ""
    reproduce: str | None = None
    part: str = ""

    @property
    def fingerprint(self) -> str:
        """The same for the same fault on the same item in every run, wherever its line has moved to (hexadecimal)."""
        identity = json.dumps([self.rule, self.signal, self.name, *[self.part] * (self.part != "")])
        return hashlib.sha256(identity.encode("ascii")).hexdigest()


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a contract that a run looked at, or could not look at: then ``not_observed`` says why."""

    signal: Signal
    name: str
    place: Place | None = None
    not_observed: str | None = None


@dataclass(frozen=True, slots=True)
class Excused:
    """A finding that an exception covers, the exception's reason, and the last day of it (ISO 8601)."""

    finding: Finding
    reason: str
    until: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run found.

    ``command`` is the sub-command ("lint"), ``target`` what it was held against (an address, a folder, a revision).
    ``items`` has every item of the contracts that the run was to look at; an item has passed when it was observed and
    no finding names it. A run that observed no item at all is never a success. ``rules`` has the ids that the run
    judges; ``inconclusive`` the reasons why it cannot tell, such as a server that does not answer.
    """

    command: str
    findings: tuple[Finding, ...] = ()
    _: KW_ONLY
    items: tuple[Item, ...] = ()
    rules: tuple[str, ...] = ()
    inconclusive: tuple[str, ...] = ()
    target: str | None = None
    excused: tuple[Excused, ...] = ()
