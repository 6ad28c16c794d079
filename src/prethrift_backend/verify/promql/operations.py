"""Operations that cannot mean what was meant: divisions, rates, quantiles, ranges (PQ001, PQ005 to PQ009)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from prethrift_backend.contracts import MetricFamily
from prethrift_backend.verify.findings import Level
from prethrift_backend.verify.promql.query import Fault, Subject, listed
from prethrift_backend.verify.promql.shapes import Known, Series, Shape, matched
from prethrift_backend.verify.promql.tree import (
    COMPARISONS,
    SET_OPERATORS,
    Aggregation,
    Binary,
    Call,
    Matcher,
    Node,
    Number,
    Selector,
    Subquery,
    metric_name,
    selectors,
    walk,
)

RATES: Final = frozenset({"rate", "irate", "increase"})
_SLOPES: Final = frozenset(
    {"delta", "idelta", "deriv", "predict_linear", "holt_winters", "double_exponential_smoothing"}
)
_NEED_TWO_SAMPLES: Final = RATES | _SLOPES | {"changes", "resets"}
_RELABEL: Final = frozenset({"label_replace", "label_join"})
_MIRRORED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def check_self_division(subject: Subject) -> Iterator[Fault]:
    """PQ001: a vector is not divided by itself, or by what holds it and keeps the label that tells them apart."""
    for node in walk(subject.tree):
        if isinstance(node, Binary) and node.operator == "/" and _is_constant(node, subject):
            yield Fault(
                "PQ001",
                "both sides are the same series, pair by pair: the result is 1 wherever there is one",
                "aggregate both sides, and leave the label that tells them apart out of by(…)",
                observed=f"{_single(node.left)} / {_single(node.right)}",
            )


def _is_constant(node: Binary, subject: Subject) -> bool:
    left, right = _single(node.left), _single(node.right)
    if left is None or right is None or _steps(node.left) != _steps(node.right):
        return False
    if metric_name(left) is None or _stripped(left) != _stripped(right):
        return False
    ours, theirs = _matchers(left), _matchers(right)
    if not (ours <= theirs or theirs <= ours):
        return False
    apart = {matcher.name for matcher in ours ^ theirs}
    return all(_keeps(side, node, apart, subject) for side in (node.left, node.right))


def _keeps(side: Node, node: Binary, labels: set[str], subject: Subject) -> bool:
    shape = subject.shapes.of(side)
    return shape is not None and all(matched(shape, node.matching).may_have(label) for label in labels)


def _matchers(selector: Selector) -> frozenset[Matcher]:
    return frozenset(matcher for matcher in selector.matchers if matcher.name != "__name__")


def _stripped(selector: Selector) -> tuple[str | None, float | None, float]:
    return metric_name(selector), selector.range_seconds, selector.offset_seconds


def _single(side: Node) -> Selector | None:
    """Return the one selector of a side, where the side is no more than that in functions and aggregations."""
    core = _core(side)
    while isinstance(core, (Call, Aggregation)):
        core = _core(_operand(core) or Number(0))
    return core if isinstance(core, Selector) else None


def _steps(side: Node) -> list[tuple[object, ...]]:
    """Return what is done to the one selector, outermost first."""
    steps: list[tuple[object, ...]] = []
    core = _core(side)
    while isinstance(core, (Call, Aggregation)):
        operand = _operand(core)
        if isinstance(core, Call):
            steps.append((core.function, tuple(a for a in core.arguments if a is not operand)))
        else:
            steps.append((core.operator, core.parameter, core.grouping))
        core = _core(operand or Number(0))
    return steps


def _operand(node: Call | Aggregation) -> Node | None:
    if isinstance(node, Aggregation):
        return node.inner
    vectors = [argument for argument in node.arguments if isinstance(argument, (Selector, Call, Aggregation, Binary))]
    return vectors[0] if len(vectors) == 1 else None


def _core(node: Node) -> Node:
    """Leave out factors and what `or` puts in place of nothing."""
    while isinstance(node, Binary):
        if node.operator == "or" or (node.operator in "*/" and isinstance(node.right, Number)):
            node = node.left
        elif node.operator == "*" and isinstance(node.left, Number):
            node = node.right
        else:
            return node
    return node


def check_rates(subject: Subject) -> Iterator[Fault]:
    """PQ005: a rate is taken of a counter, before anything else is done to it, and of every counter."""
    for node in walk(subject.tree):
        if isinstance(node, Call) and node.function in RATES:
            yield from _wrong_rate(node, subject.known)
        elif isinstance(node, Call) and node.function in _SLOPES:
            yield from _wrong_slope(node, subject.known)
        elif isinstance(node, Call) and node.function == "histogram_quantile" and _raw(node.arguments[-1], subject):
            what = "the buckets are taken as they stand: the quantile is of all time since the process started"
            yield Fault("PQ005", what, "take rate(…) of the buckets first", level="warning")
        elif isinstance(node, Binary) and node.operator in COMPARISONS:
            yield from _raw_threshold(node, subject)


def _wrong_rate(node: Call, known: Known) -> Iterator[Fault]:
    argument = node.arguments[0]
    if isinstance(argument, Subquery) and isinstance(argument.inner, Aggregation):
        what = f"{node.function} of an aggregation: when one counter starts again at 0, the sum falls and is misread"
        yield Fault("PQ005", what, f"take {node.function}(…) first and aggregate what it gives")
    series = _series(argument, known)
    if series is not None and series.kind == "gauge":
        what = f"{node.function} of the gauge {series.name!r}: each fall of it is taken for a restart"
        yield Fault("PQ005", what, "use delta(…), deriv(…) or avg_over_time(…)", observed=series.kind)


def _wrong_slope(node: Call, known: Known) -> Iterator[Fault]:
    series = _series(node.arguments[0], known)
    if series is not None and series.kind in ("counter", "bucket"):
        what = f"{node.function} of the counter {series.name!r}: a restart of the process looks like a fall"
        yield Fault("PQ005", what, "use increase(…) or rate(…)", level="warning", observed=series.kind)


def _raw_threshold(node: Binary, subject: Subject) -> Iterator[Fault]:
    for side, other in ((node.left, node.right), (node.right, node.left)):
        if isinstance(other, Number) and _raw(side, subject):
            names = listed({metric_name(s) or str(s) for s in selectors(side)})
            what = f"the counter {names} is compared as it stands: it only rises, and falls to 0 at each restart"
            yield Fault("PQ005", what, "compare rate(…) or increase(…) of it")


def _raw(node: Node, subject: Subject) -> bool:
    """Say whether a value is a counter's own, summed or divided, but with no rate taken."""
    if isinstance(node, Aggregation):
        return node.operator not in ("count", "group", "count_values") and _raw(node.inner, subject)
    if isinstance(node, Binary) and node.operator not in COMPARISONS | SET_OPERATORS:
        sides = [side for side in (node.left, node.right) if not isinstance(side, Number)]
        return bool(sides) and all(_raw(side, subject) for side in sides)
    series = _series(node, subject.known) if isinstance(node, Selector) else None
    return series is not None and series.kind in ("counter", "bucket")


