"""Every block of docs/queries.md is run: queries through the lint, rules and their tests through promtool."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.seed_queries import AS_GIVEN

from prethrift_backend.contracts import load_metrics
from prethrift_backend.verify.promql.checks import Known, Query, lint_query
from prethrift_backend.verify.promql.rule_files import know_rules, lint_rule_files, parse_rule_file, read_rule_file
from prethrift_backend.verify.promql.scrape_configs import scrape_labels
from prethrift_backend.verify.promql.shapes import TARGET_LABELS

pytestmark = pytest.mark.usefixtures("prometheus_tools")

ROOT = Path(__file__).parents[3]
ALERTS = ROOT / "ops" / "prometheus" / "rules" / "alerts.yml"
JOBS = frozenset({"prethrift-health"})
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of the page: the heading above it, the paragraph before it, its language and its text."""

    heading: str
    before: str
    language: str
    text: str

    @property
    def is_as_given(self) -> bool:
        """Whether it is the form that is wrong."""
        return self.before.startswith("As given")

    @property
    def rules(self) -> set[str]:
        """The ids that the page names before it."""
        return set(re.findall(r"PQ\d{3}", self.before)) if self.is_as_given else set()


def _blocks() -> list[Block]:
    text = (ROOT / "docs" / "queries.md").read_text()
    found = []
    for match in _BLOCK.finditer(text):
        above = text[: match.start()]
        heading = re.findall(r"^## (.+)$", above, re.MULTILINE)[-1]
        found.append(Block(heading, above.strip().rpartition("\n\n")[2], match[1], match[2]))
    return found


BLOCKS = _blocks()
QUERIES = [block for block in BLOCKS if block.language == "promql"]
RULES = [block for block in BLOCKS if block.text.startswith("groups:")]


def _known() -> Known:
    return Known(load_metrics(), jobs=JOBS, target_labels=TARGET_LABELS | scrape_labels([ALERTS.parents[1]]))


def _rule_of_test(position: int) -> str | None:
    """Return the rules that a block of tests is about: the last ones above it under the same heading."""
    above = [block for block in BLOCKS[:position] if block.heading == BLOCKS[position].heading and block in RULES]
    return above[-1].text if above else None


def test_each_block_is_of_a_kind_that_is_run() -> None:
    """Queries, rules, and tests; nothing else."""
    tests = [block for block in BLOCKS if block.text.startswith("tests:")]

    assert len(QUERIES) + len(RULES) + len(tests) == len(BLOCKS)
    assert (len(QUERIES), len(RULES), len(tests)) == (9, 6, 10)


@pytest.mark.parametrize("block", QUERIES, ids=lambda block: block.heading)
def test_a_query_breaks_the_rules_that_the_page_names(block: Block) -> None:
    """The right form breaks none."""
    assert {finding.rule for finding in lint_query(Query(block.text), _known())} == block.rules


@pytest.mark.parametrize("block", RULES, ids=lambda block: f"{block.heading} {block.is_as_given}")
def test_an_alert_breaks_the_rules_that_the_page_names(block: Block) -> None:
    """The right form breaks none."""
    file = parse_rule_file(block.text.encode(), path="docs/queries.md")
    findings, items = lint_rule_files([file], know_rules([file], _known()))

    assert items
    assert {finding.rule for finding in findings} == block.rules


@pytest.mark.parametrize("position", [number for number, block in enumerate(BLOCKS) if block.text.startswith("tests:")])
def test_promtool_shows_what_the_page_says(position: int, tmp_path: Path) -> None:
    """The tests of a wrong form show what is wrong, those of the right one what is right."""
    rules = _rule_of_test(position)
    (tmp_path / "rules.yml").write_text(rules or "groups: []\n")
    (tmp_path / "page_test.yml").write_text(
        f"rule_files: [rules.yml]\nevaluation_interval: 1m\n{BLOCKS[position].text}"
    )

    command = ["promtool", "test", "rules", "page_test.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_what_is_wrong(tmp_path: Path) -> None:
    """That is why there is a lint: none of the wrong forms is refused, not even with all of promtool's own lints."""
    wrong = [block.text for block in RULES if block.is_as_given]
    for number, text in enumerate(wrong):
        (tmp_path / f"{number}.yml").write_text(text)

    files = sorted(map(str, tmp_path.glob("*.yml")))
    command = ["promtool", "check", "rules", "--lint=all", "--lint-fatal", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert (len(wrong), done.returncode) == (3, 0), done.stdout + done.stderr


@pytest.mark.parametrize(("heading", "expression", "rules"), AS_GIVEN, ids=[case[0] for case in AS_GIVEN])
def test_the_wrong_forms_are_those_of_the_fixtures(heading: str, expression: str, rules: tuple[str, ...]) -> None:
    """The page shows them as they are kept, with the rules that are against them."""
    (block,) = [block for block in BLOCKS if block.heading == heading and block.is_as_given]

    assert expression in block.text
    assert block.rules == set(rules)


def test_the_right_alerts_are_those_that_run() -> None:
    """The page and ops/prometheus have one expression and one patience."""
    running = {rule.name: rule for rule in read_rule_file(ALERTS).rules}
    shown = [
        rule
        for block in RULES
        if not block.is_as_given
        for rule in parse_rule_file(block.text.encode(), path="docs/queries.md").rules
    ]

    assert {rule.name for rule in shown} == {"HighErrorRate", "DatabaseDown", "ServiceUnhealthy", "HighResponseTime"}
    for rule in shown:
        assert rule.text.split() == running[rule.name].text.split()
        assert rule.for_seconds == running[rule.name].for_seconds
        assert rule.labels["severity"] == running[rule.name].labels["severity"]
