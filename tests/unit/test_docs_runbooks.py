"""What the pages of docs/runbooks name, held against the contracts: somebody types it at three in the morning."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from prethrift_backend.cli import _make_parser
from prethrift_backend.contracts import load_contracts
from prethrift_backend.health import CheckCode
from prethrift_backend.verify.promql.rule_files import read_rule_file

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "runbooks").glob("*.md"))
CONTRACTS = load_contracts()
ALERTS = {rule.name for rule in read_rule_file(ROOT / "ops/prometheus/rules/alerts.yml").rules}
# Of programs that are not ours.
OF_PROMETHEUS = {"up", "sample_limit", "authorization", "prometheus.yml"}
OF_OTHERS = OF_PROMETHEUS | {"pg_stat_activity", "Retry-After"}
# What contract_violations_total says of the family as a whole; the contract has them in a comment.
OF_FAMILIES = {"_series", "_names", "_callback"}


def _words(page: Path) -> str:
    """Return the page without its queries, which have a test of their own."""
    return re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)


def _quoted(page: Path) -> list[str]:
    return [" ".join(text.split()) for text in re.findall(r"`([^`]+)`", _words(page))]


def _of_contracts() -> set[str]:
    assert CONTRACTS.logs is not None
    events = {event.name for event in CONTRACTS.logs.events}
    fields = {field.name for event in CONTRACTS.logs.events for field in event.fields}
    labels = {label.name for family in CONTRACTS.metrics.families for label in family.labels}
    values = {value for family in CONTRACTS.metrics.families for label in family.labels for value in label.values}
    return events | fields | labels | values | {family.name for family in CONTRACTS.metrics.families}


def _settings() -> set[str]:
    assert CONTRACTS.settings is not None
    return {setting.name for setting in CONTRACTS.settings.settings}


def _endpoints() -> set[str]:
    scrape = CONTRACTS.metrics.scrape
    assert scrape is not None
    return {scrape.path, "/health", "/health/live", "/health/ready"}


def _checks() -> set[str]:
    """Return the names of checks, as the page on health has them."""
    named = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "health.md").read_text(), re.MULTILINE)
    return {*named, *(code.value for code in CheckCode)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_runbook_names_is_there(page: Path) -> None:
    """Events, fields, label values, checks, codes, paths: each is one of the contracts' or of this tree."""
    known = _of_contracts() | _settings() | _endpoints() | _checks() | OF_OTHERS | OF_FAMILIES
    unknown = [
        text
        for text in _quoted(page)
        if text not in known and not text.startswith("prethrift-backend ") and not (ROOT / text).is_file()
    ]

    assert unknown == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_settings_of_a_runbook_are_there(page: Path) -> None:
    """A name in capitals is that of a setting, quoted or not."""
    assert set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", _words(page))) <= _settings()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_alerts_that_a_runbook_names_are_there(page: Path) -> None:
    """Following an alert to another leads to a page."""
    others = {"PromQL"}

    assert set(re.findall(r"\b(?:[A-Z][a-z]+){2,}\b", _words(page))) <= ALERTS | others


COMMANDS = sorted({text for page in PAGES for text in _quoted(page) if text.startswith("prethrift-backend ")})


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_a_runbook_is_one(command: str) -> None:
    """It is taken with its arguments, as it stands."""
    _, *arguments = shlex.split(command)

    chosen = _make_parser(with_contracts=True).parse_args(arguments)

    assert vars(chosen).get("url", "").startswith("http://HOST:8000")
