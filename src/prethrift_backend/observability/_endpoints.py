"""Find the route template of a request that has been routed, without matching all of its routes a second time.

Starlette and FastAPI leave what they decided in the scope, each in its own way:

- ``scope["route"]``: Starlette's router always; FastAPI's only for its own kinds of route.
- ``scope["fastapi"]["effective_route_context"]``: a route that came in by ``include_router``; the route object itself
  then knows only the inner half of its path.
- ``scope["endpoint"]`` alone: a plain Starlette route in a FastAPI application (``/docs``), or a mount.
- ``scope["app_root_path"]``: the request went through a mount. Which one is not said: ``root_path`` holds the values
  that the client sent, not the template.

The first two are read in constant time. For the third an index from endpoint to template is built once for each
application, when such an endpoint is met first. For the fourth the mounts, and no other routes, are matched again.

The scope that the application gets is a plain dict: a subclass that notes mounts on their way was tried, and every
route that Starlette asks paid for the slower look-ups in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Final, NamedTuple, TypeVar

from prethrift_backend.observability._names import METHODS, OTHER_METHOD, UNMATCHED
from prethrift_backend.observability._quiet import is_quiet

_REST: Final = "/{path}"
# Where an application, a router or a mount keeps its index. Not in a table of ours: the endpoints that an index holds
# may refer to their application, as FastAPI's ``/docs`` does, and would keep it alive for ever.
_INDEX: Final = "__prethrift_index__"

Found = TypeVar("Found")


class Routed:
    """What the scope of a request tells about its route; asked at the end, or in the middle by who wants to know.

    ``quiet`` holds the endpoints that `instrument` was told are probes.
    """

    __slots__ = ("_quiet", "scope")

    def __init__(self, scope: dict[str, Any], *, quiet: frozenset[object] = frozenset()) -> None:
        self.scope = scope
        self._quiet = quiet

    def method_label(self) -> str:
        """Return the method where it is one that we know: a client may send any word."""
        method: str = self.scope.get("method", "")
        return method if method in METHODS else OTHER_METHOD

    def route(self) -> tuple[str, str]:
        """Return the labels of method and endpoint, as far as the request has been routed."""
        return self.method_label(), endpoint_template(self.scope)

    def is_quiet(self) -> bool:
        """Return whether a probe took the request, directly or in an application that is mounted as one."""
        scope, quiet = self.scope, self._quiet
        if is_quiet(scope.get("endpoint"), quiet):
            return True
        return "app_root_path" in scope and any(is_quiet(app, quiet) for app in _mounts_of(scope).apps)


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


class _Mount(NamedTuple):
    """A mount, and what holds the routes inside of it: the mount itself, which reads them from what is mounted."""

    regex: re.Pattern[str]
    template: str
    app: object
    inside: object

    def matched(self, path: str) -> str | None:
        """Return the part of ``path`` that the mount takes, None where it takes none."""
        match = self.regex.match(path)
        return None if match is None else path[: -len("/" + match["path"])]


class _Index:
    """Template by endpoint, and the mounts, for the routes of one application."""

    def __init__(self, routes: Iterable[object]) -> None:
        self._known: dict[int, list[tuple[re.Pattern[str] | None, str]]] = {}
        # Endpoints are known by identity, and kept alive so that no other object can take their place.
        self._kept: list[object] = []
        self.mounts: list[_Mount] = []
        self.size = 0
        for route in _flat_routes(routes):
            self.size += 1
            self._add(route)

    def _add(self, route: object) -> None:
        endpoint = getattr(route, "endpoint", None) or getattr(route, "app", None)
        template = _template(route)
        regex = getattr(route, "path_regex", None)
        if endpoint is not None and template is not None:
            self._kept.append(endpoint)
            self._known.setdefault(id(endpoint), []).append((regex, template))
        if regex is not None and template is not None and not hasattr(route, "endpoint") and "path" in regex.groupindex:
            self.mounts.append(_Mount(regex, template.removesuffix(_REST), endpoint, route))

    def find(self, endpoint: object, path: str) -> str | None:
        candidates = self._known.get(id(endpoint), [])
        if len(candidates) < 2:
            return candidates[0][1] if candidates else None
        # One endpoint on several paths: only these few are matched again.
        return next((template for regex, template in candidates if regex and regex.match(path)), candidates[0][1])

    def find_mount(self, path: str, end: str) -> tuple[_Mount, str] | None:
        """Return the first mount that took ``path`` on its way to the root ``end``, and the part that it took."""
        for mount in self.mounts:
            taken = mount.matched(path)
            if taken and f"{end}/".startswith(f"{taken}/"):
                return mount, taken
        return None


def _build_index(app: object, routes: Iterable[object]) -> _Index:
    index = _Index(routes)
    with suppress(AttributeError):  # an object that takes no attributes is read again each time
        setattr(app, _INDEX, index)
    return index


def _ask(app: object, find: Callable[[_Index], Found | None]) -> Found | None:
    """Ask the index of ``app``; where it does not know, and routes were added since, a new one."""
    routes = getattr(app, "routes", None)
    if routes is None:
        return None
    index: _Index | None = getattr(app, _INDEX, None)
    found = find(index) if index is not None else None
    if found is None and (index is None or index.size != sum(1 for _ in _flat_routes(routes))):
        found = find(_build_index(app, routes))
    return found


class _Mounts(NamedTuple):
    """The mounts that a request went through: their template, and what is mounted there, from the outside in."""

    template: str
    apps: tuple[object, ...]


def _mounts_of(scope: dict[str, Any]) -> _Mounts:
    owner, path = scope.get("router"), scope.get("path", "")
    root, end = scope.get("app_root_path", ""), scope.get("root_path", "")
    template, apps = "", []
    while root != end:
        found = _find_mount(owner, path.removeprefix(root), end.removeprefix(root))
        if found is None:
            # A router of an unknown kind, perhaps. One fixed name: its part of the path is what the client sent.
            template += "/{mount}"
            break
        mount, taken = found
        template += mount.template
        apps.append(mount.app)
        root, owner = root + taken, mount.inside
    return _Mounts(template, tuple(apps))


def _find_mount(owner: object, path: str, end: str) -> tuple[_Mount, str] | None:
    return _ask(owner, lambda index: index.find_mount(path, end))


def endpoint_template(scope: dict[str, Any]) -> str:
    """Return the full template of the route that took the request, `UNMATCHED` when none did.

    A mounted application that has no routes of its own, or none that matched, counts as ``/mount/{path}``.
    """
    endpoint = scope.get("endpoint")
    if endpoint is None:
        return UNMATCHED
    if "app_root_path" not in scope:
        return _inner_template(scope, endpoint) or UNMATCHED
    mounts = _mounts_of(scope)
    if mounts.apps and endpoint is mounts.apps[-1]:
        return mounts.template + _REST
    return mounts.template + (_inner_template(scope, endpoint) or _REST)


def _inner_template(scope: dict[str, Any], endpoint: object) -> str | None:
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
    path = _path_below(scope)
    return _ask(scope.get("app"), lambda index: index.find(endpoint, path))
