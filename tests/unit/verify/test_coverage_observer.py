"""The observer of a run: what each signal exercises, what counts for which test, and what counts for none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from pydantic_settings import BaseSettings, SettingsConfigDict
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from prethrift_backend.config import Settings
from prethrift_backend.contracts import load_contracts, load_metrics, parse_metrics
from prethrift_backend.observability import get_logger, get_tracer
from prethrift_backend.observability.exposition import render
from prethrift_backend.observability.observing import observed_by
from prethrift_backend.observability.testing import Capture, capture_telemetry
from prethrift_backend.verify.coverage.observer import OUTSIDE, CoverageObserver
from prethrift_backend.verify.coverage.taps import listening
from prethrift_backend.verify.findings import Signal

METRICS = """\
# CONTRACT metrics 1.0.0
# HELP shop_orders_total Orders.
# TYPE shop_orders_total counter
# LABEL shop_orders_total payment enum card|invoice
# SERIES shop_orders_total max=2 presence=always init=all
# HELP shop_parcel_bytes Sizes of parcels.
# TYPE shop_parcel_bytes histogram
# BUCKETS shop_parcel_bytes 1 2
# SERIES shop_parcel_bytes max=5
# HELP shop_stock_items Items.
# TYPE shop_stock_items gauge
# LABEL shop_stock_items kind enum coat|hat
# SERIES shop_stock_items max=2
"""
LOGS = """\
# CONTRACT logs 1.0.0
RECORD json utf-8
FIELD * event string required
EVENT order_paid level=info|debug logger=shop.orders open-fields
  amount int required
"""
SPANS = """\
# CONTRACT spans 1.0.0
RESOURCE service.name string required
SPAN pay kind=internal scope=shop.pay
  NAME pay
  pay.amount int required
  STATUS unset
  EVENT refused
    reason string required
  LINK caller
"""
SETTINGS = """\
# CONTRACT settings 1.0.0
SETTING LOG_LEVEL enum DEBUG|INFO default=INFO group=logs
SETTING SHOP_PORT int default=80 group=shop
"""
SCHEMA = {
    "$id": "urn:shop:health:1",
    "type": "object",
    "properties": {"status": {"enum": ["healthy", "degraded", "unhealthy"]}},
}
_SHOWN: tuple[Signal, ...] = ("metrics", "logs")
ENDPOINTS = ("/livez", "/checks/{name}")

pytestmark = pytest.mark.contract_unobserved("it observes by itself, contracts that are made up")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder of contracts."""
    texts = {"metrics.txt": METRICS, "logs.txt": LOGS, "spans.txt": SPANS, "settings.txt": SETTINGS}
    for name, text in {**texts, "health.schema.json": json.dumps(SCHEMA)}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def observer(folder: Path) -> Iterator[CoverageObserver]:
    """Observe the test, as the test `one` of a run."""
    observer = CoverageObserver(load_contracts(folder), health_endpoints=ENDPOINTS)
    with observed_by(observer), listening(observer, ENDPOINTS):
        observer.begin("one")
        yield observer


@pytest.fixture
def shop(observer: CoverageObserver, folder: Path) -> Iterator[Capture]:
    """Configure a telemetry with the shop's metrics while it is observed."""
    with capture_telemetry(contract=load_metrics(folder)) as capture:
        yield capture


def _names(observer: CoverageObserver, signal: Signal, test: str = "one") -> set[str]:
    found = observer.record(0).exercised
    return {name for (of, name), by in found.items() if (of, by) == (signal, test)}


def test_series_that_are_there_from_the_start_are_not_exercised(shop: Capture, observer: CoverageObserver) -> None:
    """What `init` made is at 0 and shows nothing, even when it is read."""
    render(shop.telemetry.metrics.registry, "")
    observer.end()

    assert _names(observer, "metrics") == set()


def test_a_counter_that_moved_is_exercised_with_its_values(shop: Capture, observer: CoverageObserver) -> None:
    """Nobody need read it."""
    shop.telemetry.metrics.counter("shop_orders_total").labels(payment="card").inc()
    observer.end()

    assert _names(observer, "metrics") == {"shop_orders_total", 'shop_orders_total{payment="card"}'}


@pytest.mark.parametrize(("size", "more"), [(2, {"shop_parcel_bytes bucket"}), (3, set())])
def test_an_observation_below_the_highest_bound_exercises_the_buckets(
    shop: Capture, observer: CoverageObserver, size: int, more: set[str]
) -> None:
    """One that falls beyond them all shows only that there is a histogram."""
    shop.telemetry.metrics.histogram("shop_parcel_bytes").labels().observe(size)
    observer.end()

    assert _names(observer, "metrics") == {"shop_parcel_bytes"} | more


