"""The items of a folder of contracts: what a report counts as looked at."""

from __future__ import annotations

from collections.abc import Iterator

from prethrift_backend.contracts import Contracts
from prethrift_backend.verify.findings import Item, Place


def items_of(contracts: Contracts) -> tuple[Item, ...]:
    """Return every family, event, span and setting as an observed item, and the health schema as one."""
    return tuple(_items(contracts))


def overhead_items(contracts: Contracts) -> tuple[Item, ...]:
    """Return every case of the overhead contract: tests count them, and no running service shows them."""
    overhead = contracts.overhead
    if overhead is None:
        return ()
    lines = {budget.case: budget.line for budget in reversed(overhead.budgets)}
    return tuple(Item("overhead", case, Place(overhead.source, lines[case])) for case in overhead.cases)


def _items(contracts: Contracts) -> Iterator[Item]:
    metrics, logs, spans, settings = contracts.metrics, contracts.logs, contracts.spans, contracts.settings
    for family in metrics.families:
        yield Item("metrics", family.name, Place(metrics.source, family.line))
    if logs is not None:
        for event in logs.events:
            yield Item("logs", event.name, Place(logs.source, event.line))
    if spans is not None:
        for span in spans.spans:
            yield Item("spans", span.key, Place(spans.source, span.line))
    if settings is not None:
        for setting in settings.settings:
            yield Item("settings", setting.name, Place(settings.source, setting.line))
    if contracts.health_schema is not None:
        path = contracts.directory / "health.schema.json"
        yield Item("health", path.name, Place(str(path)))
