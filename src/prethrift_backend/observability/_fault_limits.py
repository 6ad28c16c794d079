"""How often one kind of fault is reported: some at once, then one in a while, the rest counted."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final

# Arbitrary: more kinds of faults at a time than any program has lines that fail at a time.
_MAX_KINDS: Final = 256


@dataclass(frozen=True, slots=True)
class Rate:
    """``at_once`` may come together; after them one every ``every_seconds``."""

    at_once: int
    every_seconds: float


@dataclass(slots=True)
class _Seen:
    due: float  # when the next one would come if they came evenly
    suppressed: int = 0


class FaultLimits:
    """The rates of all kinds of faults, by the generic cell rate algorithm: two numbers for each kind.

    Of more than ``max_kinds`` the one that was seen longest ago is forgotten, with its count of suppressed ones.
    """

    def __init__(self, monotonic: Callable[[], float], *, max_kinds: int = _MAX_KINDS) -> None:
        self._monotonic = monotonic
        self._max_kinds = max_kinds
        self._seen: OrderedDict[Hashable, _Seen] = OrderedDict()
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def __len__(self) -> int:
        return len(self._seen)

    def admit(self, kind: Hashable, rate: Rate) -> int | None:
        """Return how many of ``kind`` were suppressed since the last one admitted; None where this one is, too."""
        now = self._monotonic()
        if self._pid != os.getpid():  # forked, perhaps while another thread of the parent held the lock
            self._lock, self._pid = threading.Lock(), os.getpid()
        with self._lock:
            seen = self._seen.setdefault(kind, _Seen(due=now))
            self._seen.move_to_end(kind)
            if len(self._seen) > self._max_kinds:
                self._seen.popitem(last=False)
            if now < seen.due - (rate.at_once - 1) * rate.every_seconds:
                seen.suppressed += 1
                return None
            seen.due = max(seen.due, now) + rate.every_seconds
            suppressed, seen.suppressed = seen.suppressed, 0
            return suppressed
