"""The pages of docs/decisions, held against the tree: each has its parts, and what it and other pages name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "decisions").glob("*.md"))
PARTS = ["Context", "Decision", "Consequences", "What holds it"]


def _is_there(name: str) -> bool:
    """Tell whether a path from the top, or a file of that name anywhere in the sources or tests, exists."""
    anywhere = [path for folder in ("src", "tests") for path in (ROOT / folder).rglob(name)] if "/" not in name else []
    return bool(anywhere or list(ROOT.glob(name)) or list((ROOT / "src" / "prethrift_backend").glob(name)))


def test_pages_are_numbered_without_a_gap() -> None:
    """The number of a page is in its name and in its title."""
    titles = [path.read_text().partition("\n")[0] for path in PAGES]

    assert [int(path.name[:4]) for path in PAGES] == list(range(1, len(PAGES) + 1))
    assert [title for number, title in enumerate(titles, 1) if not title.startswith(f"# {number}. ")] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_a_page_has_its_parts(page: Path) -> None:
    """Context, decision, consequences, and what holds it, in this order."""
    assert re.findall(r"^## (.+)$", page.read_text(), re.MULTILINE) == PARTS


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_what_a_decision_names_is_there(page: Path) -> None:
    """A file that was renamed, or a test that is gone, shows."""
    named = set(re.findall(r"`([\w./*-]+\.(?:py|txt|toml|json)|(?:tests|src|contracts)/[\w./*-]+)`", page.read_text()))

    assert {name for name in named if not _is_there(name)} == set()


@pytest.mark.parametrize("name", ["README.md", "contracts/README.md", "docs/health.md", "docs/overhead.md"])
def test_what_other_pages_name_is_there(name: str) -> None:
    """The same of every path from the top that a page names."""
    named = set(re.findall(r"`((?:tests|src|contracts|docs|scripts)/[\w./*-]+)`", (ROOT / name).read_text()))

    assert named
    assert {path for path in named if not _is_there(path)} == set()
