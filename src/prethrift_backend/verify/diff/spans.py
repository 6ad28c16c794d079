"""What changed between two span contracts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Final, TypeVar

from prethrift_backend.contracts.spans import (
    SpanAttribute,
    SpanEvent,
    SpanLink,
    SpanPromise,
    SpansContract,
    placeholders,
)
from prethrift_backend.contracts.values import PromisedValue
from prethrift_backend.verify.diff.changes import STABILITIES, Change, Stability
from prethrift_backend.verify.diff.consumers import Use
from prethrift_backend.verify.diff.logs import never_changes
from prethrift_backend.verify.diff.values import (
    ValueEffect,
    compare_values,
    is_count_raised,
    is_raised,
    named,
    paired,
)

_Part = TypeVar("_Part", SpanEvent, SpanLink)

_EFFECTS: Final[Mapping[ValueEffect, str]] = {
    "gone": "S010",
    "kind": "S003",
    "weaker": "S003",
    "wider": "S010",
    "longer": "S009",
    "narrower": "S008",
}


def diff_spans(old: SpansContract, new: SpansContract) -> list[Change]:
    """Return every difference that a reader of traces can notice."""
    return [
        *_limit_changes(old, new),
        *_attribute_changes("resource", "stable", old.resource, new.resource),
        *never_changes("spans", "S006", "NEVER-KEY", old.never_keys, new.never_keys),
        *never_changes("spans", "S006", "NEVER-VALUE", old.never_values, new.never_values),
        *_span_changes(old, new),
    ]


def _limit_changes(old: SpansContract, new: SpansContract) -> Iterator[Change]:
    names = [one.name for one in fields(old.limits) if one.name != "line"]
    for name in names:
        before, after = getattr(old.limits, name), getattr(new.limits, name)
        if before != after:
            rule = "S009" if is_raised(before, after) else "S008"
            what = f"RECORD {name.replace('_', '-')}"
            message = "spans have another bound"
            yield Change(rule, "spans", what, message, expected=str(before), observed=str(after), line=new.limits.line)


def _span_changes(old: SpansContract, new: SpansContract) -> Iterator[Change]:
    before, after = {s.key: s for s in old.spans}, {s.key: s for s in new.spans}
    gone, kept, added = paired(before, after)
    renamed = {key: _successor(before[key], [after[name] for name in added]) for key in gone}
    for key in gone:
        # The key is a word of the contract alone: what reaches a receiver are the names.
        successor = renamed[key]
        if successor is None:
            yield _change(before[key], "S001", f"span {key} is gone")
        else:
            yield from _kept_span_changes(before[key], after[successor])
    for _, was, now in kept:
        yield from _kept_span_changes(was, now)
    for key in added:
        if key not in renamed.values():
            span = after[key]
            yield Change("S007", "spans", key, f"span {key} is new", line=span.line, stability=span.stability)


def _successor(span: SpanPromise, others: Iterable[SpanPromise]) -> str | None:
    same = [
        other.key for other in others if (other.names, other.kind, other.scope) == (span.names, span.kind, span.scope)
    ]
    return same[0] if same else None


def _change(span: SpanPromise, rule: str, message: str, *, line: int | None = None) -> Change:
    return Change(
        rule,
        "spans",
        span.key,
        message,
        line=line,
        stability=span.stability,
        use=Use(_fixed_names(span) or (span.key,)),
    )


def _fixed_names(span: SpanPromise) -> tuple[str, ...]:
    """Return the names that are one word and no form: the only ones that a search can be for."""
    return tuple(name for name in span.names if not placeholders(name) and " " not in name)


def _kept_span_changes(old: SpanPromise, new: SpanPromise) -> Iterator[Change]:
    yield from _name_changes(old, new)
    yield from _kind_changes(old, new)
    if old.count != new.count:
        rule = "S009" if is_count_raised(old.count, new.count) else "S008"
        change = _change(old, rule, f"span {old.key} happens another number of times", line=new.line)
        yield change.shown(str(old.count or "any"), str(new.count or "any"))
    if old.is_open != new.is_open:
        message = f"span {old.key} {'may have' if new.is_open else 'has no'} attributes that are not listed"
        yield _change(old, "S008", message, line=new.line)
    yield from _stability_changes(old, new)
    yield from _attribute_changes(old.key, old.stability, old.attributes, new.attributes, line=new.line)
    yield from _event_changes(old, new)
    yield from _link_changes(old, new)


def _name_changes(old: SpanPromise, new: SpanPromise) -> Iterator[Change]:
    gone = [name for name in old.names if name not in new.names]
    added = [name for name in new.names if name not in old.names]
    shown = " | ".join(old.names), " | ".join(new.names)
    if gone:
        change = _change(old, "S001", f"span {old.key} is no longer called {', '.join(gone)}", line=new.line)
        yield change.shown(*shown)
    elif added:
        change = _change(old, "S001", f"span {old.key} may also be called {', '.join(added)}", line=new.line)
        yield replace(change, level="warning", bump="minor").shown(*shown)
    if _name_bound(new) > _name_bound(old):
        change = _change(old, "S005", f"span {old.key} may have more different names", line=new.line)
        yield change.shown(f"{_name_bound(old):g}", f"{_name_bound(new):g}")


def _name_bound(span: SpanPromise) -> float:
    """Return how many names there can be: those of a closed list each, without end where an attribute is open."""
    return sum(math.prod(_values_bound(span.attribute(name)) for name in placeholders(form)) for form in span.names)


def _values_bound(attribute: SpanAttribute | None) -> float:
    return len(attribute.type.values) if attribute is not None and attribute.type.is_closed else math.inf


def _kind_changes(old: SpanPromise, new: SpanPromise) -> Iterator[Change]:
    rules = (
        ("kind", old.kind, new.kind),
        ("scope", old.scope, new.scope),
        ("parent", old.parent or "any", new.parent or "any"),
        ("status", "|".join(sorted(old.statuses)), "|".join(sorted(new.statuses))),
    )
    for what, before, after in rules:
        if before != after:
            rule = "S008" if what == "parent" and old.parent is None else "S002"
            change = _change(old, rule, f"span {old.key} has another {what}", line=new.line)
            yield replace(change, name=f"{old.key} {what}", expected=before, observed=after)


def _stability_changes(old: SpanPromise, new: SpanPromise) -> Iterator[Change]:
    if old.stability == new.stability:
        return
    is_lower = STABILITIES.index(new.stability) < STABILITIES.index(old.stability)
    message = f"span {old.key} is {'less' if is_lower else 'more'} stable than it was"
    change = _change(old, "M060" if is_lower else "S008", message, line=new.line)
    yield change.shown(old.stability, new.stability)


def _attribute_changes(
    owner: str,
    stability: Stability,
    old: Iterable[SpanAttribute],
    new: Iterable[SpanAttribute],
    *,
    line: int | None = None,
) -> Iterator[Change]:
    before, after = named(old), named(new)
    gone, kept, added = paired(before, after)

    def change(rule: str, name: str, message: str, at: int | None) -> Change:
        text = f"attribute {name} of {owner} {message}"
        return Change(rule, "spans", f"{owner}.{name}", text, line=at, stability=stability, use=Use((name,)))

    for name in gone:
        found = change("S003", name, "is gone", line)
        yield replace(found, expected=str(before[name].type), level=None if _is_promised(before[name]) else "warning")
    for name, was, now in kept:
        for effect in compare_values(was, now):
            found = change(_EFFECTS[effect.effect], name, effect.message, now.line)
            yield found.shown(effect.expected, effect.observed)
    for name in added:
        yield change("S004", name, "is new", after[name].line)


def _is_promised(attribute: PromisedValue) -> bool:
    return attribute.required or bool(attribute.required_if)


def _event_changes(old: SpanPromise, new: SpanPromise) -> Iterator[Change]:
    before, after = {event.name: event for event in old.events}, {event.name: event for event in new.events}
    yield from _part_changes("event", old, new, before, after)
    for name, was, now in paired(before, after)[1]:
        yield from _attribute_changes(f"{old.key}.{name}", old.stability, was.attributes, now.attributes, line=now.line)


def _link_changes(old: SpanPromise, new: SpanPromise) -> Iterator[Change]:
    before, after = {link.name: link for link in old.links}, {link.name: link for link in new.links}
    yield from _part_changes("link", old, new, before, after)


def _part_changes(
    what: str, old: SpanPromise, new: SpanPromise, before: Mapping[str, _Part], after: Mapping[str, _Part]
) -> Iterator[Change]:
    """Compare what events and links have in common: whether they are there, and how often."""
    gone, kept, added = paired(before, after)
    for name in gone:
        change = _change(old, "S011", f"{what} {name} of {old.key} is gone", line=new.line)
        yield replace(change, name=f"{old.key}.{name}")
    for _, was, now in kept:
        yield from _count_changes(old, was, now)
    for name in added:
        change = _change(old, "S007", f"{what} {name} of {old.key} is new", line=after[name].line)
        yield replace(change, use=None)


def _count_changes(span: SpanPromise, old: SpanEvent | SpanLink, new: SpanEvent | SpanLink) -> Iterator[Change]:
    if old.count != new.count:
        rule = "S009" if is_count_raised(old.count, new.count) else "S008"
        change = _change(span, rule, f"{old.name} of {span.key} happens another number of times", line=new.line)
        yield replace(change, name=f"{span.key}.{old.name}").shown(str(old.count or "any"), str(new.count or "any"))
