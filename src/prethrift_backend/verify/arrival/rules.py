"""The rules that Prometheus has loaded against the rule files of the repository."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from prethrift_backend.verify.arrival.api import Api, ArrivalFault, dictionaries
from prethrift_backend.verify.live.client import LiveUsageError
from prethrift_backend.verify.promql.checks import Query
from prethrift_backend.verify.promql.command import sort_paths
from prethrift_backend.verify.promql.rule_files import RuleFile, read_rule_file
from prethrift_backend.verify.promql.tree import QueryError, parse

DEFAULT_FOLDER: Final = Path("ops/prometheus")


@dataclass(frozen=True, slots=True)
class LoadedRule:
    """One rule as Prometheus has it; ``health`` is ok, err or unknown."""

    group: str
    name: str
    text: str
    for_seconds: float
    labels: Mapping[str, str]
    health: str
    error: str


def read_rules(paths: Sequence[Path]) -> tuple[RuleFile, ...]:
    """Read the rule files that are given; without any, those of the usual folder where it is there.

    Raises ContractError where a path has none, LiveUsageError where one could not be loaded by Prometheus either.
    """
    if not paths and not DEFAULT_FOLDER.is_dir():
        return ()
    rules, _ = sort_paths(paths or [DEFAULT_FOLDER])
    files = [read_rule_file(path) for path in rules]
    fault = next((fault for file in files for fault in file.faults), None)
    if fault is not None:
        raise LiveUsageError(f"{fault.place}: {fault.message}: {fault.fix}")
    return tuple(file for file in files if file.groups)


def loaded_rules(api: Api) -> list[LoadedRule]:
    """Return every rule that Prometheus has loaded."""
    groups = dictionaries(api.data("/api/v1/rules").get("groups"))
    return [_loaded(str(group.get("name", "")), rule) for group in groups for rule in dictionaries(group.get("rules"))]


def _loaded(group: str, rule: Mapping[str, Any]) -> LoadedRule:
    labels, duration = rule.get("labels"), rule.get("duration")
    return LoadedRule(
        group,
        str(rule.get("name", "")),
        str(rule.get("query", "")),
        float(duration) if isinstance(duration, int | float) else 0.0,
        {str(key): str(value) for key, value in labels.items()} if isinstance(labels, dict) else {},
        str(rule.get("health", "")),
        str(rule.get("lastError", "")),
    )


def unevaluated(files: Iterable[RuleFile], loaded: Sequence[LoadedRule]) -> Iterator[ArrivalFault]:
    """Say which rules of ours have an error, or no result yet."""
    own = {(group.name, rule.name) for file in files for group in file.groups for rule in group.rules}
    for rule in loaded:
        if (rule.group, rule.name) in own and rule.health != "ok":
            why = rule.error or "it has not been evaluated yet"
            message = f"{rule.name!r} has the health {rule.health!r}: {why}"
            yield ArrivalFault("LV138", message, signal="alerts", name=rule.name, expected="ok", observed=rule.health)


def rule_faults(files: Sequence[RuleFile], loaded: Sequence[LoadedRule], *, command: str) -> Iterator[ArrivalFault]:
    """Hold what is loaded against the files, rule by rule within its group."""
    by_group = _by_group(loaded)
    for name, rules in _own_groups(files).items():
        left = by_group.get(name, [])
        for rule in rules:
            match = next((other for other in left if _is_same(rule, other)), None)
            if match is None:
                yield _missing(rule, [other for other in left if other.name == rule.name], name, command)
            else:
                left.remove(match)
        names = {rule.name for rule in rules}
        for other in left:
            if other.name not in names:
                message = f"group {name!r} has {other.name!r}, which the repository does not have"
                yield ArrivalFault("LV305", message, signal="alerts", name=other.name, reproduce=command)


def _by_group(loaded: Iterable[LoadedRule]) -> dict[str, list[LoadedRule]]:
    groups: dict[str, list[LoadedRule]] = {}
    for rule in loaded:
        groups.setdefault(rule.group, []).append(rule)
    return groups


def _own_groups(files: Iterable[RuleFile]) -> dict[str, list[Query]]:
    groups: dict[str, list[Query]] = {}
    for group in (group for file in files for group in file.groups):
        groups.setdefault(group.name, []).extend(group.rules)
    return groups


def _missing(rule: Query, others: Sequence[LoadedRule], group: str, command: str) -> ArrivalFault:
    if not others:
        message = f"{rule.name!r} of group {group!r} is not loaded"
        return ArrivalFault("LV137", message, signal="alerts", name=rule.name, reproduce=command)
    what, expected, observed = next(_differences(rule, others[0]))
    message = f"{rule.name!r} is loaded with another {what}"
    return ArrivalFault(
        "LV139",
        message,
        signal="alerts",
        name=rule.name,
        expected=expected,
        observed=observed,
        reproduce=command,
    )


def _is_same(rule: Query, other: LoadedRule) -> bool:
    return rule.name == other.name and next(_differences(rule, other), None) is None


def _differences(rule: Query, other: LoadedRule) -> Iterator[tuple[str, str, str]]:
    if _meaning(rule.text) != _meaning(other.text):
        yield "expr", " ".join(rule.text.split()), other.text
    if rule.for_seconds != other.for_seconds:
        yield "for", f"{rule.for_seconds:g} s", f"{other.for_seconds:g} s"
    if dict(rule.labels) != dict(other.labels):
        yield "set of labels", _shown(rule.labels), _shown(other.labels)


def _meaning(text: str) -> object:
    """Return what is the same for two queries that ask the same.

    Prometheus writes a query in its own way: with other spaces and parentheses, and the matchers by name.
    """
    try:
        return _in_order(asdict(parse(text)))
    except QueryError:
        return " ".join(text.split())


def _in_order(part: object) -> object:
    if isinstance(part, dict):
        return {key: sorted(map(str, value)) if key == "matchers" else _in_order(value) for key, value in part.items()}
    return tuple(map(_in_order, part)) if isinstance(part, tuple) else part


def _shown(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in sorted(labels.items())) or "none"
