"""What the values of a label that were seen say of the label: a guess, its reason, and what somebody should look at."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from prethrift_backend.contracts import MetricLabel
from prethrift_backend.observability.redaction import Redactor
from prethrift_backend.verify.live.scrape_checks import is_raw_path

# Arbitrary: a list that is longer is not read by anybody, and is rarely complete.
FEW_VALUES: Final = 12
_VALUE_CHARACTERS_MAX: Final = 40

_CODE: Final = re.compile(r"[1-5][0-9][0-9]")
_CODE_CLASS: Final = re.compile(r"[1-5]xx")
# What stands in a list of a contract: a word without white space, '|' and control characters.
_WORD: Final = re.compile(r"[^\s|\x00-\x1f\x7f]+")
_PATH_NAMES: Final = frozenset({"endpoint", "handler", "http_route", "path", "route", "uri", "url", "url_path"})
# Each kind of value that has no end, whether one of them may be shown, and how many values are needed to tell: a port
# and a version are numbers too.
_ENDLESS: Final = (
    ("a UUID", re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE), True, 1),
    ("hexadecimal digits", re.compile(r"(?=.*[0-9])[0-9a-f]{12,}", re.IGNORECASE), True, 1),
    ("a number", re.compile(r"-?[0-9]{4,}|[0-9]+\.[0-9]+"), True, 3),
    ("a time", re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ].*"), True, 1),
    ("an e-mail address", re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+"), False, 1),
    ("an address of a network", re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?::[0-9]+)?"), False, 2),
)


@dataclass(frozen=True, slots=True)
class LabelGuess:
    """A label as a draft states it; ``warning`` is for people, ``has_example`` is False where no value may be shown."""

    label: MetricLabel
    reason: str
    warning: str | None = None
    has_example: bool = True


@dataclass(frozen=True, slots=True)
class SeenLabel:
    """The values of one label in all scrapes, and how many there were in the first.

    ``is_complete`` says that every combination of the family's labels stands there from the start; ``is_about`` that
    the family is one whose labels tell of the process, with one value each.
    """

    name: str
    values: Collection[str]
    first_count: int
    is_complete: bool = False
    is_about: bool = False

    @property
    def is_listable(self) -> bool:
        """Whether the values are few words."""
        short = all(_WORD.fullmatch(value) and len(value) <= _VALUE_CHARACTERS_MAX for value in self.values)
        return short and len(self.values) <= FEW_VALUES


def room(count: float, *, least: int = 10) -> int:
    """Return a round number of at least twice ``count``: 1, 2 or 5 and zeros."""
    wanted, step = max(2 * count, least), 1
    while True:
        for digit in (1, 2, 5):
            if digit * step >= wanted:
                return digit * step
        step *= 10


def guess_label(seen: SeenLabel, redactor: Redactor) -> LabelGuess:
    """Return what the values say; the most telling sign comes first."""
    if any(redactor.redact({seen.name: value}) != {seen.name: value} for value in seen.values):
        warning = f"label {seen.name!r} has values that look like secrets: they are hidden here; take them out there"
        return _open(seen, "values that look like secrets are left out", warning=warning, has_example=False)
    if seen.is_about and len(seen.values) == 1:
        has_example = not any(map(is_raw_path, seen.values))
        label = MetricLabel(seen.name, max_values=1)
        return LabelGuess(label, "one value in each process, another with the next one", has_example=has_example)
    endless = _endless(seen)
    if endless is not None:
        return endless
    return _bounded(seen)


def _bounded(seen: SeenLabel) -> LabelGuess:
    for pattern, most in ((_CODE, 30), (_CODE_CLASS, 5)):
        if all(map(pattern.fullmatch, seen.values)):
            label = MetricLabel(seen.name, "match", pattern=pattern.pattern, max_values=most)
            return LabelGuess(label, "codes of HTTP, from the values that were seen")
    if seen.name in _PATH_NAMES or any(value.startswith("/") for value in seen.values):
        return _open(seen, "templates of paths; others come with new routes")
    if len(seen.values) > seen.first_count:
        return _open(seen, f"values came while this was recorded: {seen.first_count}, then {len(seen.values)}")
    if not seen.is_listable:
        return _open(seen, f"{len(seen.values)} values, too many for a list or no short words")
    return _listed(seen)


def _listed(seen: SeenLabel) -> LabelGuess:
    values = tuple(sorted(seen.values))
    if seen.is_complete or set(values) == {"false", "true"}:
        return LabelGuess(MetricLabel(seen.name, "enum", values), "a closed list, since each was there from the start")
    label = MetricLabel(seen.name, "enum+", values, max_values=room(len(values)))
    return LabelGuess(label, "the values that were seen; write enum where there are no others")


def _open(seen: SeenLabel, reason: str, *, warning: str | None = None, has_example: bool = True) -> LabelGuess:
    label = MetricLabel(seen.name, max_values=room(len(seen.values)))
    return LabelGuess(label, reason, warning, has_example)


def _endless(seen: SeenLabel) -> LabelGuess | None:
    for value in sorted(seen.values):
        if is_raw_path(value):
            return _unbounded(seen, repr(_cut(value)), has_example=False)
        for what, pattern, may_be_shown, fewest in _ENDLESS:
            if len(seen.values) >= fewest and pattern.fullmatch(value):
                example = f"{_cut(value)!r}, {what}" if may_be_shown else what
                return _unbounded(seen, example, has_example=may_be_shown)
    return None


def _unbounded(seen: SeenLabel, example: str, *, has_example: bool) -> LabelGuess:
    count = len(seen.values)
    told = f"this label looks unbounded: {count} value{'' if count == 1 else 's'} such as {example}"
    return _open(seen, told, warning=f"label {seen.name!r}: {told}", has_example=has_example)


def _cut(value: str) -> str:
    return value if len(value) <= _VALUE_CHARACTERS_MAX else f"{value[:_VALUE_CHARACTERS_MAX]}…"
