"""Metric families in a process: what the contract says is what is exported, and nothing else."""

from __future__ import annotations

import enum
import platform
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, GCCollector, Metric, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.registry import Collector
from tests.support.metric_contracts import differences, use_every_family

from prethrift_backend import __version__
from prethrift_backend.contracts import load_metrics, parse_metrics
from prethrift_backend.exceptions import ContractError
from prethrift_backend.observability.exposition import render
from prethrift_backend.observability.metrics import MetricSet

SMALL = """\
# CONTRACT metrics 1.0.0
# HELP contract_violations_total Violations.
# TYPE contract_violations_total counter
# LABEL contract_violations_total family open max=50
# LABEL contract_violations_total label open max=50
# HELP jobs_total Jobs.
# TYPE jobs_total counter
# LABEL jobs_total kind  enum a|b|_OTHER overflow=_OTHER
# LABEL jobs_total queue open max=2 overflow=__overflow__
# SERIES jobs_total max=5
# HELP codes_total Codes.
# TYPE codes_total counter
# LABEL codes_total code match [1-5][0-9][0-9] max=500
# SERIES codes_total max=500
# HELP state State.
# TYPE state gauge
# LABEL state state enum on|off
# SERIES state max=2 presence=always init=all
# HELP level Level.
# TYPE level gauge
# HELP wait_seconds Wait.
# TYPE wait_seconds histogram
# LABEL wait_seconds queue open max=9
# BUCKETS wait_seconds 0.1 1
# SERIES wait_seconds max=10
"""
CONTRACT = parse_metrics(SMALL, source="small.txt")


@pytest.fixture
def metrics() -> MetricSet:
    """Return the families of the small contract, as production has them."""
    return MetricSet(CONTRACT)


@pytest.fixture
def strict() -> MetricSet:
    """Return the families of the small contract, as tests have them."""
    return MetricSet(CONTRACT, strict=True)


def _violations(metrics: MetricSet, family: str, label: str) -> float | None:
    labels = {"family": family, "label": label}
    return metrics.registry.get_sample_value("contract_violations_total", labels)


def _series(metrics: MetricSet, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    samples = [sample for metric in metrics.registry.collect() for sample in metric.samples if sample.name == name]
    return {tuple(sorted(sample.labels.items())): sample.value for sample in samples}


def test_registry_serves_the_shipped_contract_and_nothing_else() -> None:
    """Every promised family is there as promised, and every family there is promised or allowed."""
    metrics = MetricSet(load_metrics(), strict=True)
    use_every_family(metrics)

    assert differences(metrics.registry.collect(), metrics.contract) == set()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# TYPE db_pool_connections gauge", "# TYPE db_pool_connections untyped"),
        ("# HELP build_info 1, labelled", "# HELP build_info One, labelled"),
        ("search_operations_total", "search_runs_total"),
        (" 2.5 5 10\n", " 2.5 5\n"),
        ("search_type", "kind"),
        ("# EXTERNAL process_*\n", ""),
    ],
)
def test_mutated_contract_is_told_from_the_registry(old: str, new: str) -> None:
    """A change of name, type, help, label, bucket or external list is found by the comparison."""
    metrics = MetricSet(load_metrics())
    use_every_family(metrics)
    text = Path(metrics.contract.source).read_text(encoding="utf-8")
    assert old in text

    mutant = parse_metrics(text.replace(old, new), source="mutant.txt")

    assert differences(metrics.registry.collect(), mutant)


def test_contract_and_build_are_shown() -> None:
    """The scrape says which contract is in force, by version and digest, and what is running."""
    contract = load_metrics()
    metrics = MetricSet(contract)

    info = {"contract": "metrics", "version": contract.version, "sha256": contract.sha256}
    build = {"version": __version__, "python_version": platform.python_version()}
    assert metrics.registry.get_sample_value("contract_info", info) == 1
    assert metrics.registry.get_sample_value("build_info", build) == 1


