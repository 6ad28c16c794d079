"""The way of an alert through Alertmanager: which routes of its configuration take it, and whether anybody is told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from prethrift_backend.verify.arrival.api import Api, ArrivalFault, ForeignAnswerError
from prethrift_backend.verify.live.items import listed
from prethrift_backend.verify.promql.checks import Query
from prethrift_backend.verify.promql.rule_files import RuleFile
from prethrift_backend.verify.promql.yaml import YamlError, YamlValue, read_yaml

Node: TypeAlias = dict[str, Any]

_MATCHER: Final = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|[^,"]*?)\s*(?:,|$)')


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition of a route on a label of the alert."""

    name: str
    operator: str
    value: str

    def holds(self, labels: Mapping[str, str]) -> bool | None:
        """Say whether it holds; None for a label that only the series of the alert may have."""
        if self.name not in labels:
            return None
        own = labels[self.name]
        found = _is_whole(self.value, own) if "~" in self.operator else own == self.value
        return found != self.operator.startswith("!")


@dataclass(frozen=True, slots=True)
class Way:
    """Where an alert may end: a receiver, and how deep in the tree the route stands (0 is the root)."""

    receiver: str
    depth: int


def _is_whole(pattern: str, text: str) -> bool:
    try:
        return re.fullmatch(pattern, text) is not None
    except re.error:  # RE2 of Go knows a few forms that re does not
        return pattern == text


def read_configuration(api: Api) -> Node:
    """Return the configuration that Alertmanager has loaded.

    Raises ForeignAnswerError where the answer has none, and as `Api.ask` does.
    """
    body = api.ask("/api/v2/status")
    text = body.get("config", {}).get("original") if isinstance(body, dict) else None
    try:
        root = _plain(read_yaml(str(text or "").encode()))
    except YamlError as error:
        raise ForeignAnswerError(f"the configuration of {api.client.base_url} cannot be read: {error}") from error
    if not isinstance(root, dict) or not isinstance(root.get("route"), dict):
        raise ForeignAnswerError(f"{api.program} at {api.client.base_url} answered /api/v2/status without a route")
    return root


def _plain(value: YamlValue | None) -> Any:
    content = None if value is None else value.value
    if isinstance(content, dict):
        return {key: _plain(item) for key, item in content.items()}
    return [_plain(item) for item in content] if isinstance(content, list) else content


def ways(route: Node, labels: Mapping[str, str], *, depth: int = 0, receiver: str = "") -> tuple[list[Way], bool]:
    """Return where an alert with these labels may end, and whether the route takes it for certain.

    A condition on a label that is not among them leaves both ways open.
    """
    verdicts = [matcher.holds(labels) for matcher in _matchers(route)]
    if False in verdicts:
        return [], False
    own = str(route.get("receiver") or receiver)
    found: list[Way] = []
    is_taken = False
    for child in _nodes(route.get("routes")):
        below, is_certain = ways(child, labels, depth=depth + 1, receiver=own)
        found += below
        is_taken = is_taken or is_certain
        if is_certain and str(child.get("continue", "false")).lower() != "true":
            break
    return [*found, *([] if is_taken else [Way(own, depth)])], None not in verdicts


def _nodes(value: object) -> list[Node]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _matchers(route: Node) -> Iterator[Matcher]:
    for name, value in (route.get("match") or {}).items():
        yield Matcher(name, "=", str(value or ""))
    for name, value in (route.get("match_re") or {}).items():
        yield Matcher(name, "=~", str(value or ""))
    for text in route.get("matchers") or ():
        yield from parse_matchers(str(text or ""))


def parse_matchers(text: str) -> list[Matcher]:
    """Read matchers as Alertmanager writes them: ``severity="page"``, several with commas, in braces or without."""
    inner = text.strip().removeprefix("{").removesuffix("}")
    return [Matcher(found[1], found[2], _unquoted(found[3])) for found in _MATCHER.finditer(inner)]


def _unquoted(text: str) -> str:
    if len(text) < 2 or not text.startswith('"'):
        return text
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], text[1:-1])


def silent_receivers(configuration: Node) -> set[str]:
    """Return the receivers that notify nobody."""
    return {
        str(receiver.get("name", ""))
        for receiver in _nodes(configuration.get("receivers"))
        if not any(key.endswith("_configs") and value for key, value in receiver.items())
    }


def severities(files: Iterable[RuleFile]) -> dict[str, list[Query]]:
    """Return the alerts of rule files by their severity; those without one under the empty text."""
    found: dict[str, list[Query]] = {}
    for rule in (rule for file in files for rule in file.rules if rule.context == "alert"):
        found.setdefault(rule.labels.get("severity", ""), []).append(rule)
    return found


def route_item(severity: str) -> str:
    """Return how reports call the way of a severity."""
    return f"route of severity {severity!r}" if severity else "route without a severity"


def route_faults(configuration: Node, alerts: Mapping[str, Sequence[Query]], *, command: str) -> Iterator[ArrivalFault]:
    """Say which severities reach nobody, or only the receiver of last resort."""
    silent = silent_receivers(configuration)
    for severity, rules in alerts.items():
        ends = {rule.name: ways(configuration["route"], _labels(rule))[0] for rule in rules}
        lost = sorted(name for name, found in ends.items() if all(way.receiver in silent for way in found))
        plain = sorted(name for name, found in ends.items() if all(way.depth == 0 for way in found))
        receivers = listed(sorted({way.receiver for found in ends.values() for way in found}))
        item = route_item(severity)
        if lost:
            message = f"alerts of severity {severity!r} reach nobody: {listed(lost)}"
            yield ArrivalFault("LV303", message, name=item, observed=f"receiver {receivers}", reproduce=command)
        elif plain:
            message = f"alerts of severity {severity!r} have no route of their own: {listed(plain)}"
            yield ArrivalFault("LV304", message, name=item, observed=f"receiver {receivers}", reproduce=command)


def _labels(rule: Query) -> dict[str, str]:
    """Return the labels that are certain before the alert fires."""
    fixed = {name: value for name, value in rule.labels.items() if "{{" not in value}
    return {"alertname": rule.name, **fixed}
