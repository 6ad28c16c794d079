"""What changed in the buckets of a metric family, in its number of series and in when they are there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from prethrift_backend.contracts import MetricFamily
from prethrift_backend.verify.diff.changes import Change
from prethrift_backend.verify.diff.consumers import Use
from prethrift_backend.verify.diff.pairs import FamilyPair, cost_change, with_bounds
from prethrift_backend.verify.findings import Level

_PRESENCES: Final = ("after-error", "after-traffic", "if", "always")


def bucket_changes(pair: FamilyPair) -> Iterator[Change]:
    """Return which buckets went, moved or came."""
    if pair.old.kind != "histogram" or pair.new.kind != "histogram":
        return
    gone = [bound for bound in pair.old.buckets if bound not in pair.new.buckets]
    new = [bound for bound in pair.new.buckets if bound not in pair.old.buckets]
    for bound in gone:
        message = f"{pair.old.name} no longer has the bucket {bound:g}"
        use = Use(pair.parts, (f"{bound:g}",), only_rules=True)
        change = pair.change("M020", message, f"{bound:g}", "no such bucket")
        yield replace(change, name=f"{pair.old.name}{{le={bound:g}}}", use=use)
    added = new[len(gone) :]  # as many as went have moved
    if added:
        level: Level = "warning" if pair.is_over_budget and not pair.was_over_budget else "info"
        listed = ", ".join(f"{bound:g}" for bound in added)
        change = pair.change("M021", f"{pair.old.name} has new buckets: {listed}", observed=listed)
        yield replace(change, level=level, use=None)


def series_changes(pair: FamilyPair) -> Iterator[Change]:
    """Return whether the family may have another number of series."""
    before, after = pair.old.max_series, pair.new.max_series
    if before != after and pair.old.kind != "untyped":
        change = pair.change("M030", f"{pair.old.name} may have another number of series")
        yield cost_change(pair, with_bounds(change, before, after), before, after)


def presence_changes(pair: FamilyPair) -> Iterator[Change]:
    """Return whether its series are there when they were."""
    old, new = pair.old, pair.new
    if old.kind == "untyped":
        return
    if old.presence != new.presence:
        is_weaker = _strength(new.presence) <= _strength(old.presence)
        message = f"{old.name} is there {'less' if is_weaker else 'more'} than it was"
        change = pair.change("M031", message, expected=old.presence, observed=new.presence)
        yield change if is_weaker else replace(change, level="info", bump="minor")
    if _is_init_dropped(old, new):
        message = f"series of {old.name} no longer exist at 0 from the start"
        change = pair.change("M031", message, expected=_init(old), observed=_init(new))
        yield replace(change, name=f"{old.name} init")


def _strength(presence: str) -> int:
    return _PRESENCES.index(presence.partition("=")[0])


def _is_init_dropped(old: MetricFamily, new: MetricFamily) -> bool:
    if old.init is None or new.init == "all":
        return False
    if new.init is None or old.init == "all":
        return True
    return bool(set(old.init) - set(new.init))


def _init(family: MetricFamily) -> str:
    if family.init is None or family.init == "all":
        return family.init or "none"
    return ",".join(f"{name}:{value}" for name, value in family.init)
