"""The folder that a recording is written to; what is there already is never written over."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from prethrift_backend.exceptions import ContractError

_NAMES: Final = (
    *("exceptions.txt", "health.schema.json", "logs.txt", "metrics.txt", "overhead.txt", "settings.txt", "spans.txt"),
)


def check_folder(folder: Path) -> None:
    """Refuse a folder that has contracts: a draft knows less than whoever wrote them.

    Raises ContractError.
    """
    present = [name for name in _NAMES if (folder / name).exists()]
    if present:
        rule, fix = "a draft is never written over contracts", "name another folder and compare the two"
        raise ContractError(f"{folder} has {', '.join(present)}: {rule}; {fix}")
    if folder.exists() and not folder.is_dir():
        raise ContractError(f"{folder} is no folder: drafts are several files; name a folder")


def write_folder(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write the files and return their paths; a file that has come meanwhile stays as it is.

    Raises ContractError where the folder or the disk refuses.
    """
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            path = folder / name
            with path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text)
            written.append(path)
    except OSError as error:
        raise ContractError(f"{folder}: {error.strerror}: drafts are written there; name another folder") from error
    return written
