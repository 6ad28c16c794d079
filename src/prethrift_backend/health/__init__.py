"""Health that can be trusted with a pager and a load balancer, for any ASGI application.

Three things are kept apart: a check (``check``, run by ``engine``), the whole (``aggregate``, ``lifecycle``) and the
HTTP answer (``http``). A group (``groups``) is data that names one of each. The owner of a resource registers its
check; nothing here knows a resource.
"""

from prethrift_backend.health.aggregate import (
    Overall,
    Reason,
    aggregate,
    alone_of,
    health_of,
    measured_of,
    readiness_of,
)
from prethrift_backend.health.check import CheckCode, CheckFailed, CheckReport, CheckWording, HealthCheck
from prethrift_backend.health.engine import HealthEngine
from prethrift_backend.health.families import FAMILIES, HealthFamily, Moment, Readings, readings_of
from prethrift_backend.health.groups import HealthGroup
from prethrift_backend.health.history import CheckHistory, Transition
from prethrift_backend.health.http import DetailsGate, HealthApp, HealthEndpoint, HealthResponse
from prethrift_backend.health.lifecycle import Lifecycle, Phase, drain_on_signals
from prethrift_backend.health.memory import MemoryUse, check_memory, read_memory
from prethrift_backend.health.registry import HealthRegistry, Registration
from prethrift_backend.health.status import HealthStatus, worst

__all__ = [
    "FAMILIES",
    "CheckCode",
    "CheckFailed",
    "CheckHistory",
    "CheckReport",
    "CheckWording",
    "DetailsGate",
    "HealthApp",
    "HealthCheck",
    "HealthEndpoint",
    "HealthEngine",
    "HealthFamily",
    "HealthGroup",
    "HealthRegistry",
    "HealthResponse",
    "HealthStatus",
    "Lifecycle",
    "MemoryUse",
    "Moment",
    "Overall",
    "Phase",
    "Readings",
    "Reason",
    "Registration",
    "Transition",
    "aggregate",
    "alone_of",
    "check_memory",
    "drain_on_signals",
    "health_of",
    "measured_of",
    "read_memory",
    "readiness_of",
    "readings_of",
    "worst",
]
