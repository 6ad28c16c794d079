"""What changed in a named value of a log line or a span: its type, its limits, and when it is there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, TypeVar

from prethrift_backend.contracts.values import Count, PromisedValue, ValueType

# gone: nothing to find any more; kind: another type; weaker: it may be missing; wider: values that it never had;
# longer: more to store; narrower: less of something, or more often there; new: it was not there.
ValueEffect: TypeAlias = Literal["gone", "kind", "weaker", "wider", "longer", "narrower", "new"]
Named = TypeVar("Named")

# The types whose values the type on the right has, too.
_NARROWER_KINDS: Final = frozenset(
    {
        ("enum", "enum+"),
        ("enum", "string"),
        ("enum+", "string"),
        ("match", "string"),
        ("date-time", "string"),
        ("int", "number"),
        ("const", "enum"),
    }
)


@dataclass(frozen=True, slots=True)
class ValueChange:
    """One effect of a change, in words."""

    effect: ValueEffect
    message: str
    expected: str
    observed: str


def compare_values(old: PromisedValue, new: PromisedValue) -> list[ValueChange]:
    """Return what changed between two promises of one value."""
    before, after = str(old.type), str(new.type)
    effects = [*_type_effects(old.type, new.type)]
    found = [ValueChange(effect, message, before, after) for effect, message in effects]
    if _presence(old) != _presence(new):
        effect: ValueEffect = "weaker" if _is_weaker(old, new) else "narrower"
        message = "is there less often" if effect == "weaker" else "is there more often"
        found.append(ValueChange(effect, message, _presence(old), _presence(new)))
    return found


def _presence(value: PromisedValue) -> str:
    if value.required:
        return "required"
    return f"required-if={'&'.join(sorted(value.required_if))}" if value.required_if else "optional"


def _is_weaker(old: PromisedValue, new: PromisedValue) -> bool:
    if new.required or not (old.required or old.required_if):
        return False
    if old.required or not new.required_if:
        return True
    return not set(new.required_if) <= set(old.required_if)


def _type_effects(old: ValueType, new: ValueType) -> Iterator[tuple[ValueEffect, str]]:
    if new.allows_null != old.allows_null:
        yield ("weaker", "may be null") if new.allows_null else ("narrower", "is never null")
    if old.kind != new.kind:
        yield _kind_effect(old, new)
        if not (old.values and new.values):
            return
    yield from _list_effects(old, new)
    if old.pattern != new.pattern and old.kind == new.kind:
        yield "wider", "matches another pattern"
    yield from _range_effects(old, new)


def _kind_effect(old: ValueType, new: ValueType) -> tuple[ValueEffect, str]:
    if (new.kind, old.kind) in _NARROWER_KINDS:
        return "narrower", "has a narrower type"
    if (old.kind, new.kind) in _NARROWER_KINDS and new.kind != "number":
        return "wider", "may have other values"
    return "kind", "has another type"


def _list_effects(old: ValueType, new: ValueType) -> Iterator[tuple[ValueEffect, str]]:
    gone = [value for value in old.values if value not in new.values]
    added = [value for value in new.values if value not in old.values]
    if gone:
        yield "gone", f"no longer has {', '.join(gone)}"
    if added:
        yield "narrower" if old.kind == "enum+" else "wider", f"may also be {', '.join(added)}"


def _range_effects(old: ValueType, new: ValueType) -> Iterator[tuple[ValueEffect, str]]:
    if (old.minimum, old.maximum) != (new.minimum, new.maximum):
        is_wider = _low(new.minimum) < _low(old.minimum) or _high(new.maximum) > _high(old.maximum)
        yield ("wider", "may be lower or higher") if is_wider else ("narrower", "has a narrower range")
    if old.max_length != new.max_length:
        is_longer = _high(new.max_length) > _high(old.max_length)
        yield ("longer", "may be longer") if is_longer else ("narrower", "is shorter")


def _low(bound: float | None) -> float:
    return -math.inf if bound is None else bound


def _high(bound: float | None) -> float:
    return math.inf if bound is None else bound


def is_raised(old: float | None, new: float | None) -> bool:
    """Say whether an upper bound went up; None is no bound."""
    return _high(new) > _high(old)


def is_count_raised(old: Count | None, new: Count | None) -> bool:
    """Say whether something may happen more often, or no longer exactly as often as it did."""
    if old is None or old == new:
        return False
    return new is None or new.most > old.most or new.per != old.per or (old.is_exact and not new.is_exact)


def paired(
    old: Mapping[str, Named], new: Mapping[str, Named]
) -> tuple[list[str], list[tuple[str, Named, Named]], list[str]]:
    """Return the names that went, what both sides have, and the names that came."""
    gone = [name for name in old if name not in new]
    kept = [(name, old[name], new[name]) for name in old if name in new]
    return gone, kept, [name for name in new if name not in old]


def named(values: Iterable[PromisedValue]) -> dict[str, PromisedValue]:
    """Return the values by name."""
    return {value.name: value for value in values}
