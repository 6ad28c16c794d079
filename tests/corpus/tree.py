"""A copy of the tree for changes to be made in: the work tree itself is never touched."""

from __future__ import annotations

import compileall
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.corpus.change import Change

ROOT: Final = Path(__file__).parents[2]
SAMPLES: Final = Path(__file__).parent / "samples"

_FOLDERS: Final = ("src", "contracts", "docs", "ops", "tests/support/foreign_shop")
# What is compared with what it was before.
_COMPARED: Final = ("contracts", "docs", "ops")
_FILES: Final = ("README.md", "pyproject.toml")

# Python takes a compiled file for one of a source by its time in whole seconds and its size: a changed source gets a
# time that no compiled file has.
_LATER_SECONDS: Final = 3600


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder with the code, contracts, rules and documents of the project, and one where nothing is ever changed."""

    root: Path
    pristine: Path

    @contextmanager
    def changed(self, change: Change) -> Iterator[None]:
        """Make the change within the block, and take it back after it.

        Raises MisfitError where it does not fit.
        """
        texts = change.texts(self.root)
        before = {path: (path.read_bytes(), path.stat()) for path in texts}
        try:
            for path, text in texts.items():
                path.write_bytes(text.encode())
                os.utime(path, times=(before[path][1].st_mtime + _LATER_SECONDS,) * 2)
            yield
        finally:
            for path, (content, status) in before.items():
                path.write_bytes(content)
                os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def make_tree(folder: Path, *, source: Path = ROOT) -> Tree:
    """Copy the parts of the project that changes are made in to ``folder``, compiled, and once more what is compared.

    What is compiled already is copied with its source: both have the times that they had.
    """
    root, pristine = folder / "tree", folder / "pristine"
    for name in _FOLDERS:
        if (source / name).is_dir():
            shutil.copytree(source / name, root / name)
    for name in _FILES:
        if (source / name).is_file():
            shutil.copy2(source / name, root / name)
    shutil.copytree(SAMPLES, root, dirs_exist_ok=True)
    for name in _COMPARED:
        shutil.copytree(root / name, pristine / name)
    compileall.compile_dir(root / "src", quiet=2)
    return Tree(root, pristine)


def copy_tree(tree: Tree, folder: Path) -> Tree:
    """Copy a tree, so that two changes can be made at the same time."""
    copied = Tree(folder / "tree", folder / "pristine")
    shutil.copytree(tree.root, copied.root)
    shutil.copytree(tree.pristine, copied.pristine)
    return copied
