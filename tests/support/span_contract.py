"""``contracts/spans.txt`` as assertions: a finished span falls under one promise and keeps it."""

from __future__ import annotations

from pathlib import Path

from opentelemetry.sdk.trace import ReadableSpan

from prethrift_backend.contracts import SpanPromise, load_spans, parse_spans
from prethrift_backend.observability import Redactor
from prethrift_backend.verify.records.span_checks import SpanChecks
from prethrift_backend.verify.records.values import ObservedSpan, from_sdk

_REDACTOR = Redactor()


class SpanContract:
    """The whole file; `check` raises AssertionError with every fault of a span."""

    def __init__(self, text: str) -> None:
        self._checks = SpanChecks(parse_spans(text, source="spans.txt"))
        self.version = self._checks.contract.version
        self.spans = {span.key: span for span in self._checks.contract.spans}

    def promise_of(self, span: ReadableSpan) -> SpanPromise:
        """Return the promise that ``span`` falls under; AssertionError where there is not exactly one."""
        observed = from_sdk(span)
        promise = self._checks.promise_of(observed)
        assert promise is not None, [fault.message for fault in self._checks.faults(observed)]
        return promise

    def check(self, span: ReadableSpan) -> SpanPromise:
        """Hold a span to its promise, its resource and what no span may have; return the promise."""
        promise, observed = self.promise_of(span), from_sdk(span)
        faults = [fault.message for fault in self._checks.faults(observed)] + _unredacted(observed)
        assert not faults, f"span {span.name!r} breaks {promise.key!r} of spans.txt: {faults}"
        return promise


def _unredacted(span: ObservedSpan) -> list[str]:
    """Return what our own redaction, which knows more than the contract names, would have hidden."""
    events, links = [event.attributes for event in span.events], [link.attributes for link in span.links]
    return [
        f"{name!r} holds a secret"
        for tree in (span.attributes, *events, *links)
        for name, value in tree.items()
        if _REDACTOR.redact({name: "value"}) != {name: "value"}
        or (isinstance(value, str) and not _REDACTOR.is_clean(value))
    ]


def load_span_contract(path: Path | None = None) -> SpanContract:
    """Read the packaged contract, or the file ``path``."""
    return SpanContract((path or Path(load_spans().source)).read_text(encoding="utf-8"))
