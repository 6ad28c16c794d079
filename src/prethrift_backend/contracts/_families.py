"""Families put together from their lines, and the rules that only a whole family can break."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, cast

from prethrift_backend.contracts._tokens import NUMBER, FaultError, Token, count
from prethrift_backend.contracts.model import Across, FamilyKind, MetricFamily, MetricLabel, MetricSample

# They are what histograms and the OpenMetrics form of counters make of a family's name.
_RESERVED_SUFFIXES: Final = ("_bucket", "_sum", "_count", "_created")


@dataclass(slots=True)
class Draft:
    """A family while its lines are still being read."""

    name: str
    line: int
    kind: FamilyKind | None = None
    help: str | None = None
    bare_labels: tuple[str, ...] | None = None
    labels: dict[str, MetricLabel] = field(default_factory=dict)
    buckets: tuple[float, ...] | None = None
    meta: Mapping[str, Token] | None = None
    series: Mapping[str, Token] | None = None
    samples: list[MetricSample] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def make_family(draft: Draft) -> MetricFamily:
    kind = _kind(draft)
    labels = _family_labels(draft)
    series = draft.series or {}
    meta = {name: token.text for name, token in (draft.meta or {}).items()}
    stability = cast(Literal["development", "beta", "stable"], meta.get("stability", "development"))
    _check_across(draft, kind)
    family = MetricFamily(
        name=draft.name,
        kind=kind,
        help=draft.help or "",
        labels=labels,
        buckets=draft.buckets or (),
        max_series=count(series.get("max")),
        presence=series["presence"].text if "presence" in series else "after-traffic",
        init=_init(series.get("init"), labels),
        stability=stability,
        since=meta.get("since"),
        owner=meta.get("owner"),
        unit=meta.get("unit"),
        expires=meta.get("expires"),
        across=cast(Across, meta.get("across", "sum")),
        samples=tuple(draft.samples),
        line=draft.line,
        note=" ".join(draft.notes),
    )
    if "max" in series:
        _check_bounds(family, series["max"])
    for sample in family.samples:
        _check_sample(family, sample)
    return family


def _kind(draft: Draft) -> FamilyKind:
    _check_kind(draft)
    _check_name(draft)
    if draft.kind == "histogram" and draft.buckets is None:
        raise FaultError(
            1, f"histogram {draft.name!r} has no BUCKETS", "its buckets are promised", "add a BUCKETS line"
        )
    if draft.kind != "histogram" and draft.buckets is not None:
        raise FaultError(1, f"{draft.name!r} has BUCKETS", "only a histogram has", "take them away or correct TYPE")
    return draft.kind or "untyped"


def _check_across(draft: Draft, kind: FamilyKind) -> None:
    token = (draft.meta or {}).get("across")
    if token is not None and kind in ("counter", "histogram"):
        rule = "the workers' counters and histograms are always added up"
        raise FaultError(token.column, f"{kind} {draft.name!r} has across=", rule, "take it away", line=token.line)


def _check_kind(draft: Draft) -> None:
    if draft.kind is None and draft.bare_labels is None:
        fix = f"add '# TYPE {draft.name} counter|gauge|histogram'"
        raise FaultError(1, f"family {draft.name!r} has no TYPE", "every family has a type", fix)
    if draft.kind is not None and not draft.help:
        fix = f"add '# HELP {draft.name} …'"
        raise FaultError(1, f"family {draft.name!r} has no HELP", "every typed family says what it counts", fix)


def _check_name(draft: Draft) -> None:
    if draft.name.endswith(_RESERVED_SUFFIXES):
        rule = f"{', '.join(_RESERVED_SUFFIXES)} are the endings that a histogram's parts have"
        raise FaultError(1, f"family name {draft.name!r} is taken", rule, "choose another name")
    if draft.kind in (None, "untyped"):
        return
    if (draft.kind == "counter") != draft.name.endswith("_total"):
        rule = "a counter's name ends in _total, and no other's does"
        raise FaultError(1, f"{draft.kind} {draft.name!r} is misnamed", rule, "rename it or correct TYPE")


def check_stem(family: MetricFamily, stems: dict[str, str]) -> None:
    """Refuse two names that differ by ``_total`` alone: in OpenMetrics they are one family."""
    stem = family.name.removesuffix("_total")
    if stem in stems:
        what = f"{family.name!r} and {stems[stem]!r} are one family in OpenMetrics"
        raise FaultError(1, what, "names differ by more than _total", "rename one of them")
    stems[stem] = family.name


def _family_labels(draft: Draft) -> tuple[MetricLabel, ...]:
    declared = tuple(draft.labels)
    if draft.bare_labels is None:
        return tuple(draft.labels.values())
    if declared and set(declared) != set(draft.bare_labels):
        listed = ", ".join(draft.bare_labels)
        what = f"{draft.name!r} is listed with {listed} and has LABEL lines for {', '.join(declared)}"
        raise FaultError(1, what, "both name the same labels", "correct one of them")
    return tuple(draft.labels.get(name, MetricLabel(name, line=draft.line)) for name in draft.bare_labels)


def _init(token: Token | None, labels: tuple[MetricLabel, ...]) -> Literal["all"] | tuple[tuple[str, str], ...] | None:
    if token is None:
        return None
    by_name = {label.name: label for label in labels}
    words = [] if token.text == "all" else token.text.split(",")
    pairs = tuple((word.partition(":")[0], word.partition(":")[2]) for word in words)
    for name, value in pairs:
        if name not in by_name or not by_name[name].allows(value):
            what, rule = (
                f"init={name}:{value} names no allowed value of a label",
                "it is all, or label:value,label:value",
            )
            raise FaultError(token.column, what, rule, "correct it", line=token.line)
    for label in labels:
        if not label.is_closed and label.name not in dict(pairs):
            what, rule = f"init= leaves the values of {label.name!r} open", "a series at the start has known values"
            raise FaultError(token.column, what, rule, f"add {label.name}:VALUE", line=token.line)
    return "all" if token.text == "all" else pairs


def _check_bounds(family: MetricFamily, token: Token) -> None:
    bound, most = int(token.text), family.most_series
    if bound < family.fewest_series:
        what = f"{family.name!r} has max={bound}, and its closed labels alone make {family.fewest_series} series"
        rule, fix = "the bound has room for what is promised", f"write max={family.fewest_series} or more"
        raise FaultError(token.column, what, rule, fix, line=token.line)
    if most is not None and bound > most:
        what = f"{family.name!r} has max={bound}, and its labels cannot make more than {most} series"
        raise FaultError(token.column, what, "a bound can be reached", f"write max={most}", line=token.line)


def _check_sample(family: MetricFamily, sample: MetricSample) -> None:
    """Hold a sample line to the labels, values and buckets that its own family declares."""
    values = dict(sample.labels)
    upper_bound = values.pop("le", None) if sample.name == f"{family.name}_bucket" else "+Inf"
    where = f"a sample of {family.name!r}"
    if set(values) != set(family.label_names):
        names = ", ".join(family.label_names) or "none"
        raise FaultError(
            1,
            f"{where} has other labels",
            f"those of {family.name!r} are {names}",
            "correct one of the two",
            line=sample.line,
        )
    for label in family.labels:
        if not label.allows(values[label.name]):
            what = f"{where} has {label.name}={values[label.name]!r}"
            raise FaultError(1, what, label.rule, "correct the sample or the LABEL line", line=sample.line)
    if family.kind == "histogram" and not _is_part(family, sample.name, upper_bound):
        what = f"{where} is no part of a histogram of these buckets"
        raise FaultError(
            1, what, "it is _sum, _count, or _bucket with le of BUCKETS or +Inf", "correct it", line=sample.line
        )


def _is_part(family: MetricFamily, name: str, upper_bound: str | None) -> bool:
    if name == family.name or upper_bound is None:
        return False
    return upper_bound == "+Inf" or (NUMBER.fullmatch(upper_bound) is not None and float(upper_bound) in family.buckets)
