"""Find the route template of a request that has been routed, without matching it a second time.

Starlette and FastAPI leave what they decided in the scope, each in its own way:

- ``scope["route"]``: Starlette's router always; FastAPI's only for its own kinds of route.
- ``scope["fastapi"]["effective_route_context"]``: a route that came in by ``include_router``; the route object itself
  then knows only the inner half of its path.
- ``scope["endpoint"]`` alone: a plain Starlette route in a FastAPI application (``/docs``), or a mount.

The first two are read in constant time. For the third an index from endpoint to template is built once for each
application, when such an endpoint is met first. ``root_path`` is of no use for mounts: it holds the values that the
client sent, not the template.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from weakref import finalize

from prethrift_backend.observability._names import METHODS, OTHER_METHOD, UNMATCHED
from prethrift_backend.observability._quiet import is_quiet

_REST: Final = "/{path}"


class RoutedScope(dict[str, Any]):
    """An ASGI scope that remembers the mounts which the request went through.

    A mount announces itself by a new ``root_path`` in `update`, and the application behind it then writes over
    everything else that could tell the two apart. ``quiet`` holds the endpoints that `instrument` was told are probes.
    """

    __slots__ = ("_quiet", "mounts")

    def __init__(self, scope: Mapping[str, Any], *, quiet: frozenset[object] = frozenset()) -> None:
        super().__init__(scope)
        self._quiet = quiet
        self.mounts: list[tuple[object, object, str]] = []

    def update(self, other: Any = (), /, **fields: Any) -> None:
        """Update as a dict does, and note a mount."""
        if "root_path" in other:
            self.mounts.append((self._owner(), other.get("endpoint"), _path_below(self)))
        dict.update(self, other, **fields)

    def method_label(self) -> str:
        """Return the method where it is one that we know: a client may send any word."""
        method: str = self.get("method", "")
        return method if method in METHODS else OTHER_METHOD

    def route(self) -> tuple[str, str]:
        """Return the labels of method and endpoint, as far as the request has been routed."""
        return self.method_label(), endpoint_template(self)

    def is_quiet(self) -> bool:
        """Return whether a probe took the request, directly or in an application that is mounted as one."""
        if is_quiet(self.get("endpoint"), self._quiet):
            return True
        return bool(self.mounts) and any(is_quiet(app, self._quiet) for _, app, _ in self.mounts)

    def _owner(self) -> object:
        """Return what holds the route that is about to be noted: a bare router does not show as ``app``."""
        within = self.mounts[-1][1] if self.mounts else None
        return within if hasattr(within, "routes") else self.get("app")


def _path_below(scope: dict[str, Any]) -> str:
    path: str = scope.get("path", "")
    root: str = scope.get("root_path", "")
    return path.removeprefix(root) if root else path


def _template(route: object) -> str | None:
    found = getattr(route, "path_format", None) or getattr(route, "path", None)
    return found if isinstance(found, str) else None


def _flat_routes(routes: Iterable[object]) -> Iterator[object]:
    """Yield each route as it matches: those of an included router with the whole of their path."""
    for route in routes:
        contexts = getattr(route, "effective_route_contexts", None)
        if contexts is None:
            yield route
            continue
        for context in contexts():
            yield context.starlette_route or context


class _Index:
    """Template by endpoint, for the routes of one application."""

    def __init__(self, routes: Iterable[object]) -> None:
        self._known: dict[int, list[tuple[re.Pattern[str] | None, str]]] = {}
        # Endpoints are known by identity, and kept alive so that no other object can take their place.
        self._kept: list[object] = []
        self.size = 0
        for route in _flat_routes(routes):
            self.size += 1
            self._add(route)

    def _add(self, route: object) -> None:
        endpoint = getattr(route, "endpoint", None) or getattr(route, "app", None)
        template = _template(route)
        if endpoint is not None and template is not None:
            self._kept.append(endpoint)
            self._known.setdefault(id(endpoint), []).append((getattr(route, "path_regex", None), template))

    def find(self, endpoint: object, path: str) -> str | None:
        candidates = self._known.get(id(endpoint), [])
        if len(candidates) < 2:
            return candidates[0][1] if candidates else None
        # One endpoint on several paths: only these few are matched again.
        return next((template for regex, template in candidates if regex and regex.match(path)), candidates[0][1])


# By identity, since Starlette's routers cannot be hashed; an entry goes when its application does.
_indexes: Final[dict[int, _Index]] = {}


def _build_index(app: object, routes: Iterable[object]) -> _Index:
    if id(app) not in _indexes:
        finalize(app, _indexes.pop, id(app), None)
    index = _indexes[id(app)] = _Index(routes)
    return index


def _look_up(app: object, endpoint: object, path: str) -> str | None:
    routes = getattr(app, "routes", None)
    if routes is None:
        return None
    index = _indexes.get(id(app))
    found = index.find(endpoint, path) if index is not None else None
    if found is None and (index is None or index.size != sum(1 for _ in _flat_routes(routes))):
        found = _build_index(app, routes).find(endpoint, path)
    return found


def _prefix(scope: RoutedScope) -> str:
    # A mount that no index knows gets one fixed name: its part of the path is what the client sent.
    parts = (_look_up(app, endpoint, path) or "/{mount}" for app, endpoint, path in scope.mounts)
    return "".join(part.removesuffix(_REST) for part in parts)


def endpoint_template(scope: RoutedScope) -> str:
    """Return the full template of the route that took the request, `UNMATCHED` when none did.

    A mounted application that has no routes of its own, or none that matched, counts as ``/mount/{path}``.
    """
    endpoint = scope.get("endpoint")
    if endpoint is None:
        return UNMATCHED
    if not scope.mounts:
        return _inner_template(scope, endpoint) or UNMATCHED
    if endpoint is scope.mounts[-1][1]:
        return _prefix(scope) + _REST
    return _prefix(scope) + (_inner_template(scope, endpoint) or _REST)


def _inner_template(scope: RoutedScope, endpoint: object) -> str | None:
    route = scope.get("route")
    context = scope.get("fastapi", {}).get("effective_route_context")
    if context is not None:
        if context.original_route is route:
            return _template(context)
        inner = context.starlette_route
        if inner is not None and getattr(inner, "endpoint", None) is endpoint:
            return _template(inner)
    # A route that an outer application left there is not the one that answered.
    if getattr(route, "endpoint", None) is endpoint:
        return _template(route)
    return _look_up(scope.get("app"), endpoint, _path_below(scope))
