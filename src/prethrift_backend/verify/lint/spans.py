"""``spans.txt`` held against itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import combinations
from typing import Final

from prethrift_backend.contracts import Contracts, SpanPromise, SpansContract
from prethrift_backend.contracts.spans import placeholders
from prethrift_backend.contracts.values import PromisedValue
from prethrift_backend.verify.findings import Finding, Place
from prethrift_backend.verify.lint.findings import About
from prethrift_backend.verify.lint.values import check_conditions, check_never, check_types

_ERROR_TYPE: Final = "error.type"
_ATTRIBUTE: Final = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)*")
_PLACEHOLDER: Final = re.compile(r"\{[^{}]*\}")
_IDENTITIES: Final = frozenset(
    {"id", "path", "url", "full", "query", "uri", "target", "address", "email", "key", "message", "status_code", "text"}
)


def check_spans(spans: SpansContract, contracts: Contracts) -> Iterator[Finding]:
    """Return what is wrong with a span contract beyond what its parser refuses."""
    values = list(span_values(spans))
    yield from check_types("FS004", values)
    yield from check_never(values, spans)
    yield from check_conditions(values, contracts)
    yield from _check_names_of(values)
    yield from _check_resource(spans)
    yield from _check_twins(spans)
    for span in spans.spans:
        about = _about(span, spans)
        yield from _check_name(span, about)
        yield from _check_status(span, about)
        yield from _check_parent(span, spans, about)
        yield from _check_room(span, spans, about)


def span_values(spans: SpansContract) -> Iterator[tuple[About, PromisedValue]]:
    """Yield every promised attribute with the span that it belongs to; those of the process belong to ``RESOURCE``."""
    resource = About("spans", "RESOURCE", Place(spans.source, 1))
    for attribute in spans.resource:
        yield resource, attribute
    for span in spans.spans:
        about = _about(span, spans)
        for attribute in (*span.attributes, *(one for event in span.events for one in event.attributes)):
            yield about, attribute


def _about(span: SpanPromise, spans: SpansContract) -> About:
    return About("spans", span.key, Place(spans.source, span.line))


def _check_names_of(values: list[tuple[About, PromisedValue]]) -> Iterator[Finding]:
    for about, value in values:
        if _ATTRIBUTE.fullmatch(value.name) is None:
            message = f"the attribute {value.name!r} of {about.name!r} is not written as attributes are"
            yield about.at(value.line).fault("FS003", message, "use lower case, and dots or '_' between words")


def _check_resource(spans: SpansContract) -> Iterator[Finding]:
    if not any(one.name == "service.name" and one.required for one in spans.resource):
        about = About("spans", "RESOURCE", Place(spans.source, 1))
        message = "the resource need not have service.name"
        yield about.fault("FS007", message, "add 'RESOURCE service.name string required'")


def _check_twins(spans: SpansContract) -> Iterator[Finding]:
    for first, second in combinations(spans.spans, 2):
        forms = _forms(first) & _forms(second)
        if first.kind == second.kind and forms and _scopes_meet(first.scope, second.scope):
            message = f"a span {min(forms)!r} falls under {first.key!r} and under {second.key!r}"
            fix = "make kind, scope or NAME of one of them differ"
            yield _about(second, spans).fault("FS001", message, fix)


def _forms(span: SpanPromise) -> set[str]:
    return {_PLACEHOLDER.sub("{}", name) for name in span.names}


def _scopes_meet(first: str, second: str) -> bool:
    return fnmatchcase(first, second) or fnmatchcase(second, first)


def _check_name(span: SpanPromise, about: About) -> Iterator[Finding]:
    for name in span.names:
        for attribute in placeholders(name):
            promised = span.attribute(attribute)
            is_closed = promised is not None and promised.type.is_closed
            if attribute.rpartition(".")[2] in _IDENTITIES and not is_closed:
                message = f"the name {name!r} of {span.key!r} has as many values as {attribute!r}"
                yield about.fault("FS002", message, "leave it out of the name: it is an attribute already")


def _check_status(span: SpanPromise, about: About) -> Iterator[Finding]:
    promised = span.attribute(_ERROR_TYPE)
    can_fail = "error" in span.statuses
    if can_fail and promised is None and not span.is_open:
        message = f"{span.key!r} may fail, and nothing says why"
        yield about.fault("FS005", message, "add 'error.type string max=200 required-if=error'")
    elif can_fail and promised is not None and promised.required_if != ("error",):
        message = f"{_ERROR_TYPE} of {span.key!r} is not there exactly where the span failed"
        yield about.at(promised.line).fault("FS005", message, "write required-if=error")
    elif promised is not None and not can_fail:
        message = f"{span.key!r} has {_ERROR_TYPE}, and STATUS has no error"
        yield about.at(promised.line).fault("FS005", message, "add error to STATUS, or take the attribute away")


def _check_parent(span: SpanPromise, spans: SpansContract, about: About) -> Iterator[Finding]:
    parents = {one.key: one.parent for one in spans.spans}
    seen, key = {span.key}, span.parent
    while key is not None and key not in seen:
        seen.add(key)
        key = parents.get(key)
    if key == span.key:
        yield about.fault("FS006", f"the parents of {span.key!r} lead back to it", "correct parent=")


def _check_room(span: SpanPromise, spans: SpansContract, about: About) -> Iterator[Finding]:
    limits = spans.limits
    if limits.max_attributes is not None and len(span.attributes) > limits.max_attributes:
        message = f"{span.key!r} has {len(span.attributes)} attributes, and a span may have {limits.max_attributes}"
        yield about.fault("FL006", message, "raise max-attributes of RECORD, or promise fewer")
    for attribute in span.attributes:
        length = attribute.type.max_length
        if limits.max_text is not None and length is not None and length > limits.max_text:
            message = f"{attribute.name!r} of {span.key!r} may have {length} characters, and a text {limits.max_text}"
            yield about.at(attribute.line).fault("FL006", message, "lower max=, or raise max-text of RECORD")
