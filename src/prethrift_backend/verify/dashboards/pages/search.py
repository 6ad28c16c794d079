"""Searches, and the models that they wait for."""

from __future__ import annotations

from prethrift_backend.contracts import MetricsContract
from prethrift_backend.verify.dashboards.families import Families
from prethrift_backend.verify.dashboards.model import Page, Panel, Row, Threshold


def make_page(contract: MetricsContract) -> Page:
    """Make the page.

    Raises ContractError where it asks for what the contract has not.
    """
    families = Families(contract)
    return Page(
        "search",
        "Prethrift: search and embeddings",
        "Searches by words and by picture, the embedding models, their queue and their cache.",
        (Row("Searches", _searches(families)), Row("Models", _models(families)), Row("Queue", _queue(families))),
    )


def _searches(families: Families) -> tuple[Panel, ...]:
    name = "search_operations_total"
    failing = families.share(name, "Searches that fail by type", "search_type", part='status="error"')
    return (
        families.rate(name, "search_type", "status"),
        failing.marked(Threshold(0.1)),
        families.quantiles("search_duration_seconds", "search_type"),
        families.heatmap("search_duration_seconds").sized(24),
    )


def _models(families: Families) -> tuple[Panel, ...]:
    name = "embedding_operations_total"
    failing = families.share(name, "Embeddings that fail by model", "operation_type", part='status="error"')
    return (
        families.rate(name, "operation_type", "status"),
        failing.marked(Threshold(0.05)),
        families.quantiles("embedding_duration_seconds", "operation_type"),
        families.heatmap("embedding_duration_seconds").sized(12),
        families.quantiles("embedding_batch_size", "operation_type").sized(12),
    )


def _queue(families: Families) -> tuple[Panel, ...]:
    cache = "embedding_cache_requests_total"
    panels = (
        families.gauge("embedding_queue_length", "operation_type").marked(Threshold(200.0)),
        families.quantiles("embedding_queue_wait_seconds", "operation_type"),
        families.rate(cache, "result").stacked(),
        families.share(cache, "Vectors from the cache", part='result=~"hit|joined"'),
    )
    return tuple(panel.sized(6) for panel in panels)
