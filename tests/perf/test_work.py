"""The work that telemetry adds to a request, counted and held against overhead.txt; and the counting itself, tried."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Mapping
from typing import cast

import pytest
from prometheus_client import Counter
from tests.perf.conftest import Figures
from tests.perf.work_counts import CASES, count_work

from prethrift_backend.contracts import CostBudget, OverheadContract, load_overhead
from prethrift_backend.observability import _http_exchange, get_logger, get_tracer
from prethrift_backend.observability._request_metrics import RequestMetrics
from prethrift_backend.observability.logs import Pipeline
from prethrift_backend.observability.setup import Telemetry

PYTHON = ".".join(platform.python_version_tuple()[:2])
CONTRACT = load_overhead()


def _budgets(contract: OverheadContract, case: str) -> list[CostBudget]:
    return [budget for budget in contract.budgets if budget.case == case and budget.python in (None, PYTHON)]


def _broken(case: str, counted: Mapping[str, int]) -> list[str]:
    """Return every figure that is not as its budget says."""
    limits = [(name, limit) for budget in _budgets(CONTRACT, case) for name, limit in budget.limits.items()]
    return [f"{name} is {counted[name]}, promised {limit}" for name, limit in limits if not limit.allows(counted[name])]


def test_every_case_has_a_budget() -> None:
    """What is counted is promised, and what is promised is counted."""
    assert sorted(CONTRACT.cases) == sorted(CASES)


@pytest.mark.parametrize("case", CASES)
def test_a_request_costs_what_is_promised(case: str, figures: Figures) -> None:
    """Each figure is exactly the promised one, or at most that; one that is lower has to be written down as well."""
    counted = count_work(CASES[case])

    is_promised = any("opcodes" in budget.limits for budget in _budgets(CONTRACT, case))
    where = "" if is_promised else f", of which nothing is promised for Python {PYTHON}"
    figures.take(f"{case}: instructions added{where}", counted["opcodes"], "opcodes")
    assert _broken(case, counted) == [], f"counted: {counted}; see contracts/overhead.txt"


def test_the_counts_do_not_vary() -> None:
    """Two runs count the same, memory apart, which depends on where dictionaries grow."""
    first, second = count_work(CASES["sampled_request"]), count_work(CASES["sampled_request"])

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
    _before(patch, Pipeline, "_emit", lambda: json.dumps({"event": "request_completed"}))


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
    ],
)
def test_more_work_is_noticed(
    spoil: Callable[[pytest.MonkeyPatch], None], case: str, figure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thing more than promised breaks the figure that counts it."""
    before = count_work(CASES[case])
    spoil(monkeypatch)

    after = count_work(CASES[case])

    assert after[figure] > before[figure]
    assert figure not in CONTRACT.budget(case).limits or any(text.startswith(figure) for text in _broken(case, after))
