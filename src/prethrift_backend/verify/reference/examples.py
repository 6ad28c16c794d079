"""Examples that keep the promises they illustrate: a value of a type, a log line, a series."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from prethrift_backend.contracts import LogEvent, LogField, LogsContract, MetricFamily, MetricLabel, ValueType
from prethrift_backend.verify.records.log_checks import LogChecks

_TIME: Final = "2026-01-02T03:04:05.678901Z"
_TEXT: Final = "example"
_IDS: Final = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "123e4567-e89b-12d3-a456-426614174000")
# Tried in this order for a pattern: what such patterns are about as a rule, then one letter or digit over and over.
_CANDIDATES: Final = (_TEXT, "1.0.0", "200", "1000", "42601", *_IDS, "/example", "example.com", "example-1", "EXAMPLE")
_LONGEST: Final = 64  # of a letter over and over: the length of a sha256
_NUMBERS: Final = (1, 200, 1000)
# Conditions that hold for what happens once for each request.
_IN_REQUEST: Final = frozenset({"request", "span"})


class NoExampleError(Exception):
    """There is a promise for which no example was found."""


def example_value(promised: ValueType) -> object:
    """Return a value that the type allows.

    Raises NoExampleError where its pattern is one that none of the usual texts match.
    """
    for value in _values(promised):
        if promised.allows(value):
            return value
    raise NoExampleError(str(promised))


def _values(promised: ValueType) -> Iterator[object]:
    if promised.values:
        yield from ({"true": True, "false": False}.get(value, value) for value in promised.values)
    elif promised.kind in ("int", "number"):
        yield from _numbers(promised.minimum, promised.maximum)
    elif promised.kind == "match":
        yield from texts_like()
    else:
        yield from (_TEXT[: promised.max_length], _TIME, False, {}, [])


def _numbers(minimum: float | None, maximum: float | None) -> Iterator[float]:
    yield from _NUMBERS
    for bound in (minimum, maximum):
        if bound is not None:
            yield from (math.ceil(bound), math.floor(bound), bound)


def texts_like() -> Iterator[str]:
    """Yield texts to try on a pattern, the most telling ones first."""
    yield from _CANDIDATES
    for letter in "a0A1":
        yield from (letter * length for length in range(1, _LONGEST + 1))


def example_line(event: LogEvent, logs: LogsContract) -> str | None:
    """Return a line of this event as JSON, with what is required of it; None where there is no example.

    That is where a pattern has none, or no field of every line holds the event's name.
    """
    keys = LogChecks(logs)
    known: dict[str, Sequence[str | None]] = {
        keys.event_key: [event.name],
        keys.level_key: level_texts(event),
        keys.logger_key: [event.logger],
    }
    if keys.event_key not in {one.name for one in logs.fields}:
        return None
    try:
        line = {
            one.name: _field(one, known.get(one.name, []))
            for one in (*logs.fields, *event.fields)
            if one.name in known or _is_due(one, event)
        }
    except NoExampleError:
        return None
    return json.dumps(line, ensure_ascii=False)


def level_texts(event: LogEvent) -> list[str]:
    """Return the levels of an event as lines write them: case does not count."""
    return [text for level in event.levels for text in (level, level.upper())]


def _field(promised: LogField, known: Sequence[str | None]) -> object:
    usable = (value for value in known if value is not None and promised.type.allows(value))
    found = next(usable, None)
    return example_value(promised.type) if found is None else found


def _is_due(promised: LogField, event: LogEvent) -> bool:
    if event.count is not None and event.count.per == "request" and promised.required_if:
        return _IN_REQUEST.issuperset(promised.required_if)
    return promised.required


def example_series(family: MetricFamily) -> list[str]:
    """Return the samples that the contract shows, or one that it allows, as lines; none where there is no example."""
    if family.samples:
        return [_sample(one.name, one.labels, one.value) for one in family.samples]
    try:
        labels = [(label.name, example_label(label)) for label in family.labels]
    except NoExampleError:
        return []
    name = f"{family.name}_count" if family.kind == "histogram" else family.name
    return [_sample(name, labels, 1)]


def example_label(label: MetricLabel) -> str:
    """Return a value that the label allows; raises NoExampleError."""
    for value in (*label.values, *texts_like()):
        if label.allows(value):
            return value
    raise NoExampleError(label.name)


def _sample(name: str, labels: Iterable[tuple[str, str]], value: float) -> str:
    pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
    return f"{name}{{{pairs}}} {plain_number(value)}" if pairs else f"{name} {plain_number(value)}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def plain_number(value: float) -> str:
    """Return a number without a needless fraction: ``5``, ``0.25``, ``+Inf``."""
    if math.isinf(value) or math.isnan(value):
        return {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, "NaN")
    return str(int(value)) if value == int(value) and abs(value) < 1e16 else repr(value)
