"""``contracts/logs.txt`` as data, and what a rendered line breaks of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from prethrift_backend.contracts import LogField, ValueType, load_logs
from prethrift_backend.observability import redact

CONTRACT = load_logs()
MAX_BYTES = CONTRACT.record.max_bytes or 0
# What ends a line for some reader, commands a terminal or turns the direction of what is shown.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
# More than the contract's date-time says: the form that our own lines have.
DATE_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"


@dataclass(frozen=True)
class Promise:
    """What the contract says of one event, as sets of names; ``optional`` has what is required on a condition."""

    levels: set[str]
    is_open: bool
    logger: str
    required: set[str]
    optional: set[str]
    types: dict[str, ValueType]


def _promise(
    fields: Iterable[LogField], *, levels: Iterable[str] = (), is_open: bool = True, logger: str = ""
) -> Promise:
    types = {one.name: one.type for one in fields}
    required = {one.name for one in fields if one.required}
    return Promise(set(levels), is_open, logger, required, set(types) - required, types)


def read_contract() -> tuple[Promise, dict[str, Promise]]:
    """Return what holds for every line, and the promises by event."""
    return _promise(CONTRACT.fields), {
        event.name: _promise(event.fields, levels=event.levels, is_open=event.is_open, logger=event.logger or "")
        for event in CONTRACT.events
    }


BASE, EVENTS = read_contract()


def broken_promises(raw: bytes) -> list[str]:
    """Return what a rendered line breaks of the contract; what it says of unknown events is free, within the limits."""
    text = raw.decode().removesuffix("\n")
    line: dict[str, Any] = orjson.loads(text)
    known = BASE.types | (EVENTS[line["event"]].types if line["event"] in EVENTS else {})
    broken = [name for name in line if name in known and not known[name].allows(line[name])]
    if "timestamp" not in broken and re.fullmatch(DATE_TIME, line["timestamp"]) is None:
        broken.append("timestamp")
    broken += [f"{name} is missing" for name in BASE.required - set(line)]
    if len(raw) > MAX_BYTES:
        broken.append(f"{len(raw)} bytes")
    if UNSAFE.search(text) is not None:
        broken.append("a character that ends a line or commands a terminal")
    # Datadog's ids are decimals of up to 20 digits: one in ten of that length passes for the number of a card.
    shown = {name: value for name, value in line.items() if not name.startswith("dd.")}
    if redact(shown) != shown and len(text) < 1000:  # long texts and deep trees are cut a second time
        broken.append("a value that has to be hidden")
    return broken
