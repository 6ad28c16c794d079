"""Small edits of the real rules and of a dashboard, and the findings of the comparison for each."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.support.contract_edits import CONTRACTS, Edit, both, drop_family, swap, within
from tests.support.operation_files import (
    ALERTS,
    CASES,
    DASHBOARD,
    findings_of_contract,
    findings_of_edit,
    findings_of_texts,
    operation_files,
)

from prethrift_backend.cli import main
from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.diff.alerts import AlertSide, diff_alerts
from prethrift_backend.verify.diff.files import read_files
from prethrift_backend.verify.findings import Finding
from prethrift_backend.verify.promql import tree as promql_tree
from prethrift_backend.verify.promql.rule_files import parse_rule_file

SHOP = Path(__file__).parents[2] / "support" / "foreign_shop"
ERRORS = "alert: HighErrorRate"


def drop_alert(name: str) -> Edit:
    """Take an alert away."""

    def edit(text: str) -> str:
        start = text.index(f"      - alert: {name}\n")
        return text[:start] + text[text.index("      - alert: ", start + 1) :]

    return edit


class Case(NamedTuple):
    """One edit of the rules, and each rule with the level that it gives."""

    name: str
    edit: Edit
    expected: str


ABSENT = 'or absent(up{job="prethrift-backend"})'
LOOSER = "A002 error, A003 warning"
BREAKING = [
    Case("alert removed", drop_alert("HighResponseTime"), "A001 error"),
    Case("alert renamed", swap("alert: EmbeddingErrors", "alert: ModelErrors"), "A001 error"),
    Case("severity lowered", within(ERRORS, "critical", "warning"), "A001 error"),
    Case("severity lost", within(ERRORS, "{severity: critical, ", "{"), "A001 error"),
    Case("routing label removed", within(ERRORS, ", team: backend", ""), "A001 error"),
    Case("expression changed alone", within(ERRORS, "[5m]", "[10m]"), "A002 error"),
    Case("threshold loosened", within(ERRORS, "> 0.05", "> 0.1"), LOOSER),
    Case("threshold tightened", within(ERRORS, "> 0.05", "> 0.01"), "A002 error"),
    Case("floor raised", within(ERRORS, "> 0.1", "> 1"), LOOSER),
    Case("condition added", within("alert: ReadinessFlapping", "[15m]) > 3", "[15m]) > 3 and up == 1"), LOOSER),
    Case("absence not noticed", within("alert: TargetMissing", ABSENT, ""), LOOSER),
    Case("for lengthened", within(ERRORS, "for: 5m", "for: 1h"), "A003 warning"),
    Case("for made of nothing", within("alert: RestartLoop", "labels:", "for: 1h\n        labels:"), "A003 warning"),
    Case("a factor of a threshold", within("AvailabilityBudgetBurnFast", "14.4 * 0.001", "20 * 0.001"), LOOSER),
]
HARMLESS = [
    Case("severity raised", within("alert: HighResponseTime", "warning", "critical"), ""),
    Case("for shortened", within(ERRORS, "for: 5m", "for: 1m"), ""),
    Case("a label more", within(ERRORS, "team: backend", "team: backend, tier: web"), ""),
    Case("written otherwise", within(ERRORS, "sum by (job, environment) (", "sum by(job,environment) ("), ""),
    Case("another text", within(ERRORS, "of the requests", "of all requests"), ""),
    Case("an alert more", within("groups:", "rules:", "rules:\n      - {alert: New, expr: up == 2}"), ""),
    Case("another group", swap("name: prethrift-requests", "name: requests"), ""),
]


def _rules(findings: tuple[Finding, ...]) -> str:
    return ", ".join(f"{finding.rule} {finding.level}" for finding in findings)


@pytest.mark.parametrize("case", [*BREAKING, *HARMLESS], ids=lambda case: case.name)
def test_an_edit_of_the_rules(case: Case) -> None:
    """Each edit gives its rules and no other."""
    assert _rules(findings_of_edit(ALERTS, case.edit)) == case.expected


def test_a_change_with_a_test_is_none() -> None:
    """A002 asks for a case that was not there; what it says is not its matter."""
    moved = within("HighErrorRate is silent at 4 %", "0+600x60", "0+700x60")

    found = findings_of_edit(ALERTS, within(ERRORS, "> 0.05", "> 0.04"), also={CASES: moved})

    assert _rules(found) == ""


def test_a_case_that_is_gone_is_no_test() -> None:
    """Fewer cases show nothing of what the change is for."""

    def shorter(text: str) -> str:
        start = text.index("  - name: HighErrorRate is silent before")
        return text[:start] + text[text.index("  - name:", start + 1) :]

    found = findings_of_edit(ALERTS, within(ERRORS, "> 0.05", "> 0.04"), also={CASES: shorter})

    assert _rules(found) == "A002 error"


def test_two_faults_of_one_rule_are_one_finding() -> None:
    """Reports know a fault by its rule and its alert, so that a second would be taken for the first."""
    edit = both(within(ERRORS, "critical, team: backend", "warning"), within(ERRORS, "for: 5m", "for: 1h"))

    found = findings_of_edit(ALERTS, both(edit, within(ERRORS, "> 0.05", "> 0.1")))

    assert [finding.rule for finding in found] == ["A001", "A002", "A003"]
    assert "has lost team" in found[0].message
    assert found[2].observed == "> 0.1; for 3600 s"
    assert found[2].place is not None
    assert found[2].place.path == ALERTS


def _dashboard(**changes: object) -> Edit:
    return lambda text: json.dumps({**json.loads(text), **changes}, indent=2)


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (swap('"uid": "searches"', '"uid": "other"'), "D001 warning"),
        (swap('"title": "Errors"', '"title": "Faults"'), "D001 warning"),
        (swap('"id": 2,', '"id": 7,'), "D001 warning"),
        (both(swap('"id": 2,', '"id": 3,'), swap('"id": 1,', '"id": 2,')), "D001 warning, D001 warning"),
        (swap('"id": 2,', ""), "D001 warning"),
        (_dashboard(panels=[]), "D001 warning, D001 warning"),
        (swap("search_operations_total{", "search_operation_total{"), "D002 error"),
        (swap("(status)", "(state)"), "D002 error"),
        (swap("ratio_rate5m", "ratio_rate9m"), "D002 error"),
        (swap("search_type)", "kind)"), "D002 error"),
        (swap("$kind", "picture"), "D002 error"),
        (swap('"title": "Searches"', '"title": "All searches"'), ""),
        (swap("ratio_rate5m", "ratio_rate1h"), ""),
        (_dashboard(version=7), ""),
    ],
)
def test_an_edit_of_a_dashboard(edit: Edit, expected: str) -> None:
    """Links and queries."""
    assert _rules(findings_of_edit(DASHBOARD, edit)) == expected


def test_a_dashboard_that_is_gone() -> None:
    """D001; one that has moved and kept its uid is still found by it."""
    old = operation_files()
    left = {path: text for path, text in old.items() if path != DASHBOARD}

    assert _rules(findings_of_texts(old, left)) == "D001 warning"
    assert _rules(findings_of_texts(old, {**left, "ops/moved.json": old[DASHBOARD]})) == ""


def test_a_change_of_the_contract_empties_a_panel() -> None:
    """D002 comes where the contract changed and the dashboard did not."""
    assert _rules(findings_of_contract(drop_family("search_operations_total"))) == "D002 error, D002 error"


def test_nothing_changed() -> None:
    """The same texts give no finding."""
    texts = operation_files()

    assert findings_of_texts(texts, texts) == ()


@pytest.mark.parametrize(
    ("old", "new", "is_looser"),
    [
        ("a > 1", "a > 2", True),
        ("a > 2", "a > 1", False),
        ("1 < a", "2 < a", True),
        ("2 < a", "1 < a", False),
        ("a < 1", "a < 0.5", True),
        ("a < 1", "a < 2", False),
        ("1 > a", "0.5 > a", True),
        ("a > 1 unless b > 5", "a > 1 unless b > 3", True),
        ("a > 1 unless b > 5", "a > 1 unless b > 9", False),
        ("a > 1", "a > 1 unless b", True),
        ("a > 1 or b", "a > 1", True),
        ("a > 1", "a > 1 or b", False),
        ("sum(a > 1)", "sum(a > 2)", True),
        ("a > 1", "b > 2", True),
        ("a == 1", "a == 2", False),
    ],
)
def test_which_way_is_looser(old: str, new: str, is_looser: bool) -> None:
    """By the operator, the side of the number, and what stands behind ``unless``."""
    files = [f"groups: [{{name: g, rules: [{{alert: A, expr: {text}}}]}}]".encode() for text in (old, new)]
    sides = [AlertSide([parse_rule_file(file, path="rules.yml")], []) for file in files]

    found = [change.rule for _, change in diff_alerts(*sides)]

    assert ("A003" in found) == is_looser


# The command.


def _run(*arguments: str) -> object:
    with pytest.raises(SystemExit) as ended:
        main(["contracts", "diff", *arguments])
    return ended.value.code


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a repository with the shop's contracts and rules, in a folder below its top, and go there."""
    folder = tmp_path / "shop"
    (folder / "ops").mkdir(parents=True)
    for name in ("contracts/metrics.txt", "ops/rules.yml", "ops/rules_test.yml"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text((SHOP / name).read_text())
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "one"]):
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
        environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, capture_output=True, env=environ)
    monkeypatch.chdir(folder)
    return folder


