"""SARIF 2.1.0 (OASIS), for code scanning: rules with their help, findings at their lines."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any, Final

from prethrift_backend.verify._text import uri_of
from prethrift_backend.verify.findings import Excused, Finding, Level, Outcome, Place
from prethrift_backend.verify.rules import RULES, Rule
from prethrift_backend.verify.verdict import UNUSABLE, Run, exit_status, reasons

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
# GitHub rejects a file with more results, and keeps 5,000 of them.
MAX_RESULTS: Final = 25_000

_LEVELS: Final[Mapping[Level, str]] = {"error": "error", "warning": "warning", "info": "note"}
# What a reader would fill in ("{0}") or turn into a link ("[text](1)"): sections 3.11.5 and 3.11.6. Other braces and
# brackets, which PromQL is full of, stay as they are: the viewers that we know do not undo escapes.
_PLACEHOLDER: Final = re.compile(r"\{(\d+)\}")
_LINK: Final = re.compile(r"\[(?=[^\]]*\]\()")


def render_sarif(outcome: Outcome, run: Run) -> str:
    """Return the document; the worst findings first, no more than GitHub takes."""
    findings = outcome.findings[:MAX_RESULTS]
    excused = outcome.excused[: MAX_RESULTS - len(findings)]
    rules = _rules([*findings, *(each.finding for each in excused)], outcome.rules)
    indexes = {rule.id: index for index, rule in enumerate(rules)}
    results = [_result(finding, indexes, run) for finding in findings]
    results += [_excused(each, indexes, run) for each in excused]
    document = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": _driver(rules, run)},
                "automationDetails": {"id": f"contracts/{outcome.command}/"},
                "columnKind": "unicodeCodePoints",
                "invocations": [_invocation(outcome, run)],
                "results": results,
            }
        ],
    }
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _rules(findings: Sequence[Finding], judged: Sequence[str]) -> list[Rule]:
    """Return the rules of the run; a finding of a rule that no table has brings its own id along."""
    levels = {finding.rule: finding.level for finding in reversed(findings)}
    names = sorted(levels.keys() | set(judged))
    return [RULES.get(name) or Rule(name, name, levels.get(name, "warning")) for name in names]


def _driver(rules: Sequence[Rule], run: Run) -> dict[str, Any]:
    return {"name": "prethrift-backend contracts", "version": run.version, "rules": [_rule(rule) for rule in rules]}


def _rule(rule: Rule) -> dict[str, Any]:
    described: dict[str, Any] = {
        "id": rule.id,
        "shortDescription": {"text": _literal(rule.title)},
        "help": {"text": _literal(rule.help or rule.title)},
        "defaultConfiguration": {"level": _LEVELS[rule.level]},
    }
    if rule.category:
        described["properties"] = {"tags": list(dict.fromkeys(rule.category.split()))}
    return described


def _invocation(outcome: Outcome, run: Run) -> dict[str, Any]:
    status = exit_status(outcome, run.fail_on)
    invocation: dict[str, Any] = {
        "executionSuccessful": not reasons(outcome) and status != UNUSABLE,
        "exitCode": status,
        "endTimeUtc": run.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    notes = [{"level": "warning", "message": {"text": _literal(reason)}} for reason in reasons(outcome)]
    if notes:
        invocation["toolExecutionNotifications"] = notes
    return invocation


def _result(finding: Finding, indexes: Mapping[str, int], run: Run) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": indexes[finding.rule],
        "level": _LEVELS[finding.level],
        "message": {"text": _literal(_message(finding))},
        "locations": [_location(finding, run)],
        "partialFingerprints": {"prethriftFinding/v1": finding.fingerprint},
    }
    related = _related(finding, run)
    if related:
        result["relatedLocations"] = related
    details = {name: getattr(finding, name) for name in ("expected", "observed", "fix", "reproduce", "category")}
    result["properties"] = {"signal": finding.signal, **{name: text for name, text in details.items() if text}}
    return result


def _excused(excused: Excused, indexes: Mapping[str, int], run: Run) -> dict[str, Any]:
    suppression = {"kind": "external", "justification": f"until {excused.until}: {excused.reason}"}
    return {**_result(excused.finding, indexes, run), "suppressions": [suppression]}


def _message(finding: Finding) -> str:
    parts = [f"{finding.name}: {finding.message}"]
    if finding.expected:
        parts.append(f"expected: {finding.expected}")
    if finding.observed:
        parts.append(f"observed: {finding.observed}")
    if finding.fix:
        parts.append(f"fix: {finding.fix}")
    return "\n".join(parts)


def _location(finding: Finding, run: Run) -> dict[str, Any]:
    location: dict[str, Any] = {"logicalLocations": [{"name": finding.name, "kind": finding.signal}]}
    if finding.place is not None:
        location["physicalLocation"] = _physical(finding.place, run)
    return location


def _related(finding: Finding, run: Run) -> list[dict[str, Any]]:
    """Return the places of the users, each once, also where two of ours are one to SARIF."""
    related: list[dict[str, Any]] = []
    for place in finding.consumers:
        location = {"physicalLocation": _physical(place, run)}
        if location not in related:
            related.append(location)
    return related


def _physical(place: Place, run: Run) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": uri_of(place.path, run.root)}}
    if place.line is not None:
        physical["region"] = {"startLine": place.line}
        if place.column is not None:
            physical["region"]["startColumn"] = place.column
    return physical


def _literal(text: str) -> str:
    return _LINK.sub(r"\\[", _PLACEHOLDER.sub(r"{{\1}}", text))
