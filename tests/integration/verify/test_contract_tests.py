"""Contracts as tests of pytest, on the shop of another team and on this package's own application."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.foreign_shop import app as shop

from prethrift_backend.contracts import find_contracts

ROOT = Path(__file__).parents[3]
SHOP = "tests.support.foreign_shop.app:app"
PATHS = ("--prethrift-live-path=/livez", "--prethrift-ready-path=/readyz", "--prethrift-health-path=/healthz")


def _run(folder: Path, *options: str, fault: str = "") -> tuple[int, str]:
    """Run pytest with this package's plugin alone, and return its status and output."""
    command = [sys.executable, "-m", "pytest", "-p", "prethrift_telemetry", "-p", "no:cacheprovider", "-rA", "-q"]
    environ = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT), "SHOP_FAULT": fault}
    done = subprocess.run(
        [*command, "-W", "error", *options],
        cwd=folder,
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


def _failed(output: str) -> set[str]:
    return set(re.findall(r"^FAILED \S*contracts/(\S+\])", output, re.MULTILINE))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a project with the shop's contracts and a test of its own."""
    (tmp_path / "contracts").mkdir()
    for path in shop.CONTRACTS.iterdir():
        (tmp_path / "contracts" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "test_own.py").write_text("def test_own():\n    pass\n")
    return tmp_path


def _test_shop(project: Path, *options: str, fault: str = "") -> tuple[int, str]:
    return _run(project, "--prethrift-contracts=contracts", f"--prethrift-app={SHOP}", *PATHS, *options, fault=fault)


def test_an_application_that_keeps_its_contracts_passes(project: Path) -> None:
    """Each item has a test for each stage, beside the project's own tests; what was not observed is told apart."""
    status, output = _test_shop(project, "test_own.py")

    assert status == 0, output
    for name in ("lint", "code", "verify"):
        assert f"PASSED contracts/metrics.txt::shop_orders_total[{name}]" in output
    assert "PASSED test_own.py::test_own" in output
    assert re.search(r"SKIPPED \[1\] contracts/\S+:\d+: not observed: ", output)
    assert re.search(r"contracts in \S+: \d+ not observed, \d+ passed; what was not observed has not passed", output)


@pytest.mark.parametrize(
    ("fault", "names"),
    [
        ("lying-probe", {"health.schema.json::/readyz[verify]", "health.schema.json::/healthz[verify]"}),
        ("raw-paths", {"metrics.txt::shop_requests_total[verify]"}),
        (
            "renamed",
            {
                f"metrics.txt::{name}[{stage}]"
                for name in ("shop_orders_total", "shop_order_total")
                for stage in ("code", "verify")
            },
        ),
    ],
)
def test_a_fault_fails_the_test_of_its_item(project: Path, fault: str, names: set[str]) -> None:
    """And no other; the text is the finding, without a traceback."""
    status, output = _test_shop(project, "-m", "prethrift_contract", fault=fault)

    assert (status, _failed(output)) == (1, names)
    assert "fix: " in output
    assert "Traceback" not in output
    assert "contract_tests.py" not in output
    assert "test_own" not in output.replace("tests/support", "")


def test_one_test_can_be_run_again(project: Path) -> None:
    """By the id that the run before has printed."""
    status, output = _test_shop(project, "contracts/metrics.txt::shop_orders_total[verify]")

    assert status == 0
    assert "1 passed" in output


def test_contracts_alone_are_held_against_themselves(project: Path) -> None:
    """Without an application there is one stage."""
    metrics = project / "contracts" / "metrics.txt"
    metrics.write_text(metrics.read_text().replace("Orders by how they are paid.", "shop orders"))

    status, output = _run(project, "--prethrift-contracts=contracts", "-m", "prethrift_contract")

    assert status == 0, output
    assert "[lint]" in output
    assert not re.search(r"\[(code|verify)\]", output)


def test_an_exception_with_a_reason_is_an_expected_failure(project: Path) -> None:
    """One that has run out, or is not needed, fails."""
    (project / "contracts" / "exceptions.txt").write_text(
        'LV122 shop_requests_total until=2999-01-01 reason="the router is being replaced"\n'
        'LV122 shop_stock_items until=2999-01-01 reason="not needed"\n'
    )

    status, output = _test_shop(project, fault="raw-paths")

    assert (status, "V004" in output) == (1, True)
    assert re.search(
        r"^XFAIL .*shop_requests_total\[verify\].* - LV122 excused until 2999-01-01: the router", output, re.MULTILINE
    )
    assert re.findall(r"^FAILED (.+?\])", output, re.MULTILINE) == [
        "contracts/metrics.txt::LV122 shop_stock_items[verify]"
    ]


def test_an_application_that_cannot_be_imported_is_told_once(project: Path) -> None:
    """As an error of collection that names it and the fix."""
    status, output = _run(project, "--prethrift-contracts=contracts", "--prethrift-app=nothing.there:app")

    assert status == 2
    assert output.count("application 'nothing.there:app' cannot be imported") == 1
    assert "Traceback" not in output


def test_contracts_that_cannot_be_read_are_told_once(project: Path) -> None:
    """With the line."""
    metrics = project / "contracts" / "metrics.txt"
    metrics.write_text(metrics.read_text() + "\n# SMELL shop_orders_total sweet\n")

    status, output = _run(project, "--prethrift-contracts=contracts")

    assert status == 2
    assert len(re.findall(r"metrics\.txt:\d+:\d+: .*SMELL", output)) == 1


def test_a_folder_without_contracts_is_wrong_usage(tmp_path: Path) -> None:
    """Nothing is collected, and nothing passes."""
    status, output = _run(tmp_path, "--prethrift-contracts=elsewhere")

    assert status == 4
    assert "no contracts found in 'elsewhere'" in output


def test_our_own_application_passes(tmp_path: Path) -> None:
    """With the contracts of the package, which need not be named."""
    status, output = _run(tmp_path, "--prethrift-app=prethrift_backend.main:build")

    assert status == 0, output
    assert "::http_requests_total[verify]" in output
    assert f"contracts in {find_contracts()}: " in output
