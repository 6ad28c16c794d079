"""Queries held against the metrics contract: what Prometheus accepts and yet cannot mean what was meant.

Prometheus answers a query for a metric that does not exist with nothing, and an alert on nothing never fires. So the
mistakes here pass every check of syntax, and are found out on the day that the alert was for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from prethrift_backend.verify.findings import Finding, Signal
from prethrift_backend.verify.promql.alerts import (
    check_absent,
    check_comparison,
    check_down,
    check_floor,
)
from prethrift_backend.verify.promql.habits import check_habits
from prethrift_backend.verify.promql.matchers import (
    check_jobs,
    check_labels,
    check_names,
    check_patterns,
    check_values,
)
from prethrift_backend.verify.promql.operations import (
    check_matching,
    check_quantiles,
    check_ranges,
    check_rates,
    check_self_division,
    check_thresholds,
)
from prethrift_backend.verify.promql.query import Check, Context, Fault, Query, Subject
from prethrift_backend.verify.promql.shapes import Known, Shape, Shapes
from prethrift_backend.verify.promql.templates import check_templates
from prethrift_backend.verify.promql.tree import QueryError, parse
from prethrift_backend.verify.rules import RULES

__all__ = ["Context", "Fault", "Known", "Query", "Shape", "lint_query", "result_shape", "to_finding"]

_CHECKS: Final[tuple[Check, ...]] = (
    check_names,
    check_labels,
    check_values,
    check_jobs,
    check_self_division,
    check_rates,
    check_quantiles,
    check_thresholds,
    check_ranges,
    check_matching,
    check_comparison,
    check_down,
    check_floor,
    check_absent,
    check_templates,
    check_habits,
    check_patterns,
)
_SIGNALS: Final[dict[Context, Signal]] = {"alert": "alerts", "record": "alerts", "panel": "dashboards"}


def lint_query(query: Query, known: Known) -> list[Finding]:
    """Return what is wrong with a query, in the order of the rules; nothing where it is well. No text raises."""
    try:
        tree = parse(query.text)
    except QueryError as error:
        return [to_finding(Fault("PQ000", str(error), "correct the query"), query)]
    subject = Subject(query, tree, known, Shapes(known))
    return [to_finding(fault, query) for fault in _once(fault for check in _CHECKS for fault in check(subject))]


def result_shape(text: str, known: Known) -> Shape | None:
    """Return the labels of a query's result; None where it is a scalar, open where it cannot be read."""
    try:
        return Shapes(known).of(parse(text))
    except QueryError:
        return Shape(is_open=True)


def to_finding(fault: Fault, query: Query) -> Finding:
    """Put a fault and its place together."""
    rule = RULES[fault.rule]
    return Finding(
        fault.rule,
        fault.level or rule.level,
        _SIGNALS[query.context],
        query.name,
        fault.message,
        category=rule.category,
        expected=fault.expected,
        observed=fault.observed,
        place=query.place,
        fix=fault.fix,
        part=fault.message,  # an expression may name two metrics that nobody promises
    )


def _once(faults: Iterable[Fault]) -> Iterator[Fault]:
    """Say a thing once, though it is there several times: both sides of a ratio name the same metric."""
    return iter(sorted(dict.fromkeys(faults), key=lambda fault: fault.rule))
