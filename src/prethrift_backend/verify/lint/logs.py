"""``logs.txt`` held against itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prethrift_backend.contracts import Contracts, LogEvent, LogsContract
from prethrift_backend.contracts.values import PromisedValue
from prethrift_backend.verify.findings import Finding, Place
from prethrift_backend.verify.lint.findings import About
from prethrift_backend.verify.lint.values import check_conditions, check_never, check_types

_NEEDED: Final = ("timestamp", "level", "event")
_GRAVE: Final = frozenset({"warning", "error", "critical"})
# What an event tells at its end that was not meant to happen.
_MISHAPS: Final = ("_failed", "_lost", "_dropped", "_killed", "_refused", "_crashed", "_error", "_unavailable")


def check_logs(logs: LogsContract, contracts: Contracts) -> Iterator[Finding]:
    """Return what is wrong with a log contract beyond what its parser refuses."""
    values = list(log_values(logs))
    yield from check_types("FL001", values)
    yield from check_never(values, logs)
    yield from check_conditions(values, contracts)
    yield from _check_base(logs, contracts)
    for event in logs.events:
        yield from _check_level(event, logs)
    yield from _check_room(logs)


def log_values(logs: LogsContract) -> Iterator[tuple[About, PromisedValue]]:
    """Yield every promised field with the event that it belongs to; those of every line belong to ``FIELD *``."""
    base = About("logs", "FIELD *", Place(logs.source, 1))
    for one in logs.fields:
        yield base, one
    for event in logs.events:
        about = _about(event, logs)
        for one in event.fields:
            yield about, one


def _about(event: LogEvent, logs: LogsContract) -> About:
    return About("logs", event.name, Place(logs.source, event.line))


def _check_base(logs: LogsContract, contracts: Contracts) -> Iterator[Finding]:
    about = About("logs", "FIELD *", Place(logs.source, logs.fields[0].line if logs.fields else 1))
    required = {one.name for one in logs.fields if one.required}
    for name in _NEEDED:
        if name not in required:
            message = f"{name!r} is not required of every line"
            yield about.fault("FL003", message, f"add 'FIELD * {name} … required'")
    known = {one.name for one in logs.fields}
    if contracts.spans is not None and "trace_id" not in known:
        message = "no line says which trace it belongs to, and spans are promised"
        yield about.fault("FL003", message, "add 'FIELD * trace_id match [0-9a-f]{32} required-if=span'")


def _check_level(event: LogEvent, logs: LogsContract) -> Iterator[Finding]:
    about = _about(event, logs)
    listed = next((one.type for one in logs.fields if one.name == "level" and one.type.is_closed), None)
    missing = [level for level in event.levels if listed is not None and level not in listed.values]
    if missing:
        message = f"{event.name!r} is at level {missing[0]!r}, which FIELD * level does not have"
        yield about.fault("FL002", message, "add the level there, or correct the event", level="error")
    if event.name.endswith(_MISHAPS) and not _GRAVE.intersection(event.levels):
        message = f"{event.name!r} tells of a mishap at level {'|'.join(event.levels)}"
        yield about.fault("FL002", message, "write it at warning or above, or give it another name")
    if event.stability == "stable" and set(event.levels) == {"debug"}:
        message = f"{event.name!r} is stable at level debug, which production does not write"
        yield about.fault("FL002", message, "write it at info, or promise less")


def _check_room(logs: LogsContract) -> Iterator[Finding]:
    most = logs.record.max_bytes
    for about, value in log_values(logs):
        length = value.type.max_length
        if most is not None and length is not None and length >= most:
            message = f"{value.name!r} of {about.name!r} may have {length} characters, and a line {most} bytes"
            yield about.at(value.line).fault("FL006", message, "lower max=, or raise max-bytes of RECORD")
