"""GitHub's annotations (workflow commands on standard output) and the summary of a step (Markdown)."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from prethrift_backend.verify._text import relative_path, visible
from prethrift_backend.verify.findings import LEVELS, Finding, Level, Outcome
from prethrift_backend.verify.verdict import Run, reasons, summary

# GitHub shows so many of each kind a step, and drops the rest without a word.
MAX_ANNOTATIONS: Final = 10
# Arbitrary; a summary of more than 1 MiB is refused whole.
_MAX_ROWS: Final = 200
_MAX_CELL: Final = 300

_COMMANDS: Final[Mapping[Level, str]] = {"error": "error", "warning": "warning", "info": "notice"}


def render_github(outcome: Outcome, run: Run) -> str:
    """Return the annotations, the worst first; those over the cap stand together in one."""
    lines: list[str] = []
    for level in LEVELS:
        lines += _annotations([finding for finding in outcome.findings if finding.level == level], level, run)
    lines += (f"::warning title=inconclusive::{_data(reason)}" for reason in reasons(outcome))
    return "".join(f"{line}\n" for line in lines)


def render_summary(outcome: Outcome, run: Run) -> str:
    """Return the table for ``$GITHUB_STEP_SUMMARY``."""
    lines = [f"### contracts {_cell(outcome.command)}", "", _cell(summary(outcome, run)), ""]
    if outcome.findings:
        lines += ["| level | rule | item | finding | place |", "| --- | --- | --- | --- | --- |"]
        lines += (_row(finding, run) for finding in outcome.findings[:_MAX_ROWS])
        hidden = len(outcome.findings) - _MAX_ROWS
        lines += ["", f"and {hidden} more"] if hidden > 0 else []
        lines.append("")
    return "\n".join(lines) + "\n"


def _annotations(findings: Sequence[Finding], level: Level, run: Run) -> Iterator[str]:
    shown = findings if len(findings) <= MAX_ANNOTATIONS else findings[: MAX_ANNOTATIONS - 1]
    yield from (_annotation(finding, run) for finding in shown)
    rest = Counter(finding.rule for finding in findings[len(shown) :])
    if rest:
        listed = ", ".join(f"{rule} ({count})" for rule, count in rest.most_common())
        text = f"{rest.total()} more findings of this level: {listed}"
        yield f"::{_COMMANDS[level]} title=more findings::{_data(text)}"


def _annotation(finding: Finding, run: Run) -> str:
    properties: dict[str, str] = {}
    if finding.place is not None:
        properties["file"] = relative_path(finding.place.path, run.root)
        if finding.place.line is not None:
            properties["line"] = str(finding.place.line)
            if finding.place.column is not None:
                properties["col"] = str(finding.place.column)
    properties["title"] = f"{finding.rule} {finding.name}"
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{_COMMANDS[finding.level]} {listed}::{_data(_message(finding))}"


def _message(finding: Finding) -> str:
    details = {"expected": finding.expected, "observed": finding.observed, "fix": finding.fix, "see": finding.reproduce}
    return "\n".join([finding.message, *(f"{name}: {text}" for name, text in details.items() if text)])


def _row(finding: Finding, run: Run) -> str:
    place = ""
    if finding.place is not None:
        line = "" if finding.place.line is None else f":{finding.place.line}"
        place = f"{relative_path(finding.place.path, run.root)}{line}"
    cells = (finding.level, finding.rule, finding.name, finding.message, place)
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def _data(text: str) -> str:
    """Escape what follows ``::``; a percent sign first, since the others become one."""
    kept = "".join(
        character if character == "\n" or character.isprintable() else visible(character) for character in text
    )
    return kept.replace("%", "%25").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _cell(text: str) -> str:
    """Escape what would end a cell, begin a tag, or be formatted."""
    shown = visible(text if len(text) <= _MAX_CELL else f"{text[:_MAX_CELL]}…")
    escaped = "".join(f"\\{character}" if character in r"\`*_[]|~#" else character for character in shown)
    return html.escape(escaped, quote=False).replace("@", "&#64;")
