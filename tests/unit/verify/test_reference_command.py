"""`prethrift-backend contracts docs`: what it writes, what it leaves, how it ends."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from prethrift_backend import cli
from prethrift_backend.verify.reference.markdown import MARK

ROOT = Path(__file__).parents[3]
SHOP = ROOT / "tests" / "support" / "foreign_shop" / "contracts"
Run = Callable[..., tuple[object, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Give a function that runs the command and returns its exit status and what it said."""

    def run(*arguments: str | Path) -> tuple[object, str]:
        status: object = 0
        try:
            cli.main(["contracts", "docs", *map(str, arguments)])
        except SystemExit as ended:
            status = ended.code
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    return run


def names(folder: Path) -> list[str]:
    """Return every file below a folder, hidden ones too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_only_what_changed_is_written(run: Run, tmp_path: Path) -> None:
    """The first run writes all files and names them, the second none, the third the one that was spoilt."""
    first = run("--contracts", SHOP, "--out", tmp_path / "a" / "b")
    second = run("--contracts", SHOP, "--out", tmp_path / "a" / "b")
    (tmp_path / "a" / "b" / "health.md").write_text(f"<!-- {MARK} -->\nspoilt\n")
    third = run("--contracts", SHOP, "--out", tmp_path / "a" / "b")

    written = names(tmp_path / "a" / "b")
    assert {"health.md", "index.md", "metrics.md", "registry/metrics.yaml"} <= set(written)
    assert first == (0, "".join(f"{tmp_path / 'a' / 'b' / name}: written\n" for name in written))
    assert second == (0, "")
    assert third == (0, f"{tmp_path / 'a' / 'b' / 'health.md'}: written\n")


def test_check_says_what_is_not_up_to_date_and_writes_nothing(run: Run, tmp_path: Path) -> None:
    """With --check the status is 1, each file is named with its rule, and the folder stays as it is."""
    run("--contracts", SHOP, "--out", tmp_path)
    (tmp_path / "metrics.md").write_text((tmp_path / "metrics.md").read_text() + "more\n")
    (tmp_path / "index.md").unlink()

    status, said = run("--contracts", SHOP, "--out", tmp_path, "--check")

    assert status == 1
    assert "V005" in said
    assert "metrics.md differs" in said
    assert "index.md is missing" in said
    assert "health.md" not in said
    assert not (tmp_path / "index.md").exists()


def test_check_of_a_reference_that_is_up_to_date_is_a_success(run: Run, tmp_path: Path) -> None:
    """The status is 0, and every file counts as looked at."""
    run("--contracts", SHOP, "--out", tmp_path)

    status, said = run("--contracts", SHOP, "--out", tmp_path, "--check", "--report", "json")

    assert status == 0
    assert [item["name"] for item in json.loads(said)["items"]] == names(tmp_path)


def test_a_file_that_was_not_generated_is_never_written_over(run: Run, tmp_path: Path) -> None:
    """Where somebody's own page has one of the names, nothing at all is written and the status is 2."""
    (tmp_path / "metrics.md").write_text("our own page\n")

    status, said = run("--contracts", SHOP, "--out", tmp_path)

    assert status == 2
    assert f"{tmp_path / 'metrics.md'}: was not generated" in said
    assert names(tmp_path) == ["metrics.md"]
    assert (tmp_path / "metrics.md").read_text() == "our own page\n"


def test_a_folder_in_the_way_is_refused(run: Run, tmp_path: Path) -> None:
    """A folder that has the name of a file is named, and the status is 2."""
    (tmp_path / "metrics.md").mkdir()

    status, said = run("--contracts", SHOP, "--out", tmp_path)

    assert status == 2
    assert f"{tmp_path / 'metrics.md'}: was not generated" in said


def test_a_folder_that_cannot_be_written_is_told(run: Run, tmp_path: Path) -> None:
    """Where the folder is a file, the status is 2, and the text says what to do."""
    (tmp_path / "out").write_text("no folder\n")

    status, said = run("--contracts", SHOP, "--out", tmp_path / "out")

    assert status == 2
    assert "the reference is written there; mend the folder, or name another" in said


def test_a_file_that_no_contract_makes_any_more_goes(run: Run, tmp_path: Path) -> None:
    """A generated page is taken away with its contract; pages of others stay."""
    shutil.copytree(ROOT / "contracts", tmp_path / "contracts")
    run("--contracts", tmp_path / "contracts", "--out", tmp_path / "out")
    (tmp_path / "out" / "ours.md").write_text("by hand\n")
    (tmp_path / "contracts" / "spans.txt").unlink()

    checked = run("--contracts", tmp_path / "contracts", "--out", tmp_path / "out", "--check")
    status, said = run("--contracts", tmp_path / "contracts", "--out", tmp_path / "out")

    assert checked[0] == 1
    assert status == 0
    assert f"{tmp_path / 'out' / 'spans.md'}: removed" in said
    assert "spans.md" not in names(tmp_path / "out")
    assert "ours.md" in names(tmp_path / "out")


def test_modes_and_links_stay(run: Run, tmp_path: Path) -> None:
    """A file that is written anew keeps its mode, and a link is followed."""
    run("--contracts", SHOP, "--out", tmp_path)
    page = tmp_path / "health.md"
    page.rename(tmp_path / "elsewhere.txt")
    (tmp_path / "elsewhere.txt").write_text(f"<!-- {MARK} -->\n")
    (tmp_path / "elsewhere.txt").chmod(0o640)
    page.symlink_to(tmp_path / "elsewhere.txt")

    run("--contracts", SHOP, "--out", tmp_path)

    assert page.is_symlink()
    assert "# Health" in (tmp_path / "elsewhere.txt").read_text()
    assert (tmp_path / "elsewhere.txt").stat().st_mode & 0o777 == 0o640


def test_the_own_contracts_have_a_folder_at_the_top_of_the_source(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """There, `contracts docs --check` needs no more words."""
    monkeypatch.chdir(ROOT)

    assert run("--check")[0] == 0


def test_elsewhere_the_folder_is_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Outside of the source tree, and for other contracts within it, --out is not guessed; the status is 2."""
    monkeypatch.chdir(tmp_path)
    outside = run()
    monkeypatch.chdir(ROOT)
    others = run("--contracts", SHOP)

    assert (outside[0], others[0]) == (2, 2)
    assert "--out" in outside[1]
    assert "--out" in others[1]
    assert names(tmp_path) == []


def test_faults_of_a_contract_are_told(run: Run, tmp_path: Path) -> None:
    """From a contract that cannot be read nothing is made; the status is 2."""
    (tmp_path / "metrics.txt").write_text("# WRONG\n")

    status, said = run("--contracts", tmp_path, "--out", tmp_path / "out")

    assert status == 2
    assert "metrics.txt:1:3: directive 'WRONG' is unknown" in said
    assert not (tmp_path / "out").exists()
