"""What a forked child starts anew: it inherits queues without their threads, and is another instance of the service."""

from __future__ import annotations

import os
import threading
from typing import Final, Protocol
from weakref import WeakValueDictionary


class Inherited(Protocol):
    """A part that knows what to do in a child."""

    def restart_after_fork(self) -> None:
        """Start anew; called in the child, in its only thread."""
        ...


# By identity, since not all of them hash the same for ever; in the order in which they came.
_parts: Final[WeakValueDictionary[int, Inherited]] = WeakValueDictionary()
_is_prepared: Final = threading.Event()


def restart_in_children(part: Inherited) -> None:
    """Restart ``part`` in every child that is forked while it lives; repeatable."""
    _parts[id(part)] = part
    # A hook cannot be taken back, so there is one for all parts, set when the first one comes.
    if not _is_prepared.is_set():
        _is_prepared.set()
        os.register_at_fork(after_in_child=_restart)


def _restart() -> None:
    for part in tuple(_parts.values()):
        part.restart_after_fork()
