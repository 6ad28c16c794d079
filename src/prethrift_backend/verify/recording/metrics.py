"""A draft of ``metrics.txt`` from several scrapes of one service; every guess is marked by a comment above its line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from prethrift_backend.contracts import MetricFamily, MetricLabel, parse_metrics
from prethrift_backend.contracts.formatting import format_contract
from prethrift_backend.observability.redaction import Redactor
from prethrift_backend.verify.live.scrape import LiveSample, Scrape
from prethrift_backend.verify.live.scrape_checks import CONTRACT_ITEM
from prethrift_backend.verify.recording.families import FamilyGuess, SeenFamily, bound_of, guess_family, unpromised
from prethrift_backend.verify.recording.families import seen_families as families_of
from prethrift_backend.verify.recording.labels import room

VERSION: Final = "0.1.0"
# The runtimes and clients whose own families every process has.
_LIBRARIES: Final = ("go_*", "jvm_*", "nodejs_*", "process_*", "promhttp_*", "python_*")
_FAMILY_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Draft:
    """A drafted file, what somebody should look at, and how many promises of which kind there are in it."""

    text: str
    warnings: tuple[str, ...] = ()
    item_count: int = 0
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Collection:
    """How the metrics were collected: the job's name, the path, and what the largest and slowest scrape cost."""

    job: str | None
    path: str
    size_bytes: int
    seconds: float


def draft_metrics(scrapes: Sequence[Scrape], collection: Collection) -> Draft:
    """Return a canonical contract that the scrapes obey, with what no contract can promise under EXTERNAL."""
    return _Draft(scrapes, collection).finish()


class _Draft:
    """One draft while it grows."""

    def __init__(self, scrapes: Sequence[Scrape], collection: Collection) -> None:
        self._scrapes = scrapes
        self._collection = collection
        self._redactor = Redactor()
        self._promised: list[tuple[SeenFamily, FamilyGuess]] = []
        self._stems: dict[str, str] = {}
        self._external: dict[str, str] = {}
        self._warnings: list[str] = []

    def finish(self) -> Draft:
        for family in families_of(self._scrapes):
            self._take(family)
        lines = [*self._header(), *self._families(), *self._externals()]
        text = format_contract("\n".join(lines) + "\n", source="metrics.txt")
        parse_metrics(text, source="metrics.txt")
        return Draft(text, tuple(self._warnings), len(self._promised), "families")

    def _take(self, family: SeenFamily) -> None:
        name = family.name
        if _FAMILY_NAME.fullmatch(name) is None:
            self._warnings.append(
                f"{self._redactor.redact_text(name)!r} is no name that a contract can have: rename it"
            )
            return
        library = next((pattern for pattern in _LIBRARIES if name.startswith(pattern[:-1])), None)
        reason = _own_identity(name) or unpromised(family) or self._clash(name)
        if library is not None:
            self._external[library] = "families of a library, by their names"
        elif reason is not None:
            self._external[name] = reason
            self._warnings.append(f"{name}: not promised: {reason}")
        else:
            self._promise(family)

    def _clash(self, name: str) -> str | None:
        other = self._stems.get(name.removesuffix("_total"))
        return None if other is None else f"in OpenMetrics it is one family with {other}: rename one of them"

    def _promise(self, family: SeenFamily) -> None:
        guess = guess_family(family, self._redactor)
        self._stems[family.name.removesuffix("_total")] = family.name
        self._promised.append((family, guess))
        self._warnings += guess.warnings

    # The lines.

    def _header(self) -> Iterator[str]:
        taken = self._collection
        yield f"# CONTRACT metrics {VERSION}"
        yield "# drafted from a running service: what it happened to show, not what it should; correct each guess"
        yield from _guessed("the interval, and the job's name" if taken.job is None else "the interval")
        yield f"# SCRAPE job={taken.job or 'service'} path={taken.path} interval=15s timeout=10s"
        yield from _guessed("twice what was seen, or more")
        seconds = room(taken.seconds * 2, least=1)
        series = self._series()
        # As long as those are that were seen: a budget has room for what the bounds allow.
        size_bytes = room(taken.size_bytes * series / max(1, self._most_series) / 2)
        yield f"# BUDGET series={series} bytes={size_bytes} scrape_seconds={seconds}"

    @property
    def _most_series(self) -> int:
        return max((scrape.series_count for scrape in self._scrapes), default=0)

    def _series(self) -> int:
        """Return a bound on all series: what each family may have, and room for the rest."""
        bounds = [bound_of(guess, seen.most_series) for seen, guess in self._promised]
        own = sum(seen.most_series for seen, _ in self._promised)
        others = self._most_series - own
        return room((sum(bounds) + max(0, others) * 2) / 2, least=100)

    def _families(self) -> Iterator[str]:
        for seen, guess in self._promised:
            yield ""
            yield from _family(seen, guess)
            yield from _examples(seen, guess.family, self._redactor) if guess.has_example else ()

    def _externals(self) -> Iterator[str]:
        for pattern, reason in sorted(self._external.items()):
            yield ""
            yield from _guessed(reason)
            yield f"# EXTERNAL {pattern}"


