"""What changed between two log contracts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from prethrift_backend.contracts.logs import LogEvent, LogField, LogRecord, LogsContract
from prethrift_backend.contracts.values import NeverWord, PromisedValue
from prethrift_backend.verify.diff.changes import Change, Stability
from prethrift_backend.verify.diff.consumers import Use
from prethrift_backend.verify.diff.values import (
    ValueChange,
    ValueEffect,
    compare_values,
    is_count_raised,
    is_raised,
    named,
    paired,
)
from prethrift_backend.verify.findings import Level

# What leads from a line to its request and its trace.
CORRELATION: Final = frozenset({"request_id", "trace_id", "span_id", "dd.trace_id", "dd.span_id"})
# Arbitrary, as for metrics.
_ALIKE: Final = 0.8
_EFFECTS: Final[Mapping[ValueEffect, tuple[str, Level | None]]] = {
    "gone": ("L010", None),
    "kind": ("L002", None),
    "weaker": ("L002", None),
    "wider": ("L010", None),
    "longer": ("L006", None),
    "narrower": ("L009", None),
}


def diff_logs(old: LogsContract, new: LogsContract) -> list[Change]:
    """Return every difference that a reader of log lines can notice."""
    return [
        *_record_changes(old.record, new.record),
        *_field_changes(_EVERY_LINE, old.fields, new.fields),
        *never_changes("logs", "L005", "NEVER-KEY", old.never_keys, new.never_keys),
        *never_changes("logs", "L005", "NEVER-VALUE", old.never_values, new.never_values),
        *_event_changes(old, new),
    ]


def _record_changes(old: LogRecord, new: LogRecord) -> Iterator[Change]:
    forms = (("format", old.format, new.format), ("encoding", old.encoding, new.encoding))
    for what, before, after in forms:
        if before != after:
            message = f"the {what} of the lines is another"
            yield Change("L012", "logs", f"RECORD {what}", message, expected=before, observed=after, line=new.line)
    if old.is_one_per_line and not new.is_one_per_line:
        yield Change("L012", "logs", "RECORD one-per-line", "an event may take several lines", line=new.line)
    if old.max_bytes != new.max_bytes:
        change = Change(
            "L006" if is_raised(old.max_bytes, new.max_bytes) else "L009",
            "logs",
            "RECORD max-bytes",
            "lines have another length",
            expected=str(old.max_bytes),
            observed=str(new.max_bytes),
            line=new.line,
        )
        yield change


def never_changes(
    signal: str, rule: str, directive: str, old: Iterable[NeverWord], new: Iterable[NeverWord]
) -> Iterator[Change]:
    """Return which words that never occur are no longer among those, and which are new there."""
    of_spans = signal == "spans"
    gone, _, added = paired({word.name: word for word in old}, {word.name: word for word in new})
    for name in gone:
        message = f"{name} may occur: {directive} no longer has it"
        yield Change(rule, "spans" if of_spans else "logs", f"{directive} {name}", message, expected=name)
    for name in added:
        words = "S008" if of_spans else "L009"
        message = f"{name} never occurs any more"
        yield Change(words, "spans" if of_spans else "logs", f"{directive} {name}", message, observed=name)


# Fields.


@dataclass(frozen=True, slots=True)
class _Owner:
    """Whose fields they are: every line's, or an event's."""

    name: str
    stability: Stability
    line: int | None

    def use(self, field: str) -> Use:
        # The common fields are common words: in prose they need not be meant.
        return Use((self.name,), (field,)) if self.name else Use((field,), only_rules=True)

    def change(self, rule: str, field: str, message: str, *, line: int | None = None) -> Change:
        return Change(
            rule,
            "logs",
            f"{self.name or '*'}.{field}",
            f"field {field} of {self.name or 'every line'} {message}",
            line=line or self.line,
            stability=self.stability,
            use=self.use(field),
        )


_EVERY_LINE: Final = _Owner("", "stable", None)


def _field_changes(owner: _Owner, old: Iterable[LogField], new: Iterable[LogField]) -> Iterator[Change]:
    before, after = named(old), named(new)
    gone, kept, added = paired(before, after)
    for name in gone:
        change = owner.change("L002", name, "is gone")
        yield replace(change, expected=str(before[name].type), level=None if _is_promised(before[name]) else "warning")
    for _, was, now in kept:
        for found in compare_values(was, now):
            yield _value_change(owner, now, found)
    for name in added:
        yield owner.change("L003", name, "is new", line=after[name].line)


def _is_promised(field: PromisedValue) -> bool:
    return field.required or bool(field.required_if)


def _value_change(owner: _Owner, field: PromisedValue, found: ValueChange) -> Change:
    rule, level = _EFFECTS[found.effect]
    if found.effect == "weaker" and field.name in CORRELATION:
        rule = "L007"
    change = owner.change(rule, field.name, found.message, line=field.line)
    return replace(change, expected=found.expected, observed=found.observed, level=level)


# Events.


def _event_changes(old: LogsContract, new: LogsContract) -> Iterator[Change]:
    before, after = {e.name: e for e in old.events}, {e.name: e for e in new.events}
    gone, kept, added = paired(before, after)
    free = {name: after[name] for name in added}
    for name in gone:
        successor = _successor(before[name], free)
        free.pop(successor, None)
        yield _event_removal(before[name], successor)
    for _, was, now in kept:
        yield from _kept_event_changes(was, now)
    for name, event in free.items():
        message = f"event {name} is new"
        yield Change("L008", "logs", name, message, line=event.line, stability=event.stability)


def _successor(event: LogEvent, free: Mapping[str, LogEvent]) -> str:
    """Return the name that the event has now; empty where it is gone."""
    alike = [
        name
        for name, other in free.items()
        if other.logger == event.logger
        and (other.fields == event.fields or difflib.SequenceMatcher(None, event.name, name).ratio() >= _ALIKE)
    ]
    return alike[0] if alike else ""


def _event_removal(event: LogEvent, successor: str) -> Change:
    return Change(
        "L001",
        "logs",
        event.name,
        f"event {event.name} is {f'now {successor}' if successor else 'gone'}",
        expected=event.name,
        observed=successor or "no such event",
        stability=event.stability,
        use=Use((event.name,)),
    )


def _kept_event_changes(old: LogEvent, new: LogEvent) -> Iterator[Change]:
    change = Change("L009", "logs", old.name, "", line=new.line, stability=old.stability, use=Use((old.name,)))
    if set(old.levels) != set(new.levels):
        crosses = {level == "debug" for level in old.levels} != {level == "debug" for level in new.levels}
        shown = change.shown("|".join(old.levels), "|".join(new.levels))
        message = f"event {old.name} has another level" + (", across what production shows" if crosses else "")
        yield replace(shown, rule="L004", message=message, level="error" if crosses else None)
    if old.logger != new.logger:
        shown = change.shown(old.logger or "any", new.logger or "any")
        yield replace(shown, rule="L011", message=f"event {old.name} comes from another logger")
    if old.count != new.count:
        shown = change.shown(str(old.count or "any"), str(new.count or "any"))
        rule = "L006" if is_count_raised(old.count, new.count) else "L009"
        yield replace(shown, rule=rule, message=f"event {old.name} happens another number of times")
    if old.is_open != new.is_open:
        yield replace(change, message=f"event {old.name} {'may have' if new.is_open else 'has no'} fields of its own")
    if old.stability != new.stability:
        yield from _stability_change(change, old, new)
    owner = _Owner(old.name, old.stability, new.line)
    yield from _field_changes(owner, old.fields, new.fields)


def _stability_change(change: Change, old: LogEvent, new: LogEvent) -> Iterator[Change]:
    shown = change.shown(old.stability, new.stability)
    lowered = ("development", "beta", "stable").index
    if lowered(new.stability) < lowered(old.stability):
        yield replace(shown, rule="M060", message=f"event {old.name} is less stable than it was")
    else:
        yield replace(shown, message=f"event {old.name} is more stable than it was")