def test_build_shows_the_version_of_the_service() -> None:
    """Another application shows its own version."""
    metrics = MetricSet(load_metrics(), service_version="9.9.9")

    assert _series(metrics, "build_info").keys() == {
        (("python_version", platform.python_version()), ("version", "9.9.9"))
    }


def test_process_and_gc_are_in_the_same_registry(metrics: MetricSet) -> None:
    """The collectors of process, platform and gc are scraped with the families."""
    names = {metric.name for metric in metrics.registry.collect()}

    assert {"process_start_time_seconds", "python_info", "python_gc_collections"} <= names


def test_family_of_another_contract_is_looked_for(metrics: MetricSet) -> None:
    """An application's own contract need not have a family of ours: looking for it is no error."""
    found = metrics.find("jobs_total")

    assert found is metrics.family("jobs_total")
    assert metrics.find("http_requests_total") is None


def test_no_creation_times_are_exported(metrics: MetricSet) -> None:
    """A counter is one series, not two."""
    metrics.counter("jobs_total").labels(kind="a", queue="q").inc()

    assert b"_created" not in generate_latest(metrics.registry)


def test_init_makes_series_at_zero(metrics: MetricSet) -> None:
    """What the contract initialises is there before anything happens, what it does not is not."""
    assert _series(metrics, "state") == {(("state", "on"),): 0, (("state", "off"),): 0}
    assert _series(metrics, "jobs_total") == {}


def test_family_without_labels_is_there_from_the_start(metrics: MetricSet) -> None:
    """A family without labels is one series, and its child takes values."""
    metrics.gauge("level").labels().set(3)

    assert _series(metrics, "level") == {(): 3}


def test_same_values_give_the_same_child(metrics: MetricSet) -> None:
    """A child is made once, whatever the order in which its labels are given."""
    jobs = metrics.counter("jobs_total")

    assert jobs.labels(kind="a", queue="q") is jobs.labels(queue="q", kind="a")


def test_value_that_is_no_text_counts_by_its_text(metrics: MetricSet) -> None:
    """A status code as a number, and a str enum, fall on the series of their text."""

    class Queue(str, enum.Enum):  # noqa: UP042 - StrEnum has the str() that this class lacks
        FAST = "fast"

    codes, jobs = metrics.counter("codes_total"), metrics.counter("jobs_total")

    assert codes.labels(code=200) is codes.labels(code="200")
    assert codes.labels(code=200) is codes.labels(code=200)
    assert jobs.labels(kind="a", queue=Queue.FAST) is jobs.labels(kind="a", queue="fast")


def test_value_outside_the_list_is_exported_as_the_overflow_value(metrics: MetricSet) -> None:
    """A method nobody promised does not make a series, and each use of it is counted."""
    for kind in ("x", "y", "x"):
        metrics.counter("jobs_total").labels(kind=kind, queue="q").inc()

    assert _series(metrics, "jobs_total") == {(("kind", "_OTHER"), ("queue", "q")): 3}
    assert _violations(metrics, "jobs_total", "kind") == 3


def test_too_many_values_of_a_label_fall_together(metrics: MetricSet) -> None:
    """The third queue of two is exported as the overflow value; the first two go on."""
    for queue in ("q1", "q2", "q3", "q4", "q1"):
        metrics.counter("jobs_total").labels(kind="a", queue=queue).inc()

    assert _series(metrics, "jobs_total") == {
        (("kind", "a"), ("queue", "q1")): 2,
        (("kind", "a"), ("queue", "q2")): 1,
        (("kind", "a"), ("queue", "__overflow__")): 2,
    }
    assert _violations(metrics, "jobs_total", "queue") == 2


@pytest.mark.parametrize("code", ["OK", "2000", "", "20\udc80", None, 600])
def test_value_without_an_overflow_value_is_dropped_and_counted(metrics: MetricSet, code: object) -> None:
    """Where the label has nothing to map to, there is no series, and the caller does not notice."""
    metrics.counter("codes_total").labels(code=code).inc()

    assert _series(metrics, "codes_total") == {}
    assert _violations(metrics, "codes_total", "code") == 1


