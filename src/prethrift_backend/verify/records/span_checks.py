"""Finished spans held against ``spans.txt``, as a receiver of traces gets them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from prethrift_backend.contracts import SpanAttribute, SpanPromise, SpansContract
from prethrift_backend.contracts.values import Count
from prethrift_backend.verify.records.never_checks import NeverChecks
from prethrift_backend.verify.records.promised_values import implied_conditions, value_faults
from prethrift_backend.verify.records.values import ObservedSpan, RecordFault, shown

ANY_SPAN: Final = "every span"
"""The item of what holds for spans of whatever promise."""

_VALUE_RULES: Final = {"type": "SP005", "missing": "SP004", "unknown": "SP006"}
_LEAK_RULES: Final = {"key": "SP012", "value": "SP013"}


class SpanChecks:
    """One span contract, and what spans break of it."""

    def __init__(self, contract: SpansContract) -> None:
        self.contract = contract
        self._never = NeverChecks(contract.never_keys, contract.never_values)

    def promise_of(self, span: ObservedSpan) -> SpanPromise | None:
        """Return the promise that a span falls under; None where there is none, or more than one."""
        found = self._promises(span)
        return found[0] if len(found) == 1 else None

    def faults(self, span: ObservedSpan, *, holds: Collection[str] = ()) -> list[RecordFault]:
        """Return everything in which one span breaks the contract.

        ``holds`` are conditions of ``required-if`` that the caller knows to hold; ``error`` is judged by the status.
        """
        return list(self._faults(span, holds))

    def _faults(self, span: ObservedSpan, holds: Collection[str]) -> Iterator[RecordFault]:
        promise = self.promise_of(span)
        name = ANY_SPAN if promise is None else promise.key
        if promise is None:
            yield self._stray(span)
        else:
            yield from _own_faults(promise, span, _conditions(promise, span, holds))
        yield from self._resource_faults(span)
        yield from self._sizes(name, span)
        yield from self._leaks(name, promise, span)

    def _promises(self, span: ObservedSpan) -> list[SpanPromise]:
        return [one for one in self.contract.spans if _covers(one, span)]

    def _stray(self, span: ObservedSpan) -> RecordFault:
        """Say why a span falls under no promise, or under several."""
        what = f"span {shown(span.name)} ({span.kind}, {shown(span.scope)})"
        found = self._promises(span)
        if found:
            keys = ", ".join(one.key for one in found)
            return RecordFault("SP001", ANY_SPAN, f"{what} falls under {len(found)} promises", "one", keys)
        for one in self.contract.spans:
            if _covers(one, span, kind=one.kind):
                return RecordFault("SP002", one.key, f"{what} is of another kind", one.kind, span.kind)
        names = [form for one in self.contract.spans if _covers(one, span, ignores_name=True) for form in one.names]
        expected = " | ".join(names) or "a span of the contract"
        return RecordFault("SP001", ANY_SPAN, f"{what} falls under 0 promises", expected, shown(span.name))

    def _resource_faults(self, span: ObservedSpan) -> Iterator[RecordFault]:
        for fault in value_faults(self.contract.resource, span.resource, is_open=True):
            message = f"{fault.name!r} of the resource is {_what(fault.kind, fault.expected)}"
            yield RecordFault("SP010", ANY_SPAN, message, fault.expected, fault.observed)

    def _sizes(self, name: str, span: ObservedSpan) -> Iterator[RecordFault]:
        limits = self.contract.limits
        texts = [len(value) for tree in _trees(span) for value in tree.values() if isinstance(value, str)]
        for what, most, size in (
            ("attributes", limits.max_attributes, len(span.attributes)),
            ("events", limits.max_events, len(span.events)),
            ("links", limits.max_links, len(span.links)),
            ("characters in one text", limits.max_text, max(texts, default=0)),
        ):
            if most is not None and size > most:
                yield RecordFault("SP011", name, f"the span has {size} {what}", f"at most {most}", str(size))

    def _leaks(self, name: str, promise: SpanPromise | None, span: ObservedSpan) -> Iterator[RecordFault]:
        promised = promise.attributes if promise is not None else ()
        names = {one.name for one in promised}
        patterned = {one.name for one in promised if one.type.kind == "match"}
        for tree in _trees(span):
            for leak in self._never.leaks(tree, promised=names, patterned=patterned):
                if leak.kind == "key":
                    message = f"attribute {leak.path!r} may never be there: NEVER-KEY has {leak.word}"
                else:
                    message = f"{leak.path!r} holds a secret: NEVER-VALUE has {leak.word}"
                yield RecordFault(_LEAK_RULES[leak.kind], name, message, f"no {leak.word}")


def _covers(promise: SpanPromise, span: ObservedSpan, *, kind: str | None = None, ignores_name: bool = False) -> bool:
    name = promise.names[0] if ignores_name else span.name
    attributes = {} if ignores_name else span.attributes
    return promise.covers(name=name, kind=kind or span.kind, scope=span.scope, attributes=attributes)


def _conditions(promise: SpanPromise, span: ObservedSpan, holds: Collection[str]) -> set[str]:
    known = {*holds, *implied_conditions(promise.attributes, span.attributes)} - {"error"}
    return known | {"error"} if span.status == "error" else known


def _own_faults(promise: SpanPromise, span: ObservedSpan, holds: Collection[str]) -> Iterator[RecordFault]:
    if span.status not in promise.statuses:
        expected = "|".join(promise.statuses)
        yield RecordFault("SP003", promise.key, f"status {span.status} is not promised", expected, span.status)
    yield from _attribute_faults(promise, promise.attributes, span.attributes, is_open=promise.is_open, holds=holds)
    most = promise.max_links
    if most is not None and len(span.links) > most:
        links = len(span.links)
        yield RecordFault("SP009", promise.key, f"the span has {links} links", f"at most {most}", str(links))
    yield from _event_faults(promise, span, holds)


def _attribute_faults(
    promise: SpanPromise,
    promised: Iterable[SpanAttribute],
    given: Mapping[str, object],
    *,
    is_open: bool,
    holds: Collection[str],
) -> Iterator[RecordFault]:
    for fault in value_faults(promised, given, is_open=is_open, holds=holds):
        message = f"attribute {fault.name!r} is {_what(fault.kind, fault.expected)}"
        yield RecordFault(_VALUE_RULES[fault.kind], promise.key, message, fault.expected, fault.observed)


def _event_faults(promise: SpanPromise, span: ObservedSpan, holds: Collection[str]) -> Iterator[RecordFault]:
    events = {event.name: event for event in promise.events}
    for seen in span.events:
        if seen.name in events:
            own = events[seen.name].attributes
            yield from _attribute_faults(promise, own, seen.attributes, is_open=False, holds=holds)
        elif not promise.is_open:
            message = f"event {shown(seen.name)} is not promised"
            yield RecordFault("SP007", promise.key, message, " | ".join(events) or "no event", shown(seen.name))
    counted = Counter(seen.name for seen in span.events)
    for name, event in events.items():
        if event.count is not None and not keeps(event.count, counted[name]):
            message = f"the span has {counted[name]} events {name!r}"
            yield RecordFault("SP008", promise.key, message, str(event.count), str(counted[name]))


def keeps(count: Count, number: int) -> bool:
    """Say whether something that happened so often keeps the promise of a count."""
    return number == count.most if count.is_exact else number <= count.most


def _trees(span: ObservedSpan) -> list[Mapping[str, object]]:
    return [span.attributes, *(event.attributes for event in span.events), *(link.attributes for link in span.links)]


def _what(kind: str, expected: str | None) -> str:
    return {"type": f"not {expected}", "missing": "missing", "unknown": "not promised"}[kind]
