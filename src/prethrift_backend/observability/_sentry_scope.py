"""The one global thing of this package's use of Sentry: which client `sentry_sdk.capture_exception()` reaches.

As with structlog, it is that of the last `Telemetry` configured, until it is closed. A client that the program has set
up itself, by ``sentry_sdk.init``, stays: whoever does that wants it so.
"""

from __future__ import annotations

from typing import Final

from sentry_sdk import Client, Scope

_offered: Final[list[Client]] = []


def offer(client: Client) -> None:
    """Make ``client`` the one that Sentry's own functions reach, unless the program has one of its own."""
    scope = Scope.get_global_scope()
    if scope.client.is_active() and scope.client not in _offered:
        return
    _offered.append(client)
    scope.set_client(client)


def withdraw(client: Client) -> None:
    """Bring back what was before `offer`; repeatable."""
    if client not in _offered:
        return
    _offered.remove(client)
    scope = Scope.get_global_scope()
    if scope.client is client:
        scope.set_client(_offered[-1] if _offered else None)
