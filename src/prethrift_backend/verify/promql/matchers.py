"""Names, labels and values of a query held against the contract (PQ002, PQ003, PQ004, and the jobs of PQ011)."""

from __future__ import annotations

import difflib
import itertools
import re
import warnings
from collections.abc import Iterable, Iterator
from typing import Final

from prethrift_backend.contracts import MetricLabel
from prethrift_backend.verify.findings import Level
from prethrift_backend.verify.promql.query import Fault, Subject, listed
from prethrift_backend.verify.promql.shapes import Known, Series
from prethrift_backend.verify.promql.tree import Aggregation, Binary, Matcher, Selector, metric_name, selectors, walk

# Status codes are 500 values; more than this many are not tried one by one. Arbitrary.
_VALUES_MAX: Final = 2_000
_CLASS: Final = re.compile(r"\[(?P<set>[a-zA-Z0-9-]+)\](?:\{(?P<times>[0-9]{1,2})\})?|(?P<plain>[a-zA-Z0-9_-])")
_PLAIN: Final = re.compile(r"[\w ,:/-]*")


def check_names(subject: Subject) -> Iterator[Fault]:
    """PQ002: every metric is one of the contract, of a recording rule, of a library, or Prometheus' own."""
    known = subject.known
    for selector in selectors(subject.tree):
        name = metric_name(selector)
        if name is not None and known.series(name) is None:
            yield _unknown_name(name, known)
        elif name is not None:
            yield from _deprecated(name, known)
        else:
            yield from _name_pattern(selector, known)


def _unknown_name(name: str, known: Known) -> Fault:
    histogram = next((f for f in known.contract.families if f.kind == "histogram" and f.name == name), None)
    if histogram is not None:
        what = f"{name!r} is a histogram and has no series of its own name"
        return Fault("PQ002", what, f"ask for {name}_bucket, {name}_sum or {name}_count")
    near = difflib.get_close_matches(name, list(known.names), n=1)
    gone = next((d for d in known.contract.deprecations if d.name == name), None)
    if gone is not None and gone.replaced_by is not None:
        near = [gone.replaced_by]
    fix = f"did you mean {near[0]!r}?" if near else "declare it in metrics.txt, or as EXTERNAL where a library makes it"
    return Fault("PQ002", f"no metric is called {name!r}: the query finds nothing", fix, observed=name)


def _deprecated(name: str, known: Known) -> Iterator[Fault]:
    for gone in known.contract.deprecations:
        if gone.name == name:
            fix = f"use {gone.replaced_by!r}" if gone.replaced_by else "find another"
            yield Fault("PQ002", f"{name!r} will be removed in {gone.remove}", fix, level="warning")


def _name_pattern(selector: Selector, known: Known) -> Iterator[Fault]:
    for matcher in selector.matchers:
        pattern = _compiled(matcher.value) if matcher.name == "__name__" and matcher.operator == "=~" else None
        if pattern is not None and not any(pattern.fullmatch(name) for name in known.names):
            yield Fault("PQ002", f"no metric's name matches {matcher.value!r}", "correct the pattern")


def check_labels(subject: Subject) -> Iterator[Fault]:
    """PQ003: every label that a query names is one that the series have."""
    for node in walk(subject.tree):
        if isinstance(node, Selector):
            yield from _matcher_labels(node, subject.known)
        elif isinstance(node, Aggregation):
            yield from _grouping_labels(node, subject)
        elif isinstance(node, Binary):
            yield from _carried_labels(node, subject)
            yield from _matching_labels(node, subject)


def _matcher_labels(node: Selector, known: Known) -> Iterator[Fault]:
    series = _series(node, known)
    for matcher in node.matchers:
        if series is None or matcher.name == "__name__" or series.shape.may_have(matcher.name):
            continue
        expected = listed(series.shape.labels)
        effect = "selects everything" if _takes_empty(matcher) else "selects nothing"
        what = f"{series.name!r} has no label {matcher.name!r}: {matcher} {effect}"
        yield Fault("PQ003", what, _near(matcher.name, series), expected=expected, observed=matcher.name)


def _near(name: str, series: Series) -> str:
    near = difflib.get_close_matches(name, series.shape.labels, n=1)
    return f"did you mean {near[0]!r}?" if near else f"its labels are {listed(series.shape.labels)}"


