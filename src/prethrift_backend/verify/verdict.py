"""What an outcome means: which items passed, and the exit status of the command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias

from prethrift_backend.verify.findings import LEVELS, Finding, Item, Level, Outcome

FailOn: TypeAlias = Literal["error", "warning", "info", "none"]
State: TypeAlias = Literal["passed", "failed", "excused", "not observed"]

VERIFIED: Final = 0
VIOLATED: Final = 1
UNUSABLE: Final = 2
INCONCLUSIVE: Final = 3

VERDICTS: Final[Mapping[int, str]] = {VERIFIED: "verified", VIOLATED: "violated", INCONCLUSIVE: "inconclusive"}
STATES: Final[tuple[State, ...]] = ("passed", "failed", "excused", "not observed")

# A heading for the reason that a run has where it saw nothing at all.
_NOTHING: Final = "nothing was observed"


@dataclass(frozen=True, slots=True)
class Run:
    """The circumstances of a report: when (with a time zone), by which version, what counts as a failure."""

    at: datetime
    version: str
    fail_on: FailOn = "error"
    root: str = ""
    in_colour: bool = False


def counts_as_failure(finding: Finding, fail_on: FailOn) -> bool:
    """Return whether the finding is as bad as ``fail_on`` or worse."""
    return fail_on != "none" and LEVELS.index(finding.level) <= LEVELS.index(fail_on)


def exit_status(outcome: Outcome, fail_on: FailOn) -> int:
    """Return 0 verified, 1 violated, 3 inconclusive; a violation outweighs what could not be seen."""
    if any(counts_as_failure(finding, fail_on) for finding in outcome.findings):
        return VIOLATED
    return INCONCLUSIVE if reasons(outcome) else VERIFIED


def reasons(outcome: Outcome) -> tuple[str, ...]:
    """Return why the run cannot tell; also where it says nothing of it and has observed no item."""
    is_blind = all(item.not_observed is not None for item in outcome.items)
    return (*outcome.inconclusive, _NOTHING) if is_blind and not outcome.inconclusive else outcome.inconclusive


def states(outcome: Outcome, fail_on: FailOn) -> list[tuple[Item, State]]:
    """Return every item and what became of it, in the order of the items."""
    failed = _by_item(outcome, fail_on)
    excused = {_key(excused.finding) for excused in outcome.excused}
    return [(item, _state(item, failed, excused)) for item in outcome.items]


def tally(outcome: Outcome, fail_on: FailOn) -> Mapping[State, int]:
    """Return how many items are in each state."""
    counted = Counter(state for _, state in states(outcome, fail_on))
    return {state: counted[state] for state in STATES}


def by_level(findings: Iterable[Finding]) -> Mapping[Level, int]:
    """Return how many findings there are of each level."""
    counted = Counter(finding.level for finding in findings)
    return {level: counted[level] for level in LEVELS}


def summary(outcome: Outcome, run: Run) -> str:
    """Return the one line that ends a report: counts and verdict."""
    levels = by_level(outcome.findings)
    found = ", ".join(
        (_counted(levels["error"], "error"), _counted(levels["warning"], "warning"), f"{levels['info']} info")
    )
    items = ", ".join(f"{count} {state}" for state, count in tally(outcome, run.fail_on).items() if count)
    verdict = VERDICTS[exit_status(outcome, run.fail_on)]
    return f"{verdict}: {found}; {_counted(len(outcome.items), 'item')}{': ' if items else ''}{items}"


def _counted(count: int, thing: str) -> str:
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def _key(thing: Finding | Item) -> tuple[str, str]:
    return thing.signal, thing.name


def _by_item(outcome: Outcome, fail_on: FailOn) -> set[tuple[str, str]]:
    return {_key(finding) for finding in outcome.findings if counts_as_failure(finding, fail_on)}


def _state(item: Item, failed: set[tuple[str, str]], excused: set[tuple[str, str]]) -> State:
    if _key(item) in failed:
        return "failed"
    if item.not_observed is not None:
        return "not observed"
    return "excused" if _key(item) in excused else "passed"
