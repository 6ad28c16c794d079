"""The two sides of a comparison: the contract files of a folder, or of a revision of git."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prethrift_backend.exceptions import ContractError

CONTRACT_FILES: Final = ("metrics.txt", "logs.txt", "spans.txt", "settings.txt", "overhead.txt", "health.schema.json")
_GIT_PREFIX: Final = "git:"
# Arbitrary: reading six small files takes milliseconds; a repository on a dead network drive ends the command.
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
    commit = _commit(revision, folder)
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


def _commit(revision: str, folder: Path) -> str:
    if not folder.is_dir():
        raise ContractError(f"{folder}: no such folder: contracts are in a folder; correct --contracts")
    nowhere = f"{revision!r} is no folder, and {str(folder)!r} is in no repository of git"
    _git(folder, "rev-parse", "--show-prefix", failure=nowhere)
    named = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    return _git(folder, *named, failure=f"{revision!r} is no folder and no revision of git here").decode().strip()


def read_files_against(against: str, paths: Sequence[Path], *, folder: Path, suffixes: Sequence[str]) -> dict[str, str]:
    """Read the files of these endings as the older side has them, by the path that they have now.

    ``against`` and ``folder`` are those of `read_against`. Where the older side is a folder of contracts, the files are
    looked for beside it, then in it. What it has not, or is no text, has no entry. Raises ContractError where the
    revision is missing.
    """
    if not against.startswith(_GIT_PREFIX) and Path(against).is_dir():
        return _read_beside(Path(against).resolve(), {path: _beside(path, folder) for path in paths}, suffixes)
    revision = against.removeprefix(_GIT_PREFIX)
    commit = _commit(revision, folder)
    top = Path(_git(folder, "rev-parse", "--show-toplevel", failure="the repository has no top").decode().rstrip("\n"))
    wanted = {_within(path, top): path for path in paths}
    names = [name for name in wanted if name is not None]
    if not names:
        return {}
    listing = ("ls-tree", "-r", "-z", "--name-only", commit, "--", *names)
    listed = _git(top, *listing, failure=f"{revision!r} cannot be listed").decode(errors="replace").split("\0")
    files = [name for name in listed if name.endswith(tuple(suffixes)) and "\n" not in name]
    now = [str(_renamed(Path(file), wanted)) for file in files]
    texts = _blobs(top, [f"{commit}:{file}" for file in files])
    return {name: text for name, text in zip(now, texts, strict=True) if text is not None}


def _within(path: Path, top: Path) -> str | None:
    resolved = path.resolve()
    return resolved.relative_to(top.resolve()).as_posix() if resolved.is_relative_to(top.resolve()) else None


def _renamed(file: Path, wanted: Mapping[str | None, Path]) -> Path:
    """Return a file of the repository as it is called from here."""
    for name, path in wanted.items():
        if name is not None and (name == "." or file.is_relative_to(name)):
            return path / file.relative_to(name)
    return file


def _blobs(top: Path, objects: Sequence[str]) -> Iterator[str | None]:
    """Give the texts of objects, by one call of git; None for what is no text."""
    sent = "".join(f"{name}\n" for name in objects).encode()
    rest = _git(top, "cat-file", "--batch", failure="files of the older side cannot be read", sent=sent)
    for _ in objects:
        head, _, rest = rest.partition(b"\n")
        is_blob = head.split(b" ")[-2:-1] == [b"blob"]
        size = int(head.split(b" ")[-1]) if is_blob else 0
        yield _text(rest[:size]) if is_blob else None
        rest = rest[size + 1 :] if is_blob else rest


def _beside(path: Path, folder: Path) -> Path:
    """Return where a path is from the place that the contracts are in; where it is elsewhere, as it was named."""
    place = folder.resolve().parent
    if path.resolve().is_relative_to(place):
        return path.resolve().relative_to(place)
    return Path(path.name) if path.is_absolute() else path


def _read_beside(against: Path, names: Mapping[Path, Path], suffixes: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for path, name in names.items():
        older = next((root / name for root in (against.parent, against) if (root / name).exists()), None)
        for file in files_below(older, suffixes) if older is not None else ():
            text = _text(file.read_bytes())
            if text is not None:
                found[str(path / file.relative_to(older or file))] = text
    return found


def files_below(path: Path, suffixes: Sequence[str]) -> list[Path]:
    """Return the files of these endings in a folder, or the file itself."""
    found = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [file for file in found if file.suffix in suffixes and file.is_file()]


def _text(content: bytes) -> str | None:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _git(folder: Path, *arguments: str, failure: str, sent: bytes = b"") -> bytes:
    program = shutil.which("git")
    if program is None:
        raise ContractError("git is not on the path: a revision is read with it; install it, or give a folder")
    try:
        # No shell, and the revision stands behind --end-of-options or is a commit's id.
        done = subprocess.run(  # noqa: S603 - the program is git, its arguments a list
            [program, "-C", str(folder), *arguments],
            capture_output=True,
            check=False,
            input=sent,
            timeout=_GIT_TIMEOUT_SECONDS,
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
