"""Alerts held against what a person on call and a reviewer need: a runbook (A004), and tests of three kinds (A005).

Which kind a case is, is told from what it feeds in and expects. One *fires* that expects the alert while its series are
there; one is *silent* that does not, and everything is there that the alert asks for; one is *absent* where a series is
missing, whichever answer it expects. Promtool is not needed for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from prethrift_backend.verify.alerts.cases import Series, TestFile, TestGroup, read_test_file
from prethrift_backend.verify.findings import Finding, Place
from prethrift_backend.verify.promql.query import Query
from prethrift_backend.verify.promql.rule_files import RuleFile
from prethrift_backend.verify.promql.tree import (
    Call,
    Node,
    QueryError,
    Selector,
    metric_name,
    parse,
    selectors,
    walk,
)
from prethrift_backend.verify.rules import RULES

RUNBOOK: Final = "runbook_url"
KINDS: Final = ("fires", "silent", "absent")

# What tells one target's series from another's: a job that is not fed in is absent, a status code that is not is well.
_TARGET: Final = frozenset({"job"})
_ABSENT: Final = ("absent", "absent_over_time")
# Recording rules of recording rules; deeper than anybody writes them. Arbitrary.
_DEPTH_MAX: Final = 10
_HINTS: Final[Mapping[str, str]] = {
    "fires": "one that fires",
    "silent": "one that stays silent while its series are there",
    "absent": "one with a series absent",
}


def check_alerts(rule_files: Sequence[RuleFile], *, tests: Sequence[Path]) -> list[Finding]:
    """Return which alerts have no runbook, and which lack a case that fires, is silent, or has a series absent.

    ``tests`` are promtool's test files. One finding a rule and alert: all that an alert lacks stands in it.
    """
    read = [read_test_file(path) for path in tests]
    return [*_unreadable(read), *(finding for file in rule_files for finding in _check_file(file, rule_files, read))]


def alerts_of(file: RuleFile) -> dict[str, list[Query]]:
    """Return the alerts of a file by name; rules of one name, one a severity, are tested together."""
    found: dict[str, list[Query]] = {}
    for rule in file.rules:
        if rule.context == "alert":
            found.setdefault(rule.name, []).append(rule)
    return found


def groups_for(alert: str, file: RuleFile, tests: Iterable[TestFile]) -> list[TestGroup]:
    """Return the entries of test files that load the rule file and expect something of the alert."""
    path = Path(file.path)
    return [group for test in tests if test.tests_file(path) for group in test.groups if group.expects(alert)]


def make_finding(rule: str, alert: Query, message: str, **more: str) -> Finding:
    """Return a finding of one of the rules for alerts."""
    known = RULES[rule]
    fix = more.get("fix") or known.help
    return Finding(
        rule,
        known.level,
        "alerts",
        alert.name,
        message,
        category=known.category,
        expected=more.get("expected"),
        observed=more.get("observed"),
        place=alert.place,
        fix=fix,
    )


def _unreadable(tests: Iterable[TestFile]) -> Iterator[Finding]:
    for test in tests:
        if test.fault is not None:
            query = Query("", "alert", test.path, Place(test.path, test.fault_line))
            yield make_finding("A005", query, f"tests cannot be read: {test.fault}", fix="correct the file")


def _check_file(file: RuleFile, files: Sequence[RuleFile], tests: Sequence[TestFile]) -> Iterator[Finding]:
    recorded = _recorded(files)
    for name, alerts in alerts_of(file).items():
        for alert in alerts:
            yield from _check_runbook(alert, file)
        yield from _check_cases(alerts, groups_for(name, file, tests), recorded)


# A004.


def _check_runbook(alert: Query, file: RuleFile) -> Iterator[Finding]:
    target = alert.annotations.get(RUNBOOK, "").strip()
    if not target:
        fix = f"add {RUNBOOK}: docs/runbooks/{alert.name}.md, and the page"
        yield make_finding("A004", alert, f"{alert.name!r} has no annotation {RUNBOOK}", fix=fix)
    elif not _exists(target, file):
        what = f"the runbook of {alert.name!r} is not there"
        yield make_finding("A004", alert, what, expected=target, observed="no such page", fix="write the page")


def _exists(target: str, file: RuleFile) -> bool:
    """Say whether a page is there. What is no page of a repository cannot be looked at offline, and is believed."""
    address = urlsplit(target)
    parts = [part for part in address.path.split("/") if part]
    is_remote = bool(address.scheme)
    if is_remote and not address.path.endswith((".md", ".rst", ".html", ".adoc")):
        return True
    suffixes = [parts[start:] for start in range(len(parts))] if is_remote else [parts]
    roots = (Path.cwd(), *Path(file.path).resolve().parents)
    if address.path.startswith("/") and not is_remote:
        return Path(address.path).is_file()
    return any(root.joinpath(*suffix).is_file() for root in roots for suffix in suffixes if suffix)


# A005.


@dataclass(frozen=True, slots=True)
class _Asked:
    """A series that an alert asks for; ``only_absent`` where it only asks whether it is there."""

    selector: Selector
    only_absent: bool


def _check_cases(
    alerts: Sequence[Query], groups: Sequence[TestGroup], recorded: Mapping[str, Sequence[Query]]
) -> Iterator[Finding]:
    asked = [one for alert in alerts for one in _asked(alert)]
    if not asked:  # it cannot be read, or is a constant: PQ000 and PQ010 say so
        return
    kinds = {kind for group in groups for kind in _kinds(group, alerts[0].name, asked, recorded)}
    missing = [kind for kind in KINDS if kind not in kinds]
    if missing:
        what = f"{alerts[0].name!r} has no case of promtool: {', '.join(_HINTS[kind] for kind in missing)}"
        found = ", ".join(kind for kind in KINDS if kind in kinds) or "no case"
        fix = "add it to a test file that loads this rule file"
        yield make_finding("A005", alerts[0], what, expected=", ".join(KINDS), observed=found, fix=fix)


def _kinds(
    group: TestGroup, alert: str, asked: Sequence[_Asked], recorded: Mapping[str, Sequence[Query]]
) -> Iterator[str]:
    is_whole = all(_is_fed(one.selector, group.series, recorded, 0) for one in asked)
    # What only ever says that something is gone fires just where it is.
    may_fire = is_whole or all(one.only_absent for one in asked)
    if not is_whole:
        yield "absent"
    if group.fires(alert) and may_fire:
        yield "fires"
    elif is_whole:
        yield "silent"


def _asked(alert: Query) -> list[_Asked]:
    try:
        tree = parse(alert.text)
    except QueryError:
        return []
    within = {id(s) for node in walk(tree) if _is_absence(node) for s in selectors(node)}
    return [_Asked(selector, id(selector) in within) for selector in selectors(tree)]


def _is_absence(node: Node) -> bool:
    return isinstance(node, Call) and node.function in _ABSENT


def _is_fed(selector: Selector, series: Sequence[Series], recorded: Mapping[str, Sequence[Query]], depth: int) -> bool:
    """Say whether a test has the series, or all from which recording rules make it."""
    if any(one.is_of(selector, labels=_TARGET) for one in series):
        return True
    rules = recorded.get(metric_name(selector) or "", ()) if depth < _DEPTH_MAX else ()
    return any(_makes(rule, series, recorded, depth) for rule in rules)


def _makes(rule: Query, series: Sequence[Series], recorded: Mapping[str, Sequence[Query]], depth: int) -> bool:
    asked = _asked(rule)
    return bool(asked) and all(_is_fed(one.selector, series, recorded, depth + 1) for one in asked)


def _recorded(files: Iterable[RuleFile]) -> dict[str, list[Query]]:
    found: dict[str, list[Query]] = {}
    for rule in (rule for file in files for rule in file.rules if rule.context == "record"):
        found.setdefault(rule.name, []).append(rule)
    return found
