"""HTTP: the routes, what they need, and how an error becomes a problem document."""

from prethrift_backend.api import items, search
from prethrift_backend.api.body_limit import BodyLimit
from prethrift_backend.api.dependencies import Services, provide_services
from prethrift_backend.api.health import health_router
from prethrift_backend.api.problems import Problem, install_handlers, use_problem_media_type

ROUTERS = (search.router, items.router)

__all__ = [
    "ROUTERS",
    "BodyLimit",
    "Problem",
    "Services",
    "health_router",
    "install_handlers",
    "provide_services",
    "use_problem_media_type",
]
