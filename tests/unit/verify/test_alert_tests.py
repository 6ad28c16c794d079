"""What is said of alerts without a runbook or without tests, and how the kinds of test are told apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from prethrift_backend.verify.alerts.cases import is_test_file, read_test_file
from prethrift_backend.verify.alerts.tests import check_alerts
from prethrift_backend.verify.findings import Finding
from prethrift_backend.verify.promql.rule_files import read_rule_file

RULES = """\
groups:
  - name: shop
    rules:
      - record: job:orders:rate5m
        expr: sum by (job) (rate(shop_orders_total[5m]))
      - alert: NoOrders
        expr: {expr}
        annotations: {{{annotation}}}
"""
RUNBOOK = "runbook_url: docs/runbooks/NoOrders.md"
FIRES = "exp_alerts: [{exp_labels: {}}]"


def _group(series: dict[str, str], *, fires: bool) -> str:
    fed = "".join(f"      - series: '{name}'\n        values: '{values}'\n" for name, values in series.items())
    expected = FIRES if fires else "exp_alerts: []"
    entry = f"      - eval_time: 5m\n        alertname: NoOrders\n        {expected}\n"
    return f"  - interval: 1m\n    input_series:\n{fed}    alert_rule_test:\n{entry}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder with a runbook in it."""
    (tmp_path / "docs" / "runbooks").mkdir(parents=True)
    (tmp_path / "docs" / "runbooks" / "NoOrders.md").write_text("# NoOrders\n")
    (tmp_path / "rules").mkdir()
    (tmp_path / "tests").mkdir()
    return tmp_path


def _check(folder: Path, *groups: str, expr: str = "job:orders:rate5m < 1", annotation: str = RUNBOOK) -> list[Finding]:
    rules, tests = folder / "rules" / "shop.yml", folder / "tests" / "shop_test.yml"
    rules.write_text(RULES.format(expr=expr, annotation=annotation))
    tests.write_text("rule_files: [../rules/*.yml]\ntests:\n" + "".join(groups))
    return check_alerts([read_rule_file(rules)], tests=[tests])


ORDERS = 'shop_orders_total{job="shop"}'
FIRING = _group({ORDERS: "0x10"}, fires=True)
SILENT = _group({ORDERS: "0+600x10"}, fires=False)
ABSENT = _group({}, fires=False)


def test_an_alert_with_all_is_well(folder: Path) -> None:
    """A runbook and the three kinds of case; what a recording rule is made of counts as its series."""
    assert _check(folder, FIRING, SILENT, ABSENT) == []


@pytest.mark.parametrize(
    ("groups", "lacks"),
    [
        ((SILENT, ABSENT), "one that fires"),
        ((FIRING, ABSENT), "one that stays silent"),
        ((FIRING, SILENT), "one with a series absent"),
        ((), "one that fires, one that stays silent while its series are there, one with a series absent"),
    ],
)
def test_what_is_missing_is_named_in_one_finding(folder: Path, groups: tuple[str, ...], lacks: str) -> None:
    """A005 says which kinds of case an alert lacks."""
    (finding,) = _check(folder, *groups)

    assert (finding.rule, finding.name) == ("A005", "NoOrders")
    assert lacks in finding.message


def test_a_series_of_nothing_but_gaps_is_absent(folder: Path) -> None:
    """Promtool's ``_x10`` feeds in no sample."""
    gaps = _group({ORDERS: "_x10"}, fires=False)

    assert _check(folder, FIRING, SILENT, gaps) == []


def test_another_job_does_not_feed_an_alert(folder: Path) -> None:
    """A case in which only another job is scraped is one in which the series is absent."""
    expr = 'up{job=\\"shop\\"} == 0 or absent(up{job=\\"shop\\"})'
    up, other = 'up{job="shop"}', 'up{job="other"}'
    gone = _group({other: "0x10"}, fires=True)
    down, well = _group({up: "0x10"}, fires=True), _group({up: "1x10"}, fires=False)

    assert _check(folder, gone, down, well, expr=f'"{expr}"') == []
    (finding,) = _check(folder, gone, well, expr=f'"{expr}"')
    assert "one that fires" in finding.message


def test_what_only_asks_for_absence_fires_when_it_is_absent(folder: Path) -> None:
    """For an alert that is nothing but absent(…) one case is both."""
    gone, well = _group({}, fires=True), _group({ORDERS: "1x10"}, fires=False)

    assert _check(folder, gone, well, expr="absent(shop_orders_total)") == []


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        ("summary: x", "has no annotation runbook_url"),
        ("runbook_url: docs/runbooks/Other.md", "is not there"),
        ("runbook_url: https://example.org/blob/main/docs/runbooks/Other.md", "is not there"),
    ],
)
def test_no_runbook_is_A004(folder: Path, annotation: str, said: str) -> None:  # noqa: N802 - the id of the rule
    """A004: no annotation, or one whose page is not in the repository."""
    (finding,) = _check(folder, FIRING, SILENT, ABSENT, annotation=annotation)

    assert finding.rule == "A004"
    assert said in finding.message


@pytest.mark.parametrize(
    "address",
    ["https://example.org/blob/main/docs/runbooks/NoOrders.md", "https://wiki.example.org/NoOrders"],
)
def test_addresses_of_runbooks(folder: Path, address: str) -> None:
    """The page of an address is looked for below the repository; an address of something else is believed."""
    assert _check(folder, FIRING, SILENT, ABSENT, annotation=f"runbook_url: '{address}'") == []


def test_tests_of_another_rule_file_do_not_count(folder: Path) -> None:
    """An alert of the same name elsewhere may mean something else."""
    tests = folder / "tests" / "shop_test.yml"
    _check(folder, FIRING, SILENT, ABSENT)
    tests.write_text(tests.read_text().replace("../rules/*.yml", "../rules/other.yml"))

    (finding,) = check_alerts([read_rule_file(folder / "rules" / "shop.yml")], tests=[tests])

    assert finding.observed == "no case"


@pytest.mark.parametrize(("text", "fault"), [("tests: [", "no YAML: did not"), ("\xff", "no YAML: it is not UTF-8")])
def test_a_text_that_is_no_file_of_tests_is_told(tmp_path: Path, text: str, fault: str) -> None:
    """With what is wrong with it, and without tests."""
    path = tmp_path / "x_test.yml"
    path.write_text(text, encoding="latin-1")

    read = read_test_file(path)

    assert (read.fault or "").startswith(fault)
    assert read.groups == ()


@pytest.mark.parametrize("text", ["[]", "tests: 3", "tests: [1, {alert_rule_test: x}]", ""])
def test_no_other_text_of_tests_raises(tmp_path: Path, text: str) -> None:
    """What has no tests in it is a file without tests."""
    path = tmp_path / "x_test.yml"
    path.write_text(text)

    read = read_test_file(path)

    assert read.fault is None
    assert [group.expectations for group in read.groups if group.expectations] == []


def test_a_file_that_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    """Tests that are not there test nothing."""
    (finding,) = check_alerts([], tests=[tmp_path / "gone_test.yml"])

    assert finding.rule == "A005"


@pytest.mark.parametrize(("path", "is_one"), [("a/tests/x.yml", True), ("x_test.yml", True), ("rules/test.yml", False)])
def test_files_of_tests_by_name(path: str, is_one: bool) -> None:
    """By the folder, or by the ending."""
    assert is_test_file(Path(path)) == is_one
