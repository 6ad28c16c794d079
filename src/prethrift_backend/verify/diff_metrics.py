"""What changed between two metrics contracts."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from prethrift_backend.contracts import Deprecation, MetricFamily, MetricLabel, MetricsContract, Scrape
from prethrift_backend.verify.diff_changes import STABILITIES, Change
from prethrift_backend.verify.diff_consumers import ConsumerIndex, Use
from prethrift_backend.verify.findings import Level

# Arbitrary: http_requests_total and http_request_total pass, two counters of one subsystem do not.
_ALIKE: Final = 0.8
# The base units of Prometheus, as the ending of a name; and what is often written in their place.
_UNITS: Final = re.compile(
    r"_(seconds|milliseconds|microseconds|minutes|hours|days|bytes|kilobytes|megabytes|bits|ratio|percent|celsius"
    r"|meters|volts|amperes|joules|grams)(?:_total)?$"
)
# The least scrapes that a range needs for a rate to survive one that is lost.
_SCRAPES_PER_RANGE: Final = 4
_PRESENCES: Final = ("after-error", "after-traffic", "if", "always")


def parse_version(version: str) -> tuple[int, ...]:
    """Return the three numbers of a version."""
    return tuple(int(part) for part in version.split("."))


def diff_metrics(old: MetricsContract, new: MetricsContract, *, consumers: ConsumerIndex) -> list[Change]:
    """Return every difference that someone can notice who reads the metrics."""
    return [
        *_scrape_changes(old.scrape, new.scrape, consumers),
        *_cost_changes(old, new),
        *_deprecation_changes(old, new),
        *_family_changes(old, new),
    ]


# The file as a whole.


def _scrape_changes(old: Scrape | None, new: Scrape | None, consumers: ConsumerIndex) -> Iterator[Change]:
    if old is None or old == new:
        return
    use = Use((old.job,))
    if new is None:
        yield Change("M040", "metrics", "SCRAPE", "SCRAPE is gone: nobody knows how to collect", use=use)
        return
    for what, before, after in (("job", old.job, new.job), ("path", old.path, new.path)):
        if before != after:
            message = f"the {what} of the scrape is another"
            yield Change("M040", "metrics", f"SCRAPE {what}", message, expected=before, observed=after, use=use)
    if old.timeout_seconds != new.timeout_seconds:
        before, after = f"{old.timeout_seconds:g}s", f"{new.timeout_seconds:g}s"
        message = "the timeout of the scrape is another"
        yield Change("M050", "metrics", "SCRAPE timeout", message, expected=before, observed=after)
    yield from _interval_changes(old, new, consumers)


def _interval_changes(old: Scrape, new: Scrape, consumers: ConsumerIndex) -> Iterator[Change]:
    before, after = old.interval_seconds, new.interval_seconds
    if before == after:
        return
    change = Change(
        "M041",
        "metrics",
        "SCRAPE interval",
        f"the scrape interval went {'up' if after > before else 'down'}",
        expected=f"{before:g}s",
        observed=f"{after:g}s",
    )
    if after < before:
        yield replace(change, level="info")
    else:
        yield replace(change, places=consumers.find_ranges_below(_SCRAPES_PER_RANGE * after))


def _cost_changes(old: MetricsContract, new: MetricsContract) -> Iterator[Change]:
    budgets = (
        ("series", old.budget.series, new.budget.series),
        ("bytes", old.budget.bytes, new.budget.bytes),
        ("scrape_seconds", old.budget.scrape_seconds, new.budget.scrape_seconds),
    )
    for what, before, after in budgets:
        if _is_raised(before, after):
            message = f"the budget of {what} went up"
            yield _bounds(Change("M030", "metrics", f"BUDGET {what}", message), before, after)
        elif before != after:
            message = f"the budget of {what} went down"
            yield _bounds(Change("M050", "metrics", f"BUDGET {what}", message), before, after)


def _is_over_budget(contract: MetricsContract) -> bool:
    bounds = [family.max_series for family in contract.families if family.max_series is not None]
    return contract.budget.series is not None and sum(bounds) > contract.budget.series


def _deprecation_changes(old: MetricsContract, new: MetricsContract) -> Iterator[Change]:
    before = {gone.name: gone for gone in old.deprecations}
    for gone in new.deprecations:
        earlier = before.get(gone.name)
        if gone != earlier:
            yield from _window_changes(gone)
            yield from _moved(earlier, gone) if earlier is not None else (_announced(gone),)


def _announced(gone: Deprecation) -> Change:
    message = f"{gone.name} will go with version {gone.remove}"
    return Change("M005", "metrics", gone.name, message, line=gone.line, observed=f"remove={gone.remove}")


def _window_changes(gone: Deprecation) -> Iterator[Change]:
    if gone.replaced_by is None:
        message = f"{gone.name} is DEPRECATED and nothing replaces it"
        fix = "add replaced-by=FAMILY"
        yield Change("V003", "metrics", gone.name, message, line=gone.line, bump="patch", fix=fix)
    elif parse_version(gone.remove)[0] <= parse_version(gone.since)[0]:
        message = f"{gone.name} goes with {gone.remove}, and is DEPRECATED since {gone.since}"
        fix = f"write remove={parse_version(gone.since)[0] + 1}.0.0 or later"
        yield Change("V003", "metrics", gone.name, message, line=gone.line, bump="patch", fix=fix)


def _moved(earlier: Deprecation, gone: Deprecation) -> Iterator[Change]:
    for what, before, after in (("since", earlier.since, gone.since), ("remove", earlier.remove, gone.remove)):
        if parse_version(after) < parse_version(before):
            message = f"{what}= of the DEPRECATED {gone.name} moved to an earlier version"
            yield Change("M060", "metrics", gone.name, message, expected=before, observed=after, line=gone.line)


# Families.


@dataclass(frozen=True, slots=True)
class _Pair:
    """A family before and after; the names are two where it was renamed."""

    old: MetricFamily
    new: MetricFamily
    was_over_budget: bool
    is_over_budget: bool

    @property
    def parts(self) -> tuple[str, ...]:
        return _sample_names(self.old)

    def change(self, rule: str, message: str, expected: str | None = None, observed: str | None = None) -> Change:
        return Change(
            rule,
            "metrics",
            self.old.name,
            message,
            line=self.new.line,
            stability=self.old.stability,
            use=Use(self.parts),
            expected=expected,
            observed=observed,
        )


def _sample_names(family: MetricFamily) -> tuple[str, ...]:
    if family.kind != "histogram":
        return (family.name,)
    return (family.name, *(f"{family.name}_{part}" for part in ("bucket", "sum", "count")))


def _family_changes(old: MetricsContract, new: MetricsContract) -> Iterator[Change]:
    before, after = {f.name: f for f in old.families}, {f.name: f for f in new.families}
    renamed = _renamed(before, after)
    budgets = _is_over_budget(old), _is_over_budget(new)
    for name, family in before.items():
        successor = after.get(name) or renamed.get(name)
        if successor is None:
            yield _removal(family, old, new)
            continue
        pair = _Pair(family, successor, *budgets)
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
        use=Use(_sample_names(family)),
        fix="keep exporting it, add '# DEPRECATED', and remove it with the version that the line names",
    )
    return replace(change, level="info") if _is_due(family, old, new) else change


def _rename(pair: _Pair, old: MetricsContract, new: MetricsContract) -> Change:
    message = f"family {pair.old.name} is now {pair.new.name}, and the old name is no longer exported"
    change = pair.change("M002", message, expected=pair.old.name, observed=pair.new.name)
    return replace(change, level="info") if _is_due(pair.old, old, new) else change


def _pair_changes(pair: _Pair) -> Iterator[Change]:
    old, new = pair.old, pair.new
    if old.kind not in (new.kind, "untyped"):
        yield pair.change("M003", f"{old.name} was a {old.kind}", expected=old.kind, observed=new.kind)
    if _has_other_unit(old, new) and old.kind != "untyped":
        message = f"{old.name} has another unit"
        yield pair.change("M004", message, *_shown_units(old, new))
    if old.kind == "gauge" == new.kind and old.across != new.across:
        message = f"the workers' values of {old.name} become one in another way"
        yield pair.change("M006", message, expected=old.across, observed=new.across)
    yield from _label_changes(pair)
    yield from _bucket_changes(pair)
    yield from _series_changes(pair)
    yield from _presence_changes(pair)
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


def _promise_changes(pair: _Pair) -> Iterator[Change]:
    old, new = pair.old, pair.new
    if STABILITIES.index(new.stability) < STABILITIES.index(old.stability):
        message = f"{old.name} is less stable than it was"
        yield pair.change("M060", message, expected=old.stability, observed=new.stability)
    for what, before, after in (("since", old.since, new.since), ("expires", old.expires, new.expires)):
        if before is not None and after is not None and parse_version(after) < parse_version(before):
            message = f"{what}= of {old.name} moved to an earlier version"
            yield pair.change("M060", message, expected=before, observed=after)


def _word_changes(pair: _Pair) -> Iterator[Change]:
    old, new = pair.old, pair.new
    if old.help != new.help:
        yield pair.change("M050", f"{old.name} is explained in other words", expected=old.help, observed=new.help)
    if STABILITIES.index(new.stability) > STABILITIES.index(old.stability):
        yield pair.change("M050", f"{old.name} is more stable than it was", old.stability, new.stability)
    if old.owner != new.owner:
        yield pair.change("M050", f"{old.name} has another owner", expected=old.owner, observed=new.owner)


# Labels.


def _label_changes(pair: _Pair) -> Iterator[Change]:
    before, after = ({label.name: label for label in family.labels} for family in (pair.old, pair.new))
    renamed = _renamed_labels(before, after)
    for name, label in before.items():
        successor = after.get(name)
        if successor is None:
            yield _label_removal(pair, label, renamed.get(name))
        elif pair.old.kind != "untyped":
            yield from _value_changes(pair, label, successor)
    for name, label in after.items():
        if name not in before and label.name not in renamed.values():
            yield _label_addition(pair, label)


def _renamed_labels(before: Mapping[str, MetricLabel], after: Mapping[str, MetricLabel]) -> dict[str, str]:
    """Return the new names by the old: a label with another name and the same values."""
    gone = [label for label in before.values() if label.name not in after]
    new = [label for label in after.values() if label.name not in before]
    pairs = zip(gone, new, strict=False)
    return {a.name: b.name for a, b in pairs if (a.kind, a.values, a.pattern) == (b.kind, b.values, b.pattern)}


def _label_removal(pair: _Pair, label: MetricLabel, successor: str | None) -> Change:
    message = f"label {label.name} of {pair.old.name} is " + (f"now {successor}" if successor else "gone")
    change = _label_change(pair, "M010", label, message).shown(label.name, successor or "no such label")
    return replace(change, line=pair.new.line)


def _label_addition(pair: _Pair, label: MetricLabel) -> Change:
    message = f"{pair.old.name} has a new label {label.name}: it splits every series"
    # Whoever uses the family is hurt; nobody can use the label yet.
    change = replace(_label_change(pair, "M011", label, message), observed=label.name, use=Use(pair.parts))
    if label.kind != "const":
        return change
    message = f"{pair.old.name} has a new label {label.name} with one value"
    return replace(change, message=message, level="info", bump="minor")


def _value_changes(pair: _Pair, old: MetricLabel, new: MetricLabel) -> Iterator[Change]:
    if (old.kind, old.values, old.pattern) != (new.kind, new.values, new.pattern):
        yield from _kind_changes(pair, old, new)
    if old.overflow != new.overflow:
        yield _overflow_change(pair, old, new)
    if not old.is_closed and not new.is_closed and old.max_values != new.max_values:
        change = _label_change(pair, "M030", new, f"label {new.name} of {pair.old.name} has another max")
        yield _cost(pair, _bounds(change, old.max_values, new.max_values), old.max_values, new.max_values)


def _label_change(pair: _Pair, rule: str, label: MetricLabel, message: str, *, words: tuple[str, ...] = ()) -> Change:
    use = Use(pair.parts, (label.name, *words))
    return replace(pair.change(rule, message), name=f"{pair.old.name}{{{label.name}}}", line=label.line, use=use)


def _kind_changes(pair: _Pair, old: MetricLabel, new: MetricLabel) -> Iterator[Change]:
    if old.values and new.values:
        yield from _list_changes(pair, old, new)
    is_wider = _width(new) > _width(old) or (old.pattern != new.pattern and old.kind == new.kind)
    if is_wider:
        change = _label_change(pair, "M014", new, f"label {new.name} of {pair.old.name} may have other values")
        yield replace(change, expected=_shape(old), observed=_shape(new))
    elif _width(new) < _width(old):
        change = _label_change(pair, "M012", new, f"label {new.name} of {pair.old.name} has fewer values")
        narrowed = replace(change, expected=_shape(old), observed=_shape(new))
        # What was not listed was never promised, so that a list which only closes takes nothing away.
        yield replace(narrowed, level="info", bump="patch") if old.kind == "enum+" else narrowed


def _list_changes(pair: _Pair, old: MetricLabel, new: MetricLabel) -> Iterator[Change]:
    for value in old.values:
        if value not in new.values:
            message = f"label {new.name} of {pair.old.name} no longer has the value {value!r}"
            change = _label_change(pair, "M012", new, message, words=(value,))
            yield replace(change, name=f"{pair.old.name}{{{new.name}={value}}}", expected=value)
    added = [value for value in new.values if value not in old.values]
    if added:
        message = f"label {new.name} of {pair.old.name} has new values: {', '.join(added)}"
        change = _label_change(pair, "M013", new, message)
        yield replace(change, observed="|".join(added), level="info" if old.kind == "enum+" else None)


def _width(label: MetricLabel) -> int:
    return ("const", "enum", "enum+", "match", "open").index(label.kind) if label.kind != "const" else 1


def _shape(label: MetricLabel) -> str:
    return f"{label.kind} {label.pattern or '|'.join(label.values)}".rstrip()


def _overflow_change(pair: _Pair, old: MetricLabel, new: MetricLabel) -> Change:
    message = f"label {new.name} of {pair.old.name} has another overflow value"
    change = _label_change(pair, "M015", new, message, words=(old.overflow,) if old.overflow else ())
    change = replace(change, expected=old.overflow or "none", observed=new.overflow or "none")
    is_listed = new.is_closed and old.overflow is None
    return replace(change, level="info", bump="minor") if is_listed or old.overflow is None else change


# Buckets, series, presence.


def _bucket_changes(pair: _Pair) -> Iterator[Change]:
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


def _series_changes(pair: _Pair) -> Iterator[Change]:
    before, after = pair.old.max_series, pair.new.max_series
    if before != after and pair.old.kind != "untyped":
        change = pair.change("M030", f"{pair.old.name} may have another number of series")
        yield _cost(pair, _bounds(change, before, after), before, after)


def _cost(pair: _Pair, change: Change, before: float | None, after: float | None) -> Change:
    """Return the change of a bound with its level: it costs more, perhaps more than there is, or less."""
    if not _is_raised(before, after):
        return replace(change, level="info", bump="patch", use=None)
    is_new = pair.is_over_budget and not pair.was_over_budget
    return replace(change, level="error" if is_new else "warning", use=None)


def _is_raised(before: float | None, after: float | None) -> bool:
    return (math.inf if after is None else after) > (math.inf if before is None else before)


def _bounds(change: Change, before: float | None, after: float | None) -> Change:
    return replace(change, expected=_bound(before), observed=_bound(after))


def _bound(bound: float | None) -> str:
    return "no bound" if bound is None else f"{bound:.12g}"


def _presence_changes(pair: _Pair) -> Iterator[Change]:
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
