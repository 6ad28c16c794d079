"""Small edits of the real contract files, and what the comparison says of each."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from prethrift_backend.verify.diff import diff_contracts
from prethrift_backend.verify.diff_baseline import ContractTexts, read_folder
from prethrift_backend.verify.diff_consumers import ConsumerIndex
from prethrift_backend.verify.findings import Finding

CONTRACTS = Path(__file__).parents[2] / "contracts"
Edit = Callable[[str], str]

_VERSION = re.compile(r"^(# CONTRACT +\w+ +)(\d+)\.(\d+)\.(\d+)", re.MULTILINE)


def swap(old: str, new: str) -> Edit:
    """Put ``new`` in the place of ``old``, which stands in the file exactly once."""

    def edit(text: str) -> str:
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the file"
        return text.replace(old, new)

    return edit


def within(start: str, old: str, new: str) -> Edit:
    """Put ``new`` in the place of the first ``old`` behind ``start``."""

    def edit(text: str) -> str:
        head, found, tail = text.partition(start)
        assert found, f"{start!r} is not in the file"
        assert old in tail, f"{old!r} is not behind {start!r}"
        return head + found + tail.replace(old, new, 1)

    return edit


def rename(old: str, new: str) -> Edit:
    """Give every ``old`` that is a whole word, or a word before ``_bucket`` and the like, another name."""
    word = re.compile(rf"(?<![\w.]){re.escape(old)}(?=(?:_bucket|_sum|_count)?(?![\w.]))")

    def edit(text: str) -> str:
        assert word.search(text), f"{old!r} is not in the file"
        return word.sub(new, text)

    return edit


def drop_family(name: str) -> Edit:
    """Take every line away that is about a family."""

    def edit(text: str) -> str:
        word = re.compile(rf"\b{name}(?:_bucket|_sum|_count)?\b")
        return "\n".join(line for line in text.split("\n") if not word.search(line))

    return edit


def drop_block(first_line: str) -> Edit:
    """Take a line away that begins so, and the ones below it that are indented more."""
    deeper = len(first_line) - len(first_line.lstrip()) + 1
    block = re.compile(rf"^{re.escape(first_line)}.*\n(?: {{{deeper},}}.*\n)*", re.MULTILINE)

    def edit(text: str) -> str:
        assert block.search(text), f"{first_line!r} begins no line"
        return block.sub("", text, count=1)

    return edit


def append(lines: str) -> Edit:
    """Add lines at the end."""
    return lambda text: f"{text.rstrip()}\n{lines}\n"


def both(*edits: Edit) -> Edit:
    """Make one edit after the other."""

    def edit(text: str) -> str:
        for one in edits:
            text = one(text)
        return text

    return edit


def raise_version(text: str, part: str) -> str:
    """Raise a part of the version of a text contract: ``major``, ``minor`` or ``patch``; or of ``$id`` in a schema."""
    if text.startswith("{"):
        return re.sub(r'(:health:)(\d+)"', lambda found: f'{found[1]}{int(found[2]) + 1}"', text)

    def raised(found: re.Match[str]) -> str:
        major, minor, patch = (int(number) for number in found.groups()[1:])
        new = {"major": (major + 1, 0, 0), "minor": (major, minor + 1, 0), "patch": (major, minor, patch + 1)}[part]
        return found[1] + ".".join(str(number) for number in new)

    return _VERSION.sub(raised, text, count=1)


def findings_of(
    name: str, edit: Edit, *, part: str | None = "major", consumers: ConsumerIndex | None = None
) -> tuple[Finding, ...]:
    """Return the findings after an edit of one file whose version is raised by that part, or not at all."""
    old = read_folder(CONTRACTS)
    changed = edit(old.texts[name])
    assert changed != old.texts[name], "the edit changed nothing"
    if part is not None:
        changed = raise_version(changed, part)
    return diff_contracts(old, ContractTexts("new/", {**old.texts, name: changed}), consumers=consumers)
