"""Small edits of the real contract files, and what the comparison says of each."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from prethrift_backend.verify.diff.baseline import ContractTexts, read_folder
from prethrift_backend.verify.diff.comparison import diff_contracts
from prethrift_backend.verify.diff.consumers import ConsumerIndex
from prethrift_backend.verify.findings import Finding

CONTRACTS = Path(__file__).parents[2] / "contracts"
Edit = Callable[[str], str]

_VERSION = re.compile(r"^(# CONTRACT +\w+ +)(\d+)\.(\d+)\.(\d+)", re.MULTILINE)


def _loosely(text: str) -> re.Pattern[str]:
    """Return a pattern for the text with any number of blanks where it has some: columns may move."""
    return re.compile(" +".join(re.escape(part) for part in re.split(" +", text)))


def swap(old: str, new: str) -> Edit:
    """Put ``new`` in the place of ``old``, which stands in the file exactly once."""
    place = _loosely(old)

    def edit(text: str) -> str:
        count = len(place.findall(text))
        assert count == 1, f"{old!r} stands {count} times in the file"
        return place.sub(lambda _: new, text)

    return edit


def within(start: str, old: str, new: str) -> Edit:
    """Put ``new`` in the place of the first ``old`` behind ``start``."""
    first, place = _loosely(start), _loosely(old)

    def edit(text: str) -> str:
        found = first.search(text)
        assert found is not None, f"{start!r} is not in the file"
        head, tail = text[: found.end()], text[found.end() :]
        assert place.search(tail), f"{old!r} is not behind {start!r}"
        return head + place.sub(lambda _: new, tail, count=1)

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
    block = re.compile(rf"^{_loosely(first_line).pattern}.*\n(?: {{{deeper},}}.*\n)*", re.MULTILINE)

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


def with_version(version: str) -> Edit:
    """Give a text contract another version."""
    return lambda text: _VERSION.sub(lambda found: f"{found[1]}{version}", text, count=1)


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
