"""Habits that go wrong later (PQ015): what hides NaN, hides an outage, or asks for what is no longer kept."""

from __future__ import annotations

from collections.abc import Iterator

from prethrift_backend.verify.promql.query import Fault, Subject, listed
from prethrift_backend.verify.promql.tree import (
    Aggregation,
    Binary,
    Call,
    Node,
    Number,
    Selector,
    Subquery,
    selectors,
    walk,
)


def check_habits(subject: Subject) -> Iterator[Fault]:
    """Look at each part of the query."""
    for node in walk(subject.tree):
        if isinstance(node, Aggregation):
            yield from _aggregation(node, subject)
        elif isinstance(node, Call):
            yield from _quantile(node)
        elif isinstance(node, (Selector, Subquery)):
            yield from _too_far_back(node, subject.known.retention_seconds)
        elif isinstance(node, Binary) and subject.is_alert and subject.query.for_seconds == 0:
            yield from _two_jobs(node)


def _aggregation(node: Aggregation, subject: Subject) -> Iterator[Fault]:
    if node.operator in ("sum", "avg") and _divides(node.inner, subject):
        what = f"{node.operator} of divisions: one NaN, of nothing divided by nothing, makes the whole NaN"
        yield Fault("PQ015", what, "divide one sum by another")
    if node.operator == "avg" and _is_quantile(node.inner):
        what = "an average of quantiles is no quantile"
        yield Fault("PQ015", what, "sum the buckets by (le, …) and take the quantile of the sum")
    if node.operator in ("topk", "bottomk") and subject.query.context != "panel":
        what = f"{node.operator} in a rule: whenever the order changes, series begin and end"
        yield Fault("PQ015", what, "compare with a threshold, or keep it to a panel")


def _divides(node: Node, subject: Subject) -> bool:
    vectors = isinstance(node, Binary) and all(subject.shapes.of(side) is not None for side in (node.left, node.right))
    return isinstance(node, Binary) and node.operator == "/" and vectors


def _is_quantile(node: Node) -> bool:
    return isinstance(node, Call) and node.function == "histogram_quantile"


def _quantile(node: Call) -> Iterator[Fault]:
    if node.function not in ("histogram_quantile", "quantile_over_time"):
        return
    share = node.arguments[0]
    if isinstance(share, Number) and not 0 <= share.value <= 1:
        what = f"the quantile {share.value:g} is outside of 0 to 1: the result is infinite"
        yield Fault("PQ015", what, "write 0.95 for the 95th percentile", level="error")


def _too_far_back(node: Selector | Subquery, retention_seconds: float) -> Iterator[Fault]:
    reach = node.offset_seconds + (node.range_seconds or 0)
    if reach > retention_seconds:
        what = f"the query reaches {reach / 86400:g} days back, and {retention_seconds / 86400:g} are kept"
        yield Fault("PQ015", what, "shorten it, or say how long samples are kept (--retention-days)")


def _two_jobs(node: Binary) -> Iterator[Fault]:
    left, right = _jobs(node.left), _jobs(node.right)
    if node.operator == "/" and left and right and left.isdisjoint(right):
        what = f"a ratio of two jobs ({listed(left | right)}) and no 'for': they are not scraped at the same moment"
        yield Fault("PQ015", what, "add 'for: 2m' or more")


def _jobs(node: Node) -> set[str]:
    return {m.value for s in selectors(node) for m in s.matchers if m.name == "job" and m.operator == "="}
