"""``contracts/logs.txt`` as data, and what a rendered line breaks of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from prethrift_backend.contracts import find_contracts
from prethrift_backend.observability import redact

Words = Sequence[str]

MAX_BYTES = 16_384
# What ends a line for some reader, commands a terminal or turns the direction of what is shown.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
DATE_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"


@dataclass
class Promise:
    """What the contract says of one event."""

    levels: set[str]
    is_open: bool
    logger: str
    required: set[str] = field(default_factory=set)
    optional: set[str] = field(default_factory=set)
    types: dict[str, Words] = field(default_factory=dict)

    def add(self, name: str, words: Words) -> None:
        """Take up one field: its type and what limits it."""
        (self.required if "required" in words else self.optional).add(name)
        self.types[name] = words


def read_contract() -> tuple[Promise, dict[str, Promise]]:
    """Return what holds for every line, and the promises by event."""
    base = Promise(set(), is_open=True, logger="")
    events: dict[str, Promise] = {}
    current = base
    for raw in (find_contracts() / "logs.txt").read_text().splitlines():
        words = raw.partition(" #")[0].split()
        if raw.startswith("FIELD"):
            base.add(words[2], words[3:])
        elif raw.startswith("EVENT"):
            options = dict(word.split("=", 1) for word in words[2:] if "=" in word)
            levels = set(options["level"].split("|"))
            current = Promise(levels, is_open="open-fields" in words, logger=options["logger"])
            events[words[1]] = current
        elif raw.startswith("  "):
            current.add(words[0], words[1:])
    return base, events


BASE, EVENTS = read_contract()


def _is_within(value: float, words: Words) -> bool:
    for word in words:
        if word.startswith(">="):
            return value >= float(word[2:])
        if ".." in word:
            low, _, high = word.partition("..")
            return float(low) <= value <= float(high)
    return True


def _is_number(value: object, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _is_short(value: object, words: Words) -> bool:
    most = next((int(word.removeprefix("max=")) for word in words if word.startswith("max=")), None)
    return isinstance(value, str) and (most is None or len(value) <= most)


_TYPES: Mapping[str, Callable[[Any, Words], bool]] = {
    "string": _is_short,
    "enum": lambda value, words: value in words[0].split("|"),
    "match": lambda value, words: isinstance(value, str) and re.fullmatch(words[0], value) is not None,
    "date-time": lambda value, _: isinstance(value, str) and re.fullmatch(DATE_TIME, value) is not None,
    "int": lambda value, words: _is_number(value, int) and _is_within(value, words),
    "number": lambda value, words: _is_number(value, int, float) and _is_within(value, words),
    "boolean": lambda value, _: isinstance(value, bool),
    "object": lambda value, _: isinstance(value, dict),
    "array": lambda value, _: isinstance(value, list),
}


def _holds(value: object, words: Words) -> bool:
    if value is None:
        return "or-null" in words
    return _TYPES[words[0]](value, words[1:])


def broken_promises(raw: bytes) -> list[str]:
    """Return what a rendered line breaks of the contract; what it says of unknown events is free, within the limits."""
    text = raw.decode().removesuffix("\n")
    line: dict[str, Any] = orjson.loads(text)
    known = BASE.types | (EVENTS[line["event"]].types if line["event"] in EVENTS else {})
    broken = [name for name in line if name in known and not _holds(line[name], known[name])]
    broken += [f"{name} is missing" for name in BASE.required - set(line)]
    if len(raw) > MAX_BYTES:
        broken.append(f"{len(raw)} bytes")
    if UNSAFE.search(text) is not None:
        broken.append("a character that ends a line or commands a terminal")
    if redact(line) != line and len(text) < 1000:  # long texts and deep trees are cut a second time
        broken.append("a value that has to be hidden")
    return broken