def test_value_that_is_not_utf8_does_not_break_the_scrape(metrics: MetricSet) -> None:
    """A lone surrogate in an open label is mapped, and the scrape can still be written."""
    metrics.counter("jobs_total").labels(kind="a", queue="q\udc80").inc()

    assert b'queue="__overflow__"' in generate_latest(metrics.registry)


def test_full_family_takes_no_new_series(metrics: MetricSet) -> None:
    """At its bound a family stops growing, its old series go on, and each refusal is counted."""
    jobs = metrics.counter("jobs_total")
    for kind, queue in [("a", "q1"), ("b", "q1"), ("_OTHER", "q1"), ("a", "q2"), ("b", "q2")]:
        jobs.labels(kind=kind, queue=queue).inc()

    jobs.labels(kind="_OTHER", queue="q2").inc()
    jobs.labels(kind="a", queue="q1").inc()

    assert len(_series(metrics, "jobs_total")) == 5
    assert _series(metrics, "jobs_total")[(("kind", "a"), ("queue", "q1"))] == 2
    assert _violations(metrics, "jobs_total", "_series") == 1


def test_histogram_counts_its_buckets_sum_and_count_as_series(metrics: MetricSet) -> None:
    """Two label sets of five series each fill a bound of ten."""
    for queue in ("q1", "q2", "q3"):
        metrics.histogram("wait_seconds").labels(queue=queue).observe(0.5)

    assert _series(metrics, "wait_seconds_count") == {(("queue", "q1"),): 1, (("queue", "q2"),): 1}
    assert _violations(metrics, "wait_seconds", "_series") == 1


def test_refused_child_takes_every_call(metrics: MetricSet) -> None:
    """The child of a refused series can be counted, set and observed, and keeps nothing."""
    child = metrics.family("codes_total").labels(code="x")

    child.inc(2, {"trace_id": "a"})
    child.dec()
    child.set(3)
    child.observe(0.1, exemplar={"trace_id": "a"})

    assert _series(metrics, "codes_total") == {}


@pytest.mark.parametrize(
    "labels", [{}, {"kind": "a"}, {"kind": "a", "queue": "q", "user": "u"}, {"kind": "a", "q": "q"}]
)
def test_wrong_label_names_are_counted(metrics: MetricSet, labels: dict[str, object]) -> None:
    """A missing, unknown or extra label makes no series and no exception."""
    metrics.counter("jobs_total").labels(kind="a", queue="q")

    metrics.counter("jobs_total").labels(**labels).inc()

    assert set(_series(metrics, "jobs_total").values()) == {0}
    assert _violations(metrics, "jobs_total", "_names") == 1


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"kind": "x", "queue": "q"}, r"jobs_total\{kind='x'\} is not allowed: a value is one of a\|b\|_OTHER"),
        ({"kind": "a"}, "labels kind given to 'jobs_total': it has kind, queue"),
        ({"kind": "a", "queue": "\udc80"}, r"jobs_total\{queue='\\udc80'\} is not allowed"),
    ],
)
def test_strict_mode_raises(strict: MetricSet, labels: dict[str, object], expected: str) -> None:
    """Under tests a use that breaks the contract raises, with the place in the contract."""
    with pytest.raises(ContractError, match=expected) as raised:
        strict.counter("jobs_total").labels(**labels)

    assert str(raised.value).endswith("(contract: small.txt:6)")


def test_strict_mode_raises_for_a_full_family(strict: MetricSet) -> None:
    """Under tests a series too many raises and names the bound."""
    waits = strict.histogram("wait_seconds")
    waits.labels(queue="q1")
    waits.labels(queue="q2")

    with pytest.raises(ContractError, match="'wait_seconds' is full: it may have 2 label sets"):
        waits.labels(queue="q3")


