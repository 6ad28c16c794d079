"""The two sides of a comparison: the contract files of a folder, or of a revision of git."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prethrift_backend.exceptions import ContractError

CONTRACT_FILES: Final = ("metrics.txt", "logs.txt", "spans.txt", "settings.txt", "health.schema.json")
_GIT_PREFIX: Final = "git:"
# Arbitrary: reading five small files takes milliseconds; a repository on a dead network drive ends the command.
_GIT_TIMEOUT_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class ContractTexts:
    """The contract files of one side: ``texts`` by file name, where a file that is not there has no entry.

    ``origin`` is what to put before a file's name in messages: a folder with a slash, or a revision with a colon.
    """

    origin: str
    texts: Mapping[str, str]

    def source(self, name: str) -> str:
        """Return how messages call the file."""
        return f"{self.origin}{name}"


def read_folder(folder: Path) -> ContractTexts:
    """Read the contract files of a folder.

    Raises ContractError where the folder has none, or one cannot be read.
    """
    texts = {
        name: _decoded((folder / name).read_bytes(), f"{folder / name}")
        for name in CONTRACT_FILES
        if (folder / name).is_file()
    }
    if not texts:
        raise ContractError(
            f"no contracts found in {str(folder)!r}: the folder holds one of {', '.join(CONTRACT_FILES)}; name another"
        )
    return ContractTexts(f"{folder}/", texts)


def read_against(against: str, *, folder: Path) -> ContractTexts:
    """Read the older side: ``against`` is a folder, or a revision of the repository that ``folder`` is in.

    ``git:REV`` means a revision even where a folder has that name. Raises ContractError where there is neither.
    """
    if not against.startswith(_GIT_PREFIX) and Path(against).is_dir():
        return read_folder(Path(against))
    return read_revision(against.removeprefix(_GIT_PREFIX), folder=folder)


def read_revision(revision: str, *, folder: Path) -> ContractTexts:
    """Read the contract files as a revision of git has them, at the place where ``folder`` is now.

    Raises ContractError where git, the repository, the revision or the files are missing.
    """
    if not folder.is_dir():
        raise ContractError(f"{folder}: no such folder: contracts are in a folder; correct --contracts")
    nowhere = f"{revision!r} is no folder, and {str(folder)!r} is in no repository of git"
    _git(folder, "rev-parse", "--show-prefix", failure=nowhere)
    commit = _git(
        folder,
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        f"{revision}^{{commit}}",
        failure=f"{revision!r} is no folder and no revision of git here",
    ).decode()
    commit = commit.strip()
    listed = _git(folder, "ls-tree", "--name-only", commit, "./", failure=f"{revision!r} cannot be listed").decode()
    names = [name for name in CONTRACT_FILES if name in listed.split("\n")]
    if not names:
        raise ContractError(
            f"revision {revision!r} has no contracts in {str(folder)!r}: an older side has one file of "
            f"{', '.join(CONTRACT_FILES)}; name a later revision"
        )
    origin = f"{revision}:"
    contents = {
        name: _git(folder, "show", f"{commit}:./{name}", failure=f"{origin}{name} cannot be read") for name in names
    }
    return ContractTexts(origin, {name: _decoded(content, f"{origin}{name}") for name, content in contents.items()})


def _git(folder: Path, *arguments: str, failure: str) -> bytes:
    program = shutil.which("git")
    if program is None:
        raise ContractError("git is not on the path: a revision is read with it; install it, or give a folder")
    try:
        # No shell, and the revision stands behind --end-of-options or is a commit's id.
        done = subprocess.run(  # noqa: S603 - the program is git, its arguments a list
            [program, "-C", str(folder), *arguments], capture_output=True, check=False, timeout=_GIT_TIMEOUT_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise ContractError(f"{failure}: {error}: give a folder instead, with --against DIR") from error
    if done.returncode != 0:
        said = " ".join(done.stderr.decode(errors="replace").split()) or "git knows no such thing"
        raise ContractError(f"{failure}: {said}; give a tag, a branch, a commit or a folder with --against")
    return done.stdout


def _decoded(content: bytes, source: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ContractError(f"{source}:{line}:1: not UTF-8: contracts are UTF-8; save the file so") from error