def _series(node: Node, known: Known) -> Series | None:
    name = metric_name(node) if isinstance(node, Selector) else None
    return known.series(name) if name is not None else None


def check_quantiles(subject: Subject) -> Iterator[Fault]:
    """PQ006: what histogram_quantile gets still has ``le``."""
    for node in walk(subject.tree):
        if not isinstance(node, Call) or node.function != "histogram_quantile":
            continue
        shape = subject.shapes.of(node.arguments[1])
        if shape is not None and not shape.may_have("le"):
            what = "histogram_quantile gets series without le: the result is empty"
            fix = "keep it: sum by (le, …) (rate(…_bucket[5m]))"
            yield Fault("PQ006", what, fix, expected="le", observed=listed(shape.labels))


class _Threshold(NamedTuple):
    """A comparison of a quantile, in the unit of its buckets."""

    operator: str
    value: float
    family: MetricFamily


def check_thresholds(subject: Subject) -> Iterator[Fault]:
    """PQ007: a quantile is compared with a value that it can exceed, and can tell exactly."""
    for node in walk(subject.tree):
        threshold = _threshold(node, subject.known) if isinstance(node, Binary) else None
        if threshold is not None and threshold.family.buckets:
            yield from _beyond_buckets(threshold)


def _threshold(node: Binary, known: Known) -> _Threshold | None:
    if node.operator not in COMPARISONS:
        return None
    if isinstance(node.left, Number):
        operator, side, number = _MIRRORED.get(node.operator, node.operator), node.right, node.left
    elif isinstance(node.right, Number):
        operator, side, number = node.operator, node.left, node.right
    else:
        return None
    factor, core = _factored(side)
    family = _quantile_family(core, known)
    return None if family is None or factor <= 0 else _Threshold(operator, number.value / factor, family)


