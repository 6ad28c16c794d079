"""``spans.md``: what every span says of its process, and every kind of span with all that it may have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prethrift_backend.contracts import SpanPromise, SpansContract
from prethrift_backend.verify.reference.markdown import (
    alternatives,
    code,
    link,
    make_anchors,
    page,
    paragraph,
    table,
    text,
)
from prethrift_backend.verify.reference.values import how_often, never, values_table

_TITLE: Final = "Spans"
_SECTIONS: Final = ("Every span", "Never", "Kinds of span")
_LIMITS: Final = ("max_attributes", "max_events", "max_links", "max_text")


def render_spans(spans: SpansContract) -> str:
    """Return ``spans.md``."""
    anchors = make_anchors([_TITLE, *_SECTIONS, *(span.key for span in spans.spans)])
    blocks = [*_every_span(spans), f"## {_SECTIONS[1]}"]
    blocks += list(never(spans.never_keys, spans.never_values)) or ["Nothing is excluded."]
    blocks += [f"## {_SECTIONS[2]}", _contents(spans, anchors)]
    for span in spans.spans:
        blocks += _span(span, anchors)
    return page(_TITLE, blocks)


def _every_span(spans: SpansContract) -> Iterator[str]:
    yield f"## {_SECTIONS[0]}"
    yield paragraph(text(spans.limits.note))
    given = {name: getattr(spans.limits, name) for name in _LIMITS}
    words = [f"{bound} {_limited(name)}" for name, bound in given.items() if bound is not None]
    yield f"A span has at most {', '.join(words)}." if words else ""
    yield values_table("of its process", spans.resource) if spans.resource else "Of its process it says nothing."


def _limited(name: str) -> str:
    return "characters in one text" if name == "max_text" else name.removeprefix("max_")


def _contents(spans: SpansContract, anchors: dict[str, str]) -> str:
    rows = [
        (link(code(span.key), anchors[span.key]), _names(span), span.kind, span.stability, text(span.note))
        for span in spans.spans
    ]
    return table(("span", "names", "kind", "stability", "when"), rows) if rows else "There is none."


def _names(span: SpanPromise) -> str:
    return alternatives(span.names)


def _span(span: SpanPromise, anchors: dict[str, str]) -> Iterator[str]:
    yield f"### {code(span.key)}"
    yield paragraph(text(span.note))
    yield "\n".join(f"- {fact}" for fact in _facts(span, anchors))
    if span.attributes:
        yield values_table("attribute", span.attributes)
    for event in span.events:
        note = f": {text(event.note)}" if event.note else ""
        yield f"Event {code(event.name)}, {how_often(event.count)}{note}"
        if event.attributes:
            yield values_table("attribute of the event", event.attributes)


def _facts(span: SpanPromise, anchors: dict[str, str]) -> Iterator[str]:
    yield f"names: {_names(span)}"
    yield f"kind: {span.kind}; scope: {code(span.scope)}"
    yield f"stability: {span.stability}"
    yield f"how often: {how_often(span.count)}"
    if span.parent is not None:
        yield f"always within: {link(code(span.parent), anchors[span.parent])}"
    yield f"status: {alternatives(span.statuses)}{_beside(span.status_note)}"
    for one in span.links:
        yield f"link {code(one.name)}: {how_often(one.count)}{_beside(one.note)}"
    others = "others may come" if span.is_open else "no others"
    yield f"attributes and events beside those below: {others}{_beside(span.open_note)}"


def _beside(note: str) -> str:
    return f" ({text(note)})" if note else ""
