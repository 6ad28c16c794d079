"""What changed in the families of a metrics contract."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from prethrift_backend.contracts import MetricFamily, MetricsContract
from prethrift_backend.verify.diff.changes import STABILITIES, Change, parse_version
from prethrift_backend.verify.diff.consumers import Use
from prethrift_backend.verify.diff.labels import label_changes
from prethrift_backend.verify.diff.pairs import FamilyPair, is_over_budget, sample_names
from prethrift_backend.verify.diff.series import bucket_changes, presence_changes, series_changes

# Arbitrary: http_requests_total and http_request_total pass, two counters of one subsystem do not.
_ALIKE: Final = 0.8
# The base units of Prometheus, as the ending of a name; and what is often written in their place.
_UNITS: Final = re.compile(
    r"_(seconds|milliseconds|microseconds|minutes|hours|days|bytes|kilobytes|megabytes|bits|ratio|percent|celsius"
    r"|meters|volts|amperes|joules|grams)(?:_total)?$"
)


def family_changes(old: MetricsContract, new: MetricsContract) -> Iterator[Change]:
    """Return what changed in the families, those that went and came included."""
    before, after = {f.name: f for f in old.families}, {f.name: f for f in new.families}
    renamed = _renamed(before, after)
    budgets = is_over_budget(old), is_over_budget(new)
    for name, family in before.items():
        successor = after.get(name) or renamed.get(name)
        if successor is None:
            yield _removal(family, old, new)
            continue
        pair = FamilyPair(family, successor, *budgets)
        if name in renamed:
            yield _rename(pair, old, new)
        yield from _pair_changes(pair)
    taken = {family.name for family in renamed.values()}
    for name, family in after.items():
        if name not in before and name not in taken:
            message = f"family {name} is new"
            yield Change("M005", "metrics", name, message, line=family.line, stability=family.stability)


def _renamed(before: Mapping[str, MetricFamily], after: Mapping[str, MetricFamily]) -> dict[str, MetricFamily]:
    """Return, by the old name, the new families that are an old one under another name."""
    free = {name: family for name, family in after.items() if name not in before}
    found: dict[str, MetricFamily] = {}
    for name, family in before.items():
        if name in after:
            continue
        alike = max(free.values(), key=lambda candidate: _likeness(family, candidate), default=None)
        if alike is not None and _likeness(family, alike) >= _ALIKE:
            found[name] = free.pop(alike.name)
    return found


def _likeness(old: MetricFamily, new: MetricFamily) -> float:
    if old.kind != new.kind or old.label_names != new.label_names:
        return 0.0
    if old.help and old.help == new.help:
        return 1.0
    return difflib.SequenceMatcher(None, old.name, new.name).ratio()


def _is_due(family: MetricFamily, old: MetricsContract, new: MetricsContract) -> bool:
    """Say whether the older contract had announced that the family goes with this version."""
    removals = [gone.remove for gone in old.deprecations if gone.name == family.name]
    return bool(removals) and parse_version(new.version) >= parse_version(removals[0])


def _removal(family: MetricFamily, old: MetricsContract, new: MetricsContract) -> Change:
    change = Change(
        "M001",
        "metrics",
        family.name,
        f"family {family.name} is gone",
        stability=family.stability,
        use=Use(sample_names(family)),
        fix="keep exporting it, add '# DEPRECATED', and remove it with the version that the line names",
    )
    return replace(change, level="info") if _is_due(family, old, new) else change


def _rename(pair: FamilyPair, old: MetricsContract, new: MetricsContract) -> Change:
    message = f"family {pair.old.name} is now {pair.new.name}, and the old name is no longer exported"
    change = pair.change("M002", message, expected=pair.old.name, observed=pair.new.name)
    return replace(change, level="info") if _is_due(pair.old, old, new) else change


def _pair_changes(pair: FamilyPair) -> Iterator[Change]:
    old, new = pair.old, pair.new
    if old.kind not in (new.kind, "untyped"):
        yield pair.change("M003", f"{old.name} was a {old.kind}", expected=old.kind, observed=new.kind)
    if _has_other_unit(old, new) and old.kind != "untyped":
        message = f"{old.name} has another unit"
        yield pair.change("M004", message, *_shown_units(old, new))
    if old.kind == "gauge" == new.kind and old.across != new.across:
        message = f"the workers' values of {old.name} become one in another way"
        yield pair.change("M006", message, expected=old.across, observed=new.across)
    yield from label_changes(pair)
    yield from bucket_changes(pair)
    yield from series_changes(pair)
    yield from presence_changes(pair)
    yield from _promise_changes(pair)
    yield from _word_changes(pair)


def _unit(family: MetricFamily) -> str | None:
    ending = _UNITS.search(family.name)
    return ending[1] if ending else family.unit


def _has_other_unit(old: MetricFamily, new: MetricFamily) -> bool:
    return _unit(old) != _unit(new) or (None not in (old.unit, new.unit) and old.unit != new.unit)


def _shown_units(old: MetricFamily, new: MetricFamily) -> tuple[str, str]:
    before, after = _unit(old), _unit(new)
    return (before or "none", after or "none") if before != after else (old.unit or "none", new.unit or "none")


def _promise_changes(pair: FamilyPair) -> Iterator[Change]:
    old, new = pair.old, pair.new
    if STABILITIES.index(new.stability) < STABILITIES.index(old.stability):
        message = f"{old.name} is less stable than it was"
        yield pair.change("M060", message, expected=old.stability, observed=new.stability)
    for what, before, after in (("since", old.since, new.since), ("expires", old.expires, new.expires)):
        if before is not None and after is not None and parse_version(after) < parse_version(before):
            message = f"{what}= of {old.name} moved to an earlier version"
            yield pair.change("M060", message, expected=before, observed=after)


def _word_changes(pair: FamilyPair) -> Iterator[Change]:
    old, new = pair.old, pair.new
    if old.help != new.help:
        yield pair.change("M050", f"{old.name} is explained in other words", expected=old.help, observed=new.help)
    if STABILITIES.index(new.stability) > STABILITIES.index(old.stability):
        yield pair.change("M050", f"{old.name} is more stable than it was", old.stability, new.stability)
    if old.owner != new.owner:
        yield pair.change("M050", f"{old.name} has another owner", expected=old.owner, observed=new.owner)
