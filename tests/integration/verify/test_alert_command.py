"""`contracts test-rules` with the real promtool: on this project's rules, and on those of a shop."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prethrift_backend.cli import main

pytestmark = pytest.mark.usefixtures("prometheus_tools")

ROOT = Path(__file__).parents[3]
SHOP = ROOT / "tests" / "support" / "foreign_shop"

Run = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Copy the rules of the shop, their tests and runbooks."""
    return Path(shutil.copytree(SHOP / "ops", tmp_path / "ops"))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command, and return its status, its report and what it wrote beside that."""

    def running(path: Path) -> tuple[int, dict[str, Any], str]:
        arguments = ["contracts", "test-rules", str(path), "--contracts", str(SHOP / "contracts"), "--report", "json"]
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert isinstance(ended.value.code, int)
        printed = capsys.readouterr()
        return ended.value.code, json.loads(printed.out), printed.err

    return running


def _change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


# Some four hundred runs of promtool: half a minute, and more where others use the machine.
@pytest.mark.timeout(900)
def test_every_change_of_our_alerts_is_noticed(run: Run) -> None:
    """The score of this project's rules is 100 %."""
    status, report, said = run(ROOT / "ops" / "prometheus")

    assert (status, report["findings"]) == (0, [])
    assert "(100.0 %)" in said


def test_the_tests_of_a_shop_notice_every_change(shop: Path, run: Run) -> None:
    """Rules that record, rules of absence and jobs of others: all of it in another team's files."""
    status, report, said = run(shop / "rules.yml")

    assert (status, report["findings"]) == (0, [])
    assert said.startswith("score: 9 of 9 changes to 2 alerts")


@pytest.mark.parametrize(
    ("old", "new", "survives"),
    [
        ("0+1x60", "0+600x60", "threshold doubled: payment:shop_orders:rate10m"),
        ("60+0.4x40", "60+0x40", "threshold halved: payment:shop_orders:rate10m"),
        ("values: 0x60", "values: 0+60x60", 'matcher payment="card" removed'),
        ("eval_time: 35m", "eval_time: 5m", "'for' dropped: payment:shop_orders:rate10m"),
    ],
)
def test_a_change_that_no_test_notices_is_shown(shop: Path, run: Run, old: str, new: str, survives: str) -> None:
    """A005 has the changed expression in it: a case far from the threshold is as good as none."""
    _change(shop / "rules_test.yml", old, new)
    _change(shop / "rules_test.yml", "summary: 0.0067", "summary: 0.0000") if "60+0x40" in new else None

    status, report, _ = run(shop)

    (finding,) = report["findings"]
    assert (status, finding["rule"], finding["name"]) == (1, "A005", "NoCardOrders")
    assert survives in finding["observed"]


def test_a_case_that_is_missing_is_named_with_what_it_would_notice(shop: Path, run: Run) -> None:
    """Without the case of a shop that nobody asks, absence is not tested."""
    text = (shop / "rules_test.yml").read_text()
    (shop / "rules_test.yml").write_text(text[: text.index("  - name: the shop is not asked")])

    status, report, _ = run(shop)

    assert status == 1
    assert [finding["name"] for finding in report["findings"]] == ["StockGone", "StockGone"]
    assert any("or absent(…) removed" in finding["observed"] for finding in report["findings"])


def test_tests_that_fail_are_a_finding_and_not_tried(shop: Path, run: Run) -> None:
    """What fails without a change tells nothing with one."""
    _change(shop / "rules.yml", "< 0.01", "< 0.00001")

    status, report, _ = run(shop)

    (finding,) = report["findings"]
    assert (status, finding["message"]) == (1, "promtool's tests fail")
    assert "NoCardOrders" in finding["observed"]
    assert any("fail without a change" in reason for reason in report["inconclusive"])


def test_without_promtool_nothing_is_verified(shop: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The status is 3, and says what to install."""
    monkeypatch.setenv("PATH", str(shop))

    status, report, _ = run(shop)

    assert status == 3
    assert "promtool is not in the PATH" in report["inconclusive"][0]


def test_the_queries_of_a_shop_are_well(capsys: pytest.CaptureFixture[str]) -> None:
    """Its rules name what its own contract has, and not what ours has."""
    statuses = []
    for contracts in (SHOP / "contracts", ROOT / "contracts"):
        with pytest.raises(SystemExit) as ended:
            main(["contracts", "lint-queries", str(SHOP / "ops"), "--contracts", str(contracts)])
        statuses.append(ended.value.code)

    assert statuses == [0, 1]
    assert "PQ002" in capsys.readouterr().out


def test_a_folder_without_rules_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing to look at is never well."""
    with pytest.raises(SystemExit) as ended:
        main(["contracts", "test-rules", str(tmp_path)])

    assert ended.value.code == 2
    assert "holds no rule file" in capsys.readouterr().err
