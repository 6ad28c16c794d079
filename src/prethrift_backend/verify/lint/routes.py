"""The routes of an application, held against the paths that contracts promise."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from prethrift_backend.contracts import Contracts
from prethrift_backend.verify.application_routes import Endpoint
from prethrift_backend.verify.findings import Finding, Item, Place
from prethrift_backend.verify.lint.findings import About
from prethrift_backend.verify.lint.health import schema_path

_PATH: Final = re.compile(r"(?<![\w/])/[a-z][\w/{}-]*")
_PARAMETER: Final = re.compile(r"\{[^{}]*\}")


def health_paths(contracts: Contracts) -> tuple[str, ...]:
    """Return the paths that the description of the health schema names."""
    description = (contracts.health_schema or {}).get("description")
    return tuple(dict.fromkeys(_PATH.findall(description))) if isinstance(description, str) else ()


def route_items(contracts: Contracts, *, why_not: str | None) -> Iterator[Item]:
    """Yield every promised path as an item; ``why_not`` says why none of them was looked for."""
    for about in _promised(contracts):
        yield Item(about.signal, about.name, about.place, why_not)


def check_routes(contracts: Contracts, endpoints: Sequence[Endpoint]) -> Iterator[Finding]:
    """Say which promised path is not routed, or does not answer GET."""
    for about in _promised(contracts):
        found = [endpoint for endpoint in endpoints if _takes(endpoint, about.name)]
        if not found:
            message = f"{about.name} is promised, and the application has no route for it"
            yield about.fault("V006", message, "add the route, or correct the path in the contract")
        elif not any(endpoint.answers("GET") for endpoint in found):
            methods = ", ".join(sorted({method for endpoint in found for method in endpoint.methods or ()}))
            message = f"{about.name} is promised, and does not answer GET"
            yield about.fault("CD015", message, "add GET to the route", expected="GET", observed=methods)


def _promised(contracts: Contracts) -> Iterator[About]:
    for path in health_paths(contracts):
        yield About("health", path, Place(str(schema_path(contracts))))
    scrape = contracts.metrics.scrape
    if scrape is not None:
        yield About("metrics", scrape.path, Place(contracts.metrics.source, scrape.line))


def _takes(endpoint: Endpoint, path: str) -> bool:
    template, wanted = _PARAMETER.sub("{}", endpoint.template), _PARAMETER.sub("{}", path)
    # What is mounted takes everything below.
    is_mount = endpoint.methods is None and template.endswith("/")
    return template.rstrip("/") == wanted.rstrip("/") or (is_mount and f"{wanted}/".startswith(template))
