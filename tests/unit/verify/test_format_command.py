"""`prethrift-backend contracts fmt`: what it writes, what it leaves, how it ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from prethrift_backend import cli

LOOSE = "# CONTRACT   logs 1.0.0\nEVENT done level=info\n  id string # whose\n"
TIGHT = f"# CONTRACT logs 1.0.0\nEVENT done level=info\n  id{' ' * 19}string{' ' * 46}# whose\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder with one contract that is canonical and one that is not."""
    (tmp_path / "metrics.txt").write_text("# CONTRACT  metrics 1.0.0\n")
    (tmp_path / "logs.txt").write_text(LOOSE)
    return tmp_path


def run(*arguments: str | Path) -> object:
    """Run the command and return its exit status."""
    try:
        cli.main(["contracts", "fmt", *map(str, arguments)])
    except SystemExit as ended:
        return ended.code
    return 0


def test_files_of_the_folder_are_written_anew(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not canonical becomes so and is named; a second run has nothing to do."""
    first, said = run("--contracts", folder), capsys.readouterr().out
    second, said_again = run("--contracts", folder), capsys.readouterr().out

    assert (first, second) == (0, 0)
    assert (folder / "logs.txt").read_text() == TIGHT
    assert (said, said_again) == (f"{folder / 'logs.txt'}: formatted\n", "")
    assert sorted(path.name for path in folder.iterdir()) == ["logs.txt", "metrics.txt"]


def test_check_changes_nothing_and_fails(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --check the file is named, left as it is, and the status is 1."""
    status = run("--check", folder / "logs.txt", folder / "metrics.txt")

    assert status == 1
    assert (folder / "logs.txt").read_text() == LOOSE
    assert capsys.readouterr().out.startswith(f"{folder / 'logs.txt'}: not canonical: ")


def test_the_next_step_is_the_one_that_mends_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command that is named formats the file that was named, and no other."""
    run("--check", folder / "logs.txt")
    named = capsys.readouterr().out.split("'")[1]

    assert named == f"prethrift-backend contracts fmt {folder / 'logs.txt'}"


@pytest.mark.parametrize(("option", "status"), [((), 0), (("--check",), 1)])
def test_what_nobody_reads_is_done_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch, option: tuple[str, ...], status: int
) -> None:
    """With `… | head` every file is written, and the status is that of the files."""
    (folder / "metrics.txt").write_text("# CONTRACT metrics 1.0.0\n")
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as broken:
        monkeypatch.setattr(sys, "stdout", broken)

        assert run(*option, "--contracts", folder) == status
        monkeypatch.undo()

    assert run("--check", "--contracts", folder) == status


def test_check_of_the_shipped_contracts_passes() -> None:
    """Without files, those of the project are looked at, and they are canonical."""
    assert run("--check") == 0


def test_a_fault_stops_all(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where one file cannot be read as a contract, none is written; every fault is told, and the status is 2."""
    (folder / "spans.txt").write_text("SPANN\n")
    (folder / "settings.txt").write_bytes(b"\xff")

    status = run("--contracts", folder)

    told = capsys.readouterr().err
    assert status == 2
    assert (folder / "logs.txt").read_text() == LOOSE
    assert "spans.txt:1:1: directive 'SPANN' is unknown" in told
    assert "settings.txt: not UTF-8" in told


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The status is 2, the text says which file."""
    assert run(tmp_path / "nothing.txt") == 2
    assert f"{tmp_path / 'nothing.txt'}: No such file" in capsys.readouterr().err


def test_links_and_modes_stay(folder: Path) -> None:
    """Formatting writes what the link leads to, and who may read it stays."""
    (folder / "logs.txt").chmod(0o640)
    link = folder / "link.txt"
    link.symlink_to(folder / "logs.txt")

    run(link)

    assert link.is_symlink()
    assert (folder / "logs.txt").read_text() == TIGHT
    assert (folder / "logs.txt").stat().st_mode & 0o777 == 0o640


def test_windows_line_ends_become_plain(folder: Path) -> None:
    """One form means one end of the line."""
    (folder / "logs.txt").write_bytes(TIGHT.replace("\n", "\r\n").encode())

    run("--contracts", folder)

    assert (folder / "logs.txt").read_bytes() == TIGHT.encode()
