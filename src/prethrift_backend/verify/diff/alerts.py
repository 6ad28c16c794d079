"""What changed in alerts: one that is gone or calls fewer people, whose tests did not follow, or that is milder."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from prethrift_backend.verify.alerts.cases import Plain, TestFile
from prethrift_backend.verify.alerts.mutants import constant
from prethrift_backend.verify.diff.changes import Change
from prethrift_backend.verify.promql.query import Query
from prethrift_backend.verify.promql.rule_files import RuleFile
from prethrift_backend.verify.promql.text import write
from prethrift_backend.verify.promql.tree import COMPARISONS, Binary, Node, QueryError, children, parse

# From the mildest; words of one line call alike.
_SEVERITIES: Final = (
    ("none", "info", "notice", "low"),
    ("warning", "warn", "ticket", "minor", "medium"),
    ("error", "major", "high"),
    ("critical", "crit", "page", "urgent", "emergency", "disaster"),
)
_RANKS: Final = {word: rank for rank, words in enumerate(_SEVERITIES) for word in words}
_LABELS_OF_SEVERITY: Final = ("severity", "priority")
# Which way a threshold is loosened: up for what fires above it.
_LOOSER_ABOVE: Final = frozenset({">", ">="})
_LOOSER_BELOW: Final = frozenset({"<", "<="})


class AlertSide:
    """The alerts of one side, and what its tests say of each."""

    def __init__(self, rules: Iterable[RuleFile], tests: Iterable[TestFile]) -> None:
        self.alerts: dict[str, list[Query]] = defaultdict(list)
        for rule in (rule for file in rules for rule in file.rules if rule.context == "alert"):
            self.alerts[rule.name].append(rule)
        self._groups = [group for test in tests for group in test.groups]

    def cases(self, alert: str) -> frozenset[str]:
        """Return the cases of an alert, each as one text: what is fed in and what is expected of this alert."""
        found = (
            (group, test)
            for group in self._groups
            for test in _tests_of(group.text, alert)
            if isinstance(group.text, dict)
        )
        return frozenset(json.dumps([_fed(group.text), test], sort_keys=True) for group, test in found)


def _fed(text: Plain) -> Plain:
    keys = ("interval", "input_series", "external_labels")
    return {key: text[key] for key in keys if key in text} if isinstance(text, dict) else None


def _tests_of(text: Plain, alert: str) -> list[Plain]:
    tests = text.get("alert_rule_test") if isinstance(text, dict) else None
    found = tests if isinstance(tests, list) else []
    return [test for test in found if isinstance(test, dict) and test.get("alertname") == alert]


def diff_alerts(old: AlertSide, new: AlertSide) -> list[tuple[Query, Change]]:
    """Return what changed, each with the alert that it is about: that of now, or the one that is gone."""
    return [change for name in old.alerts for change in _named_changes(name, old, new)]


def _named_changes(name: str, old: AlertSide, new: AlertSide) -> Iterator[tuple[Query, Change]]:
    pairs = list(_pairs(old.alerts[name], new.alerts.get(name, [])))
    tests_are_the_same = new.cases(name) <= old.cases(name)
    for before, after in pairs:
        if after is None:
            yield before, Change("A001", "alerts", name, f"the alert {name!r} is gone")
            continue
        found = list(_changes(before, after, tests_are_the_same=tests_are_the_same))
        yield from ((after, _joined(rule, found)) for rule in dict.fromkeys(change.rule for change in found))


def _joined(rule: str, found: Sequence[Change]) -> Change:
    """Put what one rule says of one alert into one change: a report that knows a fault by its name keeps all of it."""
    own = [change for change in found if change.rule == rule]
    message = ", and ".join(change.message for change in own)
    expected = "; ".join(change.expected or "none" for change in own)
    return replace(own[0], message=message).shown(expected, "; ".join(change.observed or "none" for change in own))


def _pairs(old: Sequence[Query], new: Sequence[Query]) -> Iterator[tuple[Query, Query | None]]:
    """Put the rules of one name together: those of one severity first, then in their order."""
    left = list(new)
    waiting: list[Query] = []
    for alert in old:
        same = next((other for other in left if _severity(other) == _severity(alert)), None)
        if same is None:
            waiting.append(alert)
            continue
        left.remove(same)
        yield alert, same
    for alert in waiting:
        yield alert, left.pop(0) if left else None


def _severity(alert: Query) -> str | None:
    return next((alert.labels[name] for name in _LABELS_OF_SEVERITY if name in alert.labels), None)


def _changes(old: Query, new: Query, *, tests_are_the_same: bool) -> Iterator[Change]:
    name = new.name
    before, after = _severity(old), _severity(new)
    if _RANKS.get(before or "", -1) > _RANKS.get(after or "", len(_RANKS)):
        yield Change("A001", "alerts", name, f"{name!r} is less severe than it was").shown(before, after)
    gone = [label for label in old.labels if label not in new.labels]
    if gone:
        message = f"{name!r} has lost {', '.join(gone)}, by which it may be routed"
        yield Change("A001", "alerts", name, message).shown(", ".join(old.labels), ", ".join(new.labels))
    if _normal(old.text) != _normal(new.text):
        if tests_are_the_same:
            message = f"the expression of {name!r} changed, and no test of it did"
            yield Change("A002", "alerts", name, message).shown(" ".join(old.text.split()), " ".join(new.text.split()))
        yield from _loosened(old, new)
    if new.for_seconds > old.for_seconds:
        message = f"{name!r} waits longer before it fires"
        change = Change("A003", "alerts", name, message)
        yield change.shown(f"for {old.for_seconds:g} s", f"for {new.for_seconds:g} s")


def _normal(text: str) -> str:
    """Return an expression without what changes nothing; as it stands where it cannot be read."""
    try:
        return write(parse(text))
    except QueryError:
        return text


def _loosened(old: Query, new: Query) -> Iterator[Change]:
    try:
        found = list(_looser(parse(old.text), parse(new.text), above=_LOOSER_ABOVE))
    except QueryError:
        return
    if found:
        change = Change("A003", "alerts", new.name, f"{new.name!r} fires less easily than it did")
        yield change.shown("; ".join(before for before, _ in found), "; ".join(after for _, after in found))


def _looser(old: Node, new: Node, *, above: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Give the places where the new expression asks for more; ``above`` are the operators that a higher number loosens.

    What stands behind ``unless`` works the other way round.
    """
    narrowed = _narrowed(old, new, above)
    if narrowed is not None:
        yield narrowed
        return
    if isinstance(old, Binary) and isinstance(new, Binary) and old.operator == new.operator:
        if old.operator in COMPARISONS:
            yield from _moved(old, new, above)
        other = _LOOSER_BELOW if above is _LOOSER_ABOVE else _LOOSER_ABOVE
        yield from _looser(old.left, new.left, above=above)
        yield from _looser(old.right, new.right, above=other if old.operator == "unless" else above)
    elif type(old) is type(new) and len(children(old)) == len(children(new)) and not isinstance(old, Binary):
        for before, after in zip(children(old), children(new), strict=True):
            yield from _looser(before, after, above=above)


def _narrowed(old: Node, new: Node, above: frozenset[str]) -> tuple[str, str] | None:
    """Find a condition that came, or an alternative that went, where the rest is as it was."""
    if above is not _LOOSER_ABOVE:
        return None
    condition = isinstance(new, Binary) and new.operator in ("and", "unless") and new.left == old
    alternative = isinstance(old, Binary) and old.operator == "or" and new in (old.left, old.right)
    return (write(old), write(new)) if condition or alternative else None


def _moved(old: Binary, new: Binary, above: frozenset[str]) -> Iterator[tuple[str, str]]:
    if old.operator in _LOOSER_ABOVE:
        rises_is_looser = above is _LOOSER_ABOVE
    elif old.operator in _LOOSER_BELOW:
        rises_is_looser = above is not _LOOSER_ABOVE
    else:
        return
    for before, after, sign in ((old.right, new.right, 1), (old.left, new.left, -1)):
        was, now = constant(before), constant(after)
        if was is None or now is None or was == now:
            continue
        if ((now > was) == rises_is_looser) == (sign == 1):
            yield f"{old.operator} {was:g}", f"{new.operator} {now:g}"