def _factored(side: Node) -> tuple[float, Node]:
    """Take a constant factor off: ``1000 * seconds`` is in milliseconds."""
    factor = 1.0
    while isinstance(side, Binary) and side.operator in "*/":
        if isinstance(side.right, Number) and side.right.value:
            factor = factor * side.right.value if side.operator == "*" else factor / side.right.value
            side = side.left
        elif isinstance(side.left, Number) and side.operator == "*":
            factor, side = factor * side.left.value, side.right
        else:
            break
    return factor, side


def _quantile_family(node: Node, known: Known) -> MetricFamily | None:
    while isinstance(node, Aggregation):
        node = node.inner
    if not isinstance(node, Call) or node.function != "histogram_quantile":
        return None
    found = [_series(selector, known) for selector in selectors(node.arguments[1])]
    return found[0].family if len(found) == 1 and found[0] is not None else None


def _beyond_buckets(threshold: _Threshold) -> Iterator[Fault]:
    buckets, value = threshold.family.buckets, threshold.value
    beyond = value > buckets[-1] or (value == buckets[-1] and threshold.operator in (">", "<="))
    expected = f"below {buckets[-1]:g}"
    if beyond:
        effect = "is never true" if threshold.operator in (">", ">=", "==") else "is always true"
        what = f"the highest bucket of {threshold.family.name!r} is {buckets[-1]:g}, and no quantile is above it"
        fix = "lower the threshold, or add buckets above it"
        yield Fault("PQ007", f"{threshold.operator} {value:g} {effect}: {what}", fix, expected=expected)
    elif value > 0 and not any(abs(value - bound) <= 1e-9 * bound for bound in buckets):
        near = ", ".join(f"{bound:g}" for bound in _neighbours(buckets, value))
        what = f"{value:g} is between buckets of {threshold.family.name!r} ({near}): there a quantile is a guess"
        yield Fault("PQ007", what, "compare with a bucket's bound, or add a bucket", level="warning", expected=near)


def _neighbours(buckets: tuple[float, ...], value: float) -> tuple[float, ...]:
    return tuple(b for b in (max((b for b in buckets if b < value), default=0.0), min(b for b in buckets if b > value)))


def check_ranges(subject: Subject) -> Iterator[Fault]:
    """PQ008: a range is long enough to hold the samples that the function needs."""
    interval = subject.known.interval_seconds
    for node in walk(subject.tree):
        found = _ranged(node)
        if found is None:
            continue
        function, seconds = found
        least = 2 * interval if function in _NEED_TWO_SAMPLES else interval
        if seconds < least:
            yield _short(function, seconds, interval, "error", "often holds too few samples for a result")
        elif function in _NEED_TWO_SAMPLES and seconds < 4 * interval:
            yield _short(function, seconds, interval, "warning", "leaves a gap when one or two scrapes are missed")


def _ranged(node: Node) -> tuple[str, float] | None:
    if not isinstance(node, Call):
        return None
    spans = [a.range_seconds for a in node.arguments if isinstance(a, Selector) and a.range_seconds is not None]
    return (node.function, spans[0]) if spans else None


