"""Where times and ids come from, as values: a test puts its own in their place."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

# Of its own and not `random`'s shared one, which a program may seed: two workers would then give the same ids. Not
# `random.SystemRandom`: a system call for each id, and nobody has to be kept from guessing one.
_random = random.Random()  # noqa: S311 - ids, not secrets
os.register_at_fork(after_in_child=_random.seed)


@dataclass(frozen=True, slots=True)
class Clock:
    """``time_ns`` gives nanoseconds since the epoch; ``monotonic`` seconds that never go back, for durations."""

    time_ns: Callable[[], int] = time.time_ns
    monotonic: Callable[[], float] = time.perf_counter


def _new_trace_id() -> int:
    return _random.getrandbits(128) or 1  # all zeroes is no id (W3C Trace Context, section 3.2.2.3)


def _new_span_id() -> int:
    return _random.getrandbits(64) or 1


def _new_request_id() -> str:
    return f"{_random.getrandbits(128):032x}"


@dataclass(frozen=True, slots=True)
class Ids:
    """What gives new ids: 128 bits for a trace, 64 for a span, 32 hexadecimal digits for a request."""

    trace_id: Callable[[], int] = field(default=_new_trace_id)
    span_id: Callable[[], int] = field(default=_new_span_id)
    request_id: Callable[[], str] = field(default=_new_request_id)
