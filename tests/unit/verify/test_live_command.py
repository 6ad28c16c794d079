"""The command `contracts verify`: its options, its exit status, and what it prints."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import respx
from tests.support.recorded_service import CONTRACTS, URL, RecordedService, Reply

from prethrift_backend.cli import main

# The recording is old by now, and health says when it was made.
NO_HEALTH = ("--live-path", "", "--ready-path", "", "--health-path", "")
QUICK = ("--rate", "1000", *NO_HEALTH)
TOKEN = "a-token-of-the-service"


@pytest.fixture
def service() -> Iterator[RecordedService]:
    """Answer at the address, in place of the network."""
    recorded = RecordedService()
    with respx.mock(assert_all_called=False) as router:
        router.route(host="service.test").mock(side_effect=recorded.answer)
        yield recorded


def _run(*options: str, contracts: Path = CONTRACTS) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["contracts", "verify", URL, "--contracts", str(contracts), *QUICK, *options])
    return int(ended.value.code or 0)


def test_a_verified_service_ends_with_0(service: RecordedService, capsys: pytest.CaptureFixture[str]) -> None:
    """Stages come first, the verdict comes last."""
    status = _run()

    lines = capsys.readouterr().out.splitlines()
    assert status == 0
    assert lines[0] == " 0  pass     offline  contract 1.1.0"
    assert lines[-1].startswith("verified: 0 errors")


def test_a_violated_contract_ends_with_1(service: RecordedService, capsys: pytest.CaptureFixture[str]) -> None:
    """The finding names the line of the contract and a command that shows it."""
    service.drop("build_info")

    status = _run()

    out = capsys.readouterr().out
    assert status == 1
    assert "error LV081" in out
    assert "metrics.txt:" in out


def test_a_report_of_a_machine_is_alone_on_standard_output(
    service: RecordedService, capsys: pytest.CaptureFixture[str]
) -> None:
    """Stages are for people; a document is not mixed with them."""
    _run("--report", "json")

    assert json.loads(capsys.readouterr().out)["findings"] == []


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    "options",
    [
        ("--rate", "0"),
        ("--timeout", "soon"),
        ("--max-requests", "0"),
        ("--min-coverage", "90"),
        ("--token", "two words"),
    ],
)
def test_wrong_usage_ends_with_2(options: tuple[str, str]) -> None:
    """An option that cannot be meant is refused before anything is asked."""
    assert _run(*options) == 2


def test_a_broken_exception_ends_with_2_before_anything_is_asked(service: RecordedService, tmp_path: Path) -> None:
    """The service is not asked where the answer could not be judged."""
    shutil.copy(CONTRACTS / "metrics.txt", tmp_path)
    (tmp_path / "exceptions.txt").write_text("LV081\n")

    assert _run(contracts=tmp_path) == 2
    assert service.requests == []


def test_too_little_seen_ends_with_3(service: RecordedService) -> None:
    """A floor that is not reached is neither a success nor a violation."""
    assert _run("--min-coverage", "1") == 3


def test_tokens_come_from_the_environment_and_are_not_shown(
    service: RecordedService, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command line is seen by all users of a machine; the environment is not."""
    monkeypatch.setenv("METRICS_TOKEN", TOKEN)
    service.append(f'oddity{{key="{TOKEN}"}} 1\n')

    _run()

    assert {request.headers["authorization"] for request in service.requests} == {f"Bearer {TOKEN}"}
    assert TOKEN not in capsys.readouterr().out


def test_an_interrupted_run_ends_with_130_and_its_reports(
    service: RecordedService, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever presses Ctrl-C sees what was found until then."""

    def interrupt(_request: httpx.Request, _reply: Reply) -> None:
        if service.scrape_count == 4:
            raise KeyboardInterrupt

    service.spoilers.append(interrupt)

    status = _run()

    out = capsys.readouterr().out
    assert status == 130
    assert " 9  skipped  consistency  interrupted" in out
    assert "the run was interrupted" in out


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    "options",
    [
        ("--allow-version", "1.1..1.0"),
        ("--prometheus", "prometheus.test:9090"),
        ("--alertmanager", "http://a:b@host"),
        ("--released", "/nowhere"),
        ("--prometheus", "http://prometheus.test", "--rules", "/nowhere"),
        ("--app", "a:b"),
        ("--rules", "rules.yml"),
        ("--inject",),
        ("--down", "true", "--up", "true"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_asked(
    service: RecordedService, options: tuple[str, ...]
) -> None:
    """An option of another part of the run is looked at as early as those of the service."""
    assert _run(*options) == 2
    assert service.requests == []