def test_unknown_family_is_refused(metrics: MetricSet) -> None:
    """A family exists only where the contract declares it."""
    with pytest.raises(ContractError, match=r"'job_total' is not in small\.txt"):
        metrics.counter("job_total")


def test_family_of_another_type_is_refused(metrics: MetricSet) -> None:
    """Asking for a gauge by the name of a counter names the right call."""
    with pytest.raises(ContractError, match=r"is a counter, not a gauge.*\.counter\('jobs_total'\)"):
        metrics.gauge("jobs_total")


def test_family_without_a_type_cannot_be_made() -> None:
    """A bare list of names is enough to compare with, not to build from."""
    with pytest.raises(ContractError, match="'jobs_total' cannot be made: its contract states no type"):
        MetricSet(parse_metrics("jobs_total{kind}\n", source="bare.txt"))


def test_two_sets_do_not_meet(metrics: MetricSet) -> None:
    """Two applications in one process count apart."""
    other = MetricSet(CONTRACT)

    metrics.counter("jobs_total").labels(kind="a", queue="q").inc()

    assert _series(other, "jobs_total") == {}


def test_given_registry_is_used() -> None:
    """A registry from outside is filled, once, and keeps collectors it came with; a second set in it is refused."""
    registry = CollectorRegistry()
    GCCollector(registry=registry)

    assert MetricSet(CONTRACT, registry=registry).registry is registry
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        MetricSet(CONTRACT, registry=registry)


def test_contract_without_families_of_ours_is_enough() -> None:
    """An application whose contract has no info or violation family still runs within its bounds."""
    text = "# CONTRACT metrics 1.0.0\n# HELP a_total A.\n# TYPE a_total counter\n# LABEL a_total x enum 1|2\n"
    metrics = MetricSet(parse_metrics(text, source="own.txt"))

    metrics.counter("a_total").labels(x=3).inc()
    metrics.counter("a_total").labels(x=2).inc()

    assert _series(metrics, "a_total") == {(("x", "2"),): 1}


def test_observed_values_are_read_at_each_scrape(metrics: MetricSet) -> None:
    """A gauge and a counter can take their values from a function, mapped by the contract like any other."""
    numbers = iter([1.0, 2.0])
    metrics.observe("state", lambda: {("on",): next(numbers)})
    metrics.observe("jobs_total", lambda: {("a", "q"): 5, ("x", "q"): 2, ("y", "q"): 3})
    metrics.observe("level", lambda: {(): 7})

    assert _series(metrics, "state") == {(("state", "on"),): 1}
    assert _series(metrics, "jobs_total") == {
        (("kind", "a"), ("queue", "q")): 5,
        (("kind", "_OTHER"), ("queue", "q")): 5,
    }
    assert _series(metrics, "level") == {(): 7}
    assert _violations(metrics, "jobs_total", "kind") is not None


def test_observed_family_keeps_to_its_bound(metrics: MetricSet) -> None:
    """A function that returns too many series gets as many as the family may have."""
    kinds = ("a", "b", "_OTHER")
    metrics.observe("jobs_total", lambda: {(kind, queue): 1 for kind in kinds for queue in ("1", "2", "3")})

    assert len(_series(metrics, "jobs_total")) == 5


def _raise() -> dict[tuple[str], float]:
    raise RuntimeError("the pool is gone")


@pytest.mark.parametrize("read", [_raise, lambda: {("on",): 1, ("off",): "many"}, lambda: None, lambda: {"on"}])
@pytest.mark.parametrize("is_strict", [False, True])
def test_failing_reader_does_not_break_the_scrape(read: object, is_strict: bool) -> None:
    """Whatever a function does, the other families are scraped, and the failure is counted in the same scrape."""
    metrics = MetricSet(CONTRACT, strict=is_strict)
    metrics.gauge("level").labels().set(4)
    metrics.observe("state", read)  # type: ignore[arg-type]  # a reader that is wrong is what is tested

    text = generate_latest(metrics.registry)

    assert b"level 4.0" in text
    assert b'contract_violations_total{family="state",label="_callback"} 1.0' in text
    assert b"state{" not in text.replace(b"contract_violations_total{", b"")


