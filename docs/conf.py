"""How docs/ becomes a site: pages in Markdown, nothing fetched from elsewhere by whoever reads it."""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\((\.\.[^)\s]*)\)")

project = "Prethrift"
html_title = "Prethrift"
extensions = ["myst_parser"]
html_theme = "furo"
# No header or footer that names whoever built it, and no copy of the sources: they lie in the repository.
html_show_sphinx = False
html_copy_source = False
templates_path: list[str] = []
# Headings have anchors as on the forges, which the links of the pages and of their tests use.
myst_heading_anchors = 4
# Examples in a language that Pygments does not know are shown plain.
suppress_warnings = ["misc.highlighting_failure"]


def _to_text(found: re.Match[str], page: Path) -> str:
    """Return what a link from ``page`` out of docs/ is in the site: the words, and the path in the repository."""
    words, target = found[1], found[2].partition("#")[0]
    path = (page.parent / target).resolve()
    if not path.exists():
        raise FileNotFoundError(f"{page}: the link to {target!r} leads to no file: correct it")
    if path.is_relative_to(ROOT / "docs"):
        return found[0]
    shown = posixpath.normpath(path.relative_to(ROOT).as_posix())
    return words if shown in words else f"{words} (`{shown}` in the repository)"


def leave_repository_links(app: Sphinx, docname: str, content: list[str]) -> None:
    """Name the files of the repository that a page links to: they are no part of the site."""
    page = Path(app.env.doc2path(docname))
    content[0] = LINK.sub(lambda found: _to_text(found, page), content[0])


def setup(app: Sphinx) -> None:
    """Connect what is above; called by Sphinx."""
    app.connect("source-read", leave_repository_links)
