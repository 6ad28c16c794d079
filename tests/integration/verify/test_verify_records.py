"""`contracts verify` with the log and the spans of a service: the real application, and one of another team."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.foreign_shop import app as shop
from tests.support.processes import ServerProcess, free_port

from prethrift_backend.verify.findings import Outcome
from prethrift_backend.verify.live.client import LiveLimits
from prethrift_backend.verify.live.health_checks import HealthPaths
from prethrift_backend.verify.live.run import LiveOptions, verify_live
from prethrift_backend.verify.records.options import RecordOptions
from prethrift_backend.verify.verdict import exit_status

ROOT = Path(__file__).parents[3]
COMMAND = Path(sys.executable).with_name("prethrift-backend")
START_SECONDS = 120
NO_DATABASE = "postgresql://nobody:nothing@127.0.0.1:9/none"
SHOP_PATHS = ("--live-path", "/livez", "--ready-path", "/readyz", "--health-path", "/healthz")


@dataclass(frozen=True)
class Service:
    """A process, its log, and the port to which it sends its spans."""

    address: str
    log: Path
    tap: int = 0


@dataclass(frozen=True)
class Verdict:
    """How a run ended, and what it found."""

    outcome: Outcome

    @property
    def status(self) -> int:
        """The exit status of the command."""
        return exit_status(self.outcome, "error")

    @property
    def faults(self) -> set[tuple[str, str]]:
        """Rule and item of each finding that is an error."""
        return {(found.rule, found.name) for found in self.outcome.findings if found.level == "error"}

    @property
    def observed(self) -> set[str]:
        """The events and spans that were there to look at."""
        items = self.outcome.items
        return {item.name for item in items if item.signal in ("logs", "spans") and item.not_observed is None}

    @property
    def reasons(self) -> str:
        """Why the run cannot tell."""
        return "; ".join(self.outcome.inconclusive)


@contextmanager
def _backend(folder: Path, **environ: str) -> Iterator[Service]:
    """Serve the application without its database, which it does not need to speak of requests."""
    port, tap, log = free_port(), free_port(), folder / "backend.log"
    settings = {
        "DATABASE_URL": NO_DATABASE,
        "PORT": str(port),
        "LOG_FILE": str(log),
        "LOG_LEVEL": "debug",
        "OTLP_ENDPOINT": f"http://127.0.0.1:{tap}",
        "TRACE_SAMPLE_RATE": "1",
    }
    environment = {**os.environ, **settings, **environ}
    with ServerProcess([str(COMMAND), "serve"], environ=environment, directory=folder) as process:
        process.wait_for_http(f"http://127.0.0.1:{port}/health/live", START_SECONDS)
        yield Service(f"http://127.0.0.1:{port}", log, tap)


@contextmanager
def _shop(folder: Path, fault: str = "") -> Iterator[Service]:
    port, log = free_port(), folder / "shop.log"
    command = [sys.executable, "-m", "uvicorn", "tests.support.foreign_shop.app:app", "--port", str(port)]
    environ = {**os.environ, "SHOP_FAULT": fault, "SHOP_LOG": str(log)}
    with ServerProcess(command, environ=environ, directory=ROOT) as process:
        process.wait_for_http(f"http://127.0.0.1:{port}/livez", START_SECONDS)
        yield Service(f"http://127.0.0.1:{port}", log)


def _verify(service: Service, records: RecordOptions, *, probe: bool = True) -> Verdict:
    """Run the stages here: what the command adds is tested once for each service."""
    limits = LiveLimits(max_requests=100, rate_per_second=200.0)
    return Verdict(verify_live(service.address, options=LiveOptions(limits, probe=probe, records=records)).outcome)


def _verify_shop(service: Service) -> Verdict:
    options = LiveOptions(
        LiveLimits(max_requests=100, rate_per_second=200.0),
        paths=HealthPaths("/livez", "/readyz", "/healthz"),
        min_coverage=0.7,
        probe=True,
        records=RecordOptions(log_file=service.log, timeout_seconds=2.0),
    )
    return Verdict(verify_live(service.address, shop.CONTRACTS, options=options).outcome)


def _command(service: Service, *options: str) -> tuple[int, dict[str, Any]]:
    """Run the command; return its status and its report."""
    command = [str(COMMAND), "contracts", "verify", service.address, "--probe", "--report", "json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=service.log.parent)
    assert done.returncode in (0, 1, 3), done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Serve the application as in development: a caller's trace is gone on with."""
    with _backend(tmp_path_factory.mktemp("backend")) as service:
        yield service


def test_the_application_keeps_its_word_in_lines_and_spans(backend: Service) -> None:
    """A trace that was sent is in answer, line, span and exemplar, and each record keeps its contract."""
    status, report = _command(
        backend,
        *("--logs", str(backend.log), "--otlp-tap", str(backend.tap)),
        *("--trace-trust", "parent", "--fail-on", "warning"),
    )

    items = {item["name"]: item.get("not_observed") for item in report["items"]}
    assert (status, report["inconclusive"]) == (0, [])
    assert [items[name] for name in ("request_completed", "every line", "server", "every span", "correlation")] == [
        None
    ] * 5


UNMATCHED = '"endpoint":"__unmatched__"'


