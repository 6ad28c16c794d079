"""Stages 11 and 12 of a run: what they say where records are given, and where none are."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.record_contracts import line
from tests.support.recorded_service import CONTRACTS, OPENMETRICS_TYPE, RecordedService, Reply

from prethrift_backend.verify.live.client import LiveUsageError
from prethrift_backend.verify.live.items import Stage
from prethrift_backend.verify.live.run import LiveOptions, LiveRun
from prethrift_backend.verify.records.options import RecordOptions
from prethrift_backend.verify.rules import records as _rules_records
from prethrift_backend.verify.verdict import exit_status

LOGS = """\
# CONTRACT logs 1.0.0
RECORD json utf-8 one-per-line
FIELD * time date-time required
FIELD * level enum info required
FIELD * event string required
FIELD * logger string required
FIELD * request_id string max=40 required-if=request
FIELD * trace_id match [0-9a-f]{32}
EVENT answered level=info count=1/request
  code int required
EVENT order_placed level=info
  total number required
"""


@dataclass
class LoggingService(RecordedService):
    """Writes a line for each request that no route takes, by ``told`` with fields of its own."""

    log: Path
    lines_a_request: int = 1

    def __post_init__(self) -> None:
        super().__init__()
        self.told: dict[str, Any] = {}
        self.exemplar: str | None = None
        self.openmetrics = re.sub(r" # \{[^}]*\}[^\n]*", "", self.openmetrics)
        self.spoilers.append(self._answer)

    def _answer(self, request: httpx.Request, reply: Reply) -> None:
        if request.url.path.startswith("/verify-"):
            caller = re.fullmatch("00-([0-9a-f]{32})-.*", request.headers.get("traceparent", ""))
            trace = None if caller is None else caller[1]
            told = {
                "request_id": request.headers.get("x-request-id", "own"),
                "trace_id": trace,
                "code": 404,
                **self.told,
            }
            reply.headers["x-trace-id"] = trace or ""
            with self.log.open("ab") as file:
                file.write(line("answered", **told) * self.lines_a_request)
        elif reply.headers.get("content-type") == OPENMETRICS_TYPE and self.exemplar is not None:
            sample = f'a_bucket{{le="1"}} 1 # {{trace_id="{self.exemplar}"}} 0.5\n# EOF\n'
            reply.body = reply.body.replace(b"# EOF\n", sample.encode())


@pytest.fixture
def contracts(tmp_path: Path) -> Path:
    """Make the contracts of the recorded service, with one of lines."""
    folder = tmp_path / "contracts"
    shutil.copytree(CONTRACTS, folder)
    (folder / "logs.txt").write_text(LOGS)
    return folder


@pytest.fixture
def service(tmp_path: Path) -> LoggingService:
    """Make a service with a log that is empty."""
    (tmp_path / "log").touch()
    return LoggingService(tmp_path / "log")


def _run(service: LoggingService, contracts: Path, *, probe: bool = True) -> LiveRun:
    records = RecordOptions(log_file=service.log, timeout_seconds=1.0)
    return service.verify(LiveOptions(probe=probe, records=records), contracts)


def _stage(run: LiveRun, number: int) -> Stage:
    (found,) = (stage for stage in run.stages if stage.number == number)
    return found


def _found(run: LiveRun) -> Sequence[tuple[str, str]]:
    of_records = {rule.id for rule in _rules_records.RULES}
    return sorted((found.rule, found.name) for found in run.outcome.findings if found.rule in of_records)


@pytest.mark.parametrize(
    ("probe", "notes"),
    [
        (False, ["needs --probe: it sends requests", "no --logs, no --otlp-tap"]),
        (True, ["no --logs, no --otlp-tap"] * 2),
    ],
)
def test_without_records_both_stages_say_so(service: LoggingService, probe: bool, notes: list[str]) -> None:
    """Nothing is promised of events and spans, so that they do not pull the coverage down; nor are rules judged."""
    run = service.verify(LiveOptions(probe=probe))

    assert [(_stage(run, number).state, _stage(run, number).note) for number in (11, 12)] == [
        ("skipped", note) for note in notes
    ]
    assert {item.signal for item in run.outcome.items}.isdisjoint({"logs", "spans"})
    assert not {rule.id for rule in _rules_records.RULES} & set(run.outcome.rules)


def test_lines_that_keep_their_word_are_observed(service: LoggingService, contracts: Path) -> None:
    """Each stage says what it had; an event whose cause did not come is not observed, and is not due."""
    run = _run(service, contracts)

    assert _found(run) == []
    assert _stage(run, 11).note == "no exemplars; no --otlp-tap"
    assert _stage(run, 12).note == "10 lines"
    items = {item.name: item.not_observed for item in run.outcome.items if item.signal == "logs"}
    assert items == {
        "every line": None,
        "answered": None,
        "order_placed": "no line of it came while the run looked",
    }
    assert {*_rules_records.LINE_RULES, *_rules_records.CORRELATION_RULES} <= set(run.outcome.rules)
    assert run.coverage > service.verify(LiveOptions(probe=True)).coverage


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({"trace_id": "f" * 32}, [("CR002", "answered")]),
        ({"trace_id": None}, [("CR002", "answered")]),
        ({"request_id": "another"}, [("CR002", "answered"), ("LG020", "answered")]),
        ({"code": "404"}, [("LG007", "answered")]),
        ({"level": "debug"}, [("LG007", "answered"), ("LG011", "answered")]),
    ],
)
def test_lines_that_break_their_word_are_a_violation(
    service: LoggingService, contracts: Path, told: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    """What the lines say is held to what was sent and to their contract."""
    service.told = told

    run = _run(service, contracts)

    assert _found(run) == found
    assert exit_status(run.outcome, "error") == 1


@pytest.mark.parametrize("number", [0, 2])
def test_a_request_has_one_line(service: LoggingService, contracts: Path, number: int) -> None:
    """None is too few, and two are too many; the report says how often it was so."""
    service.lines_a_request = number

    run = _run(service, contracts)

    (found,) = (found for found in run.outcome.findings if found.rule == "LG020")
    assert found.message == f"{number} lines 'answered' of one request"
    assert found.place is not None
    assert (found.place.path, found.place.line) == (str(contracts / "logs.txt"), 9)


def test_faults_of_many_lines_are_one_finding(service: LoggingService, contracts: Path) -> None:
    """It says how many there are, and does not show the secret."""
    (contracts / "logs.txt").write_text(f"{LOGS}NEVER-VALUE bearer\n")
    service.log.write_bytes(3 * line("Hello", note="Bearer abcdef0123456789"))

    run = _run(service, contracts, probe=False)

    (found,) = run.outcome.findings
    assert (found.rule, found.message) == ("LG014", "a value of 'note' is what NEVER-VALUE calls bearer (3 times)")
    assert "abcdef" not in json.dumps(found.__getstate__(), default=str)


def test_an_exemplar_of_another_trace_is_doubtful(service: LoggingService, contracts: Path) -> None:
    """Without the spans nobody knows whether a request was sampled, so that it is a warning."""
    service.exemplar = "f" * 32

    run = _run(service, contracts)

    assert [(found.rule, found.level) for found in run.outcome.findings if found.rule == "CR004"] == [
        ("CR004", "warning")
    ]


def test_no_line_at_all_is_inconclusive(service: LoggingService, contracts: Path) -> None:
    """The wrong file may have been given."""
    run = _run(service, contracts, probe=False)

    assert any("no line came" in reason for reason in run.outcome.inconclusive)
    assert exit_status(run.outcome, "error") == 3


def test_lines_without_a_contract_are_wrong_usage(service: LoggingService) -> None:
    """There is nothing to hold them against."""
    with pytest.raises(LiveUsageError, match=r"no logs\.txt: write one"):
        _run(service, CONTRACTS)
