"""What a run of ``verify`` has seen so far: stages, items of the contracts, findings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Literal

from prethrift_backend.observability.redaction import Redactor
from prethrift_backend.verify.findings import Finding, Item, Level, Place, Signal
from prethrift_backend.verify.live.client import SpentError, UnreachableError
from prethrift_backend.verify.rules import RULES

StageState = Literal["pass", "fail", "skipped"]

# Enough to see the fault; a body of the server's may be endless. Arbitrary.
_SHOWN_CHARACTERS: Final = 200
# Nobody reads more, and a scrape may have a hundred thousand families that no contract knows. Arbitrary.
_FINDINGS_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the run and how it ended; ``note`` says what was seen, or why nothing was."""

    number: int
    name: str
    state: StageState
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Unseen:
    reason: str
    is_due: bool = True
    seen_share: float = 0.0


@dataclass(slots=True)
class Ledger:
    """Takes in what the stages say.

    An item of a contract ends as observed, or as not observed with a reason. One that is not *due*, such as a family
    of a feature that is off, does not count against the coverage; one that is declared and has no series counts half,
    since its type and help are promises too. ``shows_commands`` is for what can be asked from outside.
    """

    tokens: tuple[str, ...] = ()
    shows_commands: bool = True
    findings: list[Finding] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    inconclusive: list[str] = field(default_factory=list)
    _places: dict[tuple[Signal, str], Place | None] = field(default_factory=dict)
    _unseen: dict[tuple[Signal, str], _Unseen] = field(default_factory=dict)
    _redactor: Redactor = field(default_factory=Redactor)
    _known: set[str] = field(default_factory=set)

    def promise(self, signal: Signal, name: str, place: Place | None = None) -> None:
        """Enter an item; until it is seen it counts as not observed."""
        self._places[signal, name] = place
        self._unseen[signal, name] = _Unseen("no stage came as far as this")

    def forget(self) -> None:
        """Take all items back: others are promised instead."""
        self._places.clear()
        self._unseen.clear()

    def saw(self, signal: Signal, name: str) -> None:
        """Note that an item was there to look at."""
        self._unseen.pop((signal, name), None)

    def missed(self, signal: Signal, name: str, reason: str, *, is_due: bool = True, seen_share: float = 0.0) -> None:
        """Note why an item could not be looked at, and how much of it could."""
        if (signal, name) in self._places:
            self._unseen[signal, name] = _Unseen(self.clean(reason), is_due, seen_share)

    def find(  # noqa: PLR0913 - the parts of a finding, all but three of them with a default
        self,
        rule: str,
        signal: Signal,
        name: str,
        message: str,
        *,
        expected: str | None = None,
        observed: object = None,
        level: Level | None = None,
        fix: str = "",
        reproduce: str | None = None,
    ) -> None:
        """Enter a finding, with every secret taken out; the same fault of one item is entered once."""
        if len(self.findings) >= _FINDINGS_MAX:
            self._leave_out()
            return
        known = RULES[rule]
        finding = Finding(
            rule,
            level or known.level,
            signal,
            name,
            self.clean(message),
            category=known.category,
            expected=expected,
            observed=None if observed is None else self.clean(str(observed)),
            place=self._places.get((signal, name)),
            fix=fix or known.help,
            reproduce=reproduce if self.shows_commands else None,
        )
        if finding.fingerprint not in self._known:
            self._known.add(finding.fingerprint)
            self.findings.append(finding)

    def _leave_out(self) -> None:
        reason = f"there are more than {_FINDINGS_MAX} findings: the rest is left out"
        if reason not in self.inconclusive:
            self.inconclusive.append(reason)

    def clean(self, text: str) -> str:
        """Return a text of the server's, short and without secrets; the tokens that we sent are some."""
        for token in self.tokens:
            text = text.replace(token, "[redacted]")
        cleaned = self._redactor.redact_text(text)
        return cleaned if len(cleaned) <= _SHOWN_CHARACTERS else f"{cleaned[:_SHOWN_CHARACTERS]}…"

    @contextmanager
    def stage(self, number: int, name: str) -> Iterator[list[str]]:
        """Run a stage, and yield the list for what its line is to say besides.

        What the server does not answer, and requests that are spent, make the run inconclusive.
        """
        before, notes, reason = len(self.findings), list[str](), ""
        try:
            yield notes
        except (UnreachableError, SpentError) as error:
            reason = self.clean(str(error))
            self.inconclusive.append(reason)
        except KeyboardInterrupt:
            self.stages.append(Stage(number, name, "skipped", "interrupted"))
            raise
        worst = [finding for finding in self.findings[before:] if finding.level == "error"]
        state: StageState = "fail" if worst else "skipped" if reason else "pass"
        self.stages.append(Stage(number, name, state, reason or self.clean("; ".join(notes))))

    def skip(self, number: int, name: str, reason: str) -> None:
        """Note a stage that was not run."""
        self.stages.append(Stage(number, name, "skipped", reason))

    @property
    def items(self) -> tuple[Item, ...]:
        """Every item of the contracts."""
        return tuple(Item(*key, place, self._reason(key)) for key, place in self._places.items())

    def _reason(self, key: tuple[Signal, str]) -> str | None:
        unseen = self._unseen.get(key)
        return None if unseen is None else unseen.reason

    @property
    def observed_count(self) -> int:
        """How many items were there to look at."""
        return len(self._places) - len(self._unseen)

    @property
    def coverage(self) -> float:
        """The share of items that were observed, of those that a running service can show."""
        due = [unseen for unseen in self._unseen.values() if unseen.is_due]
        seen = self.observed_count + sum(unseen.seen_share for unseen in due)
        return seen / (self.observed_count + len(due)) if seen else 0.0


def listed(values: Iterable[object]) -> str:
    """Write some values in a row, the first ten of many."""
    texts = [str(value) for value in values]
    return ", ".join(texts[:10]) + (f" and {len(texts) - 10} more" if len(texts) > 10 else "")
