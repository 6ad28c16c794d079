"""What a running service can get wrong, and what it may do as it likes.

The recorded answers of a real process are served on loopback, spoiled in one way; two of the services are real
processes of another team's application.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx
from tests.corpus.change import Change
from tests.corpus.service import Fault, Service
from tests.support.recorded_service import GET_COUNT, RecordedService, Reply, Spoil

_LATENCY: Final = 'http_request_duration_seconds_bucket{endpoint="/api/items/{item_id}",'
_STARTED: Final = "process_start_time_seconds 1.79"


def _recorded(change: Callable[[RecordedService], object]) -> Fault:
    return lambda service: change(service.recorded)


def _spoil(spoil: Spoil) -> Fault:
    return lambda service: service.recorded.spoilers.append(spoil)


def _at(**ago: float) -> str:
    return (datetime.now(UTC) - timedelta(**ago)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _down(service: RecordedService) -> None:
    for path in ("/health", "/health/ready"):
        service.body(path, status="unhealthy")
    service.replace("health_up 1.0", "health_up 0.0")
    service.check("database", status="unhealthy", details={"consecutive_failures": 9, "code": "unreachable"})


def _lying(service: RecordedService) -> None:
    _down(service)
    service.status("/health/ready", 200)


def _down_with_liveness(service: RecordedService) -> None:
    _down(service)
    service.body("/health/live", status="unhealthy")


def _down_without_retry(service: RecordedService) -> None:
    _down(service)
    service.header("/health/ready", "retry-after", None)


def _scrape_type(value: str) -> Fault:
    def spoil(request: httpx.Request, reply: Reply) -> None:
        if request.url.path == "/metrics" and "openmetrics" not in request.headers["accept"]:
            reply.headers["content-type"] = value

    return _spoil(spoil)


def _gzip_cut(request: httpx.Request, reply: Reply) -> None:
    if reply.headers.get("content-encoding") == "gzip":
        reply.body = reply.body[:-20]


def _gzip_other_level(request: httpx.Request, reply: Reply) -> None:
    if reply.headers.get("content-encoding") == "gzip":
        reply.body = gzip.compress(gzip.decompress(reply.body), 1)


def _restarts(service: RecordedService) -> None:
    """Begin anew in the middle of the run, with another start time and counts from nothing."""
    service.from_scrape(4, _STARTED, "process_start_time_seconds 1.78")


def _many_series(service: RecordedService) -> None:
    lines = "".join(f'python_things{{n="{number}"}} 1\n' for number in range(10_000))
    service.append(f"# HELP python_things t\n# TYPE python_things gauge\n{lines}")


def _without_eof(service: RecordedService) -> None:
    service.openmetrics = service.openmetrics.removesuffix("# EOF\n")


def _ages(service: RecordedService) -> None:
    service.check("database", details={"age_seconds": 0.0})


FAULTS: Final[dict[str, tuple[str, Fault]]] = {
    "a stale contract version": ("LV021", _recorded(lambda s: s.replace('version="1.1.0"', 'version="1.0.0"'))),
    "another text under the same version": (
        "LV022",
        _recorded(lambda s: s.replace('sha256="9709', 'sha256="0000')),
    ),
    "two contracts behind one address": (
        "LV114",
        _recorded(lambda s: s.from_scrape(4, 'version="1.1.0"', 'version="1.2.0"')),
    ),
    "a breach of contract that the process has counted": (
        "LV115",
        _recorded(
            lambda s: s.append('contract_violations_total{family="search_operations_total",label="search_type"} 2\n')
        ),
    ),
    "the scrape is redirected": ("LV011", _recorded(lambda s: s.status("/metrics", 307))),
    "the scrape is a page": ("LV061", _scrape_type("text/html; charset=utf-8")),
    "the scrape is called OpenMetrics and is none": (
        "LV061",
        _scrape_type("application/openmetrics-text; version=1.0.0; charset=utf-8"),
    ),
    "gzip is cut off": ("LV065", _spoil(_gzip_cut)),
    "OpenMetrics without # EOF": ("LV064", _recorded(_without_eof)),
    "a series twice": ("LV068", _recorded(lambda s: s.replace("health_up 1.0\n", "health_up 1.0\nhealth_up 1.0\n"))),
    "a bucket is missing": (
        "LV089",
        _recorded(lambda s: s.drop(r'http_request_duration_seconds_bucket.*le="0.1"')),
    ),
    "a counter falls": ("LV110", _recorded(lambda s: s.from_scrape(5, f"{GET_COUNT} 3.0", f"{GET_COUNT} 1.0"))),
    "a restart between two scrapes": ("LV112", _recorded(_restarts)),
    "a series vanishes": ("LV111", _recorded(lambda s: s.from_scrape(5, f"{GET_COUNT} 3.0\n", ""))),
    "more series than the budget": ("LV100", _recorded(_many_series)),
    "a raw path as endpoint": (
        "LV088",
        _recorded(lambda s: s.replace(GET_COUNT, GET_COUNT.replace("{item_id}", "17"))),
    ),
    "a class in the place of a status code": (
        "LV087",
        _recorded(lambda s: s.replace(GET_COUNT, GET_COUNT.replace('"404"', '"4xx"'))),
    ),
    "a status in the name of a family": (
        "LV080",
        _recorded(lambda s: s.append("# HELP http_404_total n\n# TYPE http_404_total counter\nhttp_404_total 1\n")),
    ),
    "a health body of yesterday": ("LV052", _recorded(lambda s: s.body("/health", timestamp=_at(days=1)))),
    "a health body of the future": ("LV052", _recorded(lambda s: s.body("/health", timestamp=_at(hours=-2)))),
    "a probe answers 200 while down": ("LV040", _recorded(_lying)),
    "liveness goes down with the database": ("LV031", _recorded(_down_with_liveness)),
    "a 503 without Retry-After": ("LV041", _recorded(_down_without_retry)),
    "health may be cached": ("LV034", _recorded(lambda s: s.header("/health", "cache-control", "max-age=60"))),
    "a word that is no status": ("LV050", _recorded(lambda s: s.body("/health", status="fine"))),
    "a password in a message": (
        "LV053",
        _recorded(lambda s: s.check("database", message="no postgresql://app:hunter2hunter2@db/app")),
    ),
    "each probe runs the checks": ("LV042", _recorded(_ages)),
    "HEAD is refused": ("LV035", _recorded(lambda s: s.status("/health/live", 405, method="HEAD"))),
    "every method is taken": ("LV036", _recorded(lambda s: s.status("/health/live", 200, method="PROPFIND"))),
    "liveness answers slowly": ("LV032", lambda s: s.wire.wait_seconds.update({"/health/live": 1.1})),
    "liveness drips": ("LV032", lambda s: s.wire.drip_seconds.update({"/health/live": 0.06})),
    "a scrape takes too long": ("LV102", lambda s: s.wire.wait_seconds.update({"/metrics": 0.52})),
    "a scrape that never ends": ("LV101", lambda s: setattr(s.wire, "endless", "/metrics")),
    "a scrape that is cut off": ("LV066", lambda s: setattr(s.wire, "cut", "/metrics")),
}

HARMLESS: Final[dict[str, Fault]] = {
    "an answer in pieces": lambda s: setattr(s.wire, "is_chunked", True),
    "HTTP/1.0": lambda s: setattr(s.wire, "http_version", "HTTP/1.0"),
    "slow but in time": lambda s: s.wire.wait_seconds.update({"/health/live": 0.4, "/metrics": 0.1}),
    "gzip at another level": _spoil(_gzip_other_level),
    "a counter rises": _recorded(lambda s: s.from_scrape(3, f"{GET_COUNT} 3.0", f"{GET_COUNT} 4.0")),
    "no traffic yet": _recorded(lambda s: s.drop("http_requests_total|http_request_duration_seconds")),
    "a check is degraded": _recorded(lambda s: s.check("s3", status="degraded", details={"code": "timeout"})),
    "a down service that says so": _recorded(_down),
    "a header more": _recorded(lambda s: s.header("/health", "x-served-by", "a")),
}

_OF_SHOP: Final = (
    Change("the shop: two workers that share no registry", "process", "verify (two shops)", "LV110"),
    Change("the shop: a probe answers 200 while down", "process", "verify (shop)", "LV040", fault="lying-probe"),
    Change("the shop: a family is renamed", "process", "verify (shop)", "LV081", fault="renamed"),
    Change("the shop: raw paths", "process", "verify (shop)", "LV122", fault="raw-paths"),
    Change("the shop: an outage that it tells of", "process", "verify (shop)", None, fault="database-away"),
)

PROCESS_CHANGES: Final = (
    *_OF_SHOP,
    *(Change(name, "process", "verify", rule, fault=name) for name, (rule, _) in FAULTS.items()),
    *(Change(name, "process", "verify", None, fault=name) for name in HARMLESS),
)


def make_service(name: str) -> Service:
    """Return the service that misbehaves, or behaves in another way, as the name says; "" is the recorded one."""
    service = Service()
    if name:
        fault = FAULTS[name][1] if name in FAULTS else HARMLESS[name]
        fault(service)
    return service
