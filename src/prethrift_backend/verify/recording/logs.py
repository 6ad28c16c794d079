"""A draft of ``logs.txt`` from lines of JSON that a service has written; no value that looks like a secret is in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from prethrift_backend.contracts import NeverWord, parse_logs
from prethrift_backend.contracts.formatting import format_contract
from prethrift_backend.observability.redaction import Redactor
from prethrift_backend.verify.live.items import listed
from prethrift_backend.verify.recording.fields import SeenField, merged
from prethrift_backend.verify.recording.labels import room
from prethrift_backend.verify.recording.metrics import VERSION, Draft
from prethrift_backend.verify.records.log_checks import LogChecks
from prethrift_backend.verify.records.never_checks import NeverChecks
from prethrift_backend.verify.records.values import read_line

# By the names that they go by elsewhere, as the checks of lines know them.
_EVENT_KEYS: Final = ("event", "event_name", "event.name", "message", "msg")
_LEVEL_KEYS: Final = ("level", "severity", "log.level", "levelname")
# What puts lines together stands on lines of every kind, though not on each of them.
_SHARED: Final = frozenset({*_EVENT_KEYS[:3], *_LEVEL_KEYS, "request_id", "trace_id", "span_id", "user_id"})
_EVENT: Final = re.compile(r"[a-z][a-z0-9_.]{0,99}")
_EVENTS_MAX: Final = 100  # arbitrary; more names than that have values in them
_LEVELS: Final = ("debug", "info", "warning", "error", "critical")
# Those of our own contract: a service that breaks one of them has it left out, and is told so.
_NEVER_KEYS: Final = (
    *("password", "passwd", "secret", "authorization", "cookie", "set-cookie", "api_key", "token", "dsn"),
    *("private_key", "session_id"),
)
_NEVER_VALUES: Final = ("jwt", "pem", "bearer", "basic", "dsn-password", "card-number")
_PLAIN: Final = ""


@dataclass(slots=True)
class _SeenEvent:
    count: int = 0
    levels: set[str] = field(default_factory=set)
    fields: dict[str, SeenField] = field(default_factory=dict)


def draft_logs(lines: Iterable[bytes]) -> Draft | None:
    """Return a canonical contract that the lines obey as far as one can; None where no line is a JSON object."""
    kept = [line for line in lines if line.strip()]
    records = [fields for fields in map(read_line, kept) if fields is not None]
    if not records:
        return None
    return _Draft(kept, records).finish()


class _Draft:
    """One draft while it grows."""

    def __init__(self, lines: list[bytes], records: list[dict[str, object]]) -> None:
        self._lines = lines
        self._records = records
        self._redactor = Redactor()
        self._event_key = _key(_EVENT_KEYS, records)
        self._level_key = _key(_LEVEL_KEYS, records)
        self._warnings: list[str] = []
        self._events: dict[str, _SeenEvent] = {}
        self._leaking = _leaks(records)
        self._promised: set[str] = set()

    def finish(self) -> Draft:
        self._gather()
        fields = self._fields()
        lines = [*self._header(), *fields, *self._never(), *self._event_lines()]
        text = format_contract("\n".join(lines) + "\n", source="logs.txt")
        self._note_secrets()
        self._judge(text)
        events = sum(name != _PLAIN for name in self._events)
        return Draft(text, tuple(self._warnings), events, "events")

    # What the lines say.

    def _gather(self) -> None:
        names = self._event_names()
        for record in self._records:
            name = record.get(self._event_key)
            event = self._events.setdefault(name if isinstance(name, str) and name in names else _PLAIN, _SeenEvent())
            event.count += 1
            event.levels.add(str(record.get(self._level_key, "")).lower())
            for key, value in record.items():
                event.fields.setdefault(key, SeenField(key)).take(value, self._redactor)

    def _event_names(self) -> set[str]:
        """Return the values that are names of events: words in a fixed form, few of them, at levels that we know."""
        names = {record.get(self._event_key) for record in self._records}
        words = {name for name in names if isinstance(name, str) and _EVENT.fullmatch(name)}
        words = {word for word in words if self._redactor.is_clean(word)}
        if len(words) > _EVENTS_MAX:
            told = f"{len(words)} values of {self._event_key!r} look like events: an event is a fixed name, and few"
            self._warnings.append(f"logs: {told}; put what differs into fields")
            return set()
        odd = {
            str(record.get(self._event_key))
            for record in self._records
            if isinstance(level := record.get(self._level_key), str) and level.lower() not in _LEVELS
        }
        if words & odd:
            told = f"the levels of {listed(sorted(words & odd))} are none of {', '.join(_LEVELS)}"
            self._warnings.append(f"logs: {told}: these events are left out")
        return words - odd

    # The lines of the draft.

    def _header(self) -> Iterator[str]:
        yield f"# CONTRACT logs {VERSION}"
        yield f"# drafted from {len(self._records)} lines: what they happened to show; correct each guess"
        yield "# guessed: the longest line, with room"
        is_plain = not any(end in line.decode(errors="replace") for line in self._lines for end in "\x85\u2028\u2029")
        words = " one-per-line" if is_plain else ""
        yield f"RECORD json utf-8 max-bytes={room(max(map(len, self._lines)))}{words}"

    def _fields(self) -> list[str]:
        """Return the fields of every line, and note which those are."""
        names = dict.fromkeys(name for event in self._events.values() for name in event.fields)
        lines = ["# guessed: what is in every line is required"]
        for name in names:
            parts = [event.fields[name] for event in self._events.values() if name in event.fields]
            whole = merged(name, parts)
            is_everywhere = whole.count == len(self._records)
            kind = self._kind(whole)
            if kind is None or not (is_everywhere or name in _SHARED or name == self._event_key):
                continue
            self._promised.add(name)
            lines += _hidden(whole)
            lines.append(f"FIELD * {name} {kind}{' required' if is_everywhere else ''}")
        return lines if self._promised else []

    def _kind(self, seen: SeenField) -> str | None:
        """Return the type in words; None for what cannot be promised: of no type, or what never occurs."""
        is_never = seen.name.lower() in _NEVER_KEYS and seen.name.lower() not in self._leaking
        if seen.name == self._event_key and seen.type is not None:
            return f"string max={room(seen.longest)}"
        return None if is_never else seen.type

    def _never(self) -> Iterator[str]:
        left_out = sorted(self._leaking)
        if left_out:
            yield f"# guessed: without {listed(left_out)}, which lines have now; take that out there, then add it here"
        keys = [word for word in _NEVER_KEYS if word not in self._leaking]
        values = [word for word in _NEVER_VALUES if word not in self._leaking]
        yield from [f"NEVER-KEY {'|'.join(keys)}"] if keys else []
        yield from [f"NEVER-VALUE {'|'.join(values)}"] if values else []

    def _event_lines(self) -> Iterator[str]:
        for name, event in sorted(self._events.items()):
            if name != _PLAIN:
                yield ""
                yield from self._event(name, event)

    def _event(self, name: str, event: _SeenEvent) -> Iterator[str]:
        levels = [level for level in _LEVELS if level in event.levels] or ["info"]
        own = {key: seen for key, seen in event.fields.items() if key not in self._promised}
        is_open = any(self._kind(seen) is None for seen in own.values())
        times = "1 line" if event.count == 1 else f"{event.count} lines"
        yield f"# guessed: from {times}"
        yield f"EVENT {name} level={'|'.join(levels)} stability=development{' open-fields' if is_open else ''}"
        for key, seen in own.items():
            kind = self._kind(seen)
            if kind is not None:
                yield from _hidden(seen)
                yield f"  {key} {kind}{' required' if seen.count == event.count else ''}"

    # What somebody should look at.

    def _note_secrets(self) -> None:
        hidden = {key for event in self._events.values() for key, seen in event.fields.items() if seen.has_secret}
        for key in sorted(hidden):
            self._warnings.append(f"logs: field {self._redactor.redact_text(key)!r} holds what looks like a secret")

    def _judge(self, text: str) -> None:
        """Hold the lines against the draft, so that what no draft can mend is told at once."""
        checks = LogChecks(parse_logs(text, source="logs.txt"))
        counted = Counter((fault.rule, fault.message) for line in self._lines for fault in checks.faults(line))
        told = [f"logs: {rule} in {times} lines: {message}" for (rule, message), times in counted.most_common(10)]
        self._warnings += map(self._redactor.redact_text, told)


def _key(names: Iterable[str], records: Iterable[Mapping[str, object]]) -> str:
    """Return the first of the names that any line has, as the checks of lines choose it."""
    present = {key for record in records for key in record}
    names = tuple(names)
    return next((name for name in names if name in present), names[0])


def _leaks(records: Iterable[Mapping[str, object]]) -> set[str]:
    checks = NeverChecks(map(NeverWord, _NEVER_KEYS), map(NeverWord, _NEVER_VALUES))
    return {leak.word for record in records for leak in checks.leaks(record)}


def _hidden(seen: SeenField) -> Iterator[str]:
    if seen.has_secret:
        yield "# guessed: its values look like secrets and are hidden here; take them out where they are written"