def test_a_gauge_is_exercised_where_it_is_read(shop: Capture, observer: CoverageObserver) -> None:
    """Set alone, it is not; and a value of a label needs a number other than 0."""
    gauge = shop.telemetry.metrics.gauge("shop_stock_items")
    gauge.labels(kind="coat").set(3)
    gauge.labels(kind="hat").set(0)
    observer.end()
    assert _names(observer, "metrics") == set()

    observer.begin("two")
    render(shop.telemetry.metrics.registry, "")
    observer.end()

    assert _names(observer, "metrics", "two") == {"shop_stock_items", 'shop_stock_items{kind="coat"}'}


def test_a_gauge_that_nobody_has_moved_is_not_exercised(shop: Capture, observer: CoverageObserver) -> None:
    """Read, it shows 0 before anybody has set it."""
    shop.telemetry.metrics.gauge("shop_stock_items").labels(kind="hat")
    render(shop.telemetry.metrics.registry, "")

    assert _names(observer, "metrics") == set()


def test_a_gauge_with_a_reader_is_exercised_by_0(shop: Capture, observer: CoverageObserver) -> None:
    """The reader has run, which is what there is to show."""
    shop.telemetry.metrics.observe("shop_stock_items", lambda: {("hat",): 0})
    render(shop.telemetry.metrics.registry, "")

    assert _names(observer, "metrics") == {"shop_stock_items"}


def test_another_promise_of_the_same_name_is_not_exercised(observer: CoverageObserver) -> None:
    """A test may make a contract of its own, with a family that is called so."""
    other = parse_metrics(METRICS.replace("card|invoice", "card|cash"), source="other")
    with capture_telemetry(contract=other) as capture:
        capture.telemetry.metrics.counter("shop_orders_total").labels(payment="card").inc()
    observer.end()

    assert _names(observer, "metrics") == set()


def test_metrics_of_a_test_are_not_kept(observer: CoverageObserver, folder: Path) -> None:
    """A run of thousands of tests does not hold the metrics of all of them."""
    with capture_telemetry(contract=load_metrics(folder)):
        pass
    observer.end()

    assert observer._watched._sets == []


def test_a_registry_of_another_library_is_watched(observer: CoverageObserver) -> None:
    """What it has counted before does not count; what is read for the record is no scrape."""
    registry = CollectorRegistry()
    orders = Counter("shop_orders_total", "Orders.", ("payment",), registry=registry)
    Gauge("shop_stock_items", "Items.", ("kind",), registry=registry).labels("hat").set(1)
    orders.labels("invoice").inc()
    observer.watch_registry(registry)

    orders.labels("card").inc()
    observer.end()

    assert _names(observer, "metrics") == {"shop_orders_total", 'shop_orders_total{payment="card"}'}


def test_a_scrape_of_another_library_s_registry_exercises_what_moved_alone(observer: CoverageObserver) -> None:
    """Neither what was counted before, nor a gauge that nobody has set, is exercised since somebody reads all."""
    registry = CollectorRegistry()
    orders = Counter("shop_orders_total", "Orders.", ("payment",), registry=registry)
    Gauge("shop_stock_items", "Items.", ("kind",), registry=registry).labels("hat")
    orders.labels("invoice").inc()
    observer.watch_registry(registry)

    generate_latest(registry)
    observer.end()

    assert _names(observer, "metrics") == set()


def test_what_an_excused_test_counted_is_not_the_next_one_s(shop: Capture, observer: CoverageObserver) -> None:
    """Neither in a registry of another library, nor in a telemetry that stays open."""
    registry = CollectorRegistry()
    orders = Counter("shop_orders_total", "Orders.", ("payment",), registry=registry)
    observer.watch_registry(registry)
    own = shop.telemetry.metrics.find("shop_orders_total")
    assert own is not None
    observer.begin("excused", is_excused=True)
    orders.labels("card").inc()
    own.labels(payment="card").inc()
    observer.end()
    observer.begin("one")
    observer.end()
    assert _names(observer, "metrics") == set()

    observer.begin("one")
    own.labels(payment="card").inc()
    observer.end()

    assert "shop_orders_total" in _names(observer, "metrics")


def test_a_line_exercises_its_event_level_and_fields(shop: Capture, observer: CoverageObserver) -> None:
    """And the fields of every line; a level and an event that did not happen stay."""
    get_logger("shop.orders").info("order_paid", amount=3)
    shop.telemetry.close()

    assert _names(observer, "logs") == {
        "every line field event",
        "order_paid",
        "order_paid level info",
        "order_paid field amount",
    }
    assert observer.record(0).faults == ()


def test_a_line_that_breaks_its_contract_is_noted_once(shop: Capture, observer: CoverageObserver) -> None:
    """With the test that was first."""
    get_logger("shop.orders").info("order_paid", amount="three")
    shop.flush()
    observer.begin("two")
    get_logger("shop.orders").info("order_paid", amount="three")
    shop.telemetry.close()

    (fault,) = observer.record(0).faults
    assert (fault.test, fault.rule, fault.signal, fault.name) == ("one", "LG007", "logs", "order_paid")


