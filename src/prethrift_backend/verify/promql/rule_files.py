"""Prometheus rule files: read with the line of everything, held against what Prometheus accepts, and linted.

Recording rules make names; all files that are linted together know one another's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from prethrift_backend.verify.findings import Finding, Item, Place
from prethrift_backend.verify.promql.checks import Fault, Known, Query, Shape, lint_query, result_shape, to_finding
from prethrift_backend.verify.promql.tree import Call, QueryError, parse, selectors, walk
from prethrift_backend.verify.promql.yaml import YamlError, YamlValue, read_yaml

_DURATION: Final = re.compile(
    r"0|(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?", re.ASCII
)
_UNIT_SECONDS: Final = (365 * 86400.0, 7 * 86400.0, 86400.0, 3600.0, 60.0, 1.0, 0.001)
_METRIC_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_GROUP_KEYS: Final = frozenset({"name", "interval", "limit", "rules", "query_offset", "labels"})
_RULE_KEYS: Final = frozenset({"alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations"})
_RECORD_KEYS: Final = frozenset({"record", "expr", "labels"})

# Samples are looked for five minutes back: a group that runs less often leaves gaps between its own results.
_LOOKBACK_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """A group of rules; each rule as the query that it is."""

    name: str
    rules: tuple[Query, ...]
    interval_seconds: float | None = None
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class RuleFile:
    """What one rule file holds, and what Prometheus would refuse of it."""

    path: str
    groups: tuple[RuleGroup, ...] = ()
    faults: tuple[Finding, ...] = ()

    @property
    def rules(self) -> Iterator[Query]:
        """All rules, in the order of the file."""
        return (rule for group in self.groups for rule in group.rules)


def lint_rule_files(files: Sequence[RuleFile], known: Known) -> tuple[list[Finding], list[Item]]:
    """Return what is wrong with rule files that are loaded together, and every rule that was looked at.

    ``known`` is what `know_rules` returns for them.
    """
    items = [Item("alerts", rule.name, rule.place) for file in files for rule in file.rules]
    return [finding for file in files for finding in _lint(file, known)], items


def know_rules(files: Sequence[RuleFile], known: Known) -> Known:
    """Add what the files record, and the jobs whose absence they notice."""
    recorded = dict(known.recorded)
    for rule in (rule for file in files for rule in file.rules if rule.context == "record"):
        shape = result_shape(rule.text, replace(known, recorded=recorded)) or Shape()
        recorded[rule.name] = _joined(recorded.get(rule.name), shape.having(rule.labels))
    alerts = [rule for file in files for rule in file.rules if rule.context == "alert"]
    absent = {job for rule in alerts for job in _absent_jobs(rule.text)}
    return replace(known, recorded=recorded, absent_jobs=known.absent_jobs | absent)


def _joined(before: Shape | None, shape: Shape) -> Shape:
    """Put together what several rules record under one name."""
    if before is None:
        return shape
    return Shape(before.labels | shape.labels, before.is_open or shape.is_open)


def _absent_jobs(text: str) -> set[str]:
    try:
        tree = parse(text)
    except QueryError:
        return set()
    absences = [node for node in walk(tree) if isinstance(node, Call) and node.function.startswith("absent")]
    found = [m for node in absences for s in selectors(node) if s.name == "up" for m in s.matchers]
    return {matcher.value for matcher in found if matcher.name == "job" and matcher.operator == "="}


def _lint(file: RuleFile, known: Known) -> Iterator[Finding]:
    yield from file.faults
    for group in file.groups:
        yield from _slow_group(group)
    for rule in file.rules:
        yield from lint_query(rule, known)
    yield from _repeated(file)


def _slow_group(group: RuleGroup) -> Iterator[Finding]:
    if group.interval_seconds is not None and group.interval_seconds > _LOOKBACK_SECONDS:
        what = f"group {group.name!r} is evaluated every {group.interval_seconds:g} s: its results have gaps between"
        fault = Fault("PQ015", what, "evaluate it every 5 minutes or more often")
        yield to_finding(fault, Query("", "record", group.name, group.place))


def _repeated(file: RuleFile) -> Iterator[Finding]:
    seen: dict[tuple[object, ...], Query] = {}
    for rule in file.rules:
        key = (rule.context, rule.name, tuple(sorted(rule.labels.items())), *_own_text(rule))
        first = seen.setdefault(key, rule)
        if first is not rule:
            what = f"{rule.name!r} is there twice: first in line {first.place.line if first.place else '?'}"
            yield to_finding(Fault("PQ015", what, "take one away"), rule)


def _own_text(rule: Query) -> tuple[str, ...]:
    """Alerts of one name with different expressions are usual; recording rules are not."""
    return (rule.text,) if rule.context == "alert" else ()


# Reading.


def read_rule_file(path: Path) -> RuleFile:
    """Read one file; what Prometheus would refuse becomes findings, and what can be read besides is read."""
    return _Reader(str(path)).read(path)


def parse_rule_file(content: bytes, *, path: str) -> RuleFile:
    """Read the text of a file as `read_rule_file` does; ``path`` is what findings call it."""
    return _Reader(path).parse(content)


class _Reader:
    """Reads one file and collects its faults."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._faults: list[Finding] = []

    def read(self, path: Path) -> RuleFile:
        try:
            return self.parse(path.read_bytes())
        except OSError as error:
            self._note(None, f"the file cannot be read: {error.strerror}", "name a file that is there")
            return self._file(())

    def parse(self, content: bytes) -> RuleFile:
        try:
            root = read_yaml(content)
        except YamlError as error:
            self._note(error.line, f"no YAML: {error}", "correct it")
            return self._file(())
        if root is None:
            return self._file(())
        groups = self._items(self._keys(root, frozenset({"groups"}), "a rule file").get("groups"), "groups")
        return self._file(self._groups(groups))

    def _file(self, groups: Iterable[RuleGroup]) -> RuleFile:
        return RuleFile(self._path, tuple(groups), tuple(self._faults))

    def _note(self, line: int | None, what: str, fix: str, name: str | None = None) -> None:
        query = Query("", "alert", name or self._path, Place(self._path, line))
        self._faults.append(to_finding(Fault("PQ000", what, fix), query))

    def _groups(self, items: Iterable[YamlValue]) -> list[RuleGroup]:
        groups: list[RuleGroup] = []
        for item in items:
            keys = self._keys(item, _GROUP_KEYS, "a group")
            name = self._text(keys.get("name"), item.line, "a group's name") or ""
            if name in {group.name for group in groups}:
                self._note(item.line, f"two groups are called {name!r}", "rename one of them")
            interval = self._seconds(keys.get("interval"), "interval")
            items_of_group = self._items(keys.get("rules"), f"the rules of {name!r}")
            rules = [rule for rule in map(self._rule, items_of_group) if rule is not None]
            groups.append(RuleGroup(name, tuple(rules), interval, Place(self._path, item.line)))
        return groups

    def _rule(self, item: YamlValue) -> Query | None:
        keys = self._keys(item, _RULE_KEYS, "a rule")
        kinds = [kind for kind in ("alert", "record") if kind in keys]
        if len(kinds) != 1:
            self._note(item.line, "a rule has one of 'alert' and 'record'", "correct it")
            return None
        name = self._text(keys[kinds[0]], item.line, f"the name of the {kinds[0]}") or ""
        self._check_rule(kinds[0], name, keys, item.line)
        expression = keys.get("expr")
        if expression is None or not isinstance(expression.value, str) or not expression.value.strip():
            self._note(item.line, f"{name!r} has no expr", "add the expression", name)
            return None
        return Query(
            expression.value,
            "alert" if kinds == ["alert"] else "record",
            name,
            Place(self._path, expression.line),
            for_seconds=self._seconds(keys.get("for"), "for") or 0.0,
            labels=self._texts(keys.get("labels"), "labels"),
            annotations=self._texts(keys.get("annotations"), "annotations"),
        )

    def _check_rule(self, kind: str, name: str, keys: Mapping[str, YamlValue], line: int) -> None:
        self._seconds(keys.get("keep_firing_for"), "keep_firing_for")
        if kind == "alert":
            return
        if not _METRIC_NAME.fullmatch(name):
            self._note(line, f"{name!r} is no name of a metric", "use letters, digits, '_' and ':'", name)
        for key in sorted(set(keys) - _RECORD_KEYS):
            self._note(keys[key].line, f"{key!r} is for alerts, and {name!r} records", "take it away", name)

    def _keys(self, item: YamlValue, allowed: frozenset[str], what: str) -> Mapping[str, YamlValue]:
        if not isinstance(item.value, dict):
            self._note(item.line, f"{what} has names and values", "write 'name: value' lines")
            return {}
        for key, value in item.value.items():
            if key not in allowed:
                self._note(value.line, f"{what} has no {key!r}", f"it has {', '.join(sorted(allowed))}")
        return {key: value for key, value in item.value.items() if value.value is not None}

    def _items(self, item: YamlValue | None, what: str) -> Sequence[YamlValue]:
        if item is None:
            return ()
        if not isinstance(item.value, list):
            self._note(item.line, f"{what} is no list", "begin each of its entries with '- '")
            return ()
        return item.value

    def _text(self, item: YamlValue | None, line: int, what: str) -> str | None:
        if item is None or not isinstance(item.value, str) or not item.value:
            self._note(line if item is None else item.line, f"{what} is missing", "add it")
            return None
        return item.value

    def _texts(self, item: YamlValue | None, what: str) -> Mapping[str, str]:
        if item is None:
            return {}
        if not isinstance(item.value, dict):
            self._note(item.line, f"{what} has names and values", "write 'name: value' lines")
            return {}
        for name, value in item.value.items():
            if not _LABEL_NAME.fullmatch(name) or (what == "labels" and name == "__name__"):
                self._note(value.line, f"{name!r} is no name of a label", "use letters, digits and '_'")
            elif not isinstance(value.value, str):
                self._note(value.line, f"{name!r} of {what} is no text", "write one line of text")
        return {name: value.value for name, value in item.value.items() if isinstance(value.value, str)}

    def _seconds(self, item: YamlValue | None, what: str) -> float | None:
        if item is None:
            return None
        seconds = duration_seconds(item.value) if isinstance(item.value, str) else None
        if seconds is None:
            self._note(item.line, f"{what} is no duration", "write 30s, 5m or 1h30m")
        return seconds


def duration_seconds(text: str) -> float | None:
    """Read Prometheus' form of a duration, such as ``1h30m``; None where it is none."""
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        return None
    counts = [int(group or 0) if len(group or "") < 10 else 10**10 for group in found.groups()]
    return sum(count * unit for count, unit in zip(counts, _UNIT_SECONDS, strict=True))
