"""Grafana's variables, put in place before a query is read: PromQL itself has none (DB1).

What is put in place is not what a person will choose, but something that the query can be read with: a list of values
becomes a pattern that every value matches, so that no rule speaks of a value that nobody wrote.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from prethrift_backend.verify.promql.tree import LENGTH_MAX

# $1 is no variable but a part of a pattern of label_replace.
_VARIABLE: Final = re.compile(
    r"\$(?P<plain>[a-zA-Z_]\w*)|\$\{(?P<braced>[a-zA-Z_]\w*)(?::[^{}]*)?\}|\[\[(?P<old>\w+)(?::[^\[\]]*)?\]\]", re.ASCII
)
_DURATION_PLACE: Final = re.compile(r"(?:\[|:|\boffset\s+-?)\s*$", re.IGNORECASE)
_GROUP_PLACE: Final = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()\"'`]*$", re.IGNORECASE)

# A matcher on a value that is chosen later: the label is checked, the value cannot be.
_CHOSEN: Final = "__chosen_later__"
_CHOSEN_MATCHER: Final = re.compile(
    rf"""(\w+)\s*(?:=~|!~|!=|=)\s*(?:"[^"]*{_CHOSEN}[^"]*"|'[^']*{_CHOSEN}[^']*'|`[^`]*{_CHOSEN}[^`]*`)""", re.ASCII
)

# A list of labels is shorter. Arbitrary.
_LOOK_BACK: Final = 500

# The label that stands for one which is chosen while the dashboard is looked at.
CHOSEN_LABEL: Final = "instance"


@dataclass(frozen=True, slots=True)
class Substituted:
    """A query with its variables in place, and the names of those that nobody declares."""

    text: str
    unknown: tuple[str, ...] = ()


def substitute(text: str, declared: Mapping[str, str], *, interval_seconds: float) -> Substituted:
    """Put something in the place of every variable.

    ``declared`` has the dashboard's own variables and what each stands for, "" where that is chosen later.
    ``$__rate_interval`` is four scrapes, the least that Grafana makes of it.
    """
    if len(text) > LENGTH_MAX:  # it will be refused as it is
        return Substituted(text)
    parts: list[str] = []
    unknown: list[str] = []
    own = _own_variables(interval_seconds)
    position = 0
    for found in _VARIABLE.finditer(text):
        name = found["plain"] or found["braced"] or found["old"]
        before = "".join([*parts, text[position : found.start()]])
        if name not in own and name not in declared:
            unknown.append(name)
        written = own[name] if name in own else _in_place(before, declared.get(name, ""), interval_seconds)
        parts.append(text[position : found.start()] + written)
        position = found.end()
    written = _CHOSEN_MATCHER.sub(r'\1=~".+"', "".join([*parts, text[position:]]))
    return Substituted(written, tuple(dict.fromkeys(unknown)))


def _own_variables(interval_seconds: float) -> dict[str, str]:
    rate = f"{max(1, round(4 * interval_seconds))}s"
    return {
        "__rate_interval": rate,
        "__interval": rate,
        "__interval_ms": "60000",
        "__range": "1h",
        "__range_s": "3600",
        "__range_ms": "3600000",
        "__from": "1700000000000",
        "__to": "1700003600000",
        "__dashboard": "dashboard",
        "__name": "name",
        "__org": "1",
        "__user": "1",
        "timeFilter": "1",
        "__timeFilter": "1",
    }


def _in_place(before: str, value: str, interval_seconds: float) -> str:
    """Choose by what stands before it: a duration, a label, or else a value."""
    near = before[-_LOOK_BACK:]
    if _DURATION_PLACE.search(near):
        return value or f"{max(1, round(4 * interval_seconds))}s"
    if _GROUP_PLACE.search(near):
        return value or CHOSEN_LABEL
    if before.count('"') % 2 or before.count("'") % 2 or before.count("`") % 2:
        return value or _CHOSEN
    return value or "1"
