"""The routes of an ASGI application, as templates, read from the object: nothing is asked of a server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

# How deep applications are mounted in one another, or wrapped. Arbitrary: a loop must end.
_DEPTH_MAX: Final = 10
_REST: Final = "/{path}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route: the template of its whole path, its methods, and what answers.

    ``methods`` is None where the answering object takes whatever comes, which a mounted application does.
    """

    template: str
    methods: frozenset[str] | None
    answer: object = field(compare=False)

    def answers(self, method: str) -> bool:
        """Say whether the route takes this method."""
        return self.methods is None or method in self.methods


def wrapped_in(app: object) -> Iterator[object]:
    """Yield the application and, from the outside in, what its layers hold as ``app``."""
    for _ in range(_DEPTH_MAX):
        yield app
        inner = getattr(app, "app", None)
        if inner is None or inner is app:
            return
        app = inner


def endpoints_of(app: object) -> tuple[Endpoint, ...]:
    """Return every route of the application; nothing where it keeps no routes that can be read."""
    for layer in wrapped_in(app):
        routes = getattr(layer, "routes", None)
        if routes is not None:
            return tuple(dict.fromkeys(_endpoints(routes, prefix="", depth=0)))
    return ()


def _endpoints(routes: Iterable[object], *, prefix: str, depth: int) -> Iterator[Endpoint]:
    for route in _flat(routes):
        template = getattr(route, "path_format", None) or getattr(route, "path", None)
        if not isinstance(template, str):
            continue
        inner = getattr(route, "routes", None)
        if inner is not None and hasattr(route, "app"):  # a mount; what is mounted may keep no routes
            mount = prefix + template.removesuffix(_REST)
            if inner and depth < _DEPTH_MAX:
                yield from _endpoints(inner, prefix=mount, depth=depth + 1)
            else:
                yield Endpoint(f"{mount}/", None, route.app)
            continue
        methods = getattr(route, "methods", None)
        answer = getattr(route, "endpoint", None) or getattr(route, "app", None)
        yield Endpoint(prefix + template, None if methods is None else frozenset(methods), answer)


def _flat(routes: Iterable[object]) -> Iterator[object]:
    """Yield each route as it matches: FastAPI keeps those of an included router apart, without their prefix."""
    for route in routes:
        contexts = getattr(route, "effective_route_contexts", None)
        if contexts is None:
            yield route
            continue
        for context in contexts():
            yield context.starlette_route or context