def test_rules_of_a_shop_against_a_revision(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The folder ops is compared with what git has of it, from below the top of the repository as well."""
    assert _run("--contracts", "contracts") == 0
    path = repository / "ops" / "rules.yml"
    path.write_text(path.read_text().replace("severity: page", "severity: ticket").replace("< 0.01", "< 0.001"))
    capsys.readouterr()

    assert _run("--contracts", "contracts", "--report", "json") == 1

    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [(finding["rule"], finding["name"]) for finding in findings] == [
        ("A001", "NoCardOrders"),
        ("A002", "NoCardOrders"),
        ("A003", "NoCardOrders"),
    ]
    assert "ops/rules.yml" in json.dumps(findings[0])


def test_rules_of_a_shop_against_a_folder(repository: Path, tmp_path: Path) -> None:
    """Beside the older contracts lie the older rules; where none lie there is nothing to compare with."""
    older = tmp_path / "older"
    for folder in ("contracts", "ops"):
        (older / folder).mkdir(parents=True)
    (older / "contracts" / "metrics.txt").write_text((SHOP / "contracts" / "metrics.txt").read_text())
    against = ("--contracts", "contracts", "--against", str(older / "contracts"))
    assert _run(*against) == 0

    more = (repository / "ops" / "rules.yml").read_text().replace("NoCardOrders", "NoOrdersAtAll", 1)
    (older / "ops" / "rules.yml").write_text(more)
    assert _run(*against) == 1


def test_the_rules_beside_the_contracts_are_compared(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From another folder as well, and the rules of that one are none of the shop's."""
    older = tmp_path / "older"
    shutil.copytree(repository, older)
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "ops").mkdir(parents=True)
    (elsewhere / "ops" / "rules.yml").write_text("groups: []")
    path = repository / "ops" / "rules.yml"

    for here in (elsewhere, tmp_path):
        monkeypatch.chdir(here)
        statuses = []
        for text in (path.read_text(), path.read_text().replace("NoCardOrders", "NoOrdersAtAll", 1)):
            path.write_text(text)
            sides = (repository / "contracts", older / "contracts")
            statuses.append(_run("--contracts", str(sides[0]), "--against", str(sides[1])))
        path.write_text((older / "ops" / "rules.yml").read_text())
        assert statuses == [0, 1]


