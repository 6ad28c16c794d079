"""Names that stand in several contracts, held against one another."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, Final

from prethrift_backend.contracts import Contracts
from prethrift_backend.verify.findings import Finding, Place, Signal
from prethrift_backend.verify.lint.findings import About
from prethrift_backend.verify.lint.health import schema_path
from prethrift_backend.verify.lint.logs import log_values
from prethrift_backend.verify.lint.spans import span_values

# Above this share of common values two lists are meant to be one. Arbitrary: half would pair http|https with ws|wss.
_LIKENESS: Final = 0.5
_AGREEING: Final = 2


def check_across(contracts: Contracts) -> Iterator[Finding]:
    """Say which closed list differs a little from the one that other contracts have under the same name."""
    places: dict[str, list[tuple[About, frozenset[str]]]] = defaultdict(list)
    for about, name, listed in closed_lists(contracts):
        places[name.rpartition(".")[2].lower()].append((about, frozenset(listed)))
    for name, found in places.items():
        counts = Counter((about.signal, values) for about, values in found)
        elsewhere = {signal: _elsewhere(signal, counts) for signal in {about.signal for about, _ in found}}
        for about, values in found:
            agreed = _agreed(values, elsewhere[about.signal])
            if agreed is not None:
                message = f"{name!r} of {about.name!r} has another list of values than elsewhere"
                fix = "make the lists one, or give one of them another name"
                yield about.fault("FX001", message, fix, expected=_shown(agreed), observed=_shown(values))


def _elsewhere(signal: Signal, counts: Mapping[tuple[Signal, frozenset[str]], int]) -> Counter[frozenset[str]]:
    """Return how often each list stands in the contracts of other signals."""
    found: Counter[frozenset[str]] = Counter()
    for (other, values), count in counts.items():
        if other != signal:
            found[values] += count
    return found


def _agreed(values: frozenset[str], elsewhere: Counter[frozenset[str]]) -> frozenset[str] | None:
    """Return the list that two or more places of other contracts have and that this one is nearly."""
    if values in elsewhere:
        return None
    for others, count in elsewhere.items():
        if count >= _AGREEING and len(values & others) / len(values | others) > _LIKENESS:
            return others
    return None


def _shown(values: frozenset[str]) -> str:
    return "|".join(sorted(values))


def closed_lists(contracts: Contracts) -> Iterator[tuple[About, str, tuple[str, ...]]]:
    """Yield every closed list of values with what it is of, and the name that it stands under."""
    metrics = contracts.metrics
    for family in metrics.families:
        about = About("metrics", family.name, Place(metrics.source, family.line))
        for label in family.labels:
            if label.kind == "enum":
                yield about.at(label.line), label.name, label.values
    logs = () if contracts.logs is None else log_values(contracts.logs)
    spans = () if contracts.spans is None else span_values(contracts.spans)
    for about, value in (*logs, *spans):
        if value.type.kind == "enum":
            yield about.at(value.line), _plain(value.name), value.type.values
    yield from _settings(contracts)
    about = About("health", "health.schema.json", Place(str(schema_path(contracts))))
    for name, values in _schema_lists(contracts.health_schema or {}):
        yield about, name, values


def _plain(name: str) -> str:
    """Return the word that other contracts have for an attribute: deployment.environment.name is the environment."""
    return name.removesuffix(".name")


def _settings(contracts: Contracts) -> Iterator[tuple[About, str, tuple[str, ...]]]:
    if contracts.settings is not None:
        for setting in contracts.settings.settings:
            if setting.type == "enum":
                about = About("settings", setting.name, Place(contracts.settings.source, setting.line))
                yield about, setting.name, setting.values


def _schema_lists(node: object, name: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    if isinstance(node, Mapping):
        values: Any = node.get("enum")
        if name and isinstance(values, list) and len(values) > 1 and all(isinstance(one, str) for one in values):
            yield name, tuple(values)
        for key, value in node.items():
            if key not in ("if", "then", "allOf"):  # a part of the values, on a condition
                yield from _schema_lists(value, key)
    elif isinstance(node, list):
        for value in node:
            yield from _schema_lists(value, name)
