"""The pool of connections and the statements."""

from __future__ import annotations

from prethrift_backend.contracts import MetricsContract
from prethrift_backend.verify.dashboards.families import Families, describe
from prethrift_backend.verify.dashboards.model import SELECTOR, Page, Panel, Query, Row, Threshold


def make_page(contract: MetricsContract) -> Page:
    """Make the page.

    Raises ContractError where it asks for what the contract has not.
    """
    families = Families(contract)
    return Page(
        "database",
        "Prethrift: database pool",
        "Who waits for a connection, and what the statements cost.",
        (Row("Pool", _pool(families)), Row("Statements", _statements(families))),
    )


def _pool(families: Families) -> tuple[Panel, ...]:
    return (
        families.gauge("db_pool_connections", "state"),
        _used(families),
        families.gauge("health_check_up", "instance", only='check="database"').as_timeline(),
        families.quantiles("db_pool_wait_seconds"),
        families.heatmap("db_pool_wait_seconds"),
        families.increase("db_pool_timeouts_total", "instance").marked(Threshold(1.0)),
    )


def _used(families: Families) -> Panel:
    family = families.contract.family("db_pool_connections")
    used, size = (f'sum by (instance) ({family.name}{{{SELECTOR},state="{state}"}})' for state in ("in_use", "size"))
    return Panel(
        title="Database pool, share in use by instance",
        description=f"Above 100 % the pool works with its overflow.\n\n{describe(family)}",
        unit="percentunit",
        queries=(Query(f"{used} / {size}", "{{instance}}"),),
        thresholds=(Threshold(0.9),),
    )


def _statements(families: Families) -> tuple[Panel, ...]:
    name = "db_statement_duration_seconds"
    return (
        families.rate(name, "operation"),
        families.quantiles(name, "operation"),
        families.quantiles("db_statements_per_request"),
        families.heatmap(name).sized(24),
    )