def _own_identity(name: str) -> str | None:
    return (
        "it names the contract that the process was built with, which a draft is not" if name == CONTRACT_ITEM else None
    )


def _guessed(reason: str | None) -> Iterator[str]:
    if reason is not None:
        yield f"# guessed: {reason}"


def _family(seen: SeenFamily, guess: FamilyGuess) -> Iterator[str]:
    family, name = guess.family, guess.family.name
    yield from _guessed(guess.reasons.get("HELP"))
    yield f"# HELP {name} {_escaped(family.help)}"
    yield from _guessed(guess.reasons.get("TYPE"))
    yield f"# TYPE {name} {family.kind}"
    if family.unit is not None:
        yield from _guessed("the unit, from the end of the name")
    yield f"# META {name} stability=development" + (f" unit={family.unit}" if family.unit else "")
    for label in guess.labels:
        yield from _guessed(label.reason)
        yield f"# LABEL {name} {_label(label.label)}"
    if family.buckets:
        yield f"# BUCKETS {name} {' '.join(map(_number, family.buckets))}"
    yield from _guessed(f"the bound, over {seen.most_series} series seen; {guess.reasons['SERIES']}")
    yield f"# SERIES {name} {_bounds(seen, guess)}"


def _bounds(seen: SeenFamily, guess: FamilyGuess) -> str:
    words = [f"max={bound_of(guess, seen.most_series)}"] if guess.is_bounded else []
    words.append(f"presence={guess.family.presence}")
    return " ".join(words + (["init=all"] if guess.family.init == "all" else []))


def _label(label: MetricLabel) -> str:
    words = [label.name, label.kind, label.pattern or "|".join(label.values)]
    words.append("" if label.max_values is None else f"max={label.max_values}")
    return " ".join(word for word in words if word)


def _examples(seen: SeenFamily, family: MetricFamily, redactor: Redactor) -> Iterator[str]:
    """Yield one series as a sample, where it can be written in a line and holds no secret."""
    sample = next((one for one in seen.samples if _is_showable(one, redactor)), None)
    if sample is None:
        return
    labels = {name: sample.labels[name] for name in family.label_names}
    if family.kind != "histogram":
        yield _sample(family.name, labels, "1")
        return
    middle = _number(family.buckets[len(family.buckets) // 2])
    for bound in (middle, "+Inf"):
        yield _sample(f"{family.name}_bucket", {**labels, "le": bound}, "1")
    yield _sample(f"{family.name}_sum", labels, middle)
    yield _sample(f"{family.name}_count", labels, "1")


def _is_showable(sample: LiveSample, redactor: Redactor) -> bool:
    labels = dict(sample.labels)
    return redactor.redact(labels) == labels and not any(map(_CONTROL.search, labels.values()))


def _sample(name: str, labels: dict[str, str], value: str) -> str:
    written = ",".join(f'{label}="{_escaped(text, quote=True)}"' for label, text in labels.items())
    return f"{name}{{{written}}} {value}" if written else f"{name} {value}"


def _escaped(text: str, *, quote: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quote else text


def _number(bound: float) -> str:
    return str(int(bound)) if bound == int(bound) and abs(bound) < 1e15 else repr(bound)
