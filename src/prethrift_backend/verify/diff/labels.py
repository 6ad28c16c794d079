"""What changed in the labels of a metric family."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from prethrift_backend.contracts import MetricLabel
from prethrift_backend.verify.diff.changes import Change
from prethrift_backend.verify.diff.consumers import Use
from prethrift_backend.verify.diff.pairs import FamilyPair, cost_change, with_bounds


def label_changes(pair: FamilyPair) -> Iterator[Change]:
    """Return what changed in the labels of a family and in their values."""
    before, after = ({label.name: label for label in family.labels} for family in (pair.old, pair.new))
    renamed = _renamed_labels(before, after)
    for name, label in before.items():
        successor = after.get(name)
        if successor is None:
            yield _label_removal(pair, label, renamed.get(name))
        elif pair.old.kind != "untyped":
            yield from _value_changes(pair, label, successor)
    for name, label in after.items():
        if name not in before and label.name not in renamed.values():
            yield _label_addition(pair, label)


def _renamed_labels(before: Mapping[str, MetricLabel], after: Mapping[str, MetricLabel]) -> dict[str, str]:
    """Return the new names by the old: a label with another name and the same values."""
    gone = [label for label in before.values() if label.name not in after]
    new = [label for label in after.values() if label.name not in before]
    pairs = zip(gone, new, strict=False)
    return {a.name: b.name for a, b in pairs if (a.kind, a.values, a.pattern) == (b.kind, b.values, b.pattern)}


def _label_removal(pair: FamilyPair, label: MetricLabel, successor: str | None) -> Change:
    message = f"label {label.name} of {pair.old.name} is " + (f"now {successor}" if successor else "gone")
    change = _label_change(pair, "M010", label, message).shown(label.name, successor or "no such label")
    return replace(change, line=pair.new.line)


def _label_addition(pair: FamilyPair, label: MetricLabel) -> Change:
    message = f"{pair.old.name} has a new label {label.name}: it splits every series"
    # Whoever uses the family is hurt; nobody can use the label yet.
    change = replace(_label_change(pair, "M011", label, message), observed=label.name, use=Use(pair.parts))
    if label.kind != "const":
        return change
    message = f"{pair.old.name} has a new label {label.name} with one value"
    return replace(change, message=message, level="info", bump="minor")


def _value_changes(pair: FamilyPair, old: MetricLabel, new: MetricLabel) -> Iterator[Change]:
    if (old.kind, old.values, old.pattern) != (new.kind, new.values, new.pattern):
        yield from _kind_changes(pair, old, new)
    if old.overflow != new.overflow:
        yield _overflow_change(pair, old, new)
    if not old.is_closed and not new.is_closed and old.max_values != new.max_values:
        change = _label_change(pair, "M030", new, f"label {new.name} of {pair.old.name} has another max")
        yield cost_change(pair, with_bounds(change, old.max_values, new.max_values), old.max_values, new.max_values)


def _label_change(
    pair: FamilyPair, rule: str, label: MetricLabel, message: str, *, words: tuple[str, ...] = ()
) -> Change:
    use = Use(pair.parts, (label.name, *words))
    return replace(pair.change(rule, message), name=f"{pair.old.name}{{{label.name}}}", line=label.line, use=use)


def _kind_changes(pair: FamilyPair, old: MetricLabel, new: MetricLabel) -> Iterator[Change]:
    if old.values and new.values:
        yield from _list_changes(pair, old, new)
    is_wider = _width(new) > _width(old) or (old.pattern != new.pattern and old.kind == new.kind)
    if is_wider:
        change = _label_change(pair, "M014", new, f"label {new.name} of {pair.old.name} may have other values")
        yield replace(change, expected=_shape(old), observed=_shape(new))
    elif _width(new) < _width(old):
        change = _label_change(pair, "M012", new, f"label {new.name} of {pair.old.name} has fewer values")
        narrowed = replace(change, expected=_shape(old), observed=_shape(new))
        # What was not listed was never promised, so that a list which only closes takes nothing away.
        yield replace(narrowed, level="info", bump="patch") if old.kind == "enum+" else narrowed


def _list_changes(pair: FamilyPair, old: MetricLabel, new: MetricLabel) -> Iterator[Change]:
    for value in old.values:
        if value not in new.values:
            message = f"label {new.name} of {pair.old.name} no longer has the value {value!r}"
            change = _label_change(pair, "M012", new, message, words=(value,))
            yield replace(change, name=f"{pair.old.name}{{{new.name}={value}}}", expected=value)
    added = [value for value in new.values if value not in old.values]
    if added:
        message = f"label {new.name} of {pair.old.name} has new values: {', '.join(added)}"
        change = _label_change(pair, "M013", new, message)
        yield replace(change, observed="|".join(added), level="info" if old.kind == "enum+" else None)


def _width(label: MetricLabel) -> int:
    return ("const", "enum", "enum+", "match", "open").index(label.kind) if label.kind != "const" else 1


def _shape(label: MetricLabel) -> str:
    return f"{label.kind} {label.pattern or '|'.join(label.values)}".rstrip()


def _overflow_change(pair: FamilyPair, old: MetricLabel, new: MetricLabel) -> Change:
    message = f"label {new.name} of {pair.old.name} has another overflow value"
    change = _label_change(pair, "M015", new, message, words=(old.overflow,) if old.overflow else ())
    change = replace(change, expected=old.overflow or "none", observed=new.overflow or "none")
    is_listed = new.is_closed and old.overflow is None
    return replace(change, level="info", bump="minor") if is_listed or old.overflow is None else change
