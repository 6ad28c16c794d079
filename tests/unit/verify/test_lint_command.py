"""`contracts lint`: what it looks at, what it prints, and the status it ends with."""

from __future__ import annotations

import gc
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.contract_edits import CONTRACTS

from prethrift_backend.cli import main
from prethrift_backend.verify.rules.lint import RULES

SHOP = Path(__file__).parents[2] / "support" / "foreign_shop" / "contracts"
SHOP_APP = "tests.support.foreign_shop.app:app"
METRICS = """# CONTRACT metrics 1.0.0
# HELP parcels_total Sent ones.
# TYPE parcels_total counter
# SERIES parcels_total max=1 presence=always
# EXTERNAL process_* python_*
parcels_total 1
"""
LOGS = """# CONTRACT logs 1.0.0
FIELD * timestamp date-time required
FIELD * level enum info|debug required
FIELD * event string required
NEVER-KEY password
NEVER-VALUE jwt
EVENT parcel_sent level=info
EVENT request_completed level=info|debug logger=prethrift_backend.observability open-fields
"""
APP = """
from prethrift_backend.config import Settings
from prethrift_backend.contracts import load_metrics
from prethrift_backend.observability import configure, get_logger, instrument
from pathlib import Path

log = get_logger(__name__)

async def serve(scope, receive, send):
    log.info("parcel_sent")

def make():
    telemetry = configure(Settings(), contract=load_metrics(Path(__file__).parent))
    telemetry.metrics.counter("parcels_total").labels().inc()
    telemetry.close()
    return instrument(serve, telemetry)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a working folder with an application of this package's telemetry, and contracts of its own beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name, text in (("metrics.txt", METRICS), ("logs.txt", LOGS), ("parcel_app.py", APP)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    yield tmp_path
    sys.modules.pop("parcel_app", None)


def _lint(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, Any]]:
    with pytest.raises(SystemExit) as ended:
        main(["contracts", "lint", "--report", "json", *map(str, arguments)])
    document = json.loads(capsys.readouterr().out)
    return int(ended.value.code or 0), document


def _rules(document: dict[str, Any]) -> list[str]:
    return [finding["rule"] for finding in document["findings"]]


def _refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    with pytest.raises(SystemExit) as ended:
        main(["contracts", "lint", *map(str, arguments)])
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_a_foreign_application_with_its_contracts_is_clean(capsys: pytest.CaptureFixture[str]) -> None:
    """The shop keeps what it promises, and every item was looked at."""
    status, document = _lint(capsys, "--contracts", SHOP, "--app", SHOP_APP)

    assert (status, document["findings"]) == (0, [])
    assert {item["state"] for item in document["items"]} == {"passed"}
    assert {"/readyz", "/stats/", "shop_orders_total"} <= {item["name"] for item in document["items"]}


def test_contracts_alone_say_that_no_code_was_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    """Without an application only the files are judged, and each item says why nothing else was."""
    for more, reason in (((), "no application was named"), (("--no-app",), "--no-app")):
        status, document = _lint(capsys, "--contracts", SHOP, *more)
        items = {item["name"]: item for item in document["items"]}

        assert status == 0
        assert reason in items["shop_orders_total"]["reason"]
        assert items["metrics.txt"]["state"] == "passed"


@pytest.mark.parametrize("text", ["", "# CONTRACT metrics 1.0.0\n# EXTERNAL process_*\n"])
def test_contracts_that_promise_nothing_are_not_verified(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str
) -> None:
    """Status 3: there was nothing to look at."""
    (tmp_path / "metrics.txt").write_text(text, encoding="utf-8")

    status, document = _lint(capsys, "--contracts", tmp_path)

    assert status == 3
    assert [item["reason"] for item in document["items"]] == ["the contracts promise nothing"]


def test_an_application_around_which_our_telemetry_stands_is_held_to_its_own_contracts(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    """Events that the telemetry writes for it are produced, families and its own events are its own."""
    status, document = _lint(capsys, "--contracts", folder, "--app", "parcel_app:make")

    assert (status, document["findings"]) == (0, [])
    assert {item["name"] for item in document["items"] if item["state"] == "passed"} >= {
        "parcels_total",
        "parcel_sent",
        "request_completed",
    }


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ('"parcel_sent"', '"parcel_lost"', "V006"),
        ('log.info("parcel_sent")', 'log.info("parcel_sent", password=scope)', "CD010"),
        ('log.info("parcel_sent")', 'log.error("parcel_sent")', "CD008"),
        ("labels()", "labels(kind='x')", "CD003"),
        ("log = ", "from prometheus_client import Gauge\ndef more():\n    Gauge('x', 'X')\nlog = ", "CD005"),
    ],
)
def test_a_change_of_the_code_is_found(
    capsys: pytest.CaptureFixture[str], folder: Path, old: str, new: str, rule: str
) -> None:
    """Another event, level or label, a secret in a field, a family past the contract: each by its rule."""
    path = folder / "parcel_app.py"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    status, document = _lint(capsys, "--contracts", folder, "--app", "parcel_app:make")

    assert status == 1
    assert rule in _rules(document)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("parcel_app", "names no attribute"),
        ("parcel_app:nothing", "has no 'nothing'"),
        ("nowhere_to_be_found:app", "cannot be imported"),
    ],
)
def test_an_application_that_cannot_be_made_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], folder: Path, reference: str, words: str
) -> None:
    """The command ends with 2 and one clear sentence."""
    assert words in _refused(capsys, "--contracts", folder, "--app", reference)


def test_what_an_application_prints_is_no_part_of_the_report(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """Its output goes to standard error, and the report stays a document."""
    path = folder / "parcel_app.py"
    path.write_text(f"print('hello')\n{path.read_text(encoding='utf-8')}", encoding="utf-8")

    assert _lint(capsys, "--contracts", folder, "--app", "parcel_app:make")[0] == 0


def test_an_application_and_none_are_not_asked_for_together(capsys: pytest.CaptureFixture[str]) -> None:
    """--app and --no-app exclude each other."""
    assert "not allowed with" in _refused(capsys, "--app", SHOP_APP, "--no-app")


def test_queries_and_alerts_are_held_against_the_contracts(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """A rule for an unknown family is found, and so is an alert without a runbook and tests; by default beside them."""
    (folder / "ops").mkdir()
    rules = "groups:\n  - name: a\n    rules:\n      - alert: Lost\n        expr: rate(parcel_total[5m]) > 1\n"
    (folder / "ops" / "alerts.yml").write_text(rules, encoding="utf-8")
    moved = folder / "contracts"
    moved.mkdir()
    (folder / "metrics.txt").rename(moved / "metrics.txt")

    status, document = _lint(capsys, "--contracts", moved)

    assert status == 1
    assert {"PQ002", "A004", "A005"} <= set(_rules(document))
    assert "Lost" in {item["name"] for item in document["items"] if item["signal"] == "alerts"}


def test_the_reference_is_held_against_the_contracts(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """A folder without the generated files is V005, and a folder that is not there is wrong usage."""
    (folder / "reference").mkdir()
    status, document = _lint(capsys, "--contracts", folder, "--docs", folder / "reference")

    assert status == 1
    assert set(_rules(document)) == {"V005"}
    assert "is no folder" in _refused(capsys, "--contracts", folder, "--docs", folder / "nowhere")


def test_an_exception_that_nothing_needs_is_found(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """The run names the rules that it judged, so that a line for one of them is known to be idle."""
    line = 'FM004 parcels_total until=2999-01-01 reason="agreed"\n'
    (folder / "exceptions.txt").write_text(line, encoding="utf-8")

    assert _rules(_lint(capsys, "--contracts", folder)[1]) == ["V004"]


def test_rules_over_code_are_judged_only_where_code_is(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """Without an application an exception from a rule over code may be needed by another run."""
    line = 'CD002 parcels_total until=2999-01-01 reason="agreed"\n'
    (folder / "exceptions.txt").write_text(line, encoding="utf-8")

    assert _rules(_lint(capsys, "--contracts", folder)[1]) == []
    assert _rules(_lint(capsys, "--contracts", folder, "--app", "parcel_app:make")[1]) == ["V004"]


def test_two_runs_say_the_same(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Findings and items come in one order, whatever the order of files and sets."""
    shutil.copytree(CONTRACTS, tmp_path, dirs_exist_ok=True)
    logs = (tmp_path / "logs.txt").read_text(encoding="utf-8")
    (tmp_path / "logs.txt").write_text(logs.replace("level=error", "level=info"), encoding="utf-8")
    first, second = (_lint(capsys, "--contracts", tmp_path)[1] for _ in range(2))

    assert len(first["findings"]) > 3
    assert [first["findings"], first["items"]] == [second["findings"], second["items"]]


def test_the_collector_of_garbage_is_left_as_it_was(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """A run in a process that lives on changes nothing of it."""
    _lint(capsys, "--contracts", folder)

    assert gc.isenabled()


def test_every_rule_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """`contracts rules` has title and help of each."""
    main(["contracts", "rules", *(rule.id for rule in RULES)])
    text = capsys.readouterr().out

    assert all(f"{rule.id}: {rule.title}" in text and rule.help in text for rule in RULES)
    assert all(rule.help for rule in RULES)


def test_every_rule_has_a_test_that_names_it() -> None:
    """No rule is without a fixture that breaks it."""
    texts = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_lint_*.py"))

    assert [rule.id for rule in RULES if f'"{rule.id}"' not in texts] == []
