"""A rule as a value; apart from the table of all rules, so that the parts of the table can be written in many files."""

from __future__ import annotations

from dataclasses import dataclass

from prethrift_backend.verify.findings import Level


@dataclass(frozen=True, slots=True)
class Rule:
    """What a check demands.

    ``level`` is what a finding of it has as a rule; a check may raise or lower it where the circumstances say so.
    ``category`` says who breaks: WIRE, QUERY, STORE, COST, several with a space between, or None.
    ``help`` explains in one or two sentences why the rule exists and what to do.
    """

    id: str
    title: str
    level: Level
    category: str | None = None
    help: str = ""
