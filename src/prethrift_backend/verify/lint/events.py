"""The events that a source writes, held against ``logs.txt``, and the other way round."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from prethrift_backend.contracts import LogEvent, LogsContract
from prethrift_backend.verify.findings import Finding, Place
from prethrift_backend.verify.lint.expressions import last_word
from prethrift_backend.verify.lint.findings import About
from prethrift_backend.verify.lint.log_calls import LogCall, is_logger, log_calls
from prethrift_backend.verify.lint.source import Source, SourceModule
from prethrift_backend.verify.records.never_checks import NeverChecks

_EVENT: Final = re.compile(r"[a-z][a-z0-9_.]{0,99}")


@dataclass(frozen=True)
class EventChecks:
    """The calls of loggers in a source, and the contract that they keep.

    ``own`` is the source that is judged; ``source`` may have more, which writes lines for it.
    """

    contract: LogsContract
    own: Source
    source: Source

    @cached_property
    def calls(self) -> Sequence[LogCall]:
        """Every call of a logger in the source that is judged."""
        return tuple(log_calls(self.own))

    @cached_property
    def _events(self) -> dict[str, LogEvent]:
        return {event.name: event for event in self.contract.events}

    def findings(self) -> Iterator[Finding]:
        """Say what the calls break, and which events nobody writes."""
        for call in self.calls:
            about = About("logs", call.event or call.module.name, Place(call.module.path, call.node.lineno))
            yield from self._secrets(call, about)
            if call.is_dynamic:
                message = f"an event of {call.module.name} is put together where it is written"
                yield about.fault("CD007", message, "write a static name, and give the values as fields")
            if call.event is not None:
                yield from self._judge(call, call.event, about)
        yield from self._bound_secrets()
        for event in self.contract.events:
            if self.why_unjudged(event) is None:
                yield from self._unwritten(event)
                yield from self._unused_levels(event)

    def why_unjudged(self, event: LogEvent) -> str | None:
        """Return why it cannot be told whether somebody writes the event, None where it can."""
        if event.logger is None or self._writes(event.name) or self._has_logger(event.logger):
            return None
        return f"its logger {event.logger!r} is not in the source that was read"

    def _has_logger(self, logger: str) -> bool:
        is_module = any(name == logger or name.startswith(f"{logger}.") for name in self.source.modules)
        return is_module or any(logger.startswith(f"{name}.") for name in self.source.modules)

    def _writes(self, event: str) -> bool:
        return event in self.source.used_texts

    def _judge(self, call: LogCall, event: str, about: About) -> Iterator[Finding]:
        promise = self._events.get(event)
        if promise is None:
            message = f"{event!r} is written, and {self.contract.source} does not promise it"
            fix = f"add 'EVENT {event} level={'|'.join(call.levels)}' there, or correct it"
            if _EVENT.fullmatch(event) is None:
                fix = "give it a static name in snake_case, with what else it says as fields, and promise that"
            yield about.fault("V006", message, fix)
            return
        for what, expected, observed in _differences(call, promise, self.contract):
            message = f"{event!r} is written {what}"
            yield about.fault(
                "CD008", message, "correct the call or the contract", expected=expected, observed=observed
            )

    def _secrets(self, call: LogCall, about: About) -> Iterator[Finding]:
        never = NeverChecks(self.contract.never_keys, ())
        for name, _ in call.fields:
            for leak in never.leaks({name: "x"}):
                message = f"the field {name!r} is given to a line, and NEVER-KEY has {leak.word}"
                yield about.fault("CD010", message, "leave it out")

    def _bound_secrets(self) -> Iterator[Finding]:
        """Look through what is bound to a logger, or to the context of all: it is on every line after it."""
        never = NeverChecks(self.contract.never_keys, ())
        for module in self.own.modules.values():
            for call in module.calls:
                names = [one.arg for one in call.keywords if one.arg is not None and _binds(call, module, self.own)]
                for name in [one for one in names if list(never.leaks({one: "x"}))]:
                    about = About("logs", module.name, Place(module.path, call.lineno))
                    yield about.fault("CD010", f"the field {name!r} is bound to lines", "leave it out")

    def _unused_levels(self, event: LogEvent) -> Iterator[Finding]:
        written = {level for call in self.calls if call.event == event.name for level in call.levels}
        missing = [level for level in event.levels if level not in written]
        if written and missing and len(written - set(event.levels)) == 0:
            about = About("logs", event.name, Place(self.contract.source, event.line))
            message = f"{event.name!r} is promised at {missing[0]}, and nothing writes it there"
            yield about.fault("CD012", message, "take the level out of the contract, or write the event at it")

    def _unwritten(self, event: LogEvent) -> Iterator[Finding]:
        about = About("logs", event.name, Place(self.contract.source, event.line))
        if not self._writes(event.name):
            yield about.fault("V006", f"{event.name!r} is promised, and nothing writes it", "write it, or take it away")
            return
        for one in event.fields:
            if one.name not in self.source.used_texts and one.name not in self.source.keywords:
                message = f"the field {one.name!r} of {event.name!r} is promised, and nothing gives it"
                yield about.at(one.line).fault("CD012", message, "give it, or take it out of the contract")


def _binds(call: ast.Call, module: SourceModule, source: Source) -> bool:
    word = last_word(call.func)
    if word in ("bind_contextvars", "bound_contextvars"):
        return True
    return word == "bind" and isinstance(call.func, ast.Attribute) and is_logger(call.func.value, module, source)


def _differences(
    call: LogCall, promise: LogEvent, contract: LogsContract
) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield how a call differs from its promise, what was expected and what there is."""
    strange = [level for level in call.levels if level not in promise.levels]
    if strange:
        yield "at another level", "|".join(promise.levels), strange[0]
    if promise.logger is not None and call.logger is not None and call.logger != promise.logger:
        yield "by another logger", promise.logger, call.logger
    types = {one.name: one.type for one in (*contract.fields, *promise.fields)}
    given = {name for name, _ in call.fields}
    for name, value in call.fields:
        if name not in types:
            if not promise.is_open:
                yield f"with the field {name!r}, which is not promised", None, name
        elif isinstance(value, ast.Constant) and not types[name].allows(value.value):
            yield f"with a value of {name!r} that is not promised", str(types[name]), repr(value.value)
    missing = [one.name for one in promise.fields if one.required and one.name not in given]
    if missing and call.is_whole:
        yield f"without {', '.join(missing)}", ", ".join(missing), None
