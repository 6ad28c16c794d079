"""Which contract a process is held against while a deployment rolls: the one at hand, or one that was released."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from prethrift_backend.contracts import MetricsContract, load_health_schema, load_metrics, parse_metrics
from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.diff.baseline import read_revision

_NUMBERS: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,2}", re.ASCII)
# Arbitrary: a deployment that rolls has the last release or two in it, and each tag is read by git.
_TAGS_MAX: Final = 20
_GIT_TIMEOUT_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class VersionRange:
    """Versions from ``low`` to ``high``, both included; ``1.1`` as an end stands for every 1.1.x."""

    low: tuple[int, ...]
    high: tuple[int, ...]

    def __contains__(self, version: object) -> bool:
        if not isinstance(version, str) or not _NUMBERS.fullmatch(version):
            return False
        numbers = _numbers(version)
        return self.low <= numbers and numbers[: len(self.high)] <= self.high

    def __str__(self) -> str:
        return "..".join(".".join(map(str, end)) for end in (self.low, self.high))


def parse_range(text: str) -> VersionRange:
    """Read ``1.0..1.1``, or one version.

    Raises ValueError, which says what is wrong.
    """
    low, dots, high = text.partition("..")
    ends = (low, high if dots else low)
    if not all(map(_NUMBERS.fullmatch, ends)):
        raise ValueError(f"{text!r} is no range of versions: give one such as 1.0..1.1")
    lower, upper = map(_numbers, ends)
    if lower[: len(upper)] > upper:
        raise ValueError(f"{text!r} ends before it begins: the older version comes first")
    return VersionRange(lower, upper)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def is_allowed(version: str, versions: VersionRange | None) -> bool:
    """Say whether a version other than the one at hand may run."""
    return versions is not None and version in versions


@dataclass(frozen=True, slots=True)
class Released:
    """The contract of a version that was released; ``origin`` is the folder or the revision that has it."""

    contract: MetricsContract
    schema: Mapping[str, Any] | None
    origin: str
    folder: Path | None = None


def find_released(version: str, *, folder: Path, released: Path | None) -> Released | None:
    """Return the contract of a version: from ``released``, from beside the contract files, or from a tag of git.

    Raises ContractError where there is one that cannot be read.
    """
    for place in (released, folder / "released"):
        if place is not None and (place / version / "metrics.txt").is_file():
            return _from_folder(place / version)
    return next(_from_tags(version, folder), None)


def check_released(released: Path | None) -> None:
    """Raise ContractError where the folder of released contracts is none."""
    if released is not None and not released.is_dir():
        raise ContractError(f"--released {str(released)!r} is no folder: it has a folder for each version; correct it")


def _from_folder(folder: Path) -> Released:
    has_schema = (folder / "health.schema.json").is_file()
    schema = load_health_schema(folder) if has_schema else None
    return Released(load_metrics(folder), schema, str(folder), folder)


def _from_tags(version: str, folder: Path) -> Iterator[Released]:
    for tag in _tags(folder):
        try:
            texts = read_revision(tag, folder=folder)
            contract = parse_metrics(texts.texts.get("metrics.txt", ""), source=texts.source("metrics.txt"))
            schema = json.loads(texts.texts.get("health.schema.json", "null"))
        except (ContractError, ValueError):  # an old tag may have none, or one of a form that is no more
            continue
        if contract.version == version:
            yield Released(contract, schema if isinstance(schema, dict) else None, tag)


def _tags(folder: Path) -> list[str]:
    """Return the tags of the repository that the folder is in, the youngest first; none where there is no git."""
    program = shutil.which("git")
    if program is None:
        return []
    command = [program, "-C", str(folder), "tag", "--list", "--sort=-creatordate"]
    try:
        done = subprocess.run(  # noqa: S603 - the program is git, its arguments a list
            command, capture_output=True, text=True, check=False, timeout=_GIT_TIMEOUT_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return []
    return done.stdout.split()[:_TAGS_MAX] if done.returncode == 0 else []
