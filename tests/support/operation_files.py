"""Rules, their tests and a dashboard of the real tree as texts, and what the comparison says of an edit of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tests.support.contract_edits import CONTRACTS, Edit

from prethrift_backend.verify.diff.baseline import ContractTexts, read_folder
from prethrift_backend.verify.diff.comparison import diff_contracts
from prethrift_backend.verify.diff.files import FilePair, FileTexts
from prethrift_backend.verify.findings import Finding

ROOT = Path(__file__).parents[2]
ALERTS = "ops/prometheus/rules/alerts.yml"
CASES = "ops/prometheus/tests/requests_test.yml"
DASHBOARD = "ops/grafana/searches.json"
JOBS = frozenset({"prethrift-health"})

_MODEL = {
    "uid": "searches",
    "title": "Searches",
    "templating": {
        "list": [
            {"name": "kind", "type": "query", "query": "label_values(search_operations_total, search_type)"},
            {"name": "datasource", "type": "datasource", "query": "prometheus"},
        ]
    },
    "panels": [
        {"type": "row", "title": "All"},
        {
            "type": "timeseries",
            "id": 1,
            "title": "Rate",
            "fieldConfig": {"defaults": {"unit": "ops"}},
            "targets": [
                {"expr": 'sum by (status) (rate(search_operations_total{search_type="$kind"}[$__rate_interval]))'}
            ],
        },
        {
            "type": "stat",
            "id": 2,
            "title": "Errors",
            "fieldConfig": {"defaults": {"unit": "percentunit"}},
            "targets": [{"expr": "job:http_errors:ratio_rate5m"}],
        },
    ],
}


def operation_files() -> dict[str, str]:
    """Return the texts by path."""
    folder = ROOT / "ops" / "prometheus"
    rules = {str(file.relative_to(ROOT)): file.read_text() for file in folder.rglob("*.yml")}
    return {**rules, DASHBOARD: json.dumps(_MODEL, indent=2)}


def findings_of_texts(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[Finding, ...]:
    """Return what the comparison says of two sets of texts under the same contracts."""
    contracts = read_folder(CONTRACTS)
    return diff_contracts(contracts, contracts, files=_pair(old, new))


def findings_of_edit(path: str, edit: Edit, *, also: Mapping[str, Edit] | None = None) -> tuple[Finding, ...]:
    """Return the findings after an edit of one file, and of others."""
    old = operation_files()
    changed = {name: one(old[name]) for name, one in {path: edit, **(also or {})}.items()}
    assert all(changed[name] != old[name] for name in changed), "an edit changed nothing"
    return findings_of_texts(old, {**old, **changed})


def findings_of_contract(edit: Edit, *, texts: Mapping[str, str] | None = None) -> tuple[Finding, ...]:
    """Return the findings of rules and dashboards, or of these texts, after an edit of metrics.txt."""
    texts, contracts = texts or operation_files(), read_folder(CONTRACTS)
    changed = {**contracts.texts, "metrics.txt": edit(contracts.texts["metrics.txt"])}
    found = diff_contracts(contracts, ContractTexts("new/", changed), files=_pair(texts, texts))
    return tuple(finding for finding in found if finding.signal in ("alerts", "dashboards"))


def _pair(old: Mapping[str, str], new: Mapping[str, str]) -> FilePair:
    roots = (Path("ops"),)
    return FilePair(FileTexts(old, roots), FileTexts(new, roots), JOBS)
