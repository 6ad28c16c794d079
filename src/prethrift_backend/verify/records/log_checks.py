"""Rendered log lines held against ``logs.txt``, byte by byte as a reader of the log gets them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from prethrift_backend.contracts import LogEvent, LogsContract
from prethrift_backend.verify.records.never_checks import NeverChecks
from prethrift_backend.verify.records.promised_values import implied_conditions, value_faults
from prethrift_backend.verify.records.values import RecordFault, read_line, shown

ANY_LINE: Final = "every line"
"""The item of what holds for lines of whatever event."""

# The names that a field goes by; a contract that promises none of them has the first.
_EVENT_KEYS: Final = ("event", "event_name", "event.name", "message", "msg")
_LEVEL_KEYS: Final = ("level", "severity", "log.level", "levelname")
_LOGGER_KEYS: Final = ("logger", "logger_name", "log.logger", "name")
_REQUEST_KEYS: Final = ("request_id", "request.id", "http.request.id", "correlation_id", "requestId")
_TRACE_KEYS: Final = ("trace_id", "trace.id", "traceId", "otelTraceID")
_SPAN_KEYS: Final = ("span_id", "span.id", "spanId", "otelSpanID")

_EVENT_FORM: Final = re.compile(r"[a-z][a-z0-9]*(?:[_.][a-z0-9]+)+")
_LINE_ENDS: Final = re.compile("[\n\r\x85\u2028\u2029]")
_COMMANDS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069]")
_VALUE_RULES: Final = {"type": "LG007", "missing": "LG006", "unknown": "LG008"}
_LEAK_RULES: Final = {"key": "LG013", "value": "LG014"}


class LogChecks:
    """One log contract, and what lines break of it.

    An event that the contract does not name is free text of other people's loggers, unless a logger of the contract
    (or one below it) wrote it. ``request_key``, ``trace_key`` and ``span_key`` are the fields that tell requests,
    traces and spans apart, and ``has_traces`` says whether traces are promised; ``event_key``, ``level_key`` and
    ``logger_key`` are those that hold an event's name, its level and who wrote it.
    """

    def __init__(self, contract: LogsContract) -> None:
        self.contract = contract
        promised = {one.name for one in contract.fields}
        self.request_key = _key_of(_REQUEST_KEYS, promised)
        self.trace_key = _key_of(_TRACE_KEYS, promised)
        self.span_key = _key_of(_SPAN_KEYS, promised)
        self.has_traces = self.trace_key in promised
        self.event_key = _key_of(_EVENT_KEYS, promised)
        self.level_key = _key_of(_LEVEL_KEYS, promised)
        self.logger_key = _key_of(_LOGGER_KEYS, promised)
        self._events = {event.name: event for event in contract.events}
        self._loggers = {event.logger for event in contract.events if event.logger is not None}
        self._never = NeverChecks(contract.never_keys, contract.never_values)

    def event_of(self, line: bytes) -> LogEvent | None:
        """Return the promised event that a rendered line is of; None for any other line."""
        fields = read_line(line)
        return None if fields is None else self.event_in(fields)

    def event_in(self, fields: Mapping[str, object]) -> LogEvent | None:
        """Return the promised event that a line with these fields is of; None for any other line."""
        name = fields.get(self.event_key)
        return self._events.get(name) if isinstance(name, str) else None

    def faults(self, line: bytes, *, holds: Collection[str] = ()) -> list[RecordFault]:
        """Return everything in which one rendered line breaks the contract; its line end may be there or not.

        ``holds`` are conditions of ``required-if`` that the caller knows to hold; others are judged where the line
        itself tells.
        """
        return list(self._faults(line, holds))

    def _faults(self, line: bytes, holds: Collection[str]) -> Iterator[RecordFault]:
        limit = self.contract.record.max_bytes
        fields = read_line(line)
        event = None if fields is None else self.event_in(fields)
        name = event.name if event is not None else ANY_LINE
        if limit is not None and len(line) > limit:
            yield RecordFault("LG005", name, "the line is too long", f"at most {limit} bytes", f"{len(line)} bytes")
        try:
            text = line.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            yield RecordFault("LG001", name, f"byte {error.start} is no UTF-8", "utf-8")
            return
        yield from self._characters(name, text)
        if fields is None:
            yield RecordFault("LG002", name, "the line is no JSON object", "a JSON object", shown(text))
            return
        yield from self._values(name, event, fields, holds)
        yield from self._origin(event, fields)
        yield from self._leaks(name, event, fields)

    def _characters(self, name: str, text: str) -> Iterator[RecordFault]:
        found = _LINE_ENDS.search(text) if self.contract.record.is_one_per_line else None
        if found is not None:
            yield RecordFault("LG003", name, "a character ends the line early", "an escape of JSON", ascii(found[0]))
        found = _COMMANDS.search(text)
        if found is not None:
            yield RecordFault("LG004", name, "a character commands a terminal", "an escape of JSON", ascii(found[0]))

    def _values(
        self, name: str, event: LogEvent | None, fields: Mapping[str, object], holds: Collection[str]
    ) -> Iterator[RecordFault]:
        promised = (*self.contract.fields, *(event.fields if event is not None else ()))
        known = {*holds, *implied_conditions(promised, fields)}
        if event is not None and event.count is not None and event.count.per == "request":
            known.add("request")
        is_open = event is None or event.is_open
        for fault in value_faults(promised, fields, is_open=is_open, holds=known):
            message = f"field {fault.name!r} is {_WHAT[fault.kind]}"
            yield RecordFault(_VALUE_RULES[fault.kind], name, message, fault.expected, fault.observed)

    def _origin(self, event: LogEvent | None, fields: Mapping[str, object]) -> Iterator[RecordFault]:
        level, logger = fields.get(self.level_key), fields.get(self.logger_key)
        if event is None:
            yield from self._stranger(fields.get(self.event_key), logger)
            return
        if isinstance(level, str) and level.lower() not in event.levels:
            allowed = "|".join(event.levels)
            yield RecordFault("LG011", event.name, f"the level is {shown(level)}", allowed, shown(level))
        if event.logger is not None and logger is not None and logger != event.logger:
            yield RecordFault("LG012", event.name, f"the logger is {shown(logger)}", event.logger, shown(logger))

    def _stranger(self, name: object, logger: object) -> Iterator[RecordFault]:
        if not isinstance(name, str):
            return
        if self._loggers:
            owner = next((own for own in sorted(self._loggers) if _is_below(logger, own)), None)
            if owner is not None:
                message = f"{shown(logger)} wrote the event {shown(name)}, which is not promised"
                yield RecordFault("LG009", ANY_LINE, message, "an EVENT of the contract", shown(name))
        elif _EVENT_FORM.fullmatch(name) is not None:
            message = f"the event {shown(name)} is not promised"
            yield RecordFault("LG010", ANY_LINE, message, "an EVENT of the contract", shown(name))

    def _leaks(self, name: str, event: LogEvent | None, fields: Mapping[str, object]) -> Iterator[RecordFault]:
        promised = (*self.contract.fields, *(event.fields if event is not None else ()))
        names = {one.name for one in promised}
        patterned = {one.name for one in promised if one.type.kind == "match"}
        for leak in self._never.leaks(fields, promised=names, patterned=patterned):
            what = f"the key {leak.path!r}" if leak.kind == "key" else f"a value of {leak.path!r}"
            message = f"{what} is what NEVER-{leak.kind.upper()} calls {leak.word}"
            yield RecordFault(_LEAK_RULES[leak.kind], name, message, f"no {leak.word}")


_WHAT: Final = {"type": "not of the promised type", "missing": "missing", "unknown": "not promised"}


def _key_of(names: tuple[str, ...], promised: Collection[str]) -> str:
    return next((name for name in names if name in promised), names[0])


def _is_below(logger: object, owner: str) -> bool:
    return isinstance(logger, str) and (logger == owner or logger.startswith(f"{owner}."))
