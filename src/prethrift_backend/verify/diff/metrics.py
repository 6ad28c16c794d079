"""What changed between two metrics contracts: their families, the scrape, the budget, what is announced to go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from prethrift_backend.contracts import Deprecation, MetricsContract, Scrape
from prethrift_backend.verify.diff.changes import Change, parse_version
from prethrift_backend.verify.diff.consumers import ConsumerIndex, Use
from prethrift_backend.verify.diff.families import family_changes
from prethrift_backend.verify.diff.pairs import is_raised, with_bounds

# The least scrapes that a range needs for a rate to survive one that is lost.
_SCRAPES_PER_RANGE: Final = 4


def diff_metrics(old: MetricsContract, new: MetricsContract, *, consumers: ConsumerIndex) -> list[Change]:
    """Return every difference that someone can notice who reads the metrics."""
    return [
        *_scrape_changes(old.scrape, new.scrape, consumers),
        *_cost_changes(old, new),
        *_deprecation_changes(old, new),
        *family_changes(old, new),
    ]


def _scrape_changes(old: Scrape | None, new: Scrape | None, consumers: ConsumerIndex) -> Iterator[Change]:
    if old is None or old == new:
        return
    use = Use((old.job,))
    if new is None:
        yield Change("M040", "metrics", "SCRAPE", "SCRAPE is gone: nobody knows how to collect", use=use)
        return
    for what, before, after in (("job", old.job, new.job), ("path", old.path, new.path)):
        if before != after:
            message = f"the {what} of the scrape is another"
            yield Change("M040", "metrics", f"SCRAPE {what}", message, expected=before, observed=after, use=use)
    if old.timeout_seconds != new.timeout_seconds:
        before, after = f"{old.timeout_seconds:g}s", f"{new.timeout_seconds:g}s"
        message = "the timeout of the scrape is another"
        yield Change("M050", "metrics", "SCRAPE timeout", message, expected=before, observed=after)
    yield from _interval_changes(old, new, consumers)


def _interval_changes(old: Scrape, new: Scrape, consumers: ConsumerIndex) -> Iterator[Change]:
    before, after = old.interval_seconds, new.interval_seconds
    if before == after:
        return
    change = Change(
        "M041",
        "metrics",
        "SCRAPE interval",
        f"the scrape interval went {'up' if after > before else 'down'}",
        expected=f"{before:g}s",
        observed=f"{after:g}s",
    )
    if after < before:
        yield replace(change, level="info")
    else:
        yield replace(change, places=consumers.find_ranges_below(_SCRAPES_PER_RANGE * after))


def _cost_changes(old: MetricsContract, new: MetricsContract) -> Iterator[Change]:
    budgets = (
        ("series", old.budget.series, new.budget.series),
        ("bytes", old.budget.bytes, new.budget.bytes),
        ("scrape_seconds", old.budget.scrape_seconds, new.budget.scrape_seconds),
    )
    for what, before, after in budgets:
        if is_raised(before, after):
            message = f"the budget of {what} went up"
            yield with_bounds(Change("M030", "metrics", f"BUDGET {what}", message), before, after)
        elif before != after:
            message = f"the budget of {what} went down"
            yield with_bounds(Change("M050", "metrics", f"BUDGET {what}", message), before, after)


def _deprecation_changes(old: MetricsContract, new: MetricsContract) -> Iterator[Change]:
    before = {gone.name: gone for gone in old.deprecations}
    for gone in new.deprecations:
        earlier = before.get(gone.name)
        if gone != earlier:
            yield from _window_changes(gone)
            yield from _moved(earlier, gone) if earlier is not None else (_announced(gone),)


def _announced(gone: Deprecation) -> Change:
    message = f"{gone.name} will go with version {gone.remove}"
    return Change("M005", "metrics", gone.name, message, line=gone.line, observed=f"remove={gone.remove}")


def _window_changes(gone: Deprecation) -> Iterator[Change]:
    if gone.replaced_by is None:
        message = f"{gone.name} is DEPRECATED and nothing replaces it"
        fix = "add replaced-by=FAMILY"
        yield Change("V003", "metrics", gone.name, message, line=gone.line, bump="patch", fix=fix)
    elif parse_version(gone.remove)[0] <= parse_version(gone.since)[0]:
        message = f"{gone.name} goes with {gone.remove}, and is DEPRECATED since {gone.since}"
        fix = f"write remove={parse_version(gone.since)[0] + 1}.0.0 or later"
        yield Change("V003", "metrics", gone.name, message, line=gone.line, bump="patch", fix=fix)


def _moved(earlier: Deprecation, gone: Deprecation) -> Iterator[Change]:
    for what, before, after in (("since", earlier.since, gone.since), ("remove", earlier.remove, gone.remove)):
        if parse_version(after) < parse_version(before):
            message = f"{what}= of the DEPRECATED {gone.name} moved to an earlier version"
            yield Change("M060", "metrics", gone.name, message, expected=before, observed=after, line=gone.line)