def _grouping_labels(node: Aggregation, subject: Subject) -> Iterator[Fault]:
    inner = subject.shapes.of(node.inner)
    if node.grouping is None or inner is None:
        return
    for label in node.grouping.labels:
        if not inner.may_have(label) and label not in subject.known.target_labels:
            word = node.grouping.word
            effect = "it is empty in the result" if word == "by" else "nothing is taken away"
            what = f"{word} ({label}): the series have no such label here, {effect}"
            level: Level = "error" if word == "by" else "warning"
            yield Fault("PQ003", what, f"the labels are {listed(inner.labels)}", level=level, observed=label)


def _carried_labels(node: Binary, subject: Subject) -> Iterator[Fault]:
    one = subject.shapes.of(node.right if node.side == "left" else node.left)
    for label in node.carried:
        if one is not None and not one.may_have(label):
            what = f"group_{node.side} ({label}): the side that it is taken from has no such label"
            yield Fault("PQ003", what, f"its labels are {listed(one.labels)}", observed=label)


def _matching_labels(node: Binary, subject: Subject) -> Iterator[Fault]:
    sides = [subject.shapes.of(side) for side in (node.left, node.right)]
    named = node.matching.labels if node.matching is not None and node.matching.word == "on" else ()
    for label in named:
        if not any(side is None or side.may_have(label) for side in sides):
            what = f"on ({label}): neither side has such a label, so that everything is the partner of everything"
            yield Fault("PQ003", what, "correct the label, or write on ()", observed=label)


def check_values(subject: Subject) -> Iterator[Fault]:
    """PQ004: every value that a matcher names can occur."""
    for node in selectors(subject.tree):
        series = _series(node, subject.known)
        for matcher in node.matchers if series is not None else ():
            if series is not None and matcher.name == "le" and series.kind == "bucket":
                yield from _bucket_value(matcher, series)
            label = series.label(matcher.name) if series is not None else None
            if label is not None:
                yield from _value(matcher, label)


def _value(matcher: Matcher, label: MetricLabel) -> Iterator[Fault]:
    if matcher.operator in ("=", "!="):
        yield from _single_value(matcher, label)
    else:
        yield from _pattern_value(matcher, label)


def _single_value(matcher: Matcher, label: MetricLabel) -> Iterator[Fault]:
    if matcher.operator == "!=" and matcher.value == "":
        return
    unlisted = label.kind == "enum+" and matcher.value not in label.values and matcher.value != label.overflow
    if label.allows(matcher.value) and not unlisted and matcher.value:
        return
    effect = "is no known value" if unlisted else "selects nothing" if matcher.operator == "=" else "leaves nothing out"
    level: Level = "error" if effect == "selects nothing" else "warning"
    what = f"{matcher} {effect}: {_allowed(label)}"
    yield Fault("PQ004", what, _near_value(matcher, label), level=level, expected=label.rule, observed=matcher.value)


