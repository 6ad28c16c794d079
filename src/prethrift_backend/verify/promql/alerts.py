"""What only an alert can do wrong: never fire, always fire, or for nothing (PQ010 to PQ013)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prethrift_backend.verify.promql.operations import RATES
from prethrift_backend.verify.promql.query import Fault, Subject
from prethrift_backend.verify.promql.shapes import Known, Series
from prethrift_backend.verify.promql.tree import (
    COMPARISONS,
    Aggregation,
    Binary,
    Call,
    Node,
    Number,
    Selector,
    metric_name,
    selectors,
    walk,
)

_ABSENT: Final = ("absent", "absent_over_time")
_FILTERS_BY_PRESENCE: Final = frozenset({"ALERTS", "ALERTS_FOR_STATE"})


def check_comparison(subject: Subject) -> Iterator[Fault]:
    """PQ010: an alert is true of something and not of everything."""
    if subject.is_alert and not _filters(subject.tree):
        what = "the alert compares nothing: it fires as long as there is a series"
        yield Fault("PQ010", what, "add a threshold, such as '> 0.05'; 'bool' takes one away")


def _filters(node: Node) -> bool:
    match node:
        case Binary():
            return _binary_filters(node)
        case Aggregation():
            return _filters(node.inner)
        case Call():
            return node.function in _ABSENT or any(map(_filters, node.arguments))
        case Selector():
            return metric_name(node) in _FILTERS_BY_PRESENCE
        case _:
            return False


def _binary_filters(node: Binary) -> bool:
    if node.operator in COMPARISONS:
        return not node.returns_bool
    sides = (_filters(node.left), _filters(node.right))
    return all(sides) if node.operator == "or" else any(sides) or node.operator == "unless"


def check_down(subject: Subject) -> Iterator[Fault]:
    """PQ011: an alert on a target that is down also notices a target that is gone."""
    if not subject.is_alert:
        return
    watched = {
        job for node in walk(subject.tree) if _is_absent(node) for job in _jobs(node)
    } | subject.known.absent_jobs
    for node in walk(subject.tree):
        up = _asks_for_down(node)
        jobs = set(_jobs(up)) if up is not None else set()
        if up is not None and (not jobs or jobs - watched):
            what = f"{up} == 0 says nothing once the target is gone from discovery: there is no series left to be 0"
            job = min(jobs, default="…")
            yield Fault("PQ011", what, f'add: or absent(up{{job="{job}"}}), here or as an alert of its own')


def _is_absent(node: Node) -> bool:
    return isinstance(node, Call) and node.function in _ABSENT


def _jobs(node: Node) -> list[str]:
    return [m.value for s in selectors(node) for m in s.matchers if m.name == "job" and m.operator == "="]


def _asks_for_down(node: Node) -> Selector | None:
    if not isinstance(node, Binary) or not isinstance(node.right, Number) or not isinstance(node.left, Selector):
        return None
    down = (node.operator, node.right.value) in (("==", 0.0), ("<", 1.0), ("!=", 1.0), ("<=", 0.0))
    return node.left if down and metric_name(node.left) == "up" else None


def check_floor(subject: Subject) -> Iterator[Fault]:
    """PQ012: a ratio has a floor of traffic where it calls somebody; counters of errors are there from the start."""
    ratios = [node for node in walk(subject.tree) if isinstance(node, Binary) and _is_share(node)]
    if subject.is_alert:
        if ratios and not _has_floor(subject.tree):
            what = "a ratio without a floor of traffic: of two requests at night, one that fails is half of all"
            yield Fault("PQ012", what, "add a floor: … > 0.05 and sum(rate(…)) > 0.1")
        yield from _first_increments(subject)
    else:
        yield from _gaps(ratios, subject)


def _is_share(node: Binary) -> bool:
    """Say whether one rate is divided by another."""
    return node.operator == "/" and all(has_rate(side) for side in (node.left, node.right))


def has_rate(node: Node) -> bool:
    """Say whether a rate is taken somewhere in it."""
    return any(isinstance(part, Call) and part.function in RATES for part in walk(node))


def _has_floor(tree: Node) -> bool:
    return any(
        isinstance(node, Binary) and node.operator == "and" and any(_is_floor(side) for side in (node.left, node.right))
        for node in walk(tree)
    )


def _is_floor(node: Node) -> bool:
    compared = any(isinstance(part, Binary) and part.operator in COMPARISONS for part in walk(node))
    return compared and not any(isinstance(part, Binary) and part.operator == "/" for part in walk(node))


def _gaps(ratios: list[Binary], subject: Subject) -> Iterator[Fault]:
    # Whatever `or` puts in place, in the ratio or around it, somebody has thought of it.
    filled = any(isinstance(node, Binary) and node.operator == "or" for node in walk(subject.tree))
    for selector in (selector for ratio in ratios if not filled for selector in selectors(ratio.left)):
        if _may_be_missing(selector, subject.known):
            what = f"until {selector} has its first series, the ratio has no value at all, not 0"
            yield Fault("PQ012", what, "write (… or vector(0)) / …, or promise init= in metrics.txt")


def _first_increments(subject: Subject) -> Iterator[Fault]:
    new = {metric_name(s) for node in walk(subject.tree) if _asks_for_new(node) for s in selectors(node)}
    for node in walk(subject.tree):
        if not isinstance(node, Binary) or node.operator not in (">", ">=") or not isinstance(node.right, Number):
            continue
        share = any(isinstance(part, Binary) and part.operator == "/" for part in walk(node.left))
        for selector in selectors(node.left) if node.right.value in (0.0, 1.0) and not share else ():
            is_noticed = metric_name(selector) in new
            if has_rate(node.left) and not is_noticed and _may_be_missing(selector, subject.known, narrowed=False):
                what = f"the first error makes the series of {selector}, and the step from nothing to 1 is no increase"
                yield Fault("PQ012", what, "promise init= in metrics.txt, so that the series starts at 0")


def _asks_for_new(node: Node) -> bool:
    """Say whether it selects series that were not there before: ``x unless x offset 15m``."""
    if not isinstance(node, Binary) or node.operator != "unless":
        return False
    if not isinstance(node.left, Selector) or not isinstance(node.right, Selector):
        return False
    return node.right.offset_seconds > node.left.offset_seconds and metric_name(node.left) == metric_name(node.right)


def _may_be_missing(selector: Selector, known: Known, *, narrowed: bool = True) -> bool:
    """Say whether a counter's series may begin only when something happens; ``narrowed``: to some values of a label."""
    series = _series(selector, known)
    if series is None or series.family is None or series.family.init is not None or not series.family.labels:
        return False
    names = {matcher.name for matcher in selector.matchers} & set(series.family.label_names)
    late = series.family.presence == "after-error" or series.family.presence != "always"
    return series.kind == "counter" and late and (bool(names) or not narrowed)


def _series(selector: Selector, known: Known) -> Series | None:
    name = metric_name(selector)
    return known.series(name) if name is not None else None


def check_absent(subject: Subject) -> Iterator[Fault]:
    """PQ013: absence is asked of what is always there."""
    for node in walk(subject.tree):
        for selector in selectors(node) if _is_absent(node) else ():
            series = _series(selector, subject.known)
            presence = series.family.presence if series is not None and series.family is not None else "always"
            if presence in ("after-traffic", "after-error"):
                what = (
                    f"{selector} is there only {presence.replace('-', ' ')}: after each restart it is absent, and well"
                )
                fix = "ask for the absence of up, or of a family with presence=always"
                yield Fault("PQ013", what, fix, expected="always", observed=presence)
