"""One small change of the tree or of a running service, as data, and what is to be said of it."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["code", "contracts", "alerts", "dashboards", "docs", "process"]
Part: TypeAlias = Literal["major", "minor", "patch"]

KINDS: Final[tuple[Kind, ...]] = ("code", "contracts", "alerts", "dashboards", "docs", "process")

# In the place of a rule: a text that is no contract. The command ends with 2 and says the file and the line.
UNREADABLE: Final = "unreadable"

_VERSION: Final = re.compile(r"^(# CONTRACT +\w+ +)(\d+)\.(\d+)\.(\d+)", re.MULTILINE)
_SCHEMA_VERSION: Final = re.compile(r'(:health:)(\d+)"')


class MisfitError(Exception):
    """A change that does not fit the tree any more: the text has moved, and the change has to move with it."""


@dataclass(frozen=True, slots=True)
class Edit:
    """``new`` in the place of ``old``, which stands in the file exactly once; an empty ``old`` appends.

    ``path`` is relative to the root of the tree. In columns, any number of spaces stands for any other.
    """

    path: str
    old: str
    new: str
    in_columns: bool = False

    def apply(self, text: str) -> str:
        """Return the text with the edit made.

        Raises MisfitError where ``old`` does not stand in it exactly once, or the edit would change nothing.
        """
        if not self.old:
            return f"{text.rstrip()}\n{self.new}\n"
        count = len(self._pattern.findall(text))
        if count != 1:
            raise MisfitError(f"{self.path}: {self.old!r} stands {count} times: an edit replaces what stands once")
        changed = self._pattern.sub(lambda _: self.new, text)
        if changed == text:
            raise MisfitError(f"{self.path}: {self.old!r} is replaced by itself: an edit changes something")
        return changed

    @property
    def _pattern(self) -> re.Pattern[str]:
        if not self.in_columns:
            return re.compile(re.escape(self.old))
        return re.compile(" +".join(re.escape(part) for part in re.split(" +", self.old)))


@dataclass(frozen=True, slots=True)
class File:
    """A file of the tree, to make edits of."""

    path: str
    in_columns: bool = False

    def swap(self, old: str, new: str) -> Edit:
        """Put ``new`` in the place of ``old``."""
        return Edit(self.path, old, new, self.in_columns)

    def within(self, context: str, old: str, new: str) -> Edit:
        """Put ``new`` in the place of ``old`` in a text that stands once, though ``old`` may stand more often."""
        return self.swap(context, context.replace(old, new))

    def cut(self, text: str) -> Edit:
        """Take a text away."""
        return self.swap(text, "")

    def after(self, text: str, more: str) -> Edit:
        """Put ``more`` behind a text."""
        return self.swap(text, f"{text}{more}")

    def append(self, lines: str) -> Edit:
        """Add lines at the end."""
        return self.swap("", lines)


@dataclass(frozen=True, slots=True)
class Change:
    """One change: a fault that ``command`` has to report under ``rule``, or, without a rule, a harmless one.

    ``edits`` change files of the tree; ``fault`` is the name of a way in which the service misbehaves that the command
    asks. ``raises`` moves the version of every contract file that is edited, as a careful author would.
    """

    name: str
    kind: Kind
    command: str
    rule: str | None
    edits: tuple[Edit, ...] = ()
    _: KW_ONLY
    fault: str = ""
    raises: Part | None = None

    @property
    def is_harmless(self) -> bool:
        """Whether nothing may be reported."""
        return self.rule is None

    def texts(self, root: Path) -> dict[Path, str]:
        """Return the new text of each file that the change touches below ``root``.

        Raises MisfitError where an edit does not fit.
        """
        texts: dict[Path, str] = {}
        for edit in self.edits:
            path = root / edit.path
            texts[path] = edit.apply(texts.get(path) or _read(path))
        if self.raises is None:
            return texts
        return {path: raised(text, self.raises) if "contracts/" in str(path) else text for path, text in texts.items()}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise MisfitError(f"{path}: no such file: the file that is edited has moved") from error


def raised(text: str, part: Part) -> str:
    """Raise the version of a contract: that of a text's first line, or the one in a schema's ``$id``."""
    if text.startswith("{"):
        return _SCHEMA_VERSION.sub(lambda found: f'{found[1]}{int(found[2]) + (part == "major")}"', text)

    def next_version(found: re.Match[str]) -> str:
        major, minor, patch = (int(number) for number in found.groups()[1:])
        new = {"major": (major + 1, 0, 0), "minor": (major, minor + 1, 0), "patch": (major, minor, patch + 1)}[part]
        return found[1] + ".".join(str(number) for number in new)

    return _VERSION.sub(next_version, text, count=1)
