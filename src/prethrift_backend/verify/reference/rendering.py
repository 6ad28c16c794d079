"""The generated reference of a folder of contracts: pages for people, schemas and a registry for programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Final

from prethrift_backend.contracts import Contracts
from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.findings import Finding, Place
from prethrift_backend.verify.reference.events import render_events
from prethrift_backend.verify.reference.health import render_health
from prethrift_backend.verify.reference.index import render_index
from prethrift_backend.verify.reference.log_schema import render_log_schema
from prethrift_backend.verify.reference.markdown import is_marked
from prethrift_backend.verify.reference.metrics import render_metrics
from prethrift_backend.verify.reference.openapi import render_openapi
from prethrift_backend.verify.reference.overhead import render_overhead
from prethrift_backend.verify.reference.registry import render_registry
from prethrift_backend.verify.reference.settings import render_settings
from prethrift_backend.verify.reference.spans import render_spans
from prethrift_backend.verify.rules import RULES

_ENDINGS: Final = frozenset({".json", ".md", ".yaml"})
_SHOWN: Final = 200  # characters of a line that differs; arbitrary, enough to see in what


def render_reference(contracts: Contracts) -> dict[str, str]:
    """Return every file of the reference by its path below the folder of the reference, in the order of the paths.

    The same contracts give the same bytes. Only what the folder of contracts has is there.
    """
    files = _pages(contracts) | _documents(contracts)
    files["index.md"] = render_index(contracts, files)
    return dict(sorted(files.items()))


def _pages(contracts: Contracts) -> dict[str, str]:
    files = {"metrics.md": render_metrics(contracts.metrics)}
    if contracts.logs is not None:
        files["events.md"] = render_events(contracts.logs)
    if contracts.spans is not None:
        files["spans.md"] = render_spans(contracts.spans)
    if contracts.settings is not None:
        files["settings.md"] = render_settings(contracts.settings)
    if contracts.health_schema is not None:
        files["health.md"] = render_health(contracts.health_schema)
    if contracts.overhead is not None:
        files["overhead.md"] = render_overhead(contracts.overhead)
    return files


def _documents(contracts: Contracts) -> dict[str, str]:
    files = {f"registry/{name}": text for name, text in render_registry(contracts).items()}
    if contracts.logs is not None:
        files["schema/log-event.schema.json"] = render_log_schema(contracts.logs)
    openapi = None if contracts.health_schema is None else render_openapi(contracts.health_schema)
    if openapi is not None:
        files["schema/health.openapi.json"] = openapi
    return files


def check_reference(contracts: Contracts, folder: Path) -> list[Finding]:
    """Return a finding for each file of ``folder`` that differs from what the contracts make, is missing or left over.

    Files in which the mark of a generated file is not found are nobody's business here, unless a generated one would
    have their name. Raises ContractError where a file is there and cannot be read.
    """
    wanted = render_reference(contracts)
    command = _command(contracts, folder)
    findings = [_difference(folder, name, text, command) for name, text in wanted.items()]
    left = (_left_over(folder, name, command) for name in stale_files(wanted, folder))
    return [finding for finding in (*findings, *left) if finding is not None]


def stale_files(wanted: Mapping[str, str], folder: Path) -> list[str]:
    """Return the files below ``folder`` that were generated once and are not among those that are wanted."""
    return [name for name in _generated(folder) if name not in wanted]


def is_generated(path: Path) -> bool:
    """Say whether a file has the mark of the generated ones.

    Raises ContractError where it cannot be read.
    """
    return is_marked(_read(path).decode("utf-8", "replace"))


def _generated(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        if path.suffix in _ENDINGS and path.is_file() and is_generated(path):
            yield path.relative_to(folder).as_posix()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ContractError(f"{path}: {error.strerror}: the reference is files that can be read; mend it") from error


def _command(contracts: Contracts, folder: Path) -> str:
    directory, here = contracts.directory, Path.cwd()
    shown = directory.relative_to(here) if directory.is_relative_to(here) else directory
    return f"prethrift-backend contracts docs --contracts {shown} --out {folder}"


def _difference(folder: Path, name: str, wanted: str, command: str) -> Finding | None:
    path = folder / name
    if not path.is_file():
        return _finding(name, f"{name} is missing", command, Place(str(path)))
    found = _read(path)
    if found == wanted.encode():
        return None
    lines = found.decode("utf-8", "replace").split("\n")
    line, expected, observed = _first_difference(wanted.split("\n"), lines)
    message = f"{name} differs from what the contracts make, from line {line} on"
    return _finding(name, message, command, Place(str(path), line), expected=expected, observed=observed)


def _first_difference(wanted: list[str], found: list[str]) -> tuple[int, str, str]:
    for number, (expected, observed) in enumerate(zip_longest(wanted, found), start=1):
        if expected != observed:
            return number, _shown(expected), _shown(observed)
    return 1, "UTF-8", "other bytes"  # the same letters, and yet not the same file


def _shown(line: str | None) -> str:
    return "no line" if line is None else line[:_SHOWN] or "an empty line"


def _left_over(folder: Path, name: str, command: str) -> Finding:
    message = f"{name} was generated once, and no contract makes it any more"
    return _finding(name, message, command, Place(str(folder / name), 1))


def _finding(
    name: str, message: str, command: str, place: Place, *, expected: str | None = None, observed: str | None = None
) -> Finding:
    return Finding(
        "V005",
        RULES["V005"].level,
        "docs",
        name,
        message,
        place=place,
        expected=expected,
        observed=observed,
        fix=f"run '{command}'",
        reproduce=f"{command} --check",
    )