@pytest.mark.parametrize(
    ("script", "faults"),
    [
        ("", set()),
        (f'/{UNMATCHED}/s/"environment"/"note":"Bearer abcdef0123456789","environment"/',
         {("LG008", "request_completed"), ("LG014", "request_completed")}),
        (f"/{UNMATCHED}/d", {("LG020", "request_completed"), ("CR002", "every line")}),
        (f"/{UNMATCHED}/p", {("LG020", "request_completed")}),
        ('s/("trace_id":")[0-9a-f]{4}/\\1beef/', {("CR002", "request_completed")}),
        ('s/"request_id":"verify-/"request_id":"other-/',
         {("LG020", "request_completed"), ("CR002", "request_completed")}),
        (f'/{UNMATCHED}/s/"duration_ms":[0-9.]+/"duration_ms":"fast"/', {("LG007", "request_completed")}),
        ("1s/.*/Traceback (most recent call last):/", {("LG002", "every line")}),
    ],
)  # fmt: skip
def test_a_log_that_breaks_its_word_is_a_violation(backend: Service, script: str, faults: set[tuple[str, str]]) -> None:
    """The log as a command shows it, spoiled on the way: a secret, a line too few or too many, ids that do not fit."""
    command = shlex.join(["sed", "-E", script, str(backend.log)])

    verdict = _verify(backend, RecordOptions(log_command=command, timeout_seconds=2.0))

    assert verdict.faults == faults
    assert verdict.status == (1 if faults else 0)


def test_a_trace_of_its_own_is_linked(tmp_path: Path) -> None:
    """A service that trusts nobody links the caller's trace; where going on with it is promised that is a violation."""
    with _backend(tmp_path, TRACE_TRUST="link") as service:
        records = RecordOptions(log_file=service.log, tap=("127.0.0.1", service.tap))
        linked = _verify(service, records)
        promised = _verify(service, replace(records, trust="parent"))

    assert (linked.status, linked.faults, linked.reasons) == (0, set(), "")
    assert ("CR005", "correlation") in promised.faults


def test_a_trace_that_is_dropped_is_a_violation(tmp_path: Path) -> None:
    """Neither the trace nor a link to it: from the caller nobody finds what happened here."""
    with _backend(tmp_path, TRACE_TRUST="ignore") as service:
        records = RecordOptions(tap=("127.0.0.1", service.tap))
        dropped = _verify(service, records)
        ignored = _verify(service, replace(records, trust="ignore"))

    assert (dropped.status, dropped.faults, dropped.reasons) == (1, {("CR003", "every span")}, "")
    assert (ignored.status, ignored.faults, ignored.reasons) == (0, set(), "")


def test_records_that_do_not_come_are_inconclusive(backend: Service, tmp_path: Path) -> None:
    """A run that was to see lines and spans and saw none says so; it is no success."""
    (tmp_path / "empty.log").touch()
    nothing = RecordOptions(log_file=tmp_path / "empty.log", tap=("127.0.0.1", free_port()), timeout_seconds=0.1)

    verdict = _verify(backend, nothing, probe=False)

    assert verdict.status == 3
    assert "no line came" in verdict.reasons
    assert "no span came" in verdict.reasons


def test_without_a_probe_what_is_there_is_read(backend: Service) -> None:
    """The lines of probes and scrapes are held to their contract, and nothing is sent for it."""
    verdict = _verify(backend, RecordOptions(log_file=backend.log), probe=False)

    assert verdict.status == 0
    assert "request_completed" in verdict.observed


def test_a_command_that_fails_is_inconclusive(backend: Service) -> None:
    """What it complained of is in the report."""
    verdict = _verify(backend, RecordOptions(log_command="cat /no/such/log", timeout_seconds=1.0), probe=False)

    assert verdict.status == 3
    assert "status 1" in verdict.reasons
    assert "No such file" in verdict.reasons


def test_wrong_usage_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    """A file that is not there, a port that is none, spans without a contract for them."""
    for options in (
        ("--logs", str(tmp_path / "nothing")),
        ("--otlp-tap", "none"),
        ("--otlp-tap", str(free_port()), "--contracts", str(shop.CONTRACTS)),
    ):
        command = [str(COMMAND), "contracts", "verify", "http://127.0.0.1:9", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)

        assert (done.returncode, done.stdout) == (2, ""), options
        assert "prethrift-backend: " in done.stderr


def test_a_shop_keeps_its_word_in_its_lines(tmp_path: Path) -> None:
    """Nothing of this package is in the service: its log and its contract are enough."""
    with _shop(tmp_path) as service:
        options = ("--contracts", str(shop.CONTRACTS), *SHOP_PATHS, "--min-coverage", "0.7")
        status, report = _command(service, *options, "--logs", str(service.log))

    items = {item["name"]: item.get("not_observed") for item in report["items"] if item["signal"] == "logs"}
    assert (status, [finding["rule"] for finding in report["findings"]]) == (0, ["CR001"])
    assert items == {"every line": None, "request_answered": None}


@pytest.mark.parametrize(
    ("fault", "faults"),
    [
        ("leak", {("LG014", "request_answered")}),
        ("silent", {("LG020", "request_answered")}),
        ("wrong-trace", {("CR002", "request_answered")}),
    ],
)
def test_a_shop_that_breaks_its_word_is_a_violation(tmp_path: Path, fault: str, faults: set[tuple[str, str]]) -> None:
    """A secret, a line that is missing, and a trace that is another."""
    with _shop(tmp_path, fault) as service:
        verdict = _verify_shop(service)

    assert (verdict.status, verdict.faults) == (1, faults)
