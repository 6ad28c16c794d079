"""What the routes need, taken from the application that received the request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, FastAPI, Request

from prethrift_backend.catalogue import CatalogueService
from prethrift_backend.search import SearchService


@dataclass(frozen=True, slots=True)
class Services:
    """The services behind the routes."""

    catalogue: CatalogueService
    search: SearchService


def provide_services(app: FastAPI, services: Services) -> None:
    """Give an application the services that its routes use."""
    app.state.services = services


def _catalogue(request: Request) -> CatalogueService:
    services: Services = request.app.state.services
    return services.catalogue


def _search(request: Request) -> SearchService:
    services: Services = request.app.state.services
    return services.search


Catalogue = Annotated[CatalogueService, Depends(_catalogue)]
Search = Annotated[SearchService, Depends(_search)]
