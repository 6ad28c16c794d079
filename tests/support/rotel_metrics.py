"""What rotel prints of metrics, read back: each push as a scrape would tell it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate

from prethrift_backend.observability._exposition_text import number_text

Series = tuple[str, frozenset[tuple[str, str]]]

_ATTRIBUTE = re.compile(r"     -> (\S+): Str\((.*)\)$")
_FIELD = re.compile(r"(?:     -> )?([A-Za-z]+)(?: #\d+)?(?:, Count)?: (.*)$")
_BUCKET = re.compile(r"Buckets #\d+, Count: (\d+)$")
_BOUND = re.compile(r"ExplicitBounds #\d+: (\S+)$")


@dataclass
class ReceivedPush:
    """One request: whose it was, and the value of each series."""

    resource: dict[str, str] = field(default_factory=dict)
    series: dict[Series, float] = field(default_factory=dict)
    about: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass
class _Point:
    labels: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    bounds: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    def series(self, name: str) -> Iterator[tuple[Series, float]]:
        labels = frozenset(self.labels.items())
        if not self.counts:
            yield (name, labels), float(self.fields["Value"])
            return
        for bound, count in zip([*self.bounds, float("inf")], accumulate(self.counts), strict=True):
            yield (f"{name}_bucket", labels | {("le", number_text(bound))}), count
        yield (f"{name}_count", labels), float(self.fields["Count"])
        yield (f"{name}_sum", labels), float(self.fields["Sum"])


def received_pushes(output: str) -> list[ReceivedPush]:
    """Return the pushes that rotel has printed, in order; ``about`` has name, unit and type of each metric."""
    return [_push(text) for text in re.split(r"^ResourceMetrics #\d+$", output, flags=re.MULTILINE)[1:]]


def _push(text: str) -> ReceivedPush:
    head, *metrics = re.split(r"^Metric #\d+$", text, flags=re.MULTILINE)
    push = ReceivedPush({match[1]: match[2] for match in map(_ATTRIBUTE.match, head.splitlines()) if match})
    for metric in metrics:
        about, *points = re.split(r"^(?:Number|Histogram)DataPoints #\d+$", metric, flags=re.MULTILINE)
        fields = {match[1]: match[2] for match in map(_FIELD.match, about.splitlines()) if match}
        push.about[fields["Name"]] = fields
        for point in points:
            push.series.update(_point(point).series(fields["Name"]))
    return push


def _point(text: str) -> _Point:
    point = _Point()
    for line in text.splitlines():
        if match := _ATTRIBUTE.match(line):
            point.labels[match[1]] = match[2]
        elif match := _BUCKET.match(line):
            point.counts.append(int(match[1]))
        elif match := _BOUND.match(line):
            point.bounds.append(float(match[1]))
        elif match := _FIELD.match(line):
            point.fields.setdefault(match[1], match[2])  # exemplars follow, and have a value too
    return point
