"""Every log event in the source, held against ``contracts/logs.txt``, and the other way round.

Read from the source and not from a run: some of these lines are written only when a disk is full.
"""

from __future__ import annotations

from pathlib import Path

from prethrift_backend.contracts import load_logs
from prethrift_backend.verify.lint.events import EventChecks
from prethrift_backend.verify.lint.source import read_source

SOURCE = read_source(Path(__file__).parents[2] / "src" / "prethrift_backend", "prethrift_backend", without=["verify"])
CHECKS = EventChecks(load_logs(), SOURCE, SOURCE)


def test_every_event_that_is_written_is_promised_and_the_other_way_round() -> None:
    """Event, logger, level and fields of each call are those of the contract, and each promise has its call."""
    assert [str(finding.place) + finding.message for finding in CHECKS.findings()] == []


def test_the_calls_and_the_loggers_were_found_at_all() -> None:
    """An empty reading would find nothing wrong."""
    assert len(CHECKS.calls) > 25
    assert [event.name for event in CHECKS.contract.events if CHECKS.why_unjudged(event) is not None] == []
