"""What several scrapes say of each family: a promise with guesses in it, or the reason why none can be drafted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from prethrift_backend.contracts import MetricFamily
from prethrift_backend.contracts.model import FamilyKind
from prethrift_backend.observability.redaction import Redactor
from prethrift_backend.verify.live.items import listed
from prethrift_backend.verify.live.scrape import LiveSample, Scrape
from prethrift_backend.verify.recording.labels import LabelGuess, SeenLabel, guess_label, room

UNKNOWN_HELP: Final = "Not described yet."
# Arbitrary: a service that was looked at for a second has shown few of them.
_LABEL_SETS_MIN: Final = 20
_KINDS: Final = ("counter", "gauge", "histogram")
_LABEL_NAME: Final = re.compile(r"(?!__|le$|quantile$)[a-zA-Z_][a-zA-Z0-9_]*")
# What a histogram, a summary or OpenMetrics makes of a name: no family of a contract is called so.
_PARTS: Final = ("_bucket", "_sum", "_count", "_created")
_UNITS: Final = ("seconds", "bytes", "ratio", "celsius", "meters", "joules", "grams", "volts", "amperes")
# A line feed is written as an escape; what else nobody sees becomes a space.
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]+")


@dataclass(frozen=True, slots=True)
class FamilyGuess:
    """A family as a draft states it; ``reasons`` are by the directive, or by the label, that they are about.

    ``is_bounded`` is False where a bound on series cannot be stated, ``has_example`` where no sample may be shown.
    """

    family: MetricFamily
    labels: tuple[LabelGuess, ...]
    reasons: Mapping[str, str]
    is_bounded: bool = True
    warnings: tuple[str, ...] = ()

    @property
    def has_example(self) -> bool:
        """Whether a sample of it can be shown."""
        return self.family.kind != "untyped" and all(guess.has_example for guess in self.labels)


@dataclass(slots=True)
class SeenFamily:
    """One family in all scrapes.

    ``is_misread`` is that of a counter without _total: parsers of the format give its samples the ending that it lacks.
    """

    name: str
    kind: str
    help: str
    first: Sequence[LiveSample]
    scrapes: list[Sequence[LiveSample]] = field(default_factory=list)
    is_misread: bool = False

    @property
    def samples(self) -> Iterable[LiveSample]:
        """Every sample of every scrape."""
        return (sample for scrape in self.scrapes for sample in scrape)

    @property
    def most_series(self) -> int:
        """How many series one scrape had at most."""
        return max(map(len, self.scrapes), default=0)

    def values(self, label: str, samples: Iterable[LiveSample]) -> set[str]:
        """Return the values of a label."""
        return {sample.labels[label] for sample in samples if label in sample.labels}


def seen_families(scrapes: Sequence[Scrape]) -> list[SeenFamily]:
    """Return every family that was declared or had a sample, in the order of the scrapes."""
    found: dict[str, SeenFamily] = {}
    for scrape in scrapes:
        for name in scrape.family_names:
            if name not in found:
                kind, told = scrape.types.get(name, "untyped"), scrape.helps.get(name, "")
                found[name] = SeenFamily(name, kind, told, scrapes[0].samples.get(name, ()))
    for family in found.values():
        family.scrapes = [scrape.samples.get(family.name, ()) for scrape in scrapes]
    for family in list(found.values()):
        if family.kind == "counter" and not family.name.endswith("_total"):
            for name in {family.name, f"{family.name}_total"} & found.keys():
                found[name].is_misread = True
    return list(found.values())


def unpromised(family: SeenFamily) -> str | None:
    """Return why no promise of this family can be drafted; None where one can."""
    if family.is_misread:
        return "a counter's name ends in _total: rename it"
    if family.most_series == 0:
        return "declared, and without a series while this was recorded: send traffic and record again"
    if family.name.endswith(_PARTS):
        return f"a name that ends in {', '.join(_PARTS)} is that of a part, and no family's"
    names = {frozenset(_own_names(sample)) for sample in family.samples}
    if len(names) > 1:
        return "its series have different labels: a family has the same labels everywhere"
    odd = sorted(name for name in next(iter(names)) if _LABEL_NAME.fullmatch(name) is None)
    if odd:
        return f"a contract has no label {listed(odd)}: le, quantile and names with '__' or odd signs are others'"
    return _bucket_fault(family) if family.kind == "histogram" else None


def _own_names(sample: LiveSample) -> tuple[str, ...]:
    return tuple(name for name in sample.labels if name != "le" or not sample.name.endswith("_bucket"))


def _bucket_fault(family: SeenFamily) -> str | None:
    bounds = _bounds(family)
    if len(bounds) > 1:
        return "its series have different buckets: a family has the same buckets everywhere"
    own = next(iter(bounds), ())
    if not own or own[-1] != math.inf:
        return "a histogram without the bucket +Inf has no count that can be relied on"
    finite = own[:-1]
    if not finite or not all(map(math.isfinite, finite)) or list(own) != sorted(set(own)):
        return "its buckets are no rising numbers"
    return None


def _bounds(family: SeenFamily) -> set[tuple[float, ...]]:
    """Return the upper bounds of each series, in the order in which they stand."""
    groups: dict[object, list[float]] = {}
    for number, scrape in enumerate(family.scrapes):
        for sample in scrape:
            if sample.name.endswith("_bucket"):
                groups.setdefault((number, sample.without("le")), []).append(_bound(sample))
    return {tuple(bounds) for bounds in groups.values()}


def _bound(sample: LiveSample) -> float:
    try:
        return float(sample.labels.get("le", ""))
    except ValueError:
        return math.nan


def guess_family(seen: SeenFamily, redactor: Redactor) -> FamilyGuess:
    """Return the promise that the scrapes let one guess; `unpromised` has said that there is one."""
    reasons: dict[str, str] = {}
    kind = _kind(seen, reasons)
    labels = _labels(seen, redactor)
    presence, reasons["SERIES"] = _presence(seen)
    is_initial = bool(labels) and presence == "always" and all(guess.label.kind == "enum" for guess in labels)
    family = MetricFamily(
        seen.name,
        kind,
        _help(seen, redactor, reasons),
        tuple(guess.label for guess in labels),
        buckets=next(iter(_bounds(seen)))[:-1] if kind == "histogram" else (),
        presence=presence,
        init="all" if is_initial else None,
        unit=_unit(seen.name),
    )
    warnings = tuple(f"{seen.name}: {guess.warning}" for guess in labels if guess.warning)
    # The parts of a summary, or of what is misnamed, are not known to a contract: it could not count them.
    is_bounded = kind != "untyped" or seen.kind not in ("histogram", "summary")
    return FamilyGuess(family, labels, reasons, is_bounded, warnings)


def bound_of(guess: FamilyGuess, most_seen: int) -> int:
    """Return a bound on the series: round, with room, within what the labels allow."""
    family = guess.family
    wanted = max(family.fewest_series, room(most_seen, least=_LABEL_SETS_MIN * family.series_per_label_set))
    return min(wanted, family.most_series or wanted)


def _kind(seen: SeenFamily, reasons: dict[str, str]) -> FamilyKind:
    is_misnamed = (seen.kind == "counter") != seen.name.endswith("_total")
    if seen.kind in _KINDS and not is_misnamed:
        return cast(FamilyKind, seen.kind)
    rule = "a counter's name ends in _total, and no other's does"
    reasons["TYPE"] = f"the service says {seen.kind}; " + (
        rule if seen.kind in _KINDS else "a contract has no such type"
    )
    return "untyped"


def _help(seen: SeenFamily, redactor: Redactor, reasons: dict[str, str]) -> str:
    told = _CONTROL.sub(" ", redactor.redact_text(seen.help)).strip()
    if told:
        return told
    reasons["HELP"] = "the service does not say; describe it there as well"
    return UNKNOWN_HELP


def _labels(seen: SeenFamily, redactor: Redactor) -> tuple[LabelGuess, ...]:
    names = _own_names(next(iter(seen.samples)))
    is_complete, is_about = _is_complete(seen, names), seen.name.endswith("_info")
    return tuple(
        guess_label(
            SeenLabel(
                name,
                seen.values(name, seen.samples),
                len(seen.values(name, seen.first)),
                is_complete=is_complete,
                is_about=is_about,
            ),
            redactor,
        )
        for name in names
    )


def _is_complete(seen: SeenFamily, names: Sequence[str]) -> bool:
    """Say whether the first scrape has every combination of the values, one of them unused: somebody made them all."""
    sets = {tuple(sample.labels[name] for name in names) for sample in seen.first}
    combinations = math.prod(len(seen.values(name, seen.first)) for name in names)
    return _has_unused(seen) and len(sets) == combinations


def _has_unused(seen: SeenFamily) -> bool:
    counted = (sample.value for sample in seen.first if not sample.name.endswith(("_bucket", "_sum")))
    return seen.kind in ("counter", "histogram") and any(value == 0 for value in counted)


def _presence(seen: SeenFamily) -> tuple[str, str]:
    if not all(seen.scrapes):
        return "after-traffic", "it came while this was recorded"
    if not _own_names(seen.first[0]):
        return "always", "it has no label, and was there on the first scrape"
    if _has_unused(seen):
        return "always", "one of its series stands at 0, so they are there before they are used"
    if seen.kind == "gauge" and seen.name.endswith(("_info", "_up")):
        return "always", "what tells of the process itself is there from the start"
    return "after-traffic", "it has labels, and none of its series stands at 0"


def _unit(name: str) -> str | None:
    word = name.removesuffix("_total").rpartition("_")[2]
    return word if word in _UNITS else None
