"""A folder of contracts held against itself."""

from __future__ import annotations

from prethrift_backend.contracts import Contracts
from prethrift_backend.verify.findings import Finding
from prethrift_backend.verify.lint.across import check_across
from prethrift_backend.verify.lint.health import check_health
from prethrift_backend.verify.lint.logs import check_logs
from prethrift_backend.verify.lint.metrics import check_metrics
from prethrift_backend.verify.lint.overhead import check_overhead
from prethrift_backend.verify.lint.settings import check_settings
from prethrift_backend.verify.lint.spans import check_spans
from prethrift_backend.verify.lint.values import check_secrets


def lint_contracts(contracts: Contracts) -> list[Finding]:
    """Return what is wrong with the contracts, whatever the code does; no code is looked at."""
    findings = [*check_metrics(contracts.metrics)]
    if contracts.logs is not None:
        findings += check_logs(contracts.logs, contracts)
    if contracts.spans is not None:
        findings += check_spans(contracts.spans, contracts)
    if contracts.settings is not None:
        findings += check_settings(contracts.settings)
    if contracts.overhead is not None:
        findings += check_overhead(contracts.overhead)
    if contracts.health_schema is not None:
        findings += check_health(contracts)
    return [*findings, *check_secrets(contracts), *check_across(contracts)]
