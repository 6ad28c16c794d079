"""Health that can be trusted with a pager and a load balancer, for any ASGI application.

Three things are kept apart: a check (``check``, run by ``engine``), the whole (``aggregate``, ``lifecycle``) and the
HTTP answer (``http``). The owner of a resource registers its check; nothing here knows a resource.
"""

from prethrift_backend.health.aggregate import Overall, Reason, aggregate
from prethrift_backend.health.check import CheckCode, CheckFailed, CheckReport, CheckWording, HealthCheck
from prethrift_backend.health.engine import HealthEngine
from prethrift_backend.health.http import DetailsGate, HealthApp, HealthEndpoint, HealthResponse
from prethrift_backend.health.lifecycle import Lifecycle, Phase, drain_on_signals
from prethrift_backend.health.registry import HealthRegistry, Registration
from prethrift_backend.health.status import HealthStatus, worst

__all__ = [
    "CheckCode",
    "CheckFailed",
    "CheckReport",
    "CheckWording",
    "DetailsGate",
    "HealthApp",
    "HealthCheck",
    "HealthEndpoint",
    "HealthEngine",
    "HealthRegistry",
    "HealthResponse",
    "HealthStatus",
    "Lifecycle",
    "Overall",
    "Phase",
    "Reason",
    "Registration",
    "aggregate",
    "drain_on_signals",
    "worst",
]