def _near_value(matcher: Matcher, label: MetricLabel) -> str:
    near = difflib.get_close_matches(matcher.value, label.values, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else "correct the value, or the promise in metrics.txt"


def _allowed(label: MetricLabel) -> str:
    return f"of {label.name!r}, {label.rule}" if label.kind != "open" else f"{label.name!r} is never empty"


def _pattern_value(matcher: Matcher, label: MetricLabel) -> Iterator[Fault]:
    values, pattern = possible_values(label), _compiled(matcher.value)
    if values is None or pattern is None:
        return
    hits = [value for value in values if pattern.fullmatch(value)]
    fix = "correct the pattern: it has to match the whole value"
    if matcher.operator == "=~" and not hits:
        yield Fault("PQ004", f"{matcher} selects nothing: {_allowed(label)}", fix, expected=label.rule)
    elif matcher.operator == "!~" and len(hits) == len(values):
        yield Fault("PQ004", f"{matcher} leaves nothing over: {_allowed(label)}", fix, expected=label.rule)
    elif matcher.operator == "!~" and not hits:
        yield Fault("PQ004", f"{matcher} leaves nothing out: {_allowed(label)}", fix, level="warning")
    else:
        yield from _dead_branches(matcher, label, values)


def _dead_branches(matcher: Matcher, label: MetricLabel, values: Iterable[str]) -> Iterator[Fault]:
    """Look at ``a|b`` branch by branch, where it is no more than that."""
    branches = matcher.value.split("|")
    plain = all(_compiled(branch) is not None for branch in branches) and not set("()\\[") & set(matcher.value)
    for branch in branches if plain and len(branches) > 1 else ():
        pattern = _compiled(branch)
        if pattern is not None and not any(pattern.fullmatch(value) for value in values):
            what = f"{branch!r} of {matcher} matches nothing: {_allowed(label)}"
            yield Fault("PQ004", what, "take it away, or correct it", level="warning", observed=branch)


def possible_values(label: MetricLabel) -> tuple[str, ...] | None:
    """Return every value that a label can have; None where there is no list of them, or too long a one."""
    overflow = () if label.overflow is None else (label.overflow,)
    if label.is_closed:
        return label.values + overflow
    if label.kind == "match" and label.pattern is not None:
        values = _expanded(label.pattern)
        return None if values is None else values + overflow
    return None


def _expanded(pattern: str) -> tuple[str, ...] | None:
    """Write out a pattern of plain characters and classes, such as ``[1-5][0-9]{2}``."""
    parts: list[str] = []
    position = 0
    while position < len(pattern):
        found = _CLASS.match(pattern, position)
        if found is None:
            return None
        times = int(found["times"] or 1)
        parts.extend([_members(found["set"]) if found["set"] else found["plain"]] * times)
        position = found.end()
        if len(parts) > 12 or _product(parts) > _VALUES_MAX:
            return None
    return tuple("".join(letters) for letters in itertools.product(*parts))


def _members(written: str) -> str:
    """Return the characters of a class, its ranges written out."""
    text = re.sub(r"(.)-(.)", lambda m: "".join(map(chr, range(ord(m[1]), ord(m[2]) + 1))), written)
    return "".join(dict.fromkeys(text))


def _product(parts: list[str]) -> int:
    count = 1
    for part in parts:
        count *= len(part)
    return count


def _bucket_value(matcher: Matcher, series: Series) -> Iterator[Fault]:
    buckets = series.family.buckets if series.family is not None else ()
    if matcher.operator not in ("=", "!="):
        return
    try:
        known = float(matcher.value) in (*buckets, float("inf"))
    except ValueError:
        known = False
    if not known:
        what = f"{matcher} selects nothing: {series.name!r} has no such bucket"
        expected = ", ".join([f"{bound:g}" for bound in buckets] + ["+Inf"])
        yield Fault("PQ004", what, f"its buckets are {expected}", expected=expected, observed=matcher.value)


def check_jobs(subject: Subject) -> Iterator[Fault]:
    """PQ011: every job that a query names is scraped."""
    jobs = subject.known.all_jobs
    for matcher in (m for node in selectors(subject.tree) for m in node.matchers if m.name == "job" and jobs):
        if not _names_job(matcher, jobs):
            what = f"{matcher}: no job of this name is scraped, so that nothing is ever selected"
            fix = "correct the name, or name the job among those known (--job)"
            yield Fault("PQ011", what, fix, expected=listed(jobs), observed=matcher.value)


def _names_job(matcher: Matcher, jobs: frozenset[str]) -> bool:
    if matcher.operator == "=":
        return matcher.value in jobs
    pattern = _compiled(matcher.value) if matcher.operator == "=~" else None
    return pattern is None or any(pattern.fullmatch(job) for job in jobs)


def check_patterns(subject: Subject) -> Iterator[Fault]:
    """PQ015: a pattern is there where a pattern is needed."""
    for matcher in (m for node in selectors(subject.tree) for m in node.matchers):
        if matcher.operator not in ("=~", "!~") or matcher.name == "__name__":
            continue
        if _PLAIN.fullmatch(matcher.value):
            operator = "=" if matcher.operator == "=~" else "!="
            what = f"{matcher} is a pattern without one"
            yield Fault("PQ015", what, f'write {matcher.name}{operator}"{matcher.value}"', level="info")
        elif matcher.value == ".*" and matcher.operator == "=~":
            yield Fault("PQ015", f"{matcher} selects everything", "take it away", level="info")


def _series(node: Selector, known: Known) -> Series | None:
    name = metric_name(node)
    return known.series(name) if name is not None else None


def _takes_empty(matcher: Matcher) -> bool:
    if matcher.operator in ("=", "!="):
        return (matcher.value == "") == (matcher.operator == "=")
    pattern = _compiled(matcher.value)
    return pattern is not None and (pattern.fullmatch("") is not None) == (matcher.operator == "=~")


def _compiled(pattern: str) -> re.Pattern[str] | None:
    """Read an RE2 pattern as one of Python; None where the two differ so much that it cannot be."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return re.compile(pattern)
    except (re.error, OverflowError, RecursionError, Warning):
        return None
