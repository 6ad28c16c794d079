"""One scrape as it came, read so that nothing is mended on the way: order, repetitions and odd values stay."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

_ABOUT: Final = re.compile(r"# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) ?(.*)")
_ESCAPE: Final = re.compile(r"\\(.)")
_ENDINGS: Final = ("_bucket", "_count", "_sum")


@dataclass(frozen=True, slots=True)
class LiveSample:
    """One sample line."""

    name: str
    labels: Mapping[str, str]
    value: float

    @property
    def key(self) -> tuple[str, frozenset[tuple[str, str]]]:
        """What makes the series: its name and its labels."""
        return self.name, frozenset(self.labels.items())

    def without(self, *names: str) -> tuple[tuple[str, str], ...]:
        """Return the labels without some, sorted."""
        return tuple(sorted(item for item in self.labels.items() if item[0] not in names))


@dataclass(slots=True)
class Scrape:
    """What one scrape says, by the names on the wire; ``created_count`` is of samples that only tell of a birth."""

    types: dict[str, str] = field(default_factory=dict)
    helps: dict[str, str] = field(default_factory=dict)
    repeated: list[str] = field(default_factory=list)
    samples: dict[str, list[LiveSample]] = field(default_factory=dict)
    created_count: int = 0

    def owner(self, sample_name: str) -> str:
        """Return the family of a sample: that of a histogram or summary without the ending."""
        for ending in _ENDINGS:
            stem = sample_name.removesuffix(ending)
            if stem != sample_name and self._has_parts(stem, ending):
                return stem
        return sample_name

    def _has_parts(self, stem: str, ending: str) -> bool:
        kind = self.types.get(stem)
        return kind == "histogram" or (kind == "summary" and ending != "_bucket")

    @property
    def family_names(self) -> tuple[str, ...]:
        """Every family that is declared or has a sample."""
        return tuple(dict.fromkeys([*self.types, *self.helps, *self.samples]))

    @property
    def series_count(self) -> int:
        """How many series the whole scrape has."""
        return sum(map(len, self.samples.values())) + self.created_count

    def is_birth(self, sample_name: str) -> bool:
        """Say whether the name is that of the ``_created`` samples which prometheus_client adds to its families."""
        stem = sample_name.removesuffix("_created")
        return stem != sample_name and (f"{stem}_total" in self.types or self._has_parts(stem, "_created"))


def read_scrape(text: str) -> Scrape:
    """Read the text format 0.0.4.

    Raises ValueError where a line cannot be read.
    """
    scrape = Scrape()
    for found in map(_ABOUT.fullmatch, text.split("\n")):
        if found is not None:
            _note(scrape, found[1], found[2], found[3])
    for sample in samples_of(text):
        if scrape.is_birth(sample.name):
            scrape.created_count += 1
        else:
            scrape.samples.setdefault(scrape.owner(sample.name), []).append(sample)
    for name in filter(scrape.is_birth, list(scrape.types)):
        del scrape.types[name]
        scrape.helps.pop(name, None)
    return scrape


def _note(scrape: Scrape, word: str, name: str, rest: str) -> None:
    told = scrape.types if word == "TYPE" else scrape.helps
    if name in told:
        scrape.repeated.append(f"{word} {name}")
    told[name] = rest.strip() if word == "TYPE" else _unescaped(rest)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: {"n": "\n", "\\": "\\"}.get(found[1], found[0]), text)


def samples_of(text: str, *, openmetrics: bool = False) -> Iterable[LiveSample]:
    """Read the samples with the parser of prometheus_client; raises ValueError where it does."""
    parse = parse_openmetrics if openmetrics else parse_text
    try:
        # Whole families first: a generator that stops half way would leave the fault for later.
        families = list(parse(text))
    except (KeyError, IndexError, TypeError, AttributeError) as error:  # what the parsers raise for odd lines
        raise ValueError(f"{type(error).__name__}: {error}") from error
    return [LiveSample(s.name, s.labels, float(s.value)) for family in families for s in family.samples]
