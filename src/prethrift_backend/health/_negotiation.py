"""In which of three forms ``/health`` answers, by the request's Accept header (RFC 9110, section 12.5.1).

A monitor is never refused for its header: whatever cannot be read counts as not said, and the answer is JSON.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final


class Form(Enum):
    """A form of the body; the value is its content type."""

    JSON = "application/json"
    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


_JSON_TYPES: Final = ("application/json", "application/health+json")
_WILDCARDS: Final = ("application/*", "*/*")
_QUALITY: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")
_LONGEST: Final = 4096  # arbitrary; Prometheus sends about 300 characters


def negotiate(accept: str | None) -> Form:
    """Choose the form for ``accept``, which may be anything.

    A Prometheus form must be named; a wildcard alone means JSON. It must be liked at least as much as a wildcard that
    stands for JSON, and more than JSON where that is named too: browsers' HTTP libraries send
    ``application/json, text/plain, */*`` and want JSON.
    """
    wishes = _wishes((accept or "")[:_LONGEST])
    openmetrics = wishes.get("application/openmetrics-text", 0.0)
    text = wishes.get("text/plain", 0.0)
    metrics = max(openmetrics, text)
    named = max((wishes[name] for name in _JSON_TYPES if name in wishes), default=0.0)
    implied = max((wishes[name] for name in _WILDCARDS if name in wishes), default=0.0)
    if metrics <= named or (named == 0.0 and metrics < implied):
        return Form.JSON
    return Form.OPENMETRICS if openmetrics >= text else Form.TEXT


def _wishes(accept: str) -> dict[str, float]:
    """Return the best quality given to each media type. Parameters other than q (``version``) may come before it."""
    wishes: dict[str, float] = {}
    for element in accept.lower().split(","):
        media_type, *parameters = (part.strip() for part in element.split(";"))
        wishes[media_type] = max(wishes.get(media_type, 0.0), _quality(parameters))
    return wishes


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            return float(value) if _QUALITY.fullmatch(value.strip()) else 0.0
    return 1.0
