"""How a sub-command of `prethrift-backend contracts` ends: its reports, its exit status, what it is told wrong."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.findings import ADDED, BLIND, CLEAN, LOUDER, OUTCOME, REMOVED

from prethrift_backend import cli
from prethrift_backend.contracts import load_contracts
from prethrift_backend.verify import commands
from prethrift_backend.verify.command_line import add_contracts_option, add_report_options, conclude
from prethrift_backend.verify.findings import Outcome
from prethrift_backend.verify.items import items_of

METRICS = "# CONTRACT metrics 1.0.0\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder of contracts with nothing in them."""
    (tmp_path / "metrics.txt").write_text(METRICS)
    return tmp_path


def _run(monkeypatch: pytest.MonkeyPatch, folder: Path, outcome: Outcome, *arguments: str) -> object:
    """Run a command that finds `outcome`, and return the exit status."""

    def add_command(subparsers: commands.Subparsers) -> None:
        parser = subparsers.add_parser("try")
        add_contracts_option(parser)
        add_report_options(parser)

        def command(given: argparse.Namespace) -> None:
            conclude(outcome, given, secrets=["plainword"])

        parser.set_defaults(command=command)

    monkeypatch.setattr(commands, "COMMANDS", (*commands.COMMANDS, add_command))
    with pytest.raises(SystemExit) as ended:
        cli.main(["contracts", "try", "--contracts", str(folder), *arguments])
    return ended.value.code


@pytest.mark.parametrize(
    ("outcome", "arguments", "status"),
    [
        (CLEAN, (), 0),
        (OUTCOME, (), 1),
        (OUTCOME, ("--fail-on", "none"), 0),
        (replace(CLEAN, findings=(LOUDER,)), (), 0),
        (replace(CLEAN, findings=(LOUDER,)), ("--fail-on", "warning"), 1),
        (replace(CLEAN, findings=(ADDED,)), ("--fail-on", "info"), 1),
        (BLIND, (), 3),
        (BLIND, ("--fail-on", "none"), 3),
        (CLEAN, ("--report", "yaml"), 2),
        (CLEAN, ("--fail-on", "fatal"), 2),
        (CLEAN, ("--report", "json", "--report", "human"), 2),
        (CLEAN, ("--report", "github", "--report", "human"), 0),
        (CLEAN, ("--report", "json=missing/out.json"), 2),
    ],
)
def test_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, folder: Path, outcome: Outcome, arguments: tuple[str, ...], status: int
) -> None:
    """0 verified, 1 violated, 2 wrong usage, 3 inconclusive."""
    assert _run(monkeypatch, folder, outcome, *arguments) == status


def test_several_reports_at_once(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One for people on standard output and the rest in files."""
    _run(monkeypatch, folder, OUTCOME, "--report", "human", "--report", f"json={folder / 'out.json'}")

    assert capsys.readouterr().out.splitlines()[-1].startswith("violated: ")
    assert json.loads((folder / "out.json").read_text())["exit_status"] == 1


def test_a_failure_is_not_silent_where_all_reports_are_files(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The count goes to standard error, so that a log says more than a number."""
    _run(monkeypatch, folder, OUTCOME, "--report", f"json={folder / 'out.json'}")

    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("prethrift-backend: violated: 1 error")


def test_the_exceptions_of_the_folder_are_in_force(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """A finding that one covers does not fail the run."""
    (folder / "exceptions.txt").write_text('M001 http_* until=9999-12-31 reason="agreed"\n')

    assert _run(monkeypatch, folder, replace(CLEAN, findings=(REMOVED,))) == 0


def test_an_exception_that_ran_out_fails_the_run(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is found where its line is."""
    (folder / "exceptions.txt").write_text('M001 http_* until=2020-01-01 reason="agreed"\n')

    assert _run(monkeypatch, folder, CLEAN) == 1
    assert f"{folder}/exceptions.txt:1: error V004 " in capsys.readouterr().out


def test_exceptions_that_cannot_be_read_are_said(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A contract file that is wrong is status 2, with file, line and column."""
    (folder / "exceptions.txt").write_text("nonsense\n")

    assert _run(monkeypatch, folder, CLEAN) == 2
    assert f"{folder}/exceptions.txt:1:9: 1 words where two stand" in capsys.readouterr().err


def test_a_token_of_the_run_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a command names as its secret is in no report."""
    _run(monkeypatch, folder, replace(CLEAN, findings=(replace(REMOVED, reproduce="curl -u plainword x"),)))

    assert "see: curl -u [redacted] x" in capsys.readouterr().out


def test_the_status_stands_where_nobody_reads(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """`contracts … | head` fails as the contracts do, although its output has nowhere to go."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as broken:
        monkeypatch.setattr(sys, "stdout", broken)

        assert _run(monkeypatch, folder, OUTCOME) == 1


@pytest.mark.parametrize(
    ("environ", "coloured"), [({"TERM": "xterm"}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_is_for_terminals_that_want_it(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    environ: dict[str, str],
    coloured: bool,
) -> None:
    """NO_COLOR and a dumb terminal get plain text."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    _run(monkeypatch, folder, OUTCOME)

    assert ("\x1b[31merror" in capsys.readouterr().out) is coloured


def test_rules_are_listed_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """Without an id a line each; with one, all about it."""
    cli.main(["contracts", "rules"])
    listed = capsys.readouterr().out
    cli.main(["contracts", "rules", "V004"])

    assert "V004  error    An exception is in force and in use\n" in listed
    assert capsys.readouterr().out.startswith("V004: An exception is in force and in use (error)\nAn exception that ")


def test_an_unknown_rule_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The id is named, and where the known ones are to be seen."""
    with pytest.raises(SystemExit, match="2"):
        cli.main(["contracts", "rules", "X999"])

    assert "no rule is called 'X999'" in capsys.readouterr().err


def test_the_help_of_the_group_names_the_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever writes a script reads them there."""
    with pytest.raises(SystemExit, match="0"):
        cli.main(["contracts", "--help"])

    assert "3 inconclusive" in " ".join(capsys.readouterr().out.split())


def test_every_item_of_our_contracts_has_a_place() -> None:
    """Families, events, spans, settings and the health schema are counted, each where its file has it."""
    items = items_of(load_contracts())

    assert {item.signal for item in items} == {"metrics", "logs", "spans", "settings", "health"}
    assert all(item.place is not None and Path(item.place.path).is_file() for item in items)
    assert all(item.place is not None and item.place.line for item in items if item.signal != "health")
    assert len({(item.signal, item.name) for item in items}) == len(items)