@pytest.mark.parametrize("number", [float("nan"), -1.0, float("-inf")])
def test_a_count_that_is_none_does_not_spoil_the_scrape(metrics: MetricSet, number: float) -> None:
    """OpenMetrics has no counter below zero, nor one that is no number: who reads such has failed."""
    metrics.observe("jobs_total", lambda: {("a", "q"): number})
    metrics.observe("level", lambda: {(): number})

    text = render(metrics.registry, "application/openmetrics-text").body.decode()

    parsed = parse_openmetrics(text)  # type: ignore[no-untyped-call]  # published without types
    families = {family.name: family.samples for family in parsed}
    assert families["jobs"] == []
    assert len(families["level"]) == 1
    assert 'contract_violations_total{family="jobs_total",label="_callback"} 1.0' in text


def test_histogram_cannot_be_observed(metrics: MetricSet) -> None:
    """A distribution is not one number at the scrape."""
    with pytest.raises(ContractError, match="histogram 'wait_seconds' cannot be read at the scrape"):
        metrics.observe("wait_seconds", dict)


def test_threads_share_one_child_a_label_set(metrics: MetricSet) -> None:
    """Threads that ask for the same new series at the same moment count into one, and lose nothing."""
    codes = metrics.counter("codes_total")
    start = threading.Barrier(8)

    def count() -> None:
        start.wait(timeout=30)
        for code in range(100, 150):
            codes.labels(code=code).inc()

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(count) for _ in range(8)]:
            future.result(timeout=60)

    assert set(_series(metrics, "codes_total").values()) == {8}
    assert len(_series(metrics, "codes_total")) == 50


def test_threads_do_not_pass_the_bound_together(metrics: MetricSet) -> None:
    """Threads that each bring new values leave a family at its bound, not beyond."""
    jobs = metrics.counter("jobs_total")
    start = threading.Barrier(8)

    def count(number: int) -> None:
        start.wait(timeout=30)
        for kind in ("a", "b", "x"):
            jobs.labels(kind=kind, queue=f"q{number}").inc()

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(count, number) for number in range(8)]:
            future.result(timeout=60)

    series = _series(metrics, "jobs_total")
    assert len(series) == 5
    assert sum(series.values()) + (_violations(metrics, "jobs_total", "_series") or 0) == 24


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from(["kind", "queue", "user"]), st.text() | st.integers() | st.none())))
def test_no_labels_raise_or_pass_the_bound(uses: list[dict[str, object]]) -> None:
    """Outside strict mode no labels raise, grow a family past its bound or break the scrape."""
    metrics = MetricSet(CONTRACT)

    for labels in uses:
        metrics.counter("jobs_total").labels(**labels).inc()

    assert len(_series(metrics, "jobs_total")) <= 5
    assert generate_latest(metrics.registry)


def test_unbounded_values_are_not_remembered(metrics: MetricSet) -> None:
    """Values that are mapped or refused leave nothing behind, so a hostile client cannot fill the memory."""
    jobs = metrics.counter("jobs_total")
    jobs.labels(kind="_OTHER", queue="q")
    kept = len(jobs._children)

    for number in range(100):
        jobs.labels(kind=f"x{number}", queue="q").inc()

    assert len(jobs._children) == kept


class _Intruder(Collector):
    def collect(self) -> Iterator[Metric]:
        raise AssertionError("described, not collected")

    def describe(self) -> list[Metric]:
        return [Metric("jobs", "Jobs.", "counter")]


def test_name_of_a_family_cannot_be_taken_twice(metrics: MetricSet) -> None:
    """A collector from elsewhere cannot serve a family of the contract a second time."""
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        metrics.registry.register(_Intruder())
