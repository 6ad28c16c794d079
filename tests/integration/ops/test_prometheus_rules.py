"""The files for Prometheus, as Prometheus' own program and our lint read them; and what they say of the contract."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from prethrift_backend.contracts import load_metrics
from prethrift_backend.verify.alerts.tests import check_alerts
from prethrift_backend.verify.promql.checks import Known, Query, lint_query
from prethrift_backend.verify.promql.command import sort_paths
from prethrift_backend.verify.promql.rule_files import know_rules, read_rule_file
from prethrift_backend.verify.promql.scrape_configs import scrape_jobs, scrape_labels
from prethrift_backend.verify.promql.shapes import TARGET_LABELS
from prethrift_backend.verify.promql.yaml import YamlValue, read_yaml

pytestmark = pytest.mark.usefixtures("prometheus_tools")

ROOT = Path(__file__).parents[3]
OPS = ROOT / "ops" / "prometheus"
RULES = sorted((OPS / "rules").glob("*.yml"))
TESTS = sorted((OPS / "tests").glob("*_test.yml"))
RUNBOOKS = sorted((ROOT / "docs" / "runbooks").glob("*.md"))


def _promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], cwd=OPS, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "--lint=all", "--lint-fatal", *map(str, RULES)),
        ("test", "rules", *map(str, TESTS)),
    ],
    ids=["configuration", "rules", "tests"],
)
def test_promtool_is_content(arguments: tuple[str, ...]) -> None:
    """The configuration, the rules and their unit tests."""
    done = _promtool(*arguments)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_lint_is_content() -> None:
    """Not even a hint: `contracts lint-queries ops` ends with 0."""
    command = [sys.executable, "-m", "prethrift_backend.cli", "contracts", "lint-queries", "ops", "--fail-on", "info"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_a_runbook_and_three_kinds_of_case() -> None:
    """A004 and A005."""
    assert check_alerts([read_rule_file(path) for path in RULES], tests=TESTS) == []


def test_each_alert_says_whom_it_calls_and_what_is_wrong() -> None:
    """Routing labels and texts are on every alert."""
    alerts = [rule for path in RULES for rule in read_rule_file(path).rules if rule.context == "alert"]

    assert {alert.labels["severity"] for alert in alerts} == {"critical", "warning"}
    assert all({"severity", "team", "service"} == set(alert.labels) for alert in alerts)
    assert all({"summary", "description", "runbook_url"} == set(alert.annotations) for alert in alerts)


def test_no_sum_mixes_environments() -> None:
    """Whatever is put together, staging and production stay apart: one Prometheus may watch both."""
    texts = [rule.text for path in RULES for rule in read_rule_file(path).rules]
    groupings = [grouping for text in texts for grouping in re.findall(r"\bby \(([^)]+)\)", text)]

    assert groupings
    assert [grouping for grouping in groupings if "environment" not in grouping.split(", ")] == []


def test_the_alerts_have_the_budgets_of_the_objectives() -> None:
    """What recording.yml says in words stands in the thresholds as a number."""
    said = dict(re.findall(r"^# +(\w+) +([\d.]+) %", (OPS / "rules" / "recording.yml").read_text(), re.MULTILINE))
    used = {
        (kind, float(budget))
        for rule in read_rule_file(OPS / "rules" / "alerts.yml").rules
        for kind, budget in re.findall(r"job:http_(\w+):ratio_rate\w+ > [\d.]+ \* ([\d.]+)", rule.text)
    }

    budgets = {kind: round(1 - float(share) / 100, 6) for kind, share in said.items()}
    assert used == {("errors", budgets["availability"]), ("slow", budgets["latency"])}


def test_the_scrape_is_that_of_the_contract() -> None:
    """Job, path, interval and timeout are those of the line SCRAPE."""
    scrape = load_metrics().scrape
    root = read_yaml((OPS / "prometheus.yml").read_bytes())
    assert scrape is not None
    assert root is not None
    jobs = _entry(root, "scrape_configs").value
    assert isinstance(jobs, list)
    (job,) = (one for one in jobs if _entry(one, "job_name").value == scrape.job)

    assert _entry(job, "metrics_path").value == scrape.path
    assert _entry(job, "scrape_interval").value == f"{scrape.interval_seconds:g}s"
    assert _entry(job, "scrape_timeout").value == f"{scrape.timeout_seconds:g}s"


def _entry(item: YamlValue, name: str) -> YamlValue:
    assert isinstance(item.value, dict)
    return item.value[name]


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_a_runbook_is_of_an_alert_and_its_queries_are_well(page: Path) -> None:
    """Each page has the four parts, and queries that the lint has nothing against."""
    files = [read_rule_file(path) for path in RULES]
    own = Known(load_metrics(), jobs=scrape_jobs([OPS]), target_labels=TARGET_LABELS | scrape_labels([OPS]))
    known = know_rules(files, own)
    text = page.read_text()
    queries = re.findall(r"```promql\n(.+?)```", text, re.DOTALL)

    assert page.stem in {rule.name for file in files for rule in file.rules}
    assert re.findall(r"^## (.+)", text, re.MULTILINE) == [
        "What it means",
        "Look at first",
        "To mend it",
        "When to silence it",
    ]
    assert queries
    assert [f"{query}: {found.message}" for query in queries for found in lint_query(Query(query), known)] == []
    groupings = [set(re.split(", ?", found)) for found in re.findall(r"\bby \(([^)]+)\)", text)]
    assert [found for found in groupings if not found & {"environment", "instance"}] == []  # staging would be in it


def test_only_rules_and_tests_lie_there() -> None:
    """The lint reads each rule file of the folder, and leaves the configuration out."""
    rules, _ = sort_paths([OPS])

    assert rules == RULES
