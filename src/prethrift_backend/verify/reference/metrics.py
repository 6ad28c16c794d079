"""``metrics.md``: every family with its labels, its bounds, an example and a query."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prethrift_backend.contracts import Deprecation, MetricFamily, MetricLabel, MetricsContract
from prethrift_backend.verify.reference.examples import example_series, plain_number
from prethrift_backend.verify.reference.markdown import (
    alternatives,
    block,
    code,
    link,
    make_anchors,
    page,
    paragraph,
    table,
    text,
)
from prethrift_backend.verify.reference.queries import example_queries

_TITLE: Final = "Metrics"
_SECTIONS: Final = ("Scrape", "Families", "Going away", "Of libraries")
_PRESENCE: Final = {
    "always": "from the first scrape on",
    "after-traffic": "once there was traffic",
    "after-error": "once something went wrong",
}
_ACROSS: Final = {
    "sum": "the values of several workers are added up",
    "max": "of several workers, the highest value counts",
    "min": "of several workers, the lowest value counts",
}


def render_metrics(metrics: MetricsContract) -> str:
    """Return ``metrics.md``."""
    names = [family.name for family in metrics.families]
    anchors = make_anchors([_TITLE, *_SECTIONS[:2], *names, *_SECTIONS[2:]])
    deprecations = {gone.name: gone for gone in metrics.deprecations}
    blocks = [*_scrape(metrics), f"## {_SECTIONS[1]}", _contents(metrics, anchors)]
    for family in metrics.families:
        blocks += _family(family, metrics, deprecations.get(family.name), anchors)
    return page(_TITLE, [*blocks, *_going(metrics, anchors), *_external(metrics)])


def _scrape(metrics: MetricsContract) -> Iterator[str]:
    yield f"## {_SECTIONS[0]}"
    if metrics.scrape is not None:
        interval, timeout = (
            plain_number(one) for one in (metrics.scrape.interval_seconds, metrics.scrape.timeout_seconds)
        )
        how = f"every {interval} s, for {timeout} s at most"
        yield f"Job {code(metrics.scrape.job)} asks for {code(metrics.scrape.path)} {how}."
    limits = {
        "series": metrics.budget.series,
        "bytes": metrics.budget.bytes,
        "seconds": metrics.budget.scrape_seconds,
    }
    said = [f"{plain_number(limit)} {what}" for what, limit in limits.items() if limit is not None]
    yield (
        f"One scrape of one process costs at most {', '.join(said)}." if said else "What a scrape may cost is not said."
    )


def _contents(metrics: MetricsContract, anchors: dict[str, str]) -> str:
    rows = [
        (link(code(family.name), anchors[family.name]), family.kind, family.stability, text(family.help))
        for family in metrics.families
    ]
    return table(("family", "type", "stability", "what it says"), rows) if rows else "There is none."


def _family(
    family: MetricFamily, metrics: MetricsContract, gone: Deprecation | None, anchors: dict[str, str]
) -> Iterator[str]:
    yield f"### {code(family.name)}"
    yield paragraph(text(family.help))
    yield paragraph(text(family.note))
    yield "\n".join(f"- {fact}" for fact in _facts(family, gone, anchors))
    if family.labels:
        yield table(("label", "values", "at most", "any other becomes", "meaning"), map(_label, family.labels))
    samples = example_series(family)
    if samples:
        yield block("\n".join(samples), "text")
    for answer, query in example_queries(family, metrics):
        yield f"{answer}:"
        yield block(query, "promql")


def _facts(family: MetricFamily, gone: Deprecation | None, anchors: dict[str, str]) -> Iterator[str]:
    unit = f", in {text(family.unit)}" if family.unit else ""
    yield f"type: {family.kind}{unit}"
    since = f", since {text(family.since)}" if family.since else ""
    until = f", expires with {text(family.expires)}" if family.expires else ""
    owner = f"; owner: {text(family.owner)}" if family.owner else ""
    yield f"stability: {family.stability}{since}{until}{owner}"
    yield f"there: {_presence(family)}"
    if family.max_series is not None:
        yield f"series: {family.max_series} at most in one process"
    if family.buckets:
        yield f"buckets, by their upper bounds: {alternatives(map(plain_number, (*family.buckets, float('inf'))))}"
    if family.kind == "gauge":
        yield _ACROSS[family.across]
    if gone is not None:
        yield f"deprecated: {_going_words(gone, anchors)}"


def _presence(family: MetricFamily) -> str:
    words = _PRESENCE.get(family.presence) or f"where {code(family.presence.removeprefix('if='))} is in use"
    if family.init == "all":
        return f"{words}, every series at 0 from the start"
    if family.init:
        pairs = alternatives(f"{name}={value}" for name, value in family.init)
        return f"{words}; from the start at 0: {pairs}"
    return words


def _label(label: MetricLabel) -> tuple[str, ...]:
    bound = label.most_values if label.is_closed else label.max_values
    overflow = code(label.overflow) if label.overflow is not None else ""
    return code(label.name), _values(label), "" if bound is None else str(bound), overflow, text(label.note)


def _values(label: MetricLabel) -> str:
    if label.pattern is not None:
        return f"matches {code(label.pattern)}"
    if label.kind == "open":
        return "any text"
    return alternatives(label.values) + (", others may come" if label.kind == "enum+" else "")


def _going(metrics: MetricsContract, anchors: dict[str, str]) -> Iterator[str]:
    if metrics.deprecations:
        yield f"## {_SECTIONS[2]}"
        yield "\n".join(f"- {code(gone.name)}: {_going_words(gone, anchors)}" for gone in metrics.deprecations)


def _going_words(gone: Deprecation, anchors: dict[str, str]) -> str:
    successor = gone.replaced_by
    instead = f"; use {link(code(successor), anchors[successor])}" if successor in anchors and successor else ""
    return f"since {text(gone.since)}, gone with {text(gone.remove)}{instead}"


def _external(metrics: MetricsContract) -> Iterator[str]:
    if metrics.external:
        yield f"## {_SECTIONS[3]}"
        yield f"These may be there as well, and nobody promises them: {alternatives(metrics.external)}."
