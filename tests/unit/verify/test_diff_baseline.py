"""The older side of a comparison: a folder, or a revision of git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.diff.baseline import read_against, read_folder, read_revision

METRICS = "# CONTRACT metrics 1.0.0\n"


def git(folder: Path, *arguments: str) -> None:
    """Run git with an identity of its own and without the settings of whoever runs the tests."""
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, env=environ)


@pytest.fixture
def contracts(tmp_path: Path) -> Path:
    """Make a repository with contracts below its top, tagged v1, and a change that is not committed."""
    folder = tmp_path / "service" / "contracts"
    folder.mkdir(parents=True)
    (folder / "metrics.txt").write_text(METRICS, encoding="utf-8")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "one")
    git(tmp_path, "tag", "v1")
    (folder / "metrics.txt").write_text("# CONTRACT metrics 2.0.0\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("revision", ["HEAD", "v1", "git:v1"])
def test_a_revision_has_the_files_of_its_time(contracts: Path, revision: str) -> None:
    """The texts are those of the revision, and messages name it."""
    texts = read_against(revision, folder=contracts)

    assert dict(texts.texts) == {"metrics.txt": METRICS}
    assert texts.source("metrics.txt") == f"{revision.removeprefix('git:')}:metrics.txt"


def test_the_bytes_are_the_files_own(contracts: Path) -> None:
    """Line ends are not translated: the digest is that of the file."""
    (contracts / "metrics.txt").write_bytes(b"# CONTRACT metrics 1.0.0\r\n")
    git(contracts, "commit", "--quiet", "-am", "two")

    assert read_revision("HEAD", folder=contracts).texts["metrics.txt"] == "# CONTRACT metrics 1.0.0\r\n"


def test_a_folder_is_read_as_it_is(contracts: Path) -> None:
    """A folder goes before a revision of that name."""
    assert read_against(str(contracts), folder=contracts).texts["metrics.txt"] == "# CONTRACT metrics 2.0.0\n"


@pytest.mark.parametrize(
    ("revision", "said"),
    [
        ("v2", "'v2' is no folder and no revision of git here"),
        ("--upload-pack=touch x", "is no folder and no revision"),
        ("HEAD; touch x", "is no folder and no revision"),
        ("", "is no folder and no revision"),
        ("a\0b", "is no folder and no revision"),
    ],
)
def test_what_is_no_revision_is_an_error(contracts: Path, revision: str, said: str) -> None:
    """The error says what failed and what to give; nothing of the text reaches a shell or an option."""
    with pytest.raises(ContractError, match="give") as refused:
        read_revision(revision, folder=contracts)

    assert said in str(refused.value)
    assert not list(contracts.rglob("x"))


def test_a_revision_without_contracts_is_an_error(contracts: Path) -> None:
    """A revision in which the folder has no contracts has nothing to compare with."""
    other = contracts.parent / "other"
    other.mkdir()
    (other / "metrics.txt").write_text(METRICS, encoding="utf-8")

    with pytest.raises(ContractError, match="has no contracts"):
        read_revision("HEAD", folder=other)


def test_a_folder_outside_of_git_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the folder."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    with pytest.raises(ContractError, match="is in no repository of git"):
        read_revision("HEAD", folder=tmp_path)


def test_without_git_a_folder_is_asked_for(contracts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without git is told so."""
    monkeypatch.setenv("PATH", "")

    with pytest.raises(ContractError, match="git is not on the path"):
        read_revision("HEAD", folder=contracts)


def test_a_folder_without_contracts_is_an_error(tmp_path: Path) -> None:
    """The error names the files that are looked for."""
    with pytest.raises(ContractError, match=r"the folder holds one of metrics\.txt"):
        read_folder(tmp_path)


def test_bytes_that_are_no_text_are_an_error(tmp_path: Path) -> None:
    """The error names file and line."""
    (tmp_path / "logs.txt").write_bytes(b"a\nb\xff\n")

    with pytest.raises(ContractError, match=r"logs\.txt:2:1: not UTF-8"):
        read_folder(tmp_path)