def test_a_span_exercises_its_parts(shop: Capture, observer: CoverageObserver) -> None:
    """Attributes, status, events with theirs, a link, and the resource."""
    with get_tracer("shop.pay").start_as_current_span("pay") as span:
        span.set_attribute("pay.amount", 3)
        span.add_event("refused", {"reason": "poor"})
        span.add_link(span.get_span_context())

    assert _names(observer, "spans") == {
        "resource attribute service.name",
        "pay",
        "pay attribute pay.amount",
        "pay status unset",
        "pay link caller",
        "pay event refused",
        "pay event refused attribute reason",
    }
    assert observer.record(0).faults == ()


def test_a_span_of_a_test_is_nobody_s(shop: Capture, observer: CoverageObserver) -> None:
    """One of a scope that the contract names is held to it; any other is the test's own."""
    with get_tracer("test").start_as_current_span("arranged"):
        pass
    assert (observer.record(0).faults, _names(observer, "spans")) == ((), set())

    with get_tracer("shop.pay").start_as_current_span("unheard of"):
        pass

    assert [fault.rule for fault in observer.record(0).faults] == ["SP001"]


def test_a_test_that_is_excused_counts_for_nothing(shop: Capture, observer: CoverageObserver) -> None:
    """Neither for exercise nor for a breach."""
    observer.begin("two", is_excused=True)
    get_logger("shop.orders").info("order_paid", amount="three")
    shop.telemetry.metrics.counter("shop_orders_total").labels(payment="card").inc()
    shop.telemetry.close()
    observer.end()

    assert [_names(observer, signal) | _names(observer, signal, "two") for signal in _SHOWN] == [set(), set()]
    assert observer.record(0).faults == ()


def test_what_comes_between_tests_is_of_none(shop: Capture, observer: CoverageObserver) -> None:
    """It is exercised all the same."""
    observer.end()
    get_logger("shop.orders").debug("order_paid", amount=1)
    shop.telemetry.close()

    assert "order_paid level debug" in _names(observer, "logs", OUTSIDE)


def test_what_the_observer_cannot_judge_is_kept(
    shop: Capture, observer: CoverageObserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The telemetry drops its errors: the record says that there were some."""

    def fail(_fields: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr(observer._logs, "event_in", fail)
    get_logger("shop.orders").info("order_paid", amount=1)
    shop.telemetry.close()

    assert observer.record(0).unjudged == ("a line could not be judged: KeyError in one",)


class _ShopSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SHOP_")

    port: int = 80


def test_a_setting_with_another_value_is_exercised(observer: CoverageObserver) -> None:
    """By its name in the environment; the default, given or not, shows nothing."""
    Settings()
    Settings(log_level="INFO")
    _ShopSettings(port=80)
    assert _names(observer, "settings") == set()

    Settings(log_level="DEBUG")
    _ShopSettings(port=81)

    assert _names(observer, "settings") == {"LOG_LEVEL", "SHOP_PORT"}


async def _live(_request: object) -> Response:
    return JSONResponse({"status": "healthy"})


async def _check(_request: object) -> Response:
    return JSONResponse({"status": "unhealthy"}, status_code=503)


async def _other(_request: object) -> Response:
    return PlainTextResponse('{"status": "degraded"}')


async def _ask(app: Starlette, path: str) -> None:
    async def send(_message: Any) -> None: ...

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"", "root_path": ""}
    await app(scope, receive, send)


def test_answers_about_health_are_seen(observer: CoverageObserver) -> None:
    """Of any application of Starlette, at the paths of the run, whatever the code; nothing but JSON is one."""
    routes = [Route("/livez", _live), Route("/checks/{name}", _check), Route("/other", _live)]
    asyncio.run(_ask(Starlette(routes=routes), "/checks/db"))
    asyncio.run(_ask(Starlette(routes=routes), "/other"))
    asyncio.run(_ask(Starlette(routes=[Route("/livez", _other)]), "/livez"))
    assert _names(observer, "health") == {"/checks/{name}", "status value unhealthy"}

    asyncio.run(_ask(Starlette(routes=routes), "/livez"))

    assert {"/livez", "status value healthy"} <= _names(observer, "health")


def test_nothing_is_wrapped_any_more_behind_the_run(folder: Path) -> None:
    """What a run listens at is as it was."""
    before = (CollectorRegistry.collect, BaseSettings.__init__, Starlette.__call__)
    observer = CoverageObserver(load_contracts(folder), health_endpoints=ENDPOINTS)
    with listening(observer, ENDPOINTS):
        assert CollectorRegistry.collect is not before[0]

    assert (CollectorRegistry.collect, BaseSettings.__init__, Starlette.__call__) == before
