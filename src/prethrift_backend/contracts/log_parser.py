"""Read ``logs.txt``: RECORD, FIELD, NEVER-KEY, NEVER-VALUE, and a block for each EVENT."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from prethrift_backend.contracts._blocks import BlockReader, Line, make_count
from prethrift_backend.contracts._reading import digest
from prethrift_backend.contracts._tokens import (
    FaultError,
    Token,
    check_match,
    check_once,
    check_stability,
    count,
    operand,
    options,
)
from prethrift_backend.contracts._values import NeverWords, make_value
from prethrift_backend.contracts.logs import LogEvent, LogField, LogRecord, LogsContract

_EVENT_NAME: Final = re.compile(r"[a-z][a-z0-9_.]{0,99}")
_LEVELS: Final = ("debug", "info", "warning", "error", "critical")
_EVENT_FORM: Final = "EVENT order_placed level=info"


def parse_logs(text: str, *, source: str) -> LogsContract:
    """Return the contract that the text states; ``source`` is the name to give in error texts.

    Raises ContractError with every fault, each as ``source:line:column: what: rule; fix``.
    """
    return _Reader(source).contract(text, source)


@dataclass(slots=True)
class _Draft:
    """An event while its lines are being read."""

    name: Token
    note: str = ""
    options: dict[str, Token] = field(default_factory=dict)
    is_open: bool = False
    fields: dict[str, tuple[Token, LogField]] = field(default_factory=dict)


class _Reader(BlockReader):
    signal = "logs"

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self._record: LogRecord | None = None
        self._fields: dict[str, tuple[Token, LogField]] = {}
        self._drafts: dict[str, _Draft] = {}
        self._draft: _Draft | None = None
        self._never = NeverWords()
        self._directives = {
            "EVENT": self._read_event,
            "FIELD": self._read_field,
            "NEVER-KEY": self._never.read_keys,
            "NEVER-VALUE": self._never.read_values,
            "RECORD": self._read_record,
        }

    def contract(self, text: str, source: str) -> LogsContract:
        version = self.read(text)
        events = tuple(_make_event(draft) for draft in self._drafts.values())
        self._check_fields()
        self.faults.raise_any()
        return LogsContract(
            version=version,
            sha256=digest(text),
            source=source,
            record=self._record or LogRecord(),
            fields=tuple(one for _, one in self._fields.values()),
            events=events,
            never_keys=tuple(self._never.keys.values()),
            never_values=tuple(self._never.values.values()),
        )

    def _leave(self) -> None:
        self._draft = None

    def _read_inner(self, line: Line) -> None:
        if self._draft is None:
            fix = "write the EVENT line above it, or begin the line at its first column"
            raise FaultError(1, "an indented line without an EVENT", "it is a field of the event above it", fix)
        _add(self._draft.fields, line.tokens, line.note)

    def _read_record(self, tokens: list[Token]) -> None:
        check_once(self._record, tokens[0])
        flags = {token.text for token in tokens[1:] if token.text in ("json", "utf-8", "one-per-line")}
        given = options([token for token in tokens[1:] if token.text not in flags], ("max-bytes",))
        self._record = LogRecord(
            max_bytes=count(given.get("max-bytes")),
            is_one_per_line="one-per-line" in flags,
            note=self._note,
            line=tokens[0].line,
        )

    def _read_field(self, tokens: list[Token]) -> None:
        scope = operand(tokens, 1, "FIELD * name string required")
        if scope.text != "*":
            rule, fix = "FIELD is of every line, and '*' says so", "write '*', or put the field below its EVENT"
            raise FaultError(scope.column, f"{scope.text!r} is no scope of a field", rule, fix)
        operand(tokens, 2, "FIELD * name string required")
        _add(self._fields, tokens[2:], self._note)

    def _read_event(self, tokens: list[Token]) -> None:
        name = operand(tokens, 1, _EVENT_FORM)
        check_match(_EVENT_NAME, name, "an event is in snake_case, what happened in the past tense", "order_placed")
        check_once(self._drafts.get(name.text), name)
        self._draft = self._drafts[name.text] = _Draft(name, self._note)
        self._skips = False
        words = [token for token in tokens[2:] if token.text != "open-fields"]
        self._draft.is_open = len(words) < len(tokens) - 2
        given = options(words, ("level", "logger", "stability", "count", "count<"))
        make_count(given)
        check_stability(given.get("stability"))
        _check_levels(tokens[0], given.get("level"))
        self._draft.options = given

    def _check_fields(self) -> None:
        for draft in self._drafts.values():
            for name, _ in draft.fields.values():
                self._attempt(name.line, lambda name=name: self._check_field(name))  # type: ignore[misc] # as above
        for name, _ in self._fields.values():
            self._attempt(name.line, lambda name=name: self._never.check(name))  # type: ignore[misc] # as above

    def _check_field(self, name: Token) -> None:
        self._never.check(name)
        if name.text in self._fields:
            what, rule = f"{name.text!r} is given a second time", "a field of every line is not said again"
            raise FaultError(name.column, what, rule, "take one of the two away")


def _add(fields: dict[str, tuple[Token, LogField]], tokens: list[Token], note: str) -> None:
    made = make_value(LogField, tokens, note)
    check_once(fields.get(made.name), tokens[0])
    fields[made.name] = (tokens[0], made)


def _check_levels(event: Token, token: Token | None) -> None:
    if token is None:
        raise FaultError(event.column, "EVENT has no level", "the level is promised", "add level=info")
    levels = token.text.split("|")
    if len(set(levels)) < len(levels) or not set(levels) <= set(_LEVELS):
        rule = f"levels are of {', '.join(_LEVELS)}, with '|' between"
        raise FaultError(token.column, f"{token.text!r} is no level", rule, "choose from them")


def _make_event(draft: _Draft) -> LogEvent:
    given = draft.options
    return LogEvent(
        name=draft.name.text,
        levels=tuple(given["level"].text.split("|")) if "level" in given else (),
        logger=given["logger"].text if "logger" in given else None,
        stability=check_stability(given.get("stability")),
        count=make_count(given),
        is_open=draft.is_open,
        fields=tuple(one for _, one in draft.fields.values()),
        note=draft.note,
        line=draft.name.line,
    )
