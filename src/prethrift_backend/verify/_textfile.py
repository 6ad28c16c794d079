"""Metrics of a run for the textfile collector of Prometheus' node exporter."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from prethrift_backend.verify._text import visible
from prethrift_backend.verify.findings import Outcome
from prethrift_backend.verify.verdict import VERIFIED, Run, exit_status, tally

_SUCCESS: Final = "contract_check_last_success_timestamp_seconds"
_SUCCESS_LINE: Final = re.compile(rf"^{_SUCCESS}(?:\{{.*\}})? ([0-9]+(?:\.[0-9]+)?)$", re.MULTILINE)


def render_textfile(outcome: Outcome, run: Run, *, previous: str = "") -> str:
    """Return the exposition.

    ``previous`` is the text of the run before: the time of the last success is taken over from it where this run is
    none, so that "no success for a day" can be an alert. A run that never succeeded has 0 there.
    """
    whole = {"command": outcome.command, "target": outcome.target or ""}
    status, now = exit_status(outcome, run.fail_on), run.at.timestamp()
    found = Counter((finding.rule, finding.level) for finding in outcome.findings)
    findings = [({**whole, "rule": rule, "level": level}, count) for (rule, level), count in sorted(found.items())]
    # Without it, a run that found nothing and a run that never was would look the same.
    findings = findings or [({**whole, "rule": "", "level": ""}, 0)]
    items = [({**whole, "state": state.replace(" ", "_")}, n) for state, n in tally(outcome, run.fail_on).items()]
    families = (
        _family("contract_findings", "Findings of the last run.", findings),
        _family("contract_items", "Items of the contracts in the last run, by what became of them.", items),
        _family("contract_check_exit_status", "0 verified, 1 violated, 3 inconclusive.", [(whole, status)]),
        _family("contract_check_last_run_timestamp_seconds", "When the last run ended.", [(whole, now)]),
        _family(
            _SUCCESS,
            "When the last run that verified ended.",
            [(whole, now if status == VERIFIED else _last(previous))],
        ),
    )
    return "".join(families)


def _last(previous: str) -> float:
    found = _SUCCESS_LINE.search(previous)
    return 0 if found is None else float(found[1])


def _family(name: str, text: str, samples: Iterable[tuple[Mapping[str, str], float]]) -> str:
    lines = [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
    lines += (f"{name}{{{_labels(labels)}}} {_number(value)}" for labels, value in samples)
    return "".join(f"{line}\n" for line in lines)


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return visible(value).replace("\\", r"\\").replace('"', r"\"")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.3f}"
