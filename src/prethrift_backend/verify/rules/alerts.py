"""The rules over alerts, their tests, and dashboards as a whole (A, D)."""

from __future__ import annotations

from typing import Final

from prethrift_backend.verify._rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "A001",
        "an alert stays, and reaches whom it reached",
        "error",
        None,
        "An alert that is gone, is less severe or has lost a label that routes it calls nobody, and nobody notices.",
    ),
    Rule(
        "A002",
        "an alert's expression changes together with its tests",
        "error",
        None,
        "The old cases passed before and after: none of them shows what the change was for. Add or change a case.",
    ),
    Rule(
        "A003",
        "an alert is not made slower or more tolerant",
        "warning",
        None,
        "With a longer 'for' or a looser threshold it fires later, or not at all. That may be meant; say so in review.",
    ),
    Rule(
        "A004",
        "an alert has a runbook",
        "error",
        None,
        "Whoever is woken needs a page that says what to look at first. Name it in the annotation runbook_url.",
    ),
    Rule(
        "A005",
        "an alert is tested, and its tests notice changes of it",
        "error",
        None,
        "Each alert has a case of promtool that fires, one that stays silent while its series are there, and one with "
        "a series absent; another threshold, matcher, grouping or 'for' makes one of them fail.",
    ),
    Rule(
        "D001",
        "a dashboard and its panels stay",
        "warning",
        None,
        "Links lead to a dashboard by its uid and to a panel by its number; people look for a panel by its title.",
    ),
    Rule(
        "D002",
        "the queries of dashboards resolve against the contract",
        "error",
        "QUERY",
        "A panel or a variable that asks for what the contract has not is empty from the next release on.",
    ),
)
