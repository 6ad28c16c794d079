"""Who uses what a contract promises: rules, dashboards and documents that name it, by file and line.

Names are found as whole words within one passage: a rule of a file of rules, a line of a dashboard, a paragraph of a
document. What an expression means is not looked at, so that an item which only resembles a name in prose may be taken
for used; that errs on the safe side.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.findings import Place
from prethrift_backend.verify.reference.markdown import is_marked

RULE_SUFFIXES: Final = (".yml", ".yaml", ".json")
_SUFFIXES: Final = (*RULE_SUFFIXES, ".md")
_WORD: Final = re.compile(r"[A-Za-z0-9_:]+(?:[.-][A-Za-z0-9_:]+)*")
_RULE_START: Final = re.compile(r"\s*-\s+(?:alert|record|name|expr)\s*:")
_RANGE: Final = re.compile(r"\[(\d+)(ms|s|m|h|d|w)(?::[^\]]*)?\]")
_UNITS_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
# Arbitrary: no document or dashboard by hand comes near it, and a stray dump does not stop the comparison.
_MAX_FILE_BYTES: Final = 8 * 2**20
# Arbitrary: enough to see who is meant.
_PLACES_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Use:
    """What a passage names that uses an item: one of ``names``, and every one of ``words``.

    ``only_rules`` leaves documents out: a number in prose is seldom the edge of a bucket.
    """

    names: tuple[str, ...]
    words: tuple[str, ...] = ()
    only_rules: bool = False


@dataclass(frozen=True, slots=True)
class _Passage:
    path: str
    is_rule: bool
    words: dict[str, int]  # each with the line of its first occurrence
    ranges: tuple[tuple[float, int], ...]  # seconds, line

    def line_of(self, use: Use) -> int | None:
        if (use.only_rules and not self.is_rule) or not all(word in self.words for word in use.words):
            return None
        return min((self.words[name] for name in use.names if name in self.words), default=None)


class ConsumerIndex:
    """The passages of all consumers."""

    def __init__(self, passages: Iterable[_Passage] = ()) -> None:
        self._passages = tuple(passages)
        self._by_word: dict[str, list[_Passage]] = {}
        for passage in self._passages:
            for word in passage.words:
                self._by_word.setdefault(word, []).append(passage)

    def find(self, use: Use) -> tuple[Place, ...]:
        """Return the places that use the item, in the order of file and line."""
        lines = {
            (passage.path, line)
            for name in use.names
            for passage in self._by_word.get(name, ())
            if (line := passage.line_of(use)) is not None
        }
        return _places(lines)

    def find_ranges_below(self, seconds: float) -> tuple[Place, ...]:
        """Return the places with a range, as in ``rate(x[1m])``, that is shorter than this."""
        return _places(
            (passage.path, line)
            for passage in self._passages
            if passage.is_rule
            for length, line in passage.ranges
            if length < seconds
        )


def _places(lines: Iterable[tuple[str, int]]) -> tuple[Place, ...]:
    return tuple(Place(path, line) for path, line in sorted(set(lines))[:_PLACES_SHOWN])


def read_consumers(paths: Sequence[Path]) -> ConsumerIndex:
    """Read rules (YAML), dashboards (JSON) and documents (Markdown) in these files and folders.

    Raises ContractError where a path is missing or a file cannot be read.
    """
    return ConsumerIndex(passage for path in paths for file in _files(path) for passage in _passages(file))


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES and file.is_file())
        return [file for file in found if file.stat().st_size <= _MAX_FILE_BYTES]
    if not path.is_file():
        raise ContractError(f"{path}: no such file or folder: consumers are files and folders; correct the path")
    return [path]


def _passages(file: Path) -> Iterator[_Passage]:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ContractError(f"{file}: {error.strerror}: a consumer must be readable; mend its mode") from error
    if is_marked(text):  # the generated reference names every item, and uses none
        return
    is_rule = file.suffix in RULE_SUFFIXES
    for lines in _split(text, file.suffix):
        words: dict[str, int] = {}
        ranges: list[tuple[float, int]] = []
        for number, line in lines:
            for word in _WORD.findall(line):
                # The whole of prethrift-backend and, since a minus may be one, its parts.
                for part in {word, *word.split("-")}:
                    words.setdefault(part.strip(":"), number)
            ranges += [(int(length) * _UNITS_SECONDS[unit], number) for length, unit in _RANGE.findall(line)]
        yield _Passage(str(file), is_rule, words, tuple(ranges))


def _split(text: str, suffix: str) -> Iterator[list[tuple[int, str]]]:
    """Yield the passages of a text, each as its numbered lines."""
    passage: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if _begins_passage(line, suffix) and passage:
            yield passage
            passage = []
        passage.append((number, line))
    if passage:
        yield passage


def _begins_passage(line: str, suffix: str) -> bool:
    if suffix == ".md":
        return not line.strip() or line.lstrip().startswith("|")
    return suffix == ".json" or _RULE_START.match(line) is not None
