"""What the descriptions in a health schema say of its use: the paths of the body, and the status code of each status.

JSON Schema has no place for either, so the words of two descriptions are the contract: those of the whole name the
paths, those of ``status`` the codes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

_PATH: Final = re.compile(r"(?<![\w/])/[a-z][\w/{}-]*")
_WORD: Final = re.compile(r"\w+")
_STATUS_CODE: Final = re.compile(r"[1-5]\d\d")
_OTHERS: Final = frozenset({"other", "others", "rest"})


def described_paths(schema: Mapping[str, Any]) -> list[str]:
    """Return the paths that answer with such a body, in the order in which the schema's description names them."""
    return list(dict.fromkeys(_PATH.findall(description(schema))))


def described_codes(schema: object, statuses: Sequence[str]) -> dict[int, list[str]]:
    """Return the statuses that come with each code, by the description of ``status``; empty where it names no code.

    A code is that of the statuses named since the code before it; of "others", those that are named nowhere.
    """
    words = _WORD.findall(description(schema))
    named = [word for word in words if word in statuses]
    codes: dict[int, list[str]] = {}
    pending: list[str] = []
    for word in words:
        if word in statuses:
            pending.append(word)
        elif word in _OTHERS:
            pending += [status for status in statuses if status not in named]
        elif _STATUS_CODE.fullmatch(word):
            codes.setdefault(int(word), []).extend(pending)
            pending = []
    return {code: given for code, given in codes.items() if given}


def description(schema: object) -> str:
    """Return the description of a schema, empty where there is none."""
    return str(schema.get("description", "")) if isinstance(schema, dict) else ""
