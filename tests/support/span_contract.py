"""``contracts/spans.txt`` as checks: which promise a finished span falls under, and whether it keeps it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from prethrift_backend.contracts import find_contracts
from prethrift_backend.observability import Redactor

_REDACTOR = Redactor()
# The rules that a redactor has no name for are those of values; the contract's list names them for people.
_VALUE_RULES = {"jwt", "pem", "bearer", "basic", "dsn-password", "card-number"}


@dataclass(frozen=True)
class Attribute:
    """One attribute: its type, and when it has to be there."""

    name: str
    kind: str
    rule: str
    is_required: bool
    is_required_if_error: bool

    def fault(self, value: object) -> str | None:
        """Return what is wrong with ``value``, None where it is allowed."""
        return None if self._allows(value) else f"{self.name}={value!r} is not {self.kind} {self.rule}".rstrip()

    def _allows(self, value: object) -> bool:
        return _CHECKS[self.kind](value, self.rule)


def _is_text(value: object, rule: str) -> bool:
    return isinstance(value, str) and (not rule or len(value) <= int(rule.removeprefix("max=")))


def _is_number(value: object, rule: str) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and _in_range(value, rule)


def _in_range(value: float, rule: str) -> bool:
    if not rule:
        return True
    if rule.startswith(">="):
        return value >= float(rule[2:])
    low, _, high = rule.partition("..")
    return float(low) <= value <= float(high)


_CHECKS: dict[str, Callable[[object, str], bool]] = {
    "string": _is_text,
    "enum": lambda value, rule: value in rule.split("|"),
    "const": lambda value, rule: str(value).lower() == rule,
    "match": lambda value, rule: isinstance(value, str) and re.fullmatch(rule, value) is not None,
    "int": lambda value, rule: isinstance(value, int) and _is_number(value, rule),
    "boolean": lambda value, _: isinstance(value, bool),
    "number": _is_number,
}


@dataclass
class SpanPromise:
    """What the contract says of one kind of span."""

    key: str
    kind: str
    scope: str
    names: list[str] = field(default_factory=list)
    attributes: dict[str, Attribute] = field(default_factory=dict)
    events: dict[str, dict[str, Attribute]] = field(default_factory=dict)
    statuses: set[str] = field(default_factory=set)
    max_links: int = 0
    is_open: bool = False

    def covers(self, span: ReadableSpan) -> bool:
        """Return whether ``span`` is of this kind."""
        scope = span.instrumentation_scope
        has_scope = scope is not None and fnmatchcase(scope.name, self.scope)
        return has_scope and span.kind.name.lower() == self.kind and self._has_name(span)

    def _has_name(self, span: ReadableSpan) -> bool:
        attributes = span.attributes or {}
        return span.name in {
            re.sub(r"\{([^}]+)\}", lambda match: str(attributes.get(match[1], match[0])), name) for name in self.names
        }

    def faults(self, span: ReadableSpan) -> list[str]:
        """Return everything in which ``span`` breaks the promise."""
        is_error = span.status.status_code is StatusCode.ERROR
        faults = _attribute_faults(self.attributes, span.attributes or {}, is_open=self.is_open, is_error=is_error)
        if span.status.status_code.name.lower() not in self.statuses:
            faults.append(f"status {span.status.status_code.name} is not one of {sorted(self.statuses)}")
        if len(span.links) > self.max_links:
            faults.append(f"{len(span.links)} links, {self.max_links} at most")
        for event in span.events:
            if event.name in self.events:
                own = self.events[event.name]
                faults += _attribute_faults(own, event.attributes or {}, is_open=False, is_error=is_error)
            elif not self.is_open:
                faults.append(f"event {event.name!r} is not promised")
        return faults


def _attribute_faults(
    promised: Mapping[str, Attribute], given: Mapping[str, object], *, is_open: bool, is_error: bool
) -> list[str]:
    faults = [fault for name, value in given.items() if name in promised and (fault := promised[name].fault(value))]
    if not is_open:
        faults += [f"attribute {name!r} is not promised" for name in given if name not in promised]
    for attribute in promised.values():
        if attribute.name not in given and (attribute.is_required or (attribute.is_required_if_error and is_error)):
            faults.append(f"attribute {attribute.name!r} is missing")
    return faults


class SpanContract:
    """The whole file; `check` raises AssertionError with every fault of a span."""

    def __init__(self, text: str) -> None:
        self.version = ""
        self.resource: dict[str, Attribute] = {}
        self.never_keys: set[str] = set()
        self.never_values: set[str] = set()
        self.spans: dict[str, SpanPromise] = {}
        self._event: dict[str, Attribute] = {}
        for number, raw in enumerate(text.splitlines(), start=1):
            line = re.split(r"(?:^|\s)#(?:\s|$)", raw, maxsplit=1)[0].rstrip()
            if raw.startswith("# CONTRACT"):
                self.version = raw.split()[3]
            elif line:
                self._read(line, f"spans.txt:{number}: {raw}")

    def _read(self, line: str, where: str) -> None:
        words = line.split()
        if line.startswith("    "):
            self._event[words[0]] = _attribute(words)
        elif line.startswith("  "):
            self._read_rule(list(self.spans.values())[-1], words, where)
        elif words[0] == "RESOURCE":
            self.resource[words[1]] = _attribute(words[1:])
        elif words[0] == "NEVER-KEY":
            self.never_keys |= set(words[1].split("|"))
        elif words[0] == "NEVER-VALUE":
            self.never_values |= set(words[1].split("|"))
        elif words[0] == "SPAN":
            options = dict(word.split("=", 1) for word in words[2:] if "=" in word)
            self.spans[words[1]] = SpanPromise(words[1], options["kind"], options["scope"])
        elif words[0] != "RECORD":
            raise AssertionError(f"{where}: {words[0]!r} is no directive")

    def _read_rule(self, promise: SpanPromise, words: Sequence[str], where: str) -> None:
        first, rest = words[0], " ".join(words[1:])
        if first == "NAME":
            promise.names = [name.strip() for name in rest.split("|")]
        elif first == "STATUS":
            promise.statuses = {status.strip() for status in rest.split("|")}
        elif first == "EVENT":
            self._event = promise.events.setdefault(words[1], {})
        elif first == "LINK":
            promise.max_links += int(words[2].removeprefix("count<="))
        elif first == "OPEN":
            promise.is_open = True
        elif first == first.lower():
            promise.attributes[first] = _attribute(words)
        else:
            raise AssertionError(f"{where}: {first!r} is no rule of a span")

    def promise_of(self, span: ReadableSpan) -> SpanPromise:
        """Return the promise that ``span`` falls under; AssertionError where there is not exactly one."""
        found = [promise for promise in self.spans.values() if promise.covers(span)]
        scope = span.instrumentation_scope
        assert len(found) == 1, f"span {span.name!r} ({span.kind.name}, {scope}) falls under {len(found)} promises"
        return found[0]

    def check(self, span: ReadableSpan) -> SpanPromise:
        """Hold a span to its promise, its resource and what no span may have; return the promise."""
        promise = self.promise_of(span)
        faults = promise.faults(span)
        faults += _attribute_faults(self.resource, span.resource.attributes, is_open=True, is_error=False)
        faults += [fault for one in _all_attributes(span) for fault in self._secrets(one)]
        assert not faults, f"span {span.name!r} breaks {promise.key!r} of spans.txt: {faults}"
        return promise

    def _secrets(self, attributes: Mapping[str, object]) -> list[str]:
        keys = [name for name in attributes if name.lower() in self.never_keys or not _is_open_key(name)]
        values = [value for value in attributes.values() if isinstance(value, str) and not _REDACTOR.is_clean(value)]
        faults = [f"attribute {name!r} may never be there" for name in keys]
        return faults + [f"{value!r} holds a secret" for value in values]


def _is_open_key(name: str) -> bool:
    return _REDACTOR.redact({name: "value"}) == {name: "value"}


def _all_attributes(span: ReadableSpan) -> list[Mapping[str, object]]:
    events, links = [event.attributes or {} for event in span.events], [link.attributes or {} for link in span.links]
    return [span.attributes or {}, *events, *links]


def _attribute(words: Sequence[str]) -> Attribute:
    options = {"required", "required-if=error"}
    rule = [word for word in words[2:] if word not in options]
    return Attribute(
        words[0],
        words[1],
        " ".join(rule),
        is_required="required" in words,
        is_required_if_error="required-if=error" in words,
    )


def load_span_contract(path: Path | None = None) -> SpanContract:
    """Read the packaged contract, or the file ``path``."""
    contract = SpanContract((path or find_contracts() / "spans.txt").read_text())
    assert contract.never_values == _VALUE_RULES
    return contract
