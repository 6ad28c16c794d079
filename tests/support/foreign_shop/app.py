"""A shop that knows nothing of this package: `uvicorn tests.support.foreign_shop.app:app`.

It has its own contracts beside it, its own words of health, its own paths, and writes its lines to the file SHOP_LOG.
SHOP_FAULT spoils it in one way: `raw-paths`, `lying-probe`, `renamed`, `leak`, `silent`, `wrong-trace`; `database-away`
is an outage and no fault.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, make_asgi_app

CONTRACTS = Path(__file__).parent / "contracts"
FAULT = os.environ.get("SHOP_FAULT", "")
IS_DOWN = FAULT in ("database-away", "lying-probe")
NO_STORE = {"cache-control": "no-store"}
LOG = os.environ.get("SHOP_LOG")
CALLER = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
QUIET = frozenset({"/livez", "/readyz", "/healthz", "/stats/", "/stats"})

registry = CollectorRegistry()
ProcessCollector(registry=registry)
ORDERS = "shop_order_total" if FAULT == "renamed" else "shop_orders_total"
requests = Counter(
    "shop_requests_total", "Requests that were answered.", ("method", "route", "code"), registry=registry
)
seconds = Histogram(
    "shop_request_seconds", "Time of an answer.", ("method", "route"), buckets=(0.01, 0.1, 1.0), registry=registry
)
orders = Counter(ORDERS, "Orders by how they are paid.", ("payment",), registry=registry)
stock = Gauge("shop_stock_items", "What can be sent today.", registry=registry)
about = Gauge("contract_info", "1, labelled with the contract.", ("contract", "version", "sha256"), registry=registry)

for payment in ("card", "invoice"):
    orders.labels(payment)
stock.set(12)
about.labels("metrics", "3.2.1", hashlib.sha256((CONTRACTS / "metrics.txt").read_bytes()).hexdigest()).set(1)

log = structlog.wrap_logger(
    structlog.WriteLogger(Path(LOG).open("a")) if LOG else structlog.ReturnLogger(),  # noqa: SIM115 - as the process
    processors=[
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.JSONRenderer(),
    ],
)

app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})
app.mount("/stats", make_asgi_app(registry))


@app.middleware("http")
async def count(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Count and time every request but those of probes and scrapers."""
    if request.url.path in QUIET:
        return await call_next(request)
    method = request.method if request.method in ("GET", "POST") else "other"
    begun = time.perf_counter()
    with seconds.labels(method, "unknown").time():
        response = await call_next(request)
    route = request.url.path if FAULT == "raw-paths" else "unknown"
    requests.labels(method, route, str(response.status_code)).inc()
    if FAULT != "silent":
        took, told = time.perf_counter() - begun, _told(request)
        log.info("request_answered", method=method, route=route, code=response.status_code, seconds=took, **told)
    return response


def _told(request: Request) -> dict[str, str]:
    """Return what the caller says of the request."""
    told = {"request_id": request.headers.get("x-request-id", "none")}
    caller = CALLER.fullmatch(request.headers.get("traceparent", ""))
    if caller is not None:
        told["trace_id"] = caller[2] * 2 if FAULT == "wrong-trace" else caller[1]
    return told | {"agent": "Bearer abcdef0123456789"} if FAULT == "leak" else told


def _body() -> dict[str, object]:
    return {"status": "DOWN" if IS_DOWN else "UP", "timestamp": datetime.now(UTC).isoformat()}


@app.api_route("/livez", methods=["GET", "HEAD"])
async def live() -> Response:
    """Answer that the process answers."""
    return JSONResponse({"status": "UP", "timestamp": datetime.now(UTC).isoformat()}, headers=NO_STORE)


@app.api_route("/readyz", methods=["GET", "HEAD"])
async def ready() -> Response:
    """Answer whether requests are served."""
    return _health()


@app.api_route("/healthz", methods=["GET", "HEAD"])
async def health() -> Response:
    """Answer the same, with the checks."""
    return _health(checks={"db": {"status": "DOWN" if IS_DOWN else "UP"}})


def _health(**more: object) -> Response:
    is_told = IS_DOWN and FAULT != "lying-probe"
    headers = {**NO_STORE, "retry-after": "10"} if is_told else NO_STORE
    return JSONResponse(_body() | more, status_code=503 if is_told else 200, headers=headers)
