"""``contracts/logs.txt`` as data, and what a rendered line breaks of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from prethrift_backend.contracts import LogField, ValueType, load_logs
from prethrift_backend.observability import redact
from prethrift_backend.verify.records.log_checks import LogChecks
from prethrift_backend.verify.records.values import RecordFault

CONTRACT = load_logs()
CHECKS = LogChecks(CONTRACT)
# More than the contract's date-time says: the form that our own lines have.
DATE_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
TYPE_RULE = "LG007"


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


def broken_promises(raw: bytes) -> list[RecordFault]:
    """Return what a rendered line breaks of the contract, and of the redaction that our own lines go through."""
    faults = CHECKS.faults(raw)
    line: dict[str, Any] = orjson.loads(raw)
    if re.fullmatch(DATE_TIME, str(line.get("timestamp"))) is None:
        faults.append(RecordFault(TYPE_RULE, line["event"], "field 'timestamp' is not of our form"))
    # Datadog's ids are decimals of up to 20 digits: one in ten of that length passes for the number of a card.
    shown = {name: value for name, value in line.items() if not name.startswith("dd.")}
    if redact(shown) != shown and len(raw) < 1000:  # long texts and deep trees are cut a second time
        faults.append(RecordFault("LG014", line["event"], "a value has to be hidden"))
    return faults
