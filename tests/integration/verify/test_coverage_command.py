"""`contracts coverage` on small projects of others: a suite that leaves something out, breaks a promise, or fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.foreign_shop import app as shop

ROOT = Path(__file__).parents[3]
COMMAND = Path(sys.executable).with_name("prethrift-backend")

METRICS = """\
# CONTRACT metrics 1.0.0
# HELP shop_orders_total Orders by how they are paid.
# TYPE shop_orders_total counter
# META shop_orders_total stability=stable since=1.0.0 owner=shop
# LABEL shop_orders_total payment enum card|invoice
# SERIES shop_orders_total max=2 presence=always init=all
# HELP shop_stock_items Items in stock.
# TYPE shop_stock_items gauge
# META shop_stock_items stability=beta
# SERIES shop_stock_items max=1 presence=always
"""
LOGS = """\
# CONTRACT logs 1.0.0
RECORD json utf-8
FIELD * event string required
EVENT order_paid level=info stability=stable open-fields
  amount int required
"""
SPANS = """\
# CONTRACT spans 1.0.0
SPAN pay kind=internal scope=shop stability=stable
  NAME pay
  pay.amount int required
  STATUS unset
"""
TESTS = """\
from pathlib import Path

import pytest

from prethrift_backend.contracts import load_metrics
from prethrift_backend.observability import get_logger, get_tracer
from prethrift_backend.observability.testing import capture_telemetry


@pytest.fixture
def shop():
    with capture_telemetry(contract=load_metrics(Path("contracts"))) as capture:
        yield capture


def test_card(shop):
    shop.telemetry.metrics.counter("shop_orders_total").labels(payment="card").inc()


def test_lines_and_spans(shop):
    with get_tracer("shop").start_as_current_span("pay") as span:
        span.set_attribute("pay.amount", 3)
        get_logger("shop").info("order_paid", amount=3)


def test_stock_is_set_and_not_read(shop):
    shop.telemetry.metrics.gauge("shop_stock_items").labels().set(12)
"""
INVOICE = """

def test_invoice(shop):
    shop.telemetry.metrics.counter("shop_orders_total").labels(payment="invoice").inc()
"""
BREACH = """

def test_a_breach(shop):
    get_logger("shop").info("order_paid", amount="three")
"""
FAILURE = """

def test_that_fails():
    assert False
"""


@dataclass(frozen=True)
class Run:
    """How a run of the command ended, and what its report says."""

    status: int
    output: str
    report: dict[str, Any]

    @property
    def found(self) -> list[tuple[str, str]]:
        """Rule and item of each finding."""
        return sorted((finding["rule"], finding["name"]) for finding in self.report.get("findings", ()))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a project whose tests exercise all that is stable but one value of a label."""
    (tmp_path / "contracts").mkdir()
    for name, text in (("metrics.txt", METRICS), ("logs.txt", LOGS), ("spans.txt", SPANS)):
        (tmp_path / "contracts" / name).write_text(text)
    (tmp_path / "test_shop.py").write_text(TESTS)
    return tmp_path


