"""The rules over what Prometheus and Alertmanager have of a service (stage 13 of verify)."""

from __future__ import annotations

from typing import Final

from prethrift_backend.verify._rule import Rule

PROMETHEUS_RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "LV130",
        "The address is what it was given as",
        "error",
        "WIRE",
        "What answers is not the API of that program. Give the address without the path of a page.",
    ),
    Rule(
        "LV131",
        "Every target of the job is up",
        "error",
        "WIRE",
        "Prometheus cannot scrape it: read the error beside it; path, token and network are the usual reasons.",
    ),
    Rule(
        "LV132",
        "The job has a target",
        "error",
        "WIRE",
        "Alerts over a job that nobody scrapes stay silent. Add a scrape_config with this job_name.",
    ),
    Rule(
        "LV133",
        "Prometheus takes as many samples as the service shows",
        "error",
        "QUERY",
        "Another endpoint is scraped, or a proxy cuts the answer. Hold the target's address against this one.",
    ),
    Rule(
        "LV134",
        "The last scrape is fresh",
        "error",
        "QUERY",
        "Scrapes stop or take too long: every rate over them has gaps. Look at the target's scrape duration.",
    ),
    Rule(
        "LV135",
        "Every promised family arrives",
        "error",
        "QUERY",
        "A metric_relabel_config or a limit drops it on the way. Take that away, or the promise.",
    ),
    Rule(
        "LV136",
        "Labels and values arrive as promised",
        "error",
        "QUERY",
        "Relabelling changes them on the way, or a label is called like one of the target's. Mend the scrape_config.",
    ),
    Rule(
        "LV137",
        "Every rule of the repository is loaded",
        "error",
        "QUERY",
        "An alert that is not loaded never fires. Deploy the file, name it in rule_files, and reload.",
    ),
    Rule(
        "LV138",
        "Every rule is evaluated without an error",
        "error",
        "QUERY",
        "A rule that fails gives nothing, and nobody is called. Read its error and mend the expression.",
    ),
    Rule(
        "LV139",
        "A loaded rule is the one of the repository",
        "error",
        "QUERY",
        "An older file is loaded, or somebody has edited it in place. Deploy the repository's and reload.",
    ),
    Rule(
        "LV300",
        "All targets have one contract",
        "error",
        "QUERY",
        "A roll-out is under way, or hangs. Finish it, or name the versions with --allow-version.",
    ),
    Rule(
        "LV305",
        "A group has no rules beside those of the repository",
        "warning",
        None,
        "What nobody reviews pages people all the same. Take it into the repository, or away.",
    ),
    Rule(
        "LV306",
        "The scrape interval is the one of the contract",
        "warning",
        "QUERY",
        "Ranges in rules are chosen for it. Mend scrape_interval, or the contract's SCRAPE line.",
    ),
)
"""Those that a run with ``--prometheus`` judges."""

NOTIFIER_RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "LV301",
        "Prometheus sends its alerts to an Alertmanager",
        "error",
        "WIRE",
        "Alerts that fire reach nobody. Name the Alertmanager under alerting in the configuration of Prometheus.",
    ),
    Rule(
        "LV302",
        "Alertmanager is what Prometheus knows",
        "error",
        "WIRE",
        "Alerts go to another one than the one that was looked at. Correct the address here or in Prometheus.",
    ),
    Rule(
        "LV303",
        "Every severity reaches somebody",
        "error",
        None,
        "The receiver at the end of the route has nothing that notifies. Give it one, or route to another.",
    ),
    Rule(
        "LV304",
        "Every severity has a route of its own",
        "warning",
        None,
        "It goes to the receiver of last resort, with what nobody thought of. Add a route that matches it.",
    ),
)
"""Those over the way from an alert to a person."""

RULES: Final[tuple[Rule, ...]] = (*PROMETHEUS_RULES, *NOTIFIER_RULES)
