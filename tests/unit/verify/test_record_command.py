"""The command `contracts record`: what it writes, what it says, how it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import respx
from tests.support.recorded_service import URL, RecordedService

from prethrift_backend.cli import main
from prethrift_backend.contracts import load_contracts

QUICK = ("--rate", "1000")


@pytest.fixture
def service() -> Iterator[RecordedService]:
    """Answer at the address, in place of the network."""
    recorded = RecordedService()
    with respx.mock(assert_all_called=False) as router:
        router.route(host="service.test").mock(side_effect=recorded.answer)
        yield recorded


def _run(*options: str | Path) -> int:
    try:
        main(["contracts", "record", URL, *QUICK, *map(str, options)])
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.mark.usefixtures("service")
def test_drafts_are_written_and_the_next_command_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The folder holds contracts, and what to look at comes before what to do."""
    status = _run("--out", tmp_path / "drafts", "--job", "shop")

    out = capsys.readouterr().out
    assert status == 0
    assert sorted(path.name for path in (tmp_path / "drafts").iterdir()) == ["health.schema.json", "metrics.txt"]
    contracts = load_contracts(tmp_path / "drafts")
    assert contracts.metrics.scrape is not None
    assert contracts.metrics.scrape.job == "shop"
    assert f"/metrics.txt: drafted, {len(contracts.metrics.families)} families\n" in out
    assert out.endswith(f"  prethrift-backend contracts verify {URL} --contracts {tmp_path / 'drafts'}\n")
    assert out.index("look at ") < out.index("next: ")


@pytest.mark.usefixtures("service")
def test_drafts_are_canonical(tmp_path: Path) -> None:
    """`contracts fmt --check` is content."""
    _run("--out", tmp_path / "drafts")

    main(["contracts", "fmt", "--check", "--contracts", str(tmp_path / "drafts")])


def test_contracts_are_never_written_over(
    service: RecordedService, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that has some is refused before anything is asked."""
    (tmp_path / "logs.txt").write_text("# CONTRACT logs 1.0.0\n")

    status = _run("--out", tmp_path)

    assert status == 2
    assert "has logs.txt: a draft is never written over contracts" in capsys.readouterr().err
    assert service.requests == []
    assert [path.name for path in tmp_path.iterdir()] == ["logs.txt"]


def test_nothing_seen_ends_with_3(service: RecordedService, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No file is written."""
    service.status("/metrics", 404)

    status = _run("--out", tmp_path / "drafts")

    assert status == 3
    assert "nothing was drafted: no metrics: /metrics answered 404" in capsys.readouterr().err
    assert not (tmp_path / "drafts").exists()


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    "options",
    [("--job", "two words"), ("--metrics-path", "metrics"), ("--scrapes", "0"), ("--rate", "0"), ("--logs", "nothing")],
)
def test_wrong_usage_ends_with_2(options: tuple[str, str], tmp_path: Path) -> None:
    """What cannot be meant is refused, and nothing is written."""
    assert _run("--out", tmp_path / "drafts", *options) == 2
    assert not (tmp_path / "drafts").exists()


@pytest.mark.usefixtures("service")
def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    """Drafts are several files."""
    (tmp_path / "drafts").write_text("")

    assert _run("--out", tmp_path / "drafts") == 2


@pytest.mark.usefixtures("service")
def test_lines_are_drafted_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --logs there is a logs.txt."""
    lines = [
        {"event": "order_placed", "level": "info", "password": "hunter2!"},
        {"event": "order_sent", "level": "info"},
    ]
    (tmp_path / "app.log").write_text("".join(f"{json.dumps(line)}\n" for line in lines))

    status = _run("--out", tmp_path / "drafts", "--logs", tmp_path / "app.log")

    out = capsys.readouterr().out
    logs = load_contracts(tmp_path / "drafts").logs
    assert status == 0
    assert logs is not None
    assert [event.name for event in logs.events] == ["order_placed", "order_sent"]
    assert "logs.txt: drafted, 2 events" in out
    assert "look at logs: field 'password' holds what looks like a secret" in out
    assert "hunter2" not in out + (tmp_path / "drafts" / "logs.txt").read_text()


def test_the_token_is_in_no_draft(
    service: RecordedService, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is sent, and stands in no file and on no line."""
    monkeypatch.setenv("METRICS_TOKEN", "t0ken-of-the-metrics")

    _run("--out", tmp_path / "drafts")

    told = capsys.readouterr().out + "".join(path.read_text() for path in (tmp_path / "drafts").iterdir())
    assert service.requests[0].headers["authorization"] == "Bearer t0ken-of-the-metrics"
    assert "t0ken" not in told


def test_the_help_says_what_a_draft_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    """Never the gate."""
    with pytest.raises(SystemExit):
        main(["contracts", "record", "--help"])

    assert "never used as the gate" in " ".join(capsys.readouterr().out.split())
