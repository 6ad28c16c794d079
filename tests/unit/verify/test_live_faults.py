"""Small faults of a running service, each reported under its own rule, and harmless changes that are not reported."""

from __future__ import annotations

import gzip
import json
import ssl
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.support.recorded_service import GET_COUNT, RecordedService, Reply

from prethrift_backend.verify.live.run import LiveOptions, LiveTokens
from prethrift_backend.verify.rules.live import READING_RULES

Change = Callable[[RecordedService], Any]

LATENCY = 'http_request_duration_seconds_bucket{endpoint="/api/items/{item_id}",'
LATENCY_COUNT = 'http_request_duration_seconds_count{endpoint="/api/items/{item_id}",method="GET"}'
TRACE = 'Traceback (most recent call last): File "/app/main.py", line 3, in main'


def _scrape_body(change: Callable[[bytes], bytes], *, encoding: str = "", accept: str = "") -> Change:
    """Make a change of the bytes of those scrapes that were asked for in a way."""

    def spoil(request: httpx.Request, reply: Reply) -> None:
        asked = request.headers
        if request.url.path == "/metrics" and encoding in asked["accept-encoding"] and accept in asked["accept"]:
            reply.body = change(reply.body)

    return lambda service: service.spoilers.append(spoil)


def _scrape_header(value: str | None, *, accept: str = "text/plain") -> Change:
    def spoil(request: httpx.Request, reply: Reply) -> None:
        if request.url.path == "/metrics" and accept in request.headers["accept"]:
            reply.headers.pop("content-type")
            reply.headers.update({} if value is None else {"content-type": value})

    return lambda service: service.spoilers.append(spoil)


def _health_body(path: str, body: bytes) -> Change:
    def spoil(request: httpx.Request, reply: Reply) -> None:
        if request.url.path == path and request.method == "GET":
            reply.body = body

    return lambda service: service.spoilers.append(spoil)


def _without_field(path: str, name: str) -> Change:
    return lambda service: service.bodies[path].pop(name)


def _down(service: RecordedService) -> None:
    for path in ("/health", "/health/ready"):
        service.body(path, status="unhealthy")
    service.replace("health_up 1.0", "health_up 0.0")
    service.check("database", status="unhealthy", details={"consecutive_failures": 9, "code": "unreachable"})


def _down_but_200(service: RecordedService) -> None:
    _down(service)
    service.status("/health/ready", 200)


def _down_but_up(service: RecordedService) -> None:
    _down(service)
    service.replace("health_up 0.0", "health_up 1.0")


def _live_follows(service: RecordedService) -> None:
    _down(service)
    service.body("/health/live", status="unhealthy")


def _down_without_retry(service: RecordedService) -> None:
    _down(service)
    service.header("/health/ready", "retry-after", None)


def _runs_each_time(service: RecordedService) -> None:
    service.check("database", details={"age_seconds": 0.0})


def _check_twice(service: RecordedService) -> None:
    checks = service.bodies["/health"]["checks"]
    checks.append(checks[0])


def _many_series(count: int) -> Change:
    lines = "".join(f'python_things{{n="{n}"}} 1\n' for n in range(count))
    return lambda service: service.append(f"# HELP python_things t\n# TYPE python_things gauge\n{lines}")


def _many_endpoints(service: RecordedService) -> None:
    lines = [f"{GET_COUNT.replace('/api/items/{item_id}', f'/x{n}')} 1\n" for n in range(1600)]
    service.replace(f"{GET_COUNT} 3.0\n", f"{GET_COUNT} 3.0\n{''.join(lines)}")


def _swapped_buckets(service: RecordedService) -> None:
    lines = [line for line in service.text.splitlines() if line.startswith(LATENCY)]
    service.replace(f"{lines[0]}\n{lines[1]}\n", f"{lines[1]}\n{lines[0]}\n")


def _falling_buckets(service: RecordedService) -> None:
    line = next(line for line in service.text.splitlines() if line.startswith(LATENCY))
    service.replace(line, f"{line.rpartition(' ')[0]} 99.0")


