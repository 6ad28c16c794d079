"""The site that Sphinx makes of docs/: without a warning, with every page, and fetching nothing from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
# What a browser fetches by itself; a link that somebody follows is no such thing.
FETCHED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"'](?:https?:)?//[^\"']+"
    r"|<link\b[^>]*\bhref=[\"'](?:https?:)?//[^\"']+"
    r"|(?:url\(|@import\s+)[\"']?(?:https?:)?//[^\"')]+"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the site as the session `docs` does."""
    folder = tmp_path_factory.mktemp("site")
    # In a process of its own: Sphinx leaves traces in the one that it runs in.
    command = [sys.executable, "-m", "sphinx", "-q", "-E", "-W", "--keep-going", str(DOCS), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=150)
    assert done.returncode == 0, done.stderr
    return folder


def test_every_page_is_on_the_site(site: Path) -> None:
    """The runbooks and the reference among them."""
    missing = [
        page.relative_to(DOCS).as_posix()
        for page in DOCS.rglob("*.md")
        if not (site / page.relative_to(DOCS).with_suffix(".html")).is_file()
    ]

    assert missing == []


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    """No script, picture, style or font comes from another host."""
    files = [path for path in site.rglob("*") if path.suffix in {".html", ".css"}]

    assert files
    assert [(path.name, found) for path in files for found in FETCHED.findall(path.read_text())] == []


@pytest.mark.parametrize(
    "text",
    ['<script src="https://cdn.example/a.js">', "<link href='//fonts.example/a.css'>", "url(https://a.example/f.woff)"],
)
def test_what_is_fetched_from_elsewhere_is_found(text: str) -> None:
    """A script, a style and a font are noticed."""
    assert FETCHED.search(text)


def test_a_link_out_of_docs_names_the_file(site: Path) -> None:
    """A file of the repository is no part of the site: its path stands there instead of a link."""
    assert "ops/kubernetes/README.md" in (site / "deploying.html").read_text()