def test_files_outside_of_the_repository_have_no_past(
    repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What is no text has none either."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "rules.yml").write_text((SHOP / "ops" / "rules.yml").read_text())
    (repository / "ops" / "broken.yml").write_bytes(b"\xff\xfe")

    pair = read_files("HEAD", [elsewhere, Path("ops")], folder=repository / "contracts")

    assert set(pair.old.texts) == {"ops/rules.yml", "ops/rules_test.yml"}
    assert str(elsewhere / "rules.yml") in pair.new.texts


def test_without_the_parser_of_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a comparison that has to read queries needs it, and says so."""
    monkeypatch.setattr(promql_tree, "_MISSING", ModuleNotFoundError("no", name="promql_parser"))
    texts = {path: text for path, text in operation_files().items() if path != DASHBOARD}

    assert findings_of_contract(drop_family("build_info"), texts=texts) == ()
    with pytest.raises(ContractError, match=r"pip install 'prethrift-backend\[contracts\]'"):
        findings_of_texts(texts, {**texts, ALERTS: "groups: []"})


def test_the_real_tree_is_what_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison of this project with itself is whole: rules and tests are read on both sides."""
    monkeypatch.chdir(CONTRACTS.parent)

    pair = read_files(str(CONTRACTS), [Path("ops")], folder=CONTRACTS)

    assert pair.old.texts == pair.new.texts
    assert len(pair.new.alerts.alerts) == len(pair.old.alerts.alerts) > 20