def _cover(project: Path, *options: str, tests: Sequence[str] = ("--", "-q", "test_shop.py")) -> Run:
    command = [str(COMMAND), "contracts", "coverage", "--contracts", "contracts", "--report", "json=out.json"]
    done = subprocess.run(
        [*command, "--report", "human", *options, *tests],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": "-p no:cacheprovider"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    report = project / "out.json"
    return Run(done.returncode, done.stdout + done.stderr, json.loads(report.read_text()) if report.is_file() else {})


def _add_test(project: Path, text: str) -> None:
    with (project / "test_shop.py").open("a") as file:
        file.write(text)


def test_a_value_that_no_test_brings_about_is_found(project: Path) -> None:
    """All is stable but the stock; the table names the first test of each item."""
    run = _cover(project, "--table")

    assert (run.status, run.found) == (1, [("CV002", 'shop_orders_total{payment="invoice"}')])
    assert 'shop_orders_total{payment="card"}     test_shop.py::test_card' in run.output
    assert "order_paid field amount               test_shop.py::test_lines_and_spans" in run.output


def test_a_suite_that_exercises_all_is_verified(project: Path) -> None:
    """What is stable is enough; a gauge that nobody reads is not exercised where beta counts as well."""
    _add_test(project, INVOICE)

    assert _cover(project, "--record", "record.json").status == 0
    assert _cover(project, "--stability", "beta", "--merge", "record.json", tests=[]).found == [
        ("CV001", "shop_stock_items")
    ]


def test_a_floor_may_be_lower(project: Path) -> None:
    """What is missing is then a warning."""
    run = _cover(project, "--floor", "0.9")

    assert (run.status, {finding["level"] for finding in run.report["findings"]}) == (0, {"warning"})


def test_a_breach_of_contract_in_a_test_is_found(project: Path) -> None:
    """The suite is a run of conformance: the finding names the test, and the line of the contract."""
    _add_test(project, INVOICE + BREACH)

    run = _cover(project)

    assert (run.status, run.found) == (1, [("LG007", "order_paid")])
    assert "(in test_shop.py::test_a_breach)" in run.output
    assert "contracts/logs.txt:4" in run.output


def test_a_breach_on_purpose_is_marked(project: Path) -> None:
    """A test that says so counts for nothing, neither for a breach nor as exercise."""
    marked = BREACH.replace("def test", '@pytest.mark.contract_unobserved("on purpose")\ndef test')
    _add_test(project, INVOICE + marked)
    assert _cover(project).status == 0

    (project / "test_shop.py").write_text(
        TESTS + INVOICE.replace("def test", '@pytest.mark.contract_unobserved("x")\ndef test')
    )

    assert _cover(project).found == [("CV002", 'shop_orders_total{payment="invoice"}')]


def test_a_run_that_fails_is_no_success(project: Path) -> None:
    """Whatever it exercised."""
    _add_test(project, INVOICE + FAILURE)

    run = _cover(project)

    assert (run.status, run.found) == (1, [("CV003", "pytest")])


def test_a_run_that_is_broken_is_no_success(project: Path) -> None:
    """A file that cannot be imported ends the run before any test."""
    _add_test(project, "\nimport nothing_of_this_name\n")

    run = _cover(project, "--floor", "0")

    assert (run.status, ("CV003", "pytest") in run.found) == (1, True)


@pytest.mark.parametrize("tests", [["-k", "nothing"], ["--collect-only"]])
def test_a_run_without_tests_is_inconclusive(project: Path, tests: list[str]) -> None:
    """No test, no coverage: never a success."""
    run = _cover(project, "--floor", "0", tests=["--", "-q", "test_shop.py", *tests])

    assert (run.status, run.report["inconclusive"]) == (3, ["no test ran"])


def test_wrong_arguments_for_pytest_are_usage(project: Path) -> None:
    """What pytest says of them is shown."""
    run = _cover(project, tests=["--", "--no-such-option"])

    assert (run.status, run.report) == (2, {})
    assert "--no-such-option" in run.output


def test_records_of_two_runs_are_merged(project: Path) -> None:
    """Each alone leaves something out; together they are whole, and no test runs again."""
    (project / "test_more.py").write_text(TESTS + INVOICE)
    first = _cover(project, "--record", "one.json")
    second = _cover(project, "--record", "two.json", tests=["--", "-q", "test_more.py", "-k", "invoice"])

    merged = _cover(project, "--merge", "one.json", "two.json", tests=[])

    assert (first.status, second.status, merged.status) == (1, 1, 0)
    assert "4 tests ran" in merged.output


def test_a_record_of_other_contracts_is_not_merged(project: Path) -> None:
    """A contract that changed since has to be exercised again."""
    _cover(project, "--record", "one.json")
    (project / "contracts" / "metrics.txt").write_text(METRICS.replace("1.0.0\n", "1.0.1\n", 1))

    run = _cover(project, "--merge", "one.json", tests=[])

    assert run.status == 2
    assert "a record is of another metrics.txt" in run.output


def test_workers_are_refused(project: Path) -> None:
    """Whoever spreads the tests over processes is told why that shows nothing."""
    (project / "conftest.py").write_text(
        'def pytest_addoption(parser):\n    parser.addoption("--dist", default="no")\n'
    )

    run = _cover(project, tests=["--", "-q", "test_shop.py", "--dist", "load"])

    assert run.status == 2
    assert "observes one process" in run.output


SHOP_TESTS = """\
import asyncio

import httpx

from tests.support.foreign_shop import app as shop


def ask(*paths):
    async def asked():
        transport = httpx.ASGITransport(app=shop.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return [await client.request(method, path) for method, path in paths]

    return asyncio.run(asked())


def test_requests():
    ask(("GET", "/baskets/1"), ("POST", "/baskets/2"), ("PUT", "/baskets/3"))


def test_health():
    ask(("GET", "/livez"), ("GET", "/healthz"))


def test_scrape():
    ask(("GET", "/stats/"))


def test_orders():
    shop.orders.labels("card").inc()
"""


def test_a_suite_of_another_application_is_covered(tmp_path: Path) -> None:
    """Without anything of this package in it: its registry, and its answers about health."""
    (tmp_path / "contracts").symlink_to(shop.CONTRACTS)
    (tmp_path / "test_shop.py").write_text(SHOP_TESTS)
    endpoints = [word for path in ("/livez", "/readyz", "/healthz") for word in ("--health-endpoint", path)]

    run = _cover(tmp_path, "--stability", "all", "--app", "tests.support.foreign_shop.app:app", *endpoints)

    found = {(one["rule"], one["name"]) for one in run.report["findings"] if one["signal"] in ("metrics", "health")}
    assert found == {
        ("CV001", "/readyz"),
        ("CV002", "checks{}.status value DOWN"),
        ("CV002", 'shop_orders_total{payment="invoice"}'),
        ("CV002", "status value DOWN"),
    }
