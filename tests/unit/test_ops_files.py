"""Every file of `ops/` is held by a test: the table of its README says which, and this holds the table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OPS = ROOT / "ops"
_ROW = re.compile(r"^\| \[`(?P<name>[^`]+)`\]\((?P<link>[^)]+)\) \|[^|]+\| (?P<tests>.+) \|$", re.MULTILINE)

ROWS = {match["name"]: match for match in _ROW.finditer((OPS / "README.md").read_text())}


def test_every_entry_of_the_folder_is_in_the_table() -> None:
    """A new folder says who holds it, and a line goes with what it names."""
    assert set(ROWS) == {path.name for path in OPS.iterdir() if path.name != "README.md"}


@pytest.mark.parametrize("name", ROWS)
def test_what_holds_an_entry_reads_it(name: str) -> None:
    """The tests are there and name the folder, or a helper that they import does."""
    tests = [ROOT / path for path in re.findall(r"`([^`]+)`", ROWS[name]["tests"])]

    assert tests
    assert (OPS / ROWS[name]["link"]).exists()
    assert [path.name for path in tests if not _names(path, f'"{name}"', f"ops/{name}")] == []


def _names(path: Path, *texts: str) -> bool:
    return any(text in source.read_text() for source in _sources(path) for text in texts)


def _sources(path: Path) -> set[Path]:
    """Return a test, what stands around it, and what they import of the tests, directly or not."""
    found: set[Path] = set()
    open_ends = [path, path.parent / "conftest.py"]
    while open_ends:
        source = open_ends.pop()
        if source.exists() and source not in found:
            found.add(source)
            modules = re.findall(r"^from (tests\.[\w.]+) import", source.read_text(), re.MULTILINE)
            open_ends += [ROOT / (module.replace(".", "/") + ".py") for module in modules]
    return found
