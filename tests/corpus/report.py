"""What the corpus shows: a table for people, JSON for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.corpus.change import KINDS
from tests.corpus.judging import Result, score

_HEAD = ("kind", "change", "expected", "reported", "by", "verdict")
_SHOWN_RULES = 4


def as_table(results: Sequence[Result]) -> str:
    """Return one line a change, in columns, and the score below them."""
    rows = [_HEAD, *(_row(result) for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([*lines, "", *_by_kind(results), str(score(results))])


def _row(result: Result) -> tuple[str, ...]:
    change = result.change
    return (
        change.kind,
        change.name,
        change.rule or "nothing",
        _listed(result),
        change.command,
        result.verdict if result.is_good else result.verdict.upper(),
    )


def _listed(result: Result) -> str:
    """Name the rules that spoke, the expected one first."""
    rules = sorted(result.rules, key=lambda rule: rule != result.change.rule)
    more = len(rules) - _SHOWN_RULES
    return " ".join(rules[:_SHOWN_RULES]) + (f" +{more}" if more > 0 else "") or "-"


def _by_kind(results: Sequence[Result]) -> list[str]:
    faults = Counter(result.change.kind for result in results if not result.change.is_harmless)
    harmless = Counter(result.change.kind for result in results if result.change.is_harmless)
    return [f"{kind}: {faults[kind]} faults, {harmless[kind]} harmless" for kind in KINDS]


def as_failures(results: Sequence[Result]) -> str:
    """Return what there is to say of each change that did not end well; nothing where all did."""
    return "\n\n".join(
        f"{result.verdict}: {result.change.kind}: {result.change.name}: expected {result.change.rule or 'nothing'} "
        f"of {result.change.command}\n{_indented(result.words)}"
        for result in results
        if not result.is_good
    )


def _indented(words: str) -> str:
    return "\n".join(f"    {line}" for line in words.splitlines())


def write_json(results: Sequence[Result], path: Path) -> None:
    """Keep every result and the score."""
    counted = score(results)
    document = {
        "faults": counted.faults,
        "reported": counted.reported,
        "harmless": counted.harmless,
        "quiet": counted.quiet,
        "is_full": counted.is_full,
        "results": [_as_dict(result) for result in results],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _as_dict(result: Result) -> dict[str, object]:
    change = result.change
    return {
        "kind": change.kind,
        "change": change.name,
        "command": change.command,
        "expected": change.rule,
        "reported": list(result.rules),
        "verdict": result.verdict,
        "seconds": round(result.seconds, 2),
    }
