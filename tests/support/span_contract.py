"""``contracts/spans.txt`` as checks: which promise a finished span falls under, and whether it keeps it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from prethrift_backend.contracts import SpanAttribute, SpanPromise, load_spans, parse_spans
from prethrift_backend.observability import Redactor

_REDACTOR = Redactor()
# The rules that a redactor has no name for are those of values; the contract's list names them for people.
_VALUE_RULES = {"jwt", "pem", "bearer", "basic", "dsn-password", "card-number"}


def covers(promise: SpanPromise, span: ReadableSpan) -> bool:
    """Return whether ``span`` is of this kind."""
    scope = span.instrumentation_scope
    return scope is not None and promise.covers(
        name=span.name, kind=span.kind.name.lower(), scope=scope.name, attributes=span.attributes or {}
    )


def _span_faults(promise: SpanPromise, span: ReadableSpan) -> list[str]:
    """Return everything in which ``span`` breaks the promise."""
    is_error = span.status.status_code is StatusCode.ERROR
    faults = _attribute_faults(promise.attributes, span.attributes or {}, is_open=promise.is_open, is_error=is_error)
    if span.status.status_code.name.lower() not in promise.statuses:
        faults.append(f"status {span.status.status_code.name} is not one of {sorted(promise.statuses)}")
    if promise.max_links is not None and len(span.links) > promise.max_links:
        faults.append(f"{len(span.links)} links, {promise.max_links} at most")
    events = {event.name: event for event in promise.events}
    for event in span.events:
        if event.name in events:
            own = events[event.name].attributes
            faults += _attribute_faults(own, event.attributes or {}, is_open=False, is_error=is_error)
        elif not promise.is_open:
            faults.append(f"event {event.name!r} is not promised")
    return faults


def _attribute_faults(
    promised: Iterable[SpanAttribute], given: Mapping[str, object], *, is_open: bool, is_error: bool
) -> list[str]:
    known = {attribute.name: attribute for attribute in promised}
    faults = [
        f"{name}={value!r} is not {known[name].type}"
        for name, value in given.items()
        if name in known and not known[name].type.allows(value)
    ]
    if not is_open:
        faults += [f"attribute {name!r} is not promised" for name in given if name not in known]
    for attribute in known.values():
        is_due = attribute.required or (is_error and attribute.required_if == ("error",))
        if attribute.name not in given and is_due:
            faults.append(f"attribute {attribute.name!r} is missing")
    return faults


class SpanContract:
    """The whole file; `check` raises AssertionError with every fault of a span."""

    def __init__(self, text: str) -> None:
        contract = parse_spans(text, source="spans.txt")
        self.version = contract.version
        self.resource = {one.name: one for one in contract.resource}
        self.never_keys = {word.name for word in contract.never_keys}
        self.never_values = {word.name for word in contract.never_values}
        self.spans = {span.key: span for span in contract.spans}

    def promise_of(self, span: ReadableSpan) -> SpanPromise:
        """Return the promise that ``span`` falls under; AssertionError where there is not exactly one."""
        found = [promise for promise in self.spans.values() if covers(promise, span)]
        scope = span.instrumentation_scope
        assert len(found) == 1, f"span {span.name!r} ({span.kind.name}, {scope}) falls under {len(found)} promises"
        return found[0]

    def check(self, span: ReadableSpan) -> SpanPromise:
        """Hold a span to its promise, its resource and what no span may have; return the promise."""
        promise = self.promise_of(span)
        faults = _span_faults(promise, span)
        faults += _attribute_faults(self.resource.values(), span.resource.attributes, is_open=True, is_error=False)
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


def load_span_contract(path: Path | None = None) -> SpanContract:
    """Read the packaged contract, or the file ``path``."""
    source = path or Path(load_spans().source)
    contract = SpanContract(source.read_text(encoding="utf-8"))
    assert contract.never_values == _VALUE_RULES
    return contract
