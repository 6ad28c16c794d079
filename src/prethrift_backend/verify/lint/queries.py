"""Rule files, their tests and dashboards, as a part of a lint: what ``lint-queries`` says of them, and the tests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from prethrift_backend.contracts import Contracts
from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.alerts.cases import is_test_file
from prethrift_backend.verify.alerts.tests import check_alerts
from prethrift_backend.verify.lint.outcome import Part, query_rules
from prethrift_backend.verify.promql.checks import Known
from prethrift_backend.verify.promql.command import sort_paths
from prethrift_backend.verify.promql.dashboards import lint_dashboards
from prethrift_backend.verify.promql.rule_files import know_rules, lint_rule_files, read_rule_file
from prethrift_backend.verify.promql.scrape_configs import scrape_jobs, scrape_labels
from prethrift_backend.verify.promql.shapes import TARGET_LABELS
from prethrift_backend.verify.promql.tree import QueryError, check_installed


def queries_part(contracts: Contracts, paths: Sequence[Path]) -> Part:
    """Hold rule files and dashboards against the metrics contract, and alerts against their tests.

    Raises ContractError where a path holds none, or the parser of queries is not installed.
    """
    try:
        check_installed()
    except QueryError as error:
        raise ContractError(str(error)) from error
    rules, dashboards = sort_paths(paths)
    files = [read_rule_file(path) for path in rules]
    labels = TARGET_LABELS | scrape_labels(paths)
    known = know_rules(files, Known(contracts.metrics, jobs=scrape_jobs(paths), target_labels=labels))
    rule_findings, alerts = lint_rule_files(files, known)
    panel_findings, panels = lint_dashboards(dashboards, known)
    findings = (*rule_findings, *panel_findings, *check_alerts(files, tests=test_files(paths)))
    return Part(findings, (*alerts, *panels), query_rules())


def test_files(paths: Iterable[Path]) -> list[Path]:
    """Return the files of promtool's tests among the paths and in their folders."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.rglob("*.y*ml")) if path.is_dir() else [path]
        found += [file for file in inside if is_test_file(file.relative_to(path) if path.is_dir() else file)]
    return list(dict.fromkeys(found))
