"""Text of others made fit to be printed: nothing in it can end a line, move a cursor or break a document."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePath
from typing import Final
from urllib.parse import quote

from prethrift_backend.verify.findings import LEVELS, Excused, Finding, Item, Outcome, Place

_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def visible(text: str) -> str:
    """Return ``text`` on one line, with an escape for each character that does not print."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def without_surrogates(text: str) -> str:
    """Return ``text`` as UTF-8 can hold it: a lone surrogate, as file names may have, becomes its escape."""
    return _LONE_SURROGATE.sub(lambda found: _escape(found[0]), text)


def xml_text(text: str) -> str:
    """Return ``text`` as XML 1.0 can hold it: the characters that it forbids become their escapes."""
    return _NOT_XML.sub(lambda found: _escape(found[0]), text)


def relative_path(path: str, root: str) -> str:
    """Return ``path`` as seen from ``root`` where it lies below, with forward slashes."""
    given = PurePath(path)
    if root and given.is_absolute() and given.is_relative_to(root):
        return given.relative_to(root).as_posix()
    return given.as_posix()


def uri_of(path: str, root: str) -> str:
    """Return the reference of a file: relative to ``root`` where it lies below, a ``file:`` address elsewhere."""
    shown = relative_path(path, root)
    if PurePath(shown).is_absolute():
        return "file://" + quote(shown)
    # A colon in the first part would be taken for a scheme.
    return quote(shown)


def mapped(outcome: Outcome, change: Callable[[str], str]) -> Outcome:
    """Return the outcome with every text in it changed, its findings sorted from the worst to the mildest."""
    findings = [_mapped_finding(finding, change) for finding in outcome.findings]
    return replace(
        outcome,
        command=change(outcome.command),
        target=_maybe(outcome.target, change),
        findings=tuple(sorted(findings, key=_rank)),
        items=tuple(_mapped_item(item, change) for item in outcome.items),
        inconclusive=tuple(change(reason) for reason in outcome.inconclusive),
        excused=tuple(
            Excused(_mapped_finding(excused.finding, change), change(excused.reason), excused.until)
            for excused in outcome.excused
        ),
    )


def _rank(finding: Finding) -> tuple[int, str, int, str, str, str]:
    place = finding.place or Place("")
    return LEVELS.index(finding.level), place.path, place.line or 0, finding.rule, finding.name, finding.message


def _mapped_finding(finding: Finding, change: Callable[[str], str]) -> Finding:
    return replace(
        finding,
        rule=change(finding.rule),
        name=change(finding.name),
        message=change(finding.message),
        category=_maybe(finding.category, change),
        expected=_maybe(finding.expected, change),
        observed=_maybe(finding.observed, change),
        place=None if finding.place is None else _mapped_place(finding.place, change),
        consumers=tuple(_mapped_place(place, change) for place in finding.consumers),
        fix=change(finding.fix),
        reproduce=_maybe(finding.reproduce, change),
    )


def _mapped_item(item: Item, change: Callable[[str], str]) -> Item:
    return replace(
        item,
        name=change(item.name),
        place=None if item.place is None else _mapped_place(item.place, change),
        not_observed=_maybe(item.not_observed, change),
    )


def _mapped_place(place: Place, change: Callable[[str], str]) -> Place:
    # A check that counted from 0, or had no number, must not make a document that its own schema refuses.
    return Place(change(place.path), place.line or None, place.column or None)


def _maybe(text: str | None, change: Callable[[str], str]) -> str | None:
    return None if text is None else change(text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
