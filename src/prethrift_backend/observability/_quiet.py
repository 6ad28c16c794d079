"""Probes: the endpoints that have no INFO line, no span and no place in the RED metrics."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final, TypeVar

_QUIET: Final = "__prethrift_quiet__"

Marked = TypeVar("Marked")


def mark_quiet(endpoint: Marked) -> Marked:
    """Mark an endpoint (function, or application that is mounted) as a probe: no INFO line, no span, no RED metrics.

    The mark is on the object, so it holds wherever the endpoint is routed. TypeError where an object takes no mark:
    give it to `instrument` as ``quiet=`` then.
    """
    try:
        setattr(endpoint, _QUIET, True)
    except AttributeError as error:
        text = f"{endpoint!r} cannot be marked: it takes no attributes; hand it to instrument(..., quiet=[...])"
        raise TypeError(text) from error
    return endpoint


def named_quiet(quiet: Collection[object]) -> frozenset[object]:
    """Return what the given endpoints, routes and mounts lead to; a router, which has no hash, is marked instead."""
    return frozenset(_hashable(quiet))


def _hashable(quiet: Collection[object]) -> Iterator[object]:
    for thing in quiet:
        # Routes cannot be hashed (Starlette gives them equality only), so what they lead to is kept.
        leads_to = getattr(thing, "endpoint", None) or getattr(thing, "app", thing)
        try:
            hash(leads_to)
        except TypeError:
            mark_quiet(leads_to)
        else:
            yield leads_to


def is_quiet(endpoint: object, named: frozenset[object]) -> bool:
    """Return whether ``endpoint`` is marked, or one of those that `instrument` was given by name."""
    if getattr(endpoint, _QUIET, False) is True:
        return True
    try:
        return bool(named) and endpoint in named
    except TypeError:  # an endpoint that cannot be hashed is not in the set
        return False
