"""The rows of the table: which variant, at which share of sampled traces, with how many routes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class Row:
    """One variant at one share of sampled traces; ``module`` is the one in ``variants`` that builds it."""

    name: str
    module: str
    sampled: float = 0.0
    routes: int = 1
    # Of the requests of a round: where one makes several spans, all of them must find room in the SDK's queue.
    share: float = 1.0
    process: int = 0

    def at(self, routes: int) -> Self:
        """Return the same with as many routes."""
        return replace(self, routes=routes)

    def of(self, process: int) -> Self:
        """Return the same in another process."""
        return replace(self, process=process)


BARE = Row("bare", "bare")
OURS_NONE = Row("ours, 0 % sampled", "ours", 0.0)
OURS_TENTH = Row("ours, 10 % sampled", "ours", 0.1)
OURS_ALL = Row("ours, 100 % sampled", "ours", 1.0)

ROWS = (
    BARE,
    Row("FastAPI's own, 10 % sampled", "fastapi_native", 0.1),
    Row("FastAPI's own, one span a request, 10 %", "fastapi_native_short", 0.1),
    Row("FastAPI's own, 100 % sampled", "fastapi_native", 1.0, share=0.4),
    Row("the usual stack, 10 % sampled", "usual", 0.1),
    Row("the usual stack with Sentry, 10 %", "usual_sentry", 0.1),
    Row("logfire, 10 % sampled", "logfire_alone", 0.1),
    Row("logfire, 100 % sampled", "logfire_alone", 1.0, share=0.4),
    OURS_NONE,
    OURS_TENTH,
    OURS_ALL,
    Row("ours, traces to Sentry as well, 10 %", "ours_sentry", 0.1),
)
