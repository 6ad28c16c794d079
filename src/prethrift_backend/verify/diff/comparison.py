"""Two sets of contracts compared: what changed, who is hurt, and which version the change needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from prethrift_backend.contracts import parse_logs, parse_metrics, parse_settings, parse_spans
from prethrift_backend.contracts.overhead_parser import parse_overhead
from prethrift_backend.verify.diff.baseline import CONTRACT_FILES, ContractTexts
from prethrift_backend.verify.diff.changes import Change, largest_bump, make_finding
from prethrift_backend.verify.diff.consumers import ConsumerIndex
from prethrift_backend.verify.diff.files import FilePair
from prethrift_backend.verify.diff.health import diff_health, read_health_schema
from prethrift_backend.verify.diff.logs import diff_logs
from prethrift_backend.verify.diff.metrics import diff_metrics
from prethrift_backend.verify.diff.overhead import diff_overhead
from prethrift_backend.verify.diff.settings import diff_settings
from prethrift_backend.verify.diff.spans import diff_spans
from prethrift_backend.verify.diff.versions import health_version_changes, version_changes
from prethrift_backend.verify.findings import Finding, Signal

SIGNALS: Final[dict[str, Signal]] = {
    "metrics.txt": "metrics",
    "logs.txt": "logs",
    "spans.txt": "spans",
    "settings.txt": "settings",
    "overhead.txt": "overhead",
    "health.schema.json": "health",
}


@dataclass(frozen=True, slots=True)
class _Side:
    text: str
    source: str


def diff_contracts(
    old: ContractTexts, new: ContractTexts, *, consumers: ConsumerIndex | None = None, files: FilePair | None = None
) -> tuple[Finding, ...]:
    """Return what changed from the old to the new contracts, file by file, and in the rules and dashboards over them.

    Raises ContractError where a file of either side cannot be read.
    """
    index = consumers or ConsumerIndex()
    findings = [finding for name in CONTRACT_FILES for finding in _file_findings(name, old, new, index)]
    return (*findings, *(_operations(files, old, new) if files is not None else ()))


def _operations(files: FilePair, old: ContractTexts, new: ContractTexts) -> Iterator[Finding]:
    before, after = old.texts.get("metrics.txt"), new.texts.get("metrics.txt")
    contract = None if after is None else parse_metrics(after, source=new.source("metrics.txt"))
    for place, change in files.changes(contract, contract_changed=before != after):
        finding = make_finding(change, path=place.path, consumers=ConsumerIndex())
        yield replace(finding, place=place)


def _file_findings(name: str, old: ContractTexts, new: ContractTexts, consumers: ConsumerIndex) -> Iterator[Finding]:
    before, after = old.texts.get(name), new.texts.get(name)
    if before is None or before == after:
        return
    path = new.source(name)
    if after is None:
        change = Change("V002", SIGNALS[name], name, f"the contract {name} is gone")
        yield make_finding(change, path=path, consumers=consumers)
        return
    for change in _changes(name, _Side(before, old.source(name)), _Side(after, path), consumers):
        yield make_finding(change, path=path, consumers=consumers)


def _changes(name: str, old: _Side, new: _Side, consumers: ConsumerIndex) -> list[Change]:
    if name == "health.schema.json":
        return _health_changes(old, new)
    signal = SIGNALS[name]
    changes, before, after = _text_changes(signal, old, new, consumers)
    versions = version_changes(signal, before, after, bump=largest_bump(changes), changes=changes)
    return [*changes, *versions]


def _text_changes(signal: Signal, old: _Side, new: _Side, consumers: ConsumerIndex) -> tuple[list[Change], str, str]:
    """Return the changes of one file and its two versions."""
    if signal == "metrics":
        metrics = parse_metrics(old.text, source=old.source), parse_metrics(new.text, source=new.source)
        return diff_metrics(*metrics, consumers=consumers), metrics[0].version, metrics[1].version
    if signal == "logs":
        logs = parse_logs(old.text, source=old.source), parse_logs(new.text, source=new.source)
        return diff_logs(*logs), logs[0].version, logs[1].version
    if signal == "spans":
        spans = parse_spans(old.text, source=old.source), parse_spans(new.text, source=new.source)
        return diff_spans(*spans), spans[0].version, spans[1].version
    if signal == "overhead":
        overhead = parse_overhead(old.text, source=old.source), parse_overhead(new.text, source=new.source)
        return diff_overhead(*overhead), overhead[0].version, overhead[1].version
    settings = parse_settings(old.text, source=old.source), parse_settings(new.text, source=new.source)
    return diff_settings(*settings), settings[0].version, settings[1].version


def _health_changes(old: _Side, new: _Side) -> list[Change]:
    before, after = read_health_schema(old.text, source=old.source), read_health_schema(new.text, source=new.source)
    changes = diff_health(before, after)
    return [*changes, *health_version_changes(before.major, after.major, changes=changes)]
