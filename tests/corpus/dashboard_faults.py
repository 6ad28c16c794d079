"""Dashboards whose panels show nothing, or something else; and what may be moved about on one.

The dashboard is ``samples/ops/grafana/service.json``, which stands in the copy of the tree as any other file.
"""

from __future__ import annotations

from typing import Final

from tests.corpus.change import Change, File
from tests.corpus.contract_faults import METRICS

_DASHBOARD: Final = File("ops/grafana/service.json")

_METHOD: Final = '=~\\"$method\\"'
_ALL_METHODS: Final = '"query": "GET,POST",\n        "includeAll": true,\n        "allValue": ".*"'
_RELEASES: Final = '"title": "Releases",\n      "datasource": {\n        "type": "prometheus",\n        "uid": "'
_SHARE: Final = (
    '(sum(rate(http_requests_total{status_code=~\\"5..\\"}[5m])) or vector(0)) / sum(rate(http_requests_total[5m]))'
)
_SEED: Final = 'rate(http_requests_total{status_code=~\\"5..\\"}[5m]) / rate(http_requests_total[5m])'
_POOL: Final = "sum by (state) (db_pool_connections)"
_SEARCHES: Final = "(rate(search_operations_total[5m]))"


_SEARCH_FAMILY: Final = """# HELP search_operations_total Searches, by text or by picture, and how they ended.
# TYPE search_operations_total counter
# META search_operations_total stability=stable since=1.0.0 owner=backend
# LABEL search_operations_total search_type enum text|visual
# LABEL search_operations_total status enum success|error|cancelled
# SERIES search_operations_total max=6 presence=always init=all
search_operations_total{search_type="text",status="success"} 1
"""


def _breaks(rule: str, name: str, old: str, new: str, *, command: str = "lint-queries") -> Change:
    return Change(name, "dashboards", command, rule, (_DASHBOARD.swap(old, new),))


def _fits(name: str, old: str, new: str) -> Change:
    return Change(name, "dashboards", "lint-queries", None, (_DASHBOARD.swap(old, new),))


DASHBOARD_FAULTS: Final = (
    _breaks("DB1", "a variable is not declared", _METHOD, '=~\\"$verb\\"'),
    _breaks("DB2", "'All' has no value", _ALL_METHODS, _ALL_METHODS.rpartition(",")[0]),
    _breaks("DB2", "a panel has no unit", '"unit": "reqps"', '"unit": ""'),
    _breaks("DB2", "a panel's data source is in one Grafana only", f"{_RELEASES}${{datasource}}", f"{_RELEASES}PBFA97"),
    _breaks(
        "DB2",
        "a variable has its values from what comes with traffic",
        "label_values(build_info, version)",
        "label_values(http_requests_total, method)",
    ),
    _breaks("PQ003", "a variable asks for a label that is not there", "(build_info, version)", "(build_info, release)"),
    _breaks("PQ002", "a panel asks for a name that is not exported", "(db_pool_connections)", "(db_connections)"),
    _breaks("PQ004", "a panel asks for a value that is not allowed", _METHOD, '=\\"get\\"'),
    _breaks("PQ001", "the seed's ratio: each series by itself", _SHARE, _SEED),
    _breaks(
        "PQ005",
        "a panel takes the rate of a gauge",
        _POOL,
        _POOL.replace("(db_pool_connections)", "(rate(db_pool_connections[5m]))"),
    ),
    _breaks("PQ006", "a quantile loses its buckets", "0.95, sum by (le)", "0.95, sum by (method)"),
    _breaks("PQ000", "a panel's query does not end", _SEARCHES, _SEARCHES.removesuffix(")")),
    _breaks("D001", "a dashboard has another address", '"uid": "corpus-service"', '"uid": "service"', command="diff"),
    _breaks("D001", "a panel has another number", '"id": 4,', '"id": 40,', command="diff"),
    _breaks("D001", "a panel is gone", '"title": "Releases"', '"title": "Failures"', command="diff"),
    Change(
        "a panel asks for what the new contract has not",
        "dashboards",
        "diff",
        "D002",
        (METRICS.cut(_SEARCH_FAMILY),),
        raises="major",
    ),
)

DASHBOARD_HARMLESS: Final = (
    _fits("a panel is moved", '"x": 12,\n        "y": 16', '"x": 0,\n        "y": 24'),
    _fits("a panel has another title", '"title": "Requests"', '"title": "Requests a second"'),
    _fits("another range at the start", '"from": "now-6h"', '"from": "now-24h"'),
    _fits("a range that Grafana chooses", _SEARCHES, _SEARCHES.replace("[5m]", "[$__rate_interval]")),
    _fits("a line has another name", '"legendFormat": "failing"', '"legendFormat": "of all answers"'),
)
