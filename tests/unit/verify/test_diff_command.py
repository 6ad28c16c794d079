"""`prethrift-backend contracts diff` as a user runs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.support.contract_edits import CONTRACTS, drop_family, raise_version

from prethrift_backend import cli


@pytest.fixture
def changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make contracts in which a family is gone, in a folder without consumers."""
    folder = tmp_path / "contracts"
    shutil.copytree(CONTRACTS, folder)
    path = folder / "metrics.txt"
    path.write_text(raise_version(drop_family("build_info")(path.read_text()), "major"))
    monkeypatch.chdir(tmp_path)
    return folder


def _run(*arguments: str) -> object:
    with pytest.raises(SystemExit) as ended:
        cli.main(["contracts", "diff", *arguments])
    return ended.value.code


def test_nothing_changed(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Contracts against themselves end with 0."""
    monkeypatch.chdir(tmp_path)

    assert _run("--against", str(CONTRACTS), "--contracts", str(CONTRACTS)) == 0
    assert "0 errors" in capsys.readouterr().out


def test_a_breaking_change_ends_with_1(changed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The report names the rule and the file."""
    assert _run("--against", str(CONTRACTS), "--contracts", str(changed)) == 1

    out = capsys.readouterr().out
    assert "M001" in out
    assert f"{changed.name}/metrics.txt" in out


def test_consumers_are_named(changed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The folders ops and docs beside the contracts are looked at unless others are given."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text("`build_info`\n")
    (tmp_path / "more.yml").write_text("- record: a\n  expr: build_info\n")
    against = ("--against", str(CONTRACTS), "--contracts", str(changed), "--report", "json")

    seen = []
    for consumers in ((), ("--consumers", "more.yml")):
        assert _run(*against, *consumers) == 1
        report = json.loads(capsys.readouterr().out)
        (finding,) = report["findings"]
        seen += [Path(place["path"]).name for place in finding["consumers"]]

    assert seen == ["page.md", "more.yml"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--against", "no-such-revision"), "no-such-revision"),
        (("--contracts", "nowhere"), "nowhere"),
        (("--consumers", "nowhere"), "nowhere: no such file or folder"),
    ],
)
def test_what_cannot_be_read_ends_with_2(
    changed: Path, arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong usage is no violation."""
    assert _run("--against", str(changed), "--contracts", str(changed), *arguments) == 2
    assert said in capsys.readouterr().err
