"""The project's own files, held against one another."""

from __future__ import annotations

import ast
import re
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]

# What an environment brings itself.
_UNPINNED = {"pip", "setuptools", "wheel", "prethrift-backend"}


def _normalised(name: str) -> str:
    """Return a distribution's name as PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def test_everything_that_is_installed_is_pinned() -> None:
    """What `make setup` installed is what constraints.txt says, to the version; local builds count as their version."""
    installed = {_normalised(found.metadata["Name"]): found.version.split("+")[0] for found in distributions()}
    pinned = {_normalised(name): version for name, version in _pins().items()}

    assert {name: version for name, version in installed.items() - pinned.items() if name not in _UNPINNED} == {}


def test_every_session_says_what_it_does() -> None:
    """Each nox session has a docstring of one line, so that `nox -l` is the manual."""
    tree = ast.parse((ROOT / "noxfile.py").read_text())
    sessions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.decorator_list]

    assert {node.name for node in sessions} >= {"lint", "typecheck", "imports", "unit", "integration", "fuzz", "perf"}
    assert [node.name for node in sessions if "\n" in (ast.get_docstring(node) or "\n")] == []


def test_ci_runs_the_command_of_the_readme() -> None:
    """`.ci/run` calls `make test`."""
    assert re.search(r"^make test$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)


def test_no_line_of_prose_is_longer_than_code_may_be() -> None:
    """Pages for people have at most 120 characters in a line; the rows of a table cannot be broken.

    Nor can examples and lists of values in docs/reference, which is generated.
    """
    pages = [ROOT / "README.md", ROOT / "contracts" / "README.md", *(ROOT / "docs").rglob("*.md")]
    pages = [page for page in pages if not page.is_relative_to(ROOT / "docs" / "reference")]
    lines = [(page.name, line) for page in pages for line in page.read_text().splitlines()]

    assert [(name, line) for name, line in lines if len(line) > 120 and not line.startswith("|")] == []
