"""The report for programs: one JSON document by ``contracts/findings.schema.json``, or one object a line."""

from __future__ import annotations

import json
from typing import Any, Final

from prethrift_backend.verify.findings import Excused, Finding, Item, Outcome, Place
from prethrift_backend.verify.verdict import VERDICTS, Run, State, by_level, exit_status, reasons, states, tally

# The major version of the schema, which its $id ends with.
FORMAT: Final = "prethrift-findings/1"


def render_json(outcome: Outcome, run: Run) -> str:
    """Return one document, indented."""
    document = {
        **_head(outcome, run),
        "findings": [_finding(finding) for finding in outcome.findings],
        "excused": [_excused(excused) for excused in outcome.excused],
        "items": [_item(item, state) for item, state in states(outcome, run.fail_on)],
    }
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def render_jsonl(outcome: Outcome, run: Run) -> str:
    """Return a line a finding, then one for the whole; ``type`` says which it is."""
    lines: list[dict[str, Any]] = [{"type": "finding", **_finding(finding)} for finding in outcome.findings]
    lines += ({"type": "excused", **_excused(excused)} for excused in outcome.excused)
    lines.append({"type": "outcome", **_head(outcome, run)})
    # ASCII, since other line ends than ours (U+2028) would part a line for some readers.
    return "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)


def _head(outcome: Outcome, run: Run) -> dict[str, Any]:
    status = exit_status(outcome, run.fail_on)
    return {
        "format": FORMAT,
        "tool": {"name": "prethrift-backend", "version": run.version},
        "command": outcome.command,
        "target": outcome.target,
        "at": run.at.isoformat(),
        "fail_on": run.fail_on,
        "verdict": VERDICTS[status],
        "exit_status": status,
        "inconclusive": list(reasons(outcome)),
        "counts": {
            "findings": dict(by_level(outcome.findings)),
            "items": {state.replace(" ", "_"): count for state, count in tally(outcome, run.fail_on).items()},
        },
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "level": finding.level,
        "category": finding.category,
        "signal": finding.signal,
        "name": finding.name,
        "message": finding.message,
        "expected": finding.expected,
        "observed": finding.observed,
        "place": _place(finding.place),
        "consumers": [_place(place) for place in finding.consumers],
        "fix": finding.fix,
        "reproduce": finding.reproduce,
        "fingerprint": finding.fingerprint,
    }


def _excused(excused: Excused) -> dict[str, Any]:
    return {"reason": excused.reason, "until": excused.until, "finding": _finding(excused.finding)}


def _item(item: Item, state: State) -> dict[str, Any]:
    return {
        "signal": item.signal,
        "name": item.name,
        "place": _place(item.place),
        "state": state.replace(" ", "_"),
        "reason": item.not_observed,
    }


def _place(place: Place | None) -> dict[str, Any] | None:
    return None if place is None else {"path": place.path, "line": place.line, "column": place.column}
