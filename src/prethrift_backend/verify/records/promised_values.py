"""Values held against what is promised of them: types, what is due, and what nobody has promised."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from prethrift_backend.contracts.values import PromisedValue
from prethrift_backend.verify.records.values import shown


@dataclass(frozen=True, slots=True)
class ValueFault:
    """A value that is of another type, missing, or not promised."""

    kind: Literal["type", "missing", "unknown"]
    name: str
    expected: str | None = None
    observed: str | None = None


def value_faults(
    promised: Iterable[PromisedValue],
    given: Mapping[str, object],
    *,
    is_open: bool,
    holds: Collection[str] = (),
) -> Iterator[ValueFault]:
    """Yield in which values ``given`` breaks what is promised.

    ``holds`` are the conditions of ``required-if`` that are known to hold. Values that are not listed are allowed
    where ``is_open`` is true.
    """
    known = {one.name: one for one in promised}
    for name, value in given.items():
        if name in known and not known[name].type.allows(value):
            yield ValueFault("type", name, str(known[name].type), shown(value))
        elif name not in known and not is_open:
            yield ValueFault("unknown", name)
    for name, one in known.items():
        if name not in given and _is_due(one, holds):
            yield ValueFault("missing", name, str(one.type))


def implied_conditions(promised: Iterable[PromisedValue], given: Collection[str]) -> set[str]:
    """Return the conditions that hold since a value is there which is required on them.

    Whoever writes ``trace_id`` is in a span, and then ``span_id`` is due as well.
    """
    return {condition for one in promised if one.name in given for condition in one.required_if}


def _is_due(promised: PromisedValue, holds: Collection[str]) -> bool:
    conditions = promised.required_if
    return promised.required or (bool(conditions) and all(condition in holds for condition in conditions))
