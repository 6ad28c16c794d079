"""The log contract as frozen values: what every line has, and what each event adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prethrift_backend.contracts.values import Count, NeverWord, PromisedValue, Stability
from prethrift_backend.exceptions import ContractError


@dataclass(frozen=True, slots=True)
class LogField(PromisedValue):
    """One field of a line: of every line, or of one event."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """How a line is written; ``max_bytes`` has the end of the line in it."""

    format: str = "json"
    encoding: str = "utf-8"
    max_bytes: int | None = None
    is_one_per_line: bool = False
    note: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One event: at which levels, by which logger, how often, with which fields of its own.

    ``is_open`` says that fields may come which are not listed. ``logger`` is None where any may write it.
    """

    name: str
    levels: tuple[str, ...]
    logger: str | None = None
    stability: Stability = "development"
    count: Count | None = None
    is_open: bool = False
    fields: tuple[LogField, ...] = ()
    note: str = field(default="", compare=False)
    line: int = field(default=0, compare=False)

    def field(self, name: str) -> LogField | None:
        """Return the event's own field of this name, None where it has none."""
        return next((one for one in self.fields if one.name == name), None)


@dataclass(frozen=True, slots=True)
class LogsContract:
    """Everything that one log contract promises; ``fields`` are those of every line."""

    version: str
    sha256: str
    source: str = field(compare=False)
    record: LogRecord = LogRecord()
    fields: tuple[LogField, ...] = ()
    events: tuple[LogEvent, ...] = ()
    never_keys: tuple[NeverWord, ...] = ()
    never_values: tuple[NeverWord, ...] = ()
    _by_name: Mapping[str, LogEvent] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {event.name: event for event in reversed(self.events)})

    def event(self, name: str) -> LogEvent:
        """Return the event of this name.

        Raises ContractError where the contract has none.
        """
        if name in self._by_name:
            return self._by_name[name]
        rule = "an event is written only where the contract names it"
        raise ContractError(f"event {name!r} is not in {self.source}: {rule}; add an EVENT line for it there")
