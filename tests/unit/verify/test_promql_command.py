"""`contracts lint-queries`: what it reads, what it prints, and the status it ends with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support.promql_cases import CONTRACT_TEXT

from prethrift_backend.cli import main
from prethrift_backend.verify.promql.scrape_configs import looks_like_rules

RULES = """\
groups:
  - name: shop
    rules:
      - record: all:queue
        expr: sum(queue_length)
      - alert: QueueLong
        expr: all:queue > 5
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make contracts, a rule file and a dashboard that are well."""
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "metrics.txt").write_text(CONTRACT_TEXT)
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "shop.yml").write_text(RULES)
    panel = {
        "type": "stat",
        "title": "Queue",
        "fieldConfig": {"defaults": {"unit": "short"}},
        "targets": [{"expr": "all:queue"}],
    }
    (tmp_path / "shop.json").write_text(json.dumps({"title": "Shop", "panels": [panel]}))
    return tmp_path


def _run(folder: Path, *arguments: str) -> int:
    with pytest.raises(SystemExit) as raised:
        main(["contracts", "lint-queries", "--contracts", str(folder / "contracts"), *arguments])
    assert isinstance(raised.value.code, int)
    return raised.value.code


def test_well_is_0(folder: Path) -> None:
    """Rules and a panel on what they record are well together."""
    assert _run(folder, str(folder / "rules"), str(folder / "shop.json")) == 0


def test_findings_are_1_and_named_by_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A finding is printed with file, line and rule."""
    path = folder / "rules" / "shop.yml"
    path.write_text(RULES.replace("sum(queue_length)", "sum(queue_len)"))

    status = _run(folder, str(path))

    output = capsys.readouterr().out
    assert status == 1
    assert "PQ002" in output
    assert "shop.yml:5" in output


def test_json_report_has_the_findings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The reports of the other commands are those of this one."""
    path = folder / "rules" / "shop.yml"
    path.write_text(RULES.replace("> 5", "> bool 5"))

    status = _run(folder, "--report", "json", str(path))

    assert status == 1
    assert [finding["rule"] for finding in json.loads(capsys.readouterr().out)["findings"]] == ["PQ010"]


def test_files_of_rule_tests_are_left_out_of_folders(folder: Path) -> None:
    """Promtool's own tests are no rules."""
    (folder / "rules" / "tests").mkdir()
    (folder / "rules" / "tests" / "shop.yml").write_text("tests: []\n")
    (folder / "rules" / "shop_test.yml").write_text("tests: []\n")

    assert _run(folder, str(folder / "rules")) == 0


def test_other_yaml_of_folders_is_left_out(folder: Path) -> None:
    """What configures other programs lies beside the rules; a file of rules with a wrong first word does not hide."""
    (folder / "rules" / "compose.yaml").write_text("services: {shop: {image: shop}}\n")
    assert _run(folder, str(folder / "rules")) == 0

    (folder / "rules" / "more.yml").write_text(RULES.replace("groups:", "grups:", 1))
    assert _run(folder, str(folder / "rules")) == 1


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("groups: []", True),
        ('{"groups": []}', True),
        ("- alert: X", True),
        ("  - {record: x}", True),
        ("scrape_configs: []\ngroups: []", False),
        ("services: {}", False),
        ("apiGroups: [x]", False),
    ],
)
def test_which_yaml_is_of_rules(text: str, is_one: bool) -> None:
    """By a word that begins an entry, in whichever style it is written."""
    assert looks_like_rules(text.encode()) == is_one


def test_jobs_of_a_configuration_are_known(folder: Path) -> None:
    """A query may name the jobs that the Prometheus in the same folder scrapes, and no other."""
    path = folder / "rules" / "shop.yml"
    path.write_text(RULES.replace("sum(queue_length)", 'sum(queue_length{job="till"})'))
    assert _run(folder, str(folder / "rules")) == 1

    (folder / "prometheus.yml").write_text("scrape_configs: [{job_name: till}]\n")
    assert _run(folder, str(folder)) == 0


def test_labels_of_a_configuration_are_known(folder: Path) -> None:
    """A query may choose by a label that the Prometheus in the same folder gives to its targets, and by no other."""
    path = folder / "rules" / "shop.yml"
    path.write_text(RULES.replace("sum(queue_length)", 'sum(queue_length{place="cellar"})'))
    assert _run(folder, str(folder / "rules")) == 1

    (folder / "prometheus.yml").write_text(
        "scrape_configs: [{job_name: till, static_configs: [{targets: [a], labels: {place: cellar}}]}]\n"
    )
    assert _run(folder, str(folder)) == 0


def test_nothing_to_look_at_is_no_success(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A path without queries is refused with 2, a file without one is inconclusive."""
    (folder / "rules" / "shop.yml").write_text("groups: []\n")

    assert _run(folder, str(folder / "nowhere")) == 2
    assert "holds no rule file" in capsys.readouterr().err
    assert _run(folder, str(folder / "rules")) == 3


def test_options_widen_what_is_known(folder: Path) -> None:
    """Other jobs, labels of service discovery and a longer retention can be said."""
    expression = 'sum by (pod) (queue_length{job="edge"} offset 20d) > 5'
    path = folder / "rules" / "shop.yml"
    path.write_text(RULES.replace("all:queue > 5", expression))
    options = ["--job", "edge", "--target-label", "pod", "--retention-days", "30"]

    assert _run(folder, "--fail-on", "info", str(path)) == 1
    assert _run(folder, "--fail-on", "info", *options, str(path)) == 0
    assert _run(folder, "--retention-days", "none", str(path)) == 2