def _expiring(service: RecordedService) -> None:
    """Present a certificate that ends on the day of the recording."""

    class Stream:
        def get_extra_info(self, name: str) -> object:
            return self if name == "ssl_object" else None

        def getpeercert(self) -> dict[str, str]:
            return {"notAfter": "Nov 25 23:00:00 2026 GMT"}

    assert ssl.cert_time_to_seconds("Nov 25 23:00:00 2026 GMT") > 0
    service.spoilers.append(lambda _request, reply: reply.extensions.update(network_stream=Stream()))


FAULTS: dict[str, tuple[str, Change]] = {
    "the certificate is about to end": ("LV010", _expiring),
    "the scrape is redirected": ("LV011", lambda s: s.status("/metrics", 307)),
    "no contract_info": ("LV020", lambda s: s.drop(r".*contract_info")),
    "an older contract": ("LV021", lambda s: s.replace('version="1.1.0"', 'version="1.0.0"')),
    "another text of the contract": ("LV022", lambda s: s.replace('sha256="9709', 'sha256="0000')),
    "liveness answers 500": ("LV030", lambda s: s.status("/health/live", 500)),
    "liveness is not there": ("LV030", lambda s: s.status("/health/live", 404)),
    "liveness follows the database": ("LV031", _live_follows),
    "liveness is slow": ("LV032", lambda s: s.slow("/health/live", 1.5)),
    "readiness is slow": ("LV032", lambda s: s.slow("/health/ready", 1.5)),
    "liveness is large": ("LV033", lambda s: s.body("/health/live", version="1" * 5000)),
    "liveness may be cached": ("LV034", lambda s: s.header("/health/live", "cache-control", "max-age=60")),
    "health says nothing of caching": ("LV034", lambda s: s.header("/health", "cache-control", None)),
    "HEAD is refused": ("LV035", lambda s: s.status("/health/live", 405, method="HEAD")),
    "HEAD of readiness fails": ("LV035", lambda s: s.status("/health/ready", 500, method="HEAD")),
    "any method is taken": ("LV036", lambda s: s.status("/health/live", 200, method="PROPFIND")),
    "readiness answers 200 while down": ("LV040", _down_but_200),
    "readiness answers 503 while healthy": ("LV040", lambda s: s.status("/health/ready", 503)),
    "a 503 does not say when": ("LV041", _down_without_retry),
    "each probe runs the checks": ("LV042", _runs_each_time),
    "a field is missing": ("LV050", _without_field("/health", "uptime_seconds")),
    "a field of liveness is missing": ("LV050", _without_field("/health/live", "version")),
    "a field is another type": ("LV050", lambda s: s.body("/health", uptime_seconds="long")),
    "an unknown field": ("LV050", lambda s: s.body("/health/ready", hostname="h")),
    "an unknown status": ("LV050", lambda s: s.body("/health", status="fine")),
    "a time that is none": ("LV050", lambda s: s.body("/health", timestamp="yesterdayZ")),
    "a check twice": ("LV051", _check_twice),
    "an old answer": ("LV052", lambda s: s.body("/health", timestamp="2026-11-25T00:00:00.000Z")),
    "an answer from the future": ("LV052", lambda s: s.body("/health", timestamp="2026-11-25T03:00:00.000Z")),
    "a password in an address": (
        "LV053",
        lambda s: s.check("database", message="cannot reach postgresql://app:hunter2hunter2@db/app"),
    ),
    "a secret by its name": ("LV053", lambda s: s.check("s3", details={"secret_access_key": "wJalrXUtnFEMI"})),
    "a stack trace": ("LV054", lambda s: s.check("database", message=TRACE)),
    "a service that is down": ("LV056", _down),
    "healthy with a critical check down": (
        "LV057",
        lambda s: s.check("database", status="unhealthy", details={"consecutive_failures": 9}),
    ),
    "health is a page": ("LV058", lambda s: s.header("/health", "content-type", "text/html")),
    "health is no JSON": ("LV058", _health_body("/health/ready", b"OK")),
    "health holds what is no JSON": ("LV058", _health_body("/health", b'{"uptime_seconds": NaN}')),
    "health is nested without end": ("LV058", _health_body("/health", b"[" * 100_000)),
    "health is a list": ("LV058", _health_body("/health", b"[]")),
    "health_up hides an outage": ("LV059", _down_but_up),
    "health_up says otherwise": ("LV059", lambda s: s.replace("health_up 1.0", "health_up 0.0")),
    "a check has another name in the metrics": (
        "LV059",
        lambda s: s.replace('health_check_up{check="s3"}', 'health_check_up{check="storage"}'),
    ),
    "the scrape fails": ("LV060", lambda s: s.status("/metrics", 500)),
    "the scrape is a page": ("LV061", _scrape_header("text/html; charset=utf-8")),
    "the scrape has no version": ("LV061", _scrape_header("text/plain; charset=utf-8")),
    "the scrape has no content type": ("LV061", _scrape_header(None)),
    "OpenMetrics has no version": (
        "LV061",
        _scrape_header("application/openmetrics-text; charset=utf-8", accept="openmetrics"),
    ),
    "no charset": ("LV062", _scrape_header("text/plain; version=0.0.4")),
    "not UTF-8": ("LV062", _scrape_body(lambda body: body + b"# caf\xe9\n", encoding="identity")),
    "no OpenMetrics": ("LV063", _scrape_header("text/plain; version=0.0.4; charset=utf-8", accept="openmetrics")),
    "OpenMetrics without its end": (
        "LV064",
        lambda s: setattr(s, "openmetrics", s.openmetrics.removesuffix("# EOF\n")),
    ),
    "the text format with an end": ("LV064", lambda s: s.append("# EOF\n")),
    "broken gzip": ("LV065", _scrape_body(lambda _body: b"not gzip at all", encoding="gzip")),
    "gzip that ends too early": ("LV065", _scrape_body(lambda body: body[:-20], encoding="gzip")),
    "a line that cannot be read": ("LV066", lambda s: s.append("build_info{version= 1\n")),
    "a value that is no number": ("LV066", lambda s: s.replace("health_up 1.0", "health_up yes")),
    "the last line does not end": ("LV066", lambda s: setattr(s, "text", s.text.rstrip("\n"))),
    "OpenMetrics that cannot be read": (
        "LV067",
        lambda s: setattr(s, "openmetrics", s.openmetrics.replace("# EOF\n", "oh no\n# EOF\n")),
    ),
    "a series twice": ("LV068", lambda s: s.replace("health_up 1.0\n", "health_up 1.0\nhealth_up 1.0\n")),
    "TYPE twice": (
        "LV069",
        lambda s: s.replace("# TYPE health_up gauge\n", "# TYPE health_up gauge\n# TYPE health_up gauge\n"),
    ),
    "buckets out of order": ("LV070", _swapped_buckets),
    "buckets that fall": ("LV070", _falling_buckets),
    "+Inf is not the count": ("LV071", lambda s: s.replace(f"{LATENCY_COUNT} 3.0", f"{LATENCY_COUNT} 4.0")),
    "a histogram without +Inf": ("LV071", lambda s: s.drop(r'http_request_duration_seconds_bucket.*le="\+Inf"')),
    "a histogram without a sum": ("LV072", lambda s: s.drop("http_request_duration_seconds_sum")),
    "NaN": ("LV073", lambda s: s.replace("health_up 1.0", "health_up NaN")),
    "a negative counter": ("LV074", lambda s: s.replace(f"{GET_COUNT} 3.0", f"{GET_COUNT} -3.0")),
    "an endless counter": ("LV074", lambda s: s.replace(f"{GET_COUNT} 3.0", f"{GET_COUNT} +Inf")),
    "OpenMetrics lacks a family": (
        "LV075",
        lambda s: setattr(s, "openmetrics", s.openmetrics.replace("health_up 1.0\n", "")),
    ),
    "a status as a name": (
        "LV080",
        lambda s: s.append("# HELP http_404_total n\n# TYPE http_404_total counter\nhttp_404_total 1\n"),
    ),
    "a family without a type": ("LV080", lambda s: s.append("surprise 1\n")),
    "a family is renamed": ("LV081", lambda s: s.replace("build_info", "app_info")),
    "a family has no series": ("LV081", lambda s: s.drop("build_info")),
    "a family of a feature is missing": ("LV082", lambda s: s.drop(".*health_checks_total")),
    "a series at 0 is missing": ("LV083", lambda s: s.drop('search_operations_total{.*status="error"')),
    "another type": (
        "LV084",
        lambda s: s.replace("TYPE http_requests_in_progress gauge", "TYPE http_requests_in_progress counter"),
    ),
    "no type": ("LV084", lambda s: s.drop("# TYPE http_requests_in_progress")),
    "another help": ("LV085", lambda s: s.replace("HELP health_up 1 unless", "HELP health_up 1 if")),
    "a label is dropped": ("LV086", lambda s: s.replace(GET_COUNT, GET_COUNT.replace(',method="GET"', ""))),
    "a label is added": ("LV086", lambda s: s.replace(GET_COUNT, GET_COUNT.replace("{", '{host="a",', 1))),
    "a label is renamed": ("LV086", lambda s: s.replace(GET_COUNT, GET_COUNT.replace("endpoint=", "route="))),
    "a value outside of the list": ("LV087", lambda s: s.replace(GET_COUNT, GET_COUNT.replace('"GET"', '"get"'))),
    "a class of status": ("LV087", lambda s: s.replace(GET_COUNT, GET_COUNT.replace('"404"', '"4xx"'))),
    "a number in a path": ("LV088", lambda s: s.replace(GET_COUNT, GET_COUNT.replace("{item_id}", "17"))),
    "a UUID in a path": (
        "LV088",
        lambda s: s.replace(GET_COUNT, GET_COUNT.replace("{item_id}", "0b0e7c2e-8a55-4d5c-9d0c-0a4f6f1b2c3d")),
    ),
    "a bucket is missing": ("LV089", lambda s: s.drop(r'http_request_duration_seconds_bucket.*le="0.1"')),
    "a bucket is moved": ("LV089", lambda s: s.replace('le="0.05",method="GET"', 'le="0.06",method="GET"')),
    "too many values": ("LV092", _many_endpoints),
    "too many series": ("LV100", _many_series(10_000)),
    "too many bytes": ("LV101", lambda s: s.append("".join(f"# {'x' * 100_000}\n" for _ in range(21)))),
    "a slow scrape": ("LV102", lambda s: s.slow("/metrics", 0.6)),
    "a family with too many series": ("LV103", _many_endpoints),
    "the budget is nearly spent": ("LV104", _many_series(8_500)),
    "a counter falls": ("LV110", lambda s: s.from_scrape(5, f"{GET_COUNT} 3.0", f"{GET_COUNT} 1.0")),
    "a sum falls": (
        "LV110",
        lambda s: s.from_scrape(6, f"{LATENCY_COUNT} 3.0", f"{LATENCY_COUNT} 2.0"),
    ),
    "a series vanishes": ("LV111", lambda s: s.from_scrape(5, f"{GET_COUNT} 3.0\n", "")),
    "two processes": (
        "LV112",
        lambda s: s.from_scrape(4, "process_start_time_seconds 1.79", "process_start_time_seconds 1.78"),
    ),
    "a flag of 2": ("LV113", lambda s: s.replace('health_check_up{check="s3"} 1.0', 'health_check_up{check="s3"} 2.0')),
    "a breach that the process has counted": (
        "LV115",
        lambda s: s.append('contract_violations_total{family="search_operations_total",label="search_type"} 2\n'),
    ),
    "two contracts": ("LV114", lambda s: s.from_scrape(4, 'version="1.1.0"', 'version="1.2.0"')),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_reported_under_its_rule(fault: str) -> None:
    """One change of a good service gives a finding of the rule that it breaks."""
    rule, change = FAULTS[fault]
    service = RecordedService()
    change(service)

    run = service.verify()

    assert rule in {finding.rule for finding in run.outcome.findings}


def test_every_rule_of_reading_has_a_fault() -> None:
    """No rule over what is only read stands in the table without something that breaks it."""
    elsewhere = {"LV055", "LV090", "LV091"}  # these need a token, or another contract: they have tests of their own

    assert {rule.id for rule in READING_RULES} == {rule for rule, _ in FAULTS.values()} | elsewhere


def test_details_that_are_shown_to_everybody_are_reported() -> None:
    """Who gives a token expects that it is needed."""
    service = RecordedService()

    run = service.verify(LiveOptions(tokens=LiveTokens(health="a-token")))

    assert [finding.rule for finding in run.outcome.findings] == ["LV055"]


def _reordered(service: RecordedService) -> None:
    service.replace(GET_COUNT, 'http_requests_total{status_code="404",method="GET",endpoint="/api/items/{item_id}"}')


def _degraded(service: RecordedService) -> None:
    service.check("s3", status="degraded", details={"code": "timeout"})


def _idle(service: RecordedService) -> None:
    service.drop("http_requests_total")
    service.drop("http_request_duration_seconds")


def _starts(service: RecordedService) -> None:
    service.from_scrape(3, f"{GET_COUNT} 3.0", f"{GET_COUNT} 4.0")


HARMLESS: dict[str, Change] = {
    "labels in another order": _reordered,
    "a check is degraded": _degraded,
    "no traffic yet": _idle,
    "a counter rises": _starts,
    "a gauge falls": lambda s: s.from_scrape(
        3, 'db_pool_connections{state="size"} 10.0', 'db_pool_connections{state="size"} 9.0'
    ),
    "an external family more": lambda s: s.append("# TYPE python_new gauge\npython_new 3\n"),
    "an external NaN-free summary": lambda s: s.append(
        '# TYPE python_s summary\npython_s_sum 1\npython_s_count 1\npython_s{quantile="0.5"} 1\n'
    ),
    "the content type in capitals": _scrape_header('Text/Plain; version="0.0.4"; charset=UTF-8'),
    "parameters in another order": _scrape_header("text/plain;charset=utf-8;version=0.0.4"),
    "more words on caching": lambda s: s.header("/health", "cache-control", "no-cache, no-store, private"),
    "births of series": lambda s: s.append(
        '# TYPE http_requests_created gauge\nhttp_requests_created{method="GET"} 1.7e9\n'
    ),
    "free comments": lambda s: s.append("# a word to whom it may concern\n"),
    "empty lines": lambda s: s.append("\n\n"),
    "another header": lambda s: s.header("/health", "x-served-by", "a"),
    "one failure within hysteresis": lambda s: s.check(
        "database", status="unhealthy", details={"consecutive_failures": 1, "code": "timeout"}
    ),
    "details hidden": lambda s: [
        check.update(details={}) for path in ("/health", "/health/ready") for check in s.bodies[path]["checks"]
    ],
    "a version with a token in its name": lambda s: s.body("/health", version="1.0.0+token.count"),
    "a refusal with 501": lambda s: s.status("/health/live", 501, method="PROPFIND"),
    "a clock a little off": lambda s: s.body("/health", timestamp="2026-11-25T00:25:30.000Z"),
    "a route with a digit": lambda s: s.replace(GET_COUNT, GET_COUNT.replace("/api/items", "/api/v2/items")),
    "gzip at another level": _scrape_body(lambda b: gzip.compress(gzip.decompress(b), 1), encoding="gzip"),
    "JSON on several lines": lambda s: _health_body("/health", json.dumps(s.bodies["/health"], indent=2).encode())(s),
}


@pytest.mark.parametrize("change", HARMLESS)
def test_a_harmless_change_is_not_reported(change: str) -> None:
    """What no consumer can notice, or what a healthy service does, gives no finding and keeps the verdict."""
    service = RecordedService()
    HARMLESS[change](service)

    run = service.verify()

    assert run.outcome.findings == ()
    assert run.outcome.inconclusive == ()
