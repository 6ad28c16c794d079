"""``registry/``: the contracts as a registry for OpenTelemetry Weaver, in its form of groups (definition version 1).

An attribute is defined once, with everything that any of its users allows, and each user refers to it: in Weaver a name
has one type. What a user allows of it stands in the note of the reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from prethrift_backend.contracts import Contracts, LogsContract, MetricFamily, MetricLabel, SpanPromise, ValueType
from prethrift_backend.contracts.values import PromisedValue, Stability
from prethrift_backend.verify.reference.examples import NoExampleError, example_label, example_value
from prethrift_backend.verify.reference.markdown import MARK, one_line
from prethrift_backend.verify.reference.yaml_text import dumped_yaml

Group = dict[str, Any]
_STABILITIES: Final[tuple[Stability, ...]] = ("development", "beta", "stable")
_SIMPLE: Final = {"int": "int", "number": "double", "boolean": "boolean", "object": "any", "array": "any"}
_INSTRUMENTS: Final = {"untyped": "gauge"}
_UNITS: Final = {"seconds": "s", "bytes": "By", "ratio": "1"}
_EVERY_LINE: Final = "log.line"
_RESOURCE: Final = "span.resource"


@dataclass(frozen=True, slots=True)
class _Use:
    """One use of an attribute: what it may be there, when it is there, what it means there."""

    name: str
    type: str
    values: tuple[str, ...]
    example: object
    words: str
    note: str
    requirement: object
    stability: Stability


@dataclass(frozen=True, slots=True)
class _Signal:
    """A group and the attributes that it uses."""

    head: Group
    uses: tuple[_Use, ...]

    def group(self) -> Group:
        """Return the group as the registry has it."""
        return {**self.head, "attributes": [_reference(use) for use in self.uses]}


def render_registry(contracts: Contracts) -> dict[str, str]:
    """Return the files of the registry by their names."""
    files = {"metrics": [_metric(family) for family in contracts.metrics.families]}
    if contracts.logs is not None:
        files["events"] = list(_events(contracts.logs))
    if contracts.spans is not None:
        resource = _values(contracts.spans.resource, "stable")
        about = {"id": _RESOURCE, "type": "attribute_group", "brief": "What every span says of its process."}
        files["spans"] = [_Signal(about, resource), *map(_span, contracts.spans.spans)]
    uses = [use for signals in files.values() for signal in signals for use in signal.uses]
    groups = {name: [signal.group() for signal in signals] for name, signals in files.items()}
    groups["attributes"] = [_definitions(uses)]
    return {f"{name}.yaml": dumped_yaml({"groups": found}, comment=MARK) for name, found in sorted(groups.items())}


def _metric(family: MetricFamily) -> _Signal:
    head = {
        "id": f"metric.{family.name}",
        "type": "metric",
        "metric_name": family.name,
        "brief": one_line(family.help) or f"{family.name}.",
        **_noted(family.note),
        "instrument": _INSTRUMENTS.get(family.kind, family.kind),
        "unit": _unit(family),
        "stability": family.stability,
    }
    return _Signal(head, tuple(_label_use(label, family.stability) for label in family.labels))


def _unit(family: MetricFamily) -> str:
    said = family.unit or next((word for word in _UNITS if f"_{word}" in family.name), "")
    return _UNITS.get(said, said or "1")


def _label_use(label: MetricLabel, stability: Stability) -> _Use:
    kind = "members" if label.values else "string"
    words = one_line(f"{label.kind} {'|'.join(label.values)}{label.pattern or ''}").strip()
    try:
        example: object = example_label(label)
    except NoExampleError:
        example = None
    return _Use(label.name, kind, label.values, example, words, label.note, "required", stability)


def _events(logs: LogsContract) -> Iterator[_Signal]:
    about = {"id": _EVERY_LINE, "type": "attribute_group", "brief": "What every line of the log has."}
    yield _Signal({**about, **_noted(logs.record.note)}, _values(logs.fields, "stable"))
    for event in logs.events:
        head = {
            "id": f"event.{event.name}",
            "type": "event",
            "name": event.name,
            "brief": one_line(event.note) or f"{event.name}.",
            "extends": _EVERY_LINE,
            "stability": event.stability,
            "annotations": {"levels": list(event.levels), **({"logger": event.logger} if event.logger else {})},
        }
        yield _Signal(head, _values(event.fields, event.stability))


def _span(span: SpanPromise) -> _Signal:
    names = " or ".join(span.names)
    head = {
        "id": f"span.{span.key}",
        "type": "span",
        "span_kind": span.kind,
        "brief": one_line(span.note) or f"{span.key}.",
        "note": one_line(f"Its name is {names}."),
        "extends": _RESOURCE,
        "stability": span.stability,
    }
    return _Signal(head, _values(span.attributes, span.stability))


def _noted(note: str) -> Group:
    return {"note": one_line(note)} if note else {}


def _values(values: Iterable[PromisedValue], stability: Stability) -> tuple[_Use, ...]:
    return tuple(_value_use(value, stability) for value in values)


def _value_use(value: PromisedValue, stability: Stability) -> _Use:
    try:
        example: object = example_value(value.type)
    except NoExampleError:
        example = None
    kind = _type_name(value.type)
    members = value.type.values if kind == "members" else ()
    return _Use(value.name, kind, members, example, str(value.type), value.note, _requirement(value), stability)


def _type_name(promised: ValueType) -> str:
    if promised.values in (("true",), ("false",)):
        return "boolean"
    return "members" if promised.values else _SIMPLE.get(promised.kind, "string")


def _requirement(value: PromisedValue) -> object:
    if value.required_if:
        return {"conditionally_required": f"if {' and '.join(value.required_if)}"}
    return "required" if value.required else "recommended"


def _reference(use: _Use) -> Group:
    note = "; ".join(word for word in (one_line(use.note), one_line(use.words)) if word)
    return {"ref": use.name, "requirement_level": use.requirement, "note": note}


def _definitions(uses: Iterable[_Use]) -> Group:
    by_name: dict[str, list[_Use]] = {}
    for use in uses:
        by_name.setdefault(use.name, []).append(use)
    attributes = [_definition(name, found) for name, found in sorted(by_name.items())]
    brief = "Every attribute, field and label, with all that any of its users allows."
    return {"id": "registry.attributes", "type": "attribute_group", "brief": brief, "attributes": attributes}


def _definition(name: str, uses: Sequence[_Use]) -> Group:
    brief = next((one_line(use.note) for use in uses if use.note), f"{name}.")
    kinds = {use.type for use in uses}
    kind = kinds.pop() if len(kinds) == 1 else _common(kinds)
    stability = max((use.stability for use in uses), key=_STABILITIES.index)
    examples = [use.example for use in uses if use.example is not None][:1] if kind == "string" else []
    return {
        "id": name,
        "type": {"members": _members(uses, stability)} if kind == "members" else kind,
        "brief": brief,
        **({"examples": examples} if examples else {}),
        "stability": stability,
    }


def _common(kinds: set[str]) -> str:
    """Return the type that has all values of several types."""
    if kinds <= {"string", "members"}:
        return "string"
    return "double" if kinds <= {"int", "double"} else "any"


def _members(uses: Iterable[_Use], stability: Stability) -> list[Group]:
    values = dict.fromkeys(value for use in uses for value in use.values)
    taken: Mapping[str, str] = _identifiers(values)
    return [{"id": taken[value], "value": value, "stability": stability} for value in values]


def _identifiers(values: Iterable[str]) -> dict[str, str]:
    identifiers: dict[str, str] = {}
    for value in values:
        plain = re.sub(r"[^a-z0-9]+", "_", value.lower()).strip("_") or "other"
        number, candidate = 1, plain
        while candidate in identifiers.values():
            number += 1
            candidate = f"{plain}_{number}"
        identifiers[value] = candidate
    return identifiers
