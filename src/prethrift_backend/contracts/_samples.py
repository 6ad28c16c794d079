"""Sample lines of the Prometheus text format."""

from __future__ import annotations

import re
from typing import Final

from prethrift_backend.contracts._tokens import NUMBER, FaultError, Token, check_once, unescape
from prethrift_backend.contracts.model import MetricSample

BARE_LINE: Final = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{[ \t]*([a-zA-Z0-9_, \t]*)\})?[ \t]*")
_SAMPLE_START: Final = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)[ \t]*(\{[ \t]*)?")
_SAMPLE_LABEL: Final = re.compile(
    r'[ \t]*([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\[\\"n])*)"[ \t]*(?:,[ \t]*|(?=\}))'
)


def parse_sample(line: str, number: int) -> MetricSample:
    start = _SAMPLE_START.match(line)
    if start is None:
        what, rule = "neither a comment nor a sample", 'a sample is name{label="value"} number'
        raise FaultError(1, what, rule, "correct it, or begin the line with '# '")
    labels, position = _sample_labels(line, start.end()) if start[2] else ({}, start.end())
    value = line[position:].strip(" \t")
    if NUMBER.fullmatch(value) is None:
        what = f"{value!r} is no value of a sample"
        raise FaultError(position + 1, what, "one decimal number ends the line", "write 1, with no timestamp")
    return MetricSample(start[1], tuple(labels.items()), float(value), number)


def _sample_labels(line: str, position: int) -> tuple[dict[str, str], int]:
    """Return the labels, and the position behind the closing brace."""
    labels: dict[str, str] = {}
    while not line.startswith("}", position):
        found = _SAMPLE_LABEL.match(line, position)
        if found is None:
            what = "the labels cannot be read from here"
            raise FaultError(position + 1, what, 'they are label="value", with commas between, in braces', "correct it")
        check_once(labels.get(found[1]), Token(found[1], found.start(1) + 1))
        labels[found[1]] = unescape(found[2])
        position = found.end()
    return labels, position + 1
