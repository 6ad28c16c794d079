"""The report for people: a line a finding, below it what helps to mend it, and a count at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from prethrift_backend.verify._text import relative_path, visible
from prethrift_backend.verify.findings import Finding, Level, Outcome, Place
from prethrift_backend.verify.verdict import VIOLATED, Run, exit_status, reasons, states, summary

_COLOURS: Final[Mapping[Level, str]] = {"error": "31", "warning": "33", "info": "36"}
_GOOD: Final = "32"
# Arbitrary: more would hide the findings.
_NAMES_SHOWN: Final = 10


def render_human(outcome: Outcome, run: Run) -> str:
    """Return the report; in colour where ``run`` says so."""
    lines: list[str] = []
    for finding in outcome.findings:
        lines += finding_lines(finding, run)
    lines += (
        f"excused until {excused.until}: {_head(excused.finding, run)} ({visible(excused.reason)})"
        for excused in outcome.excused
    )
    lines += _not_observed(outcome, run)
    lines += (f"inconclusive: {visible(reason)}" for reason in reasons(outcome))
    status = exit_status(outcome, run.fail_on)
    colour = {0: _GOOD, VIOLATED: _COLOURS["error"]}.get(status, _COLOURS["warning"])
    return "\n".join([*lines, _painted(summary(outcome, run), colour, run)]) + "\n"


def finding_lines(finding: Finding, run: Run) -> Iterator[str]:
    """Yield a finding as the report has it: a line, and below it what helps to mend it."""
    yield _head(finding, run)
    details = {
        "expected": finding.expected,
        "observed": finding.observed,
        "used by": ", ".join(_place(place, run) for place in finding.consumers),
        "fix": finding.fix,
        "see": finding.reproduce,
    }
    for name, text in details.items():
        if text:
            yield f"    {name}: {visible(text)}"


def _head(finding: Finding, run: Run) -> str:
    place = f"{_place(finding.place, run)}: " if finding.place else ""
    level = _painted(finding.level, _COLOURS[finding.level], run)
    rest = f"{finding.rule} {finding.signal} {finding.name}: {finding.message}"
    return f"{visible(place)}{level} {visible(rest)}"


def _not_observed(outcome: Outcome, run: Run) -> Iterator[str]:
    names: dict[str, list[str]] = {}
    for item, state in states(outcome, run.fail_on):
        if state == "not observed":
            names.setdefault(item.not_observed or "", []).append(item.name)
    for reason, unseen in names.items():
        more = f" and {len(unseen) - _NAMES_SHOWN} more" if len(unseen) > _NAMES_SHOWN else ""
        yield visible(f"not observed ({reason}): {', '.join(unseen[:_NAMES_SHOWN])}{more}")


def _place(place: Place, run: Run) -> str:
    return str(Place(relative_path(place.path, run.root), place.line, place.column))


def _painted(text: str, colour: str, run: Run) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if run.in_colour else text
