"""The work that telemetry adds to a request, counted and held against overhead.txt; and the counting itself, tried."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import cast

import pytest
from prometheus_client import Counter
from pytest_benchmark.fixture import BenchmarkFixture
from sqlalchemy import Engine, event, text
from tests.perf.conftest import Figures
from tests.perf.work_counts import CASES, FEATURES, count_work

from prethrift_backend.contracts import CostBudget, OverheadContract, load_overhead
from prethrift_backend.observability import _http_exchange, _rendering, get_logger, get_tracer
from prethrift_backend.observability._request_metrics import RequestMetrics
from prethrift_backend.observability.setup import Telemetry
from prethrift_backend.stores import observe_engine

PYTHON = ".".join(platform.python_version_tuple()[:2])
CONTRACT = load_overhead()


def _budgets(contract: OverheadContract, case: str) -> list[CostBudget]:
    return [budget for budget in contract.budgets if budget.case == case and budget.python in (None, PYTHON)]


def _broken(case: str, counted: Mapping[str, int]) -> list[str]:
    """Return every figure that is not as its budget says."""
    limits = [(name, limit) for budget in _budgets(CONTRACT, case) for name, limit in budget.limits.items()]
    return [
        f"{name} is {counted[name]}, promised {limit}"
        for name, limit in limits
        if name in counted and not limit.allows(counted[name])
    ]


def _not_counted(case: str, counted: Mapping[str, int]) -> set[str]:
    """Return the figures of a case's budget that the counting does not know: they would be kept whatever is done."""
    return {name for budget in _budgets(CONTRACT, case) for name in budget.limits} - counted.keys()


def _promised(case: str, figure: str) -> float | None:
    """Return what a figure of a case is promised to be on this Python, None where nothing is."""
    return next((budget.limits[figure].value for budget in _budgets(CONTRACT, case) if figure in budget.limits), None)


@cache
def _counted(case: str) -> Mapping[str, int]:
    """Count a case once for all tests that spoil nothing."""
    return count_work(CASES[case])


@pytest.mark.parametrize("case", CASES)
def test_a_request_costs_what_is_promised(
    case: str, figures: Figures, benchmark: BenchmarkFixture, keep: Callable[..., None]
) -> None:
    """Each figure is exactly the promised one, or at most that; one that is lower has to be written down as well."""
    counted = benchmark.pedantic(_counted, (case,))  # type: ignore[no-untyped-call] # the plugin has no annotation

    promised = _promised(case, "opcodes")
    keep(counts=counted)
    where = "" if promised is not None else f", of which nothing is promised for Python {PYTHON}"
    figures.take(f"{case}: work added{where}", counted["opcodes"], "opcodes", at_most=promised)
    assert _not_counted(case, counted) == set(), "promised in contracts/overhead.txt, and counted by nobody"
    assert _broken(case, counted) == [], f"counted: {counted}; see contracts/overhead.txt"


@pytest.mark.parametrize("feature", FEATURES)
def test_a_feature_costs_what_it_is_promised_to_add(
    feature: str, figures: Figures, benchmark: BenchmarkFixture, keep: Callable[..., None]
) -> None:
    """What a request takes more with a feature than without is what the budgets of the two differ by."""
    on, off = FEATURES[feature]
    counts = {name: count - _counted(off)[name] for name, count in _counted(on).items()}
    benchmark.pedantic(lambda: None)  # type: ignore[no-untyped-call] # the plugin has no annotation for it
    promised, without = (_promised(case, "opcodes") for case in (on, off))
    at_most = None if promised is None or without is None else promised - without

    keep(counts=counts, on=_counted(on), off=_counted(off))
    figures.take(f"feature {feature}", counts["opcodes"], "opcodes", at_most=at_most)
    assert counts["sql_statements"] == 0


def test_the_counts_do_not_vary() -> None:
    """Two runs count the same, memory apart, which depends on where dictionaries grow and what is kept for later."""
    first, second = (count_work(CASES["sampled_request"], repeats=0) for _ in range(2))

    del first["peak_bytes"], second["peak_bytes"]
    assert first == second


# Each does its work beside what the layer does, in one small way.


def _one_more_line(patch: pytest.MonkeyPatch) -> None:
    _before(patch, _http_exchange.HttpExchange, "returned", lambda: get_logger("extra").info("request_noted"))


def _one_more_span(patch: pytest.MonkeyPatch) -> None:
    def make_span() -> None:
        with get_tracer("extra").start_as_current_span("extra"):
            pass

    _before(patch, _http_exchange.HttpExchange, "_note_start", make_span)


def _a_lookup_for_a_kept_child(patch: pytest.MonkeyPatch) -> None:
    def count_request(
        self: RequestMetrics, method: str, endpoint: str, status: int, seconds: float, exemplar: object
    ) -> None:
        assert self._requests is not None
        assert self._durations is not None
        cast(Counter, self._requests._parent).labels(method, endpoint, str(status)).inc()
        self._durations.labels(method=method, endpoint=endpoint).observe(seconds)

    patch.setattr(RequestMetrics, "count_request", count_request)


def _a_second_look_at_the_clock(patch: pytest.MonkeyPatch) -> None:
    _before(patch, Telemetry, "log", time.monotonic)


def _json_of_the_standard_library(patch: pytest.MonkeyPatch) -> None:
    class Encoder:
        """Stands where orjson does, and encodes the same."""

        OPT_UTC_Z = 0

        @staticmethod
        def dumps(value: object, default: Callable[[object], object] | None = None, **_: object) -> bytes:
            return json.dumps(value, default=default, separators=(",", ":")).encode()

    patch.setattr(_rendering, "orjson", Encoder)


def _one_more_statement(patch: pytest.MonkeyPatch) -> None:
    def observe(engine: Engine) -> None:
        observe_engine(engine)
        event.listen(engine, "begin", lambda connection: connection.execute(text("SELECT 2")))

    patch.setattr("tests.perf.work_counts.observe_engine", observe)


def _before(patch: pytest.MonkeyPatch, owner: type, name: str, work: Callable[[], object]) -> None:
    original = getattr(owner, name)

    def both(*arguments: object, **options: object) -> object:
        work()
        return original(*arguments, **options)

    patch.setattr(owner, name, both)


@pytest.mark.parametrize(
    ("spoil", "case", "figure"),
    [
        (_one_more_line, "request", "lines"),
        (_one_more_span, "sampled_request", "spans"),
        (_a_lookup_for_a_kept_child, "request", "label_lookups"),
        (_a_second_look_at_the_clock, "request", "clock_calls"),
        (_json_of_the_standard_library, "request", "c_calls"),
        (_json_of_the_standard_library, "request", "opcodes"),
        (_one_more_statement, "statement", "sql_statements"),
    ],
)
def test_more_work_is_noticed(
    spoil: Callable[[pytest.MonkeyPatch], None], case: str, figure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thing more than promised breaks the figure that counts it."""
    before = _counted(case)
    spoil(monkeypatch)

    after = count_work(CASES[case], repeats=0)

    assert after[figure] > before[figure]
    assert _promised(case, figure) is None or any(broken.startswith(figure) for broken in _broken(case, after))
