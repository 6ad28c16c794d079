"""The generated reference on disk: only what changed is written, and nothing that somebody wrote by hand is lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify._files import replace_file
from prethrift_backend.verify.reference.rendering import is_generated, stale_files


def write_reference(files: Mapping[str, str], folder: Path) -> list[str]:
    """Bring ``folder`` up to date; return what was done, a line for each file that was written or taken away.

    Raises ContractError, before anything is written, where a file of one of these names is there that was not
    generated, and where the folder or the disk refuses.
    """
    changed = {name: text for name, text in files.items() if not _has(folder / name, text)}
    stale = stale_files(files, folder)
    for name in changed:
        _check_ours(folder / name)
    try:
        return [*_written(changed, folder), *_taken_away(stale, folder)]
    except OSError as error:
        what = f"{error.filename or folder}: {error.strerror}"
        raise ContractError(f"{what}: the reference is written there; mend the folder, or name another") from error


def _has(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def _check_ours(path: Path) -> None:
    if path.is_dir() or (path.exists() and not is_generated(path)):
        raise ContractError(
            f"{path}: was not generated, and would be written over: a generated file says so at its top; move it away, "
            f"or name another folder by --out"
        )


def _written(changed: Mapping[str, str], folder: Path) -> Iterator[str]:
    for name, text in changed.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, text)
        yield f"{path}: written"


def _taken_away(stale: list[str], folder: Path) -> Iterator[str]:
    for name in stale:
        (folder / name).unlink()
        yield f"{folder / name}: removed, no contract makes it any more"