def _short(function: str, seconds: float, interval: float, level: Level, effect: str) -> Fault:
    what = f"{function} over {seconds:g} s {effect}: a scrape comes every {interval:g} s"
    fix = f"take {4 * interval:g} s or more"
    return Fault("PQ008", what, fix, level=level, expected=f"{4 * interval:g} s", observed=f"{seconds:g} s")


def check_matching(subject: Subject) -> Iterator[Fault]:
    """PQ009: the two sides of an operation can be put together, one series with one unless it says otherwise."""
    for node in walk(subject.tree):
        if not isinstance(node, Binary) or node.operator == "or":
            continue
        left, right = subject.shapes.of(node.left), subject.shapes.of(node.right)
        if left is not None and right is not None:
            yield from _matching(node, left, right, subject.known)


def _matching(node: Binary, left: Shape, right: Shape, known: Known) -> Iterator[Fault]:
    unlike = _unlike(node, left, right)
    if unlike:
        what = f"the sides of {node.operator!r} have different labels ({listed(unlike)}): no series finds its partner"
        fix = "aggregate both by the same labels, or say on(…) or ignoring(…)"
        yield Fault("PQ009", what, fix, expected=listed(left.labels), observed=listed(right.labels))
    elif apart := _apart(node, left, right):
        what = f"the sides of {node.operator!r} differ in {listed(apart)}, by which they are put together: none fits"
        yield Fault("PQ009", what, f"say ignoring ({listed(apart)}), or aggregate both sides")
    elif node.operator not in SET_OPERATORS:
        yield from _ambiguous(node, left, right, known)


def _unlike(node: Binary, left: Shape, right: Shape) -> set[str]:
    """Return the labels by which the sides are put together and that only one of them has."""
    if node.matching is not None and node.matching.word == "on":
        return {label for label in node.matching.labels if left.may_have(label) != right.may_have(label)}
    if left.is_open or right.is_open:
        return set()
    return set(matched(left, node.matching).labels ^ matched(right, node.matching).labels)


def _apart(node: Binary, left: Shape, right: Shape) -> set[str]:
    """Return the labels by which the sides are put together and that have one value here and another there."""
    ours, theirs = _values(node.left), _values(node.right)
    joint = {label for label in ours.keys() & theirs.keys() if ours[label] != theirs[label]}
    return {label for label in joint if all(matched(shape, node.matching).may_have(label) for shape in (left, right))}


def _values(side: Node) -> dict[str, str]:
    """Return the labels that the one selector of a side gives a value, where nothing on the way gives another."""
    selector = _single(side)
    if selector is None or any(isinstance(node, Call) and node.function in _RELABEL for node in walk(side)):
        return {}
    return {matcher.name: matcher.value for matcher in _matchers(selector) if matcher.operator == "="}


def _ambiguous(node: Binary, left: Shape, right: Shape, known: Known) -> Iterator[Fault]:
    """Find labels that tell apart several series of a side of which there may be only one."""
    for shape, side, name in ((left, node.left, "left"), (right, node.right, "right")):
        if node.side == name or shape.is_open or node.matching is None:
            continue
        left_over = shape.labels - matched(shape, node.matching).labels - _fixed(side, known)
        if left_over:
            what = f"several series of the {name} side may be the partner of one: they differ in {listed(left_over)}"
            level: Level = "warning" if left_over <= known.target_labels else "error"
            yield Fault("PQ009", what, "aggregate that side first, or say group_left or group_right", level=level)


def _fixed(side: Node, known: Known) -> set[str]:
    """Return the labels that have one value only, wherever they occur in a side."""
    fixed: set[str] | None = None
    for selector in selectors(side):
        series = _series(selector, known)
        single = {label.name for label in (series.family.labels if series and series.family else ())
                  if label.most_values == 1}  # fmt: skip
        single |= {matcher.name for matcher in selector.matchers if matcher.operator == "="}
        fixed = single if fixed is None else fixed & single
    return fixed or set()
