"""Names and words of families and labels, held against the conventions of Prometheus."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from prethrift_backend.contracts import MetricFamily, MetricLabel
from prethrift_backend.verify.findings import Finding
from prethrift_backend.verify.lint.findings import About

# The last word of a name, and the base unit that it should have been.
_OTHER_UNITS: Final = {
    **dict.fromkeys(("ms", "millis", "milliseconds", "us", "microseconds", "ns", "nanoseconds"), "seconds"),
    **dict.fromkeys(("minutes", "hours", "days", "weeks"), "seconds"),
    **dict.fromkeys(("bits", "kb", "kilobytes", "mb", "megabytes", "gb", "gigabytes", "kib", "mib", "gib"), "bytes"),
    **dict.fromkeys(("percent", "percents", "percentage"), "ratio"),
}
_ABBREVIATED: Final = {"s": "seconds", "sec": "seconds", "secs": "seconds", "b": "bytes"}
_TYPES: Final = frozenset({"counter", "gauge", "histogram", "summary", "untyped"})
_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")
_WORD: Final = re.compile(r"[a-z0-9]+")
_SMALL_WORDS: Final = frozenset({"a", "an", "the", "of", "in", "by", "for", "and", "total", "number", "count", "is"})
_PLACEHOLDERS: Final = frozenset({"todo", "fixme", "tbd", "xxx"})

# What names somebody, or one thing of many.
_IDENTITIES: Final = frozenset(
    {"id", "uuid", "guid", "email", "mail", "ip", "address", "username", "phone", "url", "uri", "query", "session"}
)
_TARGET_LABELS: Final = frozenset({"job", "instance"})


def check_family_name(family: MetricFamily, about: About) -> Iterator[Finding]:
    """Say where name, unit and help of a family are not what readers expect."""
    stem = family.name.removesuffix("_total")
    yield from _units(family, stem, about)
    for what in _oddities(family.name, stem):
        yield about.fault("FM003", f"the name {family.name!r} {what}", "rename the family, with both names for a while")
    if family.help and not _says_something(family):
        fix = "say in a sentence what is counted, and what is left out"
        yield about.fault("FM004", f"HELP of {family.name!r} repeats its name", fix, observed=family.help)


def _units(family: MetricFamily, stem: str, about: About) -> Iterator[Finding]:
    if family.unit is not None and not stem.endswith(f"_{family.unit}"):
        message = f"{family.name!r} has unit={family.unit}, and its name does not end in it"
        expected = f"…_{family.unit}{'_total' if family.kind == 'counter' else ''}"
        yield about.fault("FM001", message, "rename the family, or correct unit=", expected=expected)
    last = stem.rpartition("_")[2]
    if last in _OTHER_UNITS:
        message = f"{family.name!r} counts in {last}: the base unit is {_OTHER_UNITS[last]}"
        yield about.fault("FM002", message, f"record {_OTHER_UNITS[last]}, in a family of that name")


def _oddities(name: str, stem: str) -> Iterator[str]:
    words = stem.split("_")
    if ":" in name:
        yield "has a colon, as only what a recording rule makes has one"
    elif _PLAIN.fullmatch(name) is None:
        yield "is not in snake_case"
    if "" in words[1:]:
        yield "has an empty word between two '_'"
    types = sorted(_TYPES.intersection(words))
    if types:
        yield f"holds the type {types[0]!r}, which TYPE says"
    if words[-1] in _ABBREVIATED:
        yield f"abbreviates the unit {_ABBREVIATED[words[-1]]!r}"


def _says_something(family: MetricFamily) -> bool:
    words = set(_WORD.findall(family.help.lower()))
    told = words - set(_WORD.findall(family.name.lower())) - _SMALL_WORDS
    return bool(told - _PLACEHOLDERS)


def check_label_name(family: MetricFamily, label: MetricLabel, about: About) -> Iterator[Finding]:
    """Say where the name of a label collides, or tells that its values have no end."""
    where = f"the label {label.name!r} of {family.name!r}"
    if label.name in _TARGET_LABELS:
        yield about.fault("FM014", f"{where} is one that the scrape sets", "rename the label")
    elif _PLAIN.fullmatch(label.name) is None:
        yield about.fault("FM003", f"{where} is not in snake_case", "rename the label")
    if not label.is_closed and label.name.rpartition("_")[2] in _IDENTITIES and label.max_values != 1:
        message = f"{where} tells single persons, requests or things apart"
        yield about.fault("FM013", message, "take the label away: lines and spans have room for it")
