"""The files of the code that changes are made in."""

from __future__ import annotations

from typing import Final

from tests.corpus.change import File

_SRC: Final = "src/prethrift_backend"
NAMES: Final = File(f"{_SRC}/observability/_names.py")
EXCHANGE: Final = File(f"{_SRC}/observability/_exchange.py")
HTTP_EXCHANGE: Final = File(f"{_SRC}/observability/_http_exchange.py")
PIPELINE: Final = File(f"{_SRC}/observability/_pipeline.py")
RENDERING: Final = File(f"{_SRC}/observability/_rendering.py")
REDACTION: Final = File(f"{_SRC}/observability/redaction.py")
TRACING: Final = File(f"{_SRC}/observability/tracing.py")
SETUP: Final = File(f"{_SRC}/observability/setup.py")
REQUEST_METRICS: Final = File(f"{_SRC}/observability/_request_metrics.py")
ENDPOINTS: Final = File(f"{_SRC}/observability/_endpoints.py")
EXPOSITION: Final = File(f"{_SRC}/observability/exposition.py")
EXPOSITION_TEXT: Final = File(f"{_SRC}/observability/_exposition_text.py")
METRICS: Final = File(f"{_SRC}/observability/metrics.py")
HEALTH_HTTP: Final = File(f"{_SRC}/health/http.py")
HEALTH_BODIES: Final = File(f"{_SRC}/health/_bodies.py")
HEALTH_GROUPS: Final = File(f"{_SRC}/health/groups.py")
HEALTH_STATUS: Final = File(f"{_SRC}/health/status.py")
HEALTH_FAMILIES: Final = File(f"{_SRC}/health/families.py")
SERVICE: Final = File(f"{_SRC}/catalogue/service.py")
PICTURES: Final = File(f"{_SRC}/catalogue/pictures.py")
SETTINGS: Final = File(f"{_SRC}/config/settings.py")
EXPORTERS: Final = File(f"{_SRC}/observability/exporters.py")
SHOP: Final = File("tests/support/foreign_shop/app.py")
MAIN: Final = File(f"{_SRC}/main.py")
