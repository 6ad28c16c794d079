"""Uses of metrics in a source: families that are made or taken by name, and the labels that they are given."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from prethrift_backend.verify.lint.expressions import last_word, values_at
from prethrift_backend.verify.lint.source import Source, SourceModule

_FOLLOW_MAX: Final = 5  # how often a family may get another name; arbitrary, a circle must end
_CLIENT: Final = "prometheus_client"
_MADE: Final[Mapping[str, str]] = {
    "Counter": "counter",
    "Gauge": "gauge",
    "Histogram": "histogram",
    "Summary": "summary",
    "Info": "info",
    "Enum": "stateset",
}
# How a family of the contract is asked for, and the type that this says; "" says none.
_TAKEN: Final[Mapping[str, str]] = {
    "counter": "counter",
    "gauge": "gauge",
    "histogram": "histogram",
    "family": "",
    "find": "",
    "observe": "",
}


@dataclass(frozen=True, slots=True)
class FamilyUse:
    """One place where a family is made by hand (``is_made``) or taken by name; ``kind`` is "" where nothing says it."""

    module: SourceModule
    node: ast.Call
    name: str
    kind: str
    is_made: bool


@dataclass(frozen=True, slots=True)
class LabelUse:
    """One call of ``labels``: the family, where it can be told, and the values by name or in their order.

    ``is_whole`` says that all values are written out in the call.
    """

    module: SourceModule
    node: ast.Call
    family: str | None
    named: tuple[tuple[str, ast.expr], ...] = ()
    placed: tuple[ast.expr, ...] = ()
    is_whole: bool = True

    @property
    def values(self) -> Iterator[ast.expr]:
        """All values, in the order in which they stand."""
        yield from self.placed
        yield from (value for _, value in self.named)


def family_uses(source: Source) -> Iterator[FamilyUse]:
    """Yield every family that is made, or taken, under a name that is written out."""
    for module in source.modules.values():
        for call in module.calls:
            found = _family_use(call, module, source)
            if found is not None:
                yield found


def label_uses(source: Source) -> Iterator[LabelUse]:
    """Yield every call of ``labels``."""
    for module in source.modules.values():
        for call in module.calls:
            if isinstance(call.func, ast.Attribute) and call.func.attr == "labels":
                named = tuple((keyword.arg, keyword.value) for keyword in call.keywords if keyword.arg is not None)
                is_whole = len(named) == len(call.keywords) and not any(
                    isinstance(one, ast.Starred) for one in call.args
                )
                family = _family_of(call.func.value, module, source)
                yield LabelUse(module, call, family, named, tuple(call.args), is_whole)


def _family_use(call: ast.Call, module: SourceModule, source: Source) -> FamilyUse | None:
    word = last_word(call.func) or ""
    name = _first(call, module, source)
    if name is None:
        return None
    if word in _MADE and _is_from_client(call.func, module):
        kind = _MADE[word]
        return FamilyUse(module, call, exported_name(name, kind), kind, is_made=True)
    if word == "FamilyProxy" or (word in _TAKEN and _is_metric_set(call.func)):
        return FamilyUse(module, call, name, _TAKEN.get(word, ""), is_made=False)
    return None


def exported_name(name: str, kind: str) -> str:
    """Return the name that prometheus_client exports a family under in the classic format."""
    if kind == "counter":
        return f"{name.removesuffix('_total')}_total"
    return f"{name}_info" if kind == "info" else name


def _first(call: ast.Call, module: SourceModule, source: Source) -> str | None:
    given = call.args[0] if call.args else None
    if given is None:
        given = next((keyword.value for keyword in call.keywords if keyword.arg == "name"), None)
    return source.text_of(given, module)


def _is_from_client(function: ast.expr, module: SourceModule) -> bool:
    name = function if isinstance(function, ast.Name) else getattr(function, "value", None)
    origin = module.imports.get(name.id, ("", ""))[0] if isinstance(name, ast.Name) else ""
    return origin == _CLIENT or origin.startswith(f"{_CLIENT}.")


def _is_metric_set(function: ast.expr) -> bool:
    """Say whether a method is one of a set of metrics, by what its owner is called."""
    return isinstance(function, ast.Attribute) and (last_word(function.value) or "").strip("_") == "metrics"


def _family_of(expression: ast.expr, module: SourceModule, source: Source) -> str | None:
    """Return the name of the family that an expression is, None where that cannot be told."""
    call, owner = _call_behind(expression, module, source)
    if call is None:
        return None
    word = last_word(call.func) or ""
    name = _first(call, owner, source)
    if name is None or not (word in _MADE or word in _TAKEN or word == "FamilyProxy"):
        return None
    return exported_name(name, _MADE[word]) if word in _MADE else name


def _call_behind(
    expression: ast.expr, module: SourceModule, source: Source, depth: int = 0
) -> tuple[ast.Call | None, SourceModule]:
    """Follow a name through constants, imports and assignments to the one call that it stands for."""
    found, owner = source.value_of(expression, module)
    if found is None or isinstance(found, ast.Call):
        return found, owner
    values = values_at(found, owner)
    if len(values) != 1 or depth > _FOLLOW_MAX:
        return None, owner
    return _call_behind(values[0], owner, source, depth + 1)
