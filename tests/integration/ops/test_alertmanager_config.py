"""The file for Alertmanager, in a real one: one cause is one page, and another cause is another."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
import yaml
from tests.support.alertmanager import AlertmanagerServer
from tests.support.waiting import wait_for

pytestmark = pytest.mark.usefixtures("prometheus_tools")

OPS = Path(__file__).parents[3] / "ops"
CONFIGURATION = OPS / "alertmanager" / "alertmanager.yml"
Labels: TypeAlias = dict[str, str]

CAUSES: dict[str, tuple[list[str], list[str]]] = {
    "a process that is gone": (["ServiceUnhealthy", "TargetMissing"], ["ServiceUnhealthy"]),
    "a database that is down": (["DatabaseDown", "ServiceUnhealthy", "SearchErrors"], ["DatabaseDown"]),
    "a schedule that stands still": (["HealthScheduleStopped", "ServiceUnhealthy"], ["HealthScheduleStopped"]),
    "many errors": (
        ["HighErrorRate", "AvailabilityBudgetBurnFast", "AvailabilityBudgetBurnSlow"],
        ["HighErrorRate"],
    ),
    "some errors": (["AvailabilityBudgetBurnFast", "AvailabilityBudgetBurnSlow"], ["AvailabilityBudgetBurnFast"]),
    "slow answers": (
        ["LatencyBudgetBurnFast", "LatencyBudgetBurnSlow", "HighResponseTime"],
        ["LatencyBudgetBurnFast"],
    ),
    "a model that fails": (["EmbeddingErrors", "SearchErrors"], ["EmbeddingErrors"]),
    "a pool that is used up": (["DatabasePoolTimeouts", "DatabasePoolSaturated"], ["DatabasePoolTimeouts"]),
    "a loop that is held": (["EventLoopStalled", "EventLoopLag"], ["EventLoopStalled"]),
}


def _firing() -> Iterator[Labels]:
    """Give the labels with which the tests of the rules see each alert fire, as Prometheus sends them."""
    for path in sorted((OPS / "prometheus" / "tests").glob("*_test.yml")):
        for case in yaml.safe_load(path.read_text())["tests"]:
            for test in case.get("alert_rule_test", ()):
                for alert in test["exp_alerts"]:
                    yield {"alertname": test["alertname"], **alert["exp_labels"]}


def _labels(name: str) -> Labels:
    """Return the labels of an alert that fires in production; where there are several, with its instance."""
    found = max(
        (labels for labels in _firing() if labels["alertname"] == name), key=lambda labels: "instance" in labels
    )
    return {**found, "environment": "production"}


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[str]:
    """Run an Alertmanager with the file, and give its address."""
    with AlertmanagerServer(tmp_path, CONFIGURATION.read_text()) as server:
        yield server.url


def _told(url: str, alerts: list[Labels]) -> list[Labels]:
    """Send alerts, and return those that are told."""
    httpx.post(
        f"{url}/api/v2/alerts", json=[{"labels": labels} for labels in alerts], trust_env=False
    ).raise_for_status()

    def known() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = httpx.get(f"{url}/api/v2/alerts", trust_env=False).json()
        return found

    wait_for(lambda: len(known()) == len(alerts), 30.0, what="every alert in Alertmanager")
    return [alert["labels"] for alert in known() if not alert["status"]["inhibitedBy"]]


def test_alertmanager_reads_the_file() -> None:
    """By its own program."""
    done = subprocess.run(
        ["amtool", "check-config", str(CONFIGURATION)], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["severity=critical"], "pager"),
        (["severity=warning"], "tickets"),
        (["severity=critical", "environment=production"], "pager"),
        (["severity=critical", "environment=staging"], "tickets"),
    ],
)
def test_severity_leads_to_the_receiver(labels: list[str], receiver: str) -> None:
    """Critical calls somebody, a warning is a ticket; and nobody gets up for staging."""
    command = ["amtool", "config", "routes", "test", f"--config.file={CONFIGURATION}", *labels]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert done.stdout.split() == [receiver]


def test_alerts_that_hold_others_back_are_there() -> None:
    """Each name in the rules of inhibition is in a case here, with labels of an alert that a test has seen fire."""
    rules = yaml.safe_load(CONFIGURATION.read_text())["inhibit_rules"]
    texts = [text for rule in rules for text in (*rule["source_matchers"], *rule["target_matchers"])]
    named = {name for text in texts for name in _names(text)}

    assert named <= {labels["alertname"] for labels in _firing()}
    assert named - {"CheckDegraded"} == {name for fired, _ in CAUSES.values() for name in fired}


def _names(matcher: str) -> list[str]:
    """Return the names in a matcher: AB(C|D) is ABC and ABD."""
    (pattern,) = re.findall(r'"(.+)"', matcher)
    names = [labels["alertname"] for labels in _firing()]
    found = sorted({name for name in names if re.fullmatch(pattern, name)})
    assert len(found) == pattern.count("|") + 1, f"{pattern}: {found}"
    return found


def test_one_cause_is_told_once(alertmanager: str) -> None:
    """Of what fires together only the alert that says most goes out; each cause here in a service of its own."""
    alerts = [
        {**_labels(name), "service": cause.replace(" ", "-")} for cause, (fired, _) in CAUSES.items() for name in fired
    ]

    told = {(labels["service"], labels["alertname"]) for labels in _told(alertmanager, alerts)}

    assert told == {(cause.replace(" ", "-"), name) for cause, (_, kept) in CAUSES.items() for name in kept}


def test_targets_that_are_gone_from_discovery_are_one_page(alertmanager: str) -> None:
    """Neither of the two alerts has an instance then."""
    gone = [
        min((labels for labels in _firing() if labels["alertname"] == name), key=len)
        for name in ("ServiceUnhealthy", "TargetMissing")
    ]
    assert all("instance" not in labels for labels in gone)

    assert [labels["alertname"] for labels in _told(alertmanager, gone)] == ["ServiceUnhealthy"]


def test_another_cause_is_not_held_back(alertmanager: str) -> None:
    """Another instance, another job, another check or another environment has its own trouble."""
    others = [
        {**_labels("ServiceUnhealthy"), "environment": "staging"},
        {**_labels("AvailabilityBudgetBurnSlow"), "environment": "staging"},
        {**_labels("ServiceUnhealthy"), "instance": "b"},
        {**_labels("CheckDegraded"), "check": "s3"},
        {**_labels("SearchErrors"), "job": "other"},
        {**_labels("AvailabilityBudgetBurnFast"), "job": "other"},
    ]
    causes = [_labels(name) for name in ("DatabaseDown", "EmbeddingErrors", "HighErrorRate")]
    same = {**_labels("CheckDegraded"), "check": "database"}

    told = _told(alertmanager, [*causes, *others, same])

    assert [labels for labels in others if labels not in told] == []
    assert same not in told
