"""Metrics pushed by OTLP: what a scrape shows, under the same names, and nothing lost when a push fails."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb
from opentelemetry.sdk.resources import Resource
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from tests.support.crowds import crowded_metrics
from tests.support.exporting import Watched
from tests.support.metric_contracts import use_every_family
from tests.support.pushed_metrics import Collector, Series, metrics_of, pushed_series, scraped_series
from tests.support.waiting import wait_for

from prethrift_backend.config import Settings
from prethrift_backend.contracts import load_metrics, parse_metrics
from prethrift_backend.observability._metric_points import POINTS_A_REQUEST
from prethrift_backend.observability.clock import Clock
from prethrift_backend.observability.export_protocols import Outcome, Reply
from prethrift_backend.observability.exposition import render
from prethrift_backend.observability.metrics import MetricSet
from prethrift_backend.observability.otlp_metrics import PeriodicPush, PushPlan, Timing, make_metrics_push
from prethrift_backend.observability.spans import ProcessResource

RESOURCE = Resource({"service.name": "prethrift", "service.instance.id": "one"})
SMALL = parse_metrics(
    """\
# CONTRACT metrics 1.0.0
# HELP jobs_total Jobs.
# TYPE jobs_total counter
# LABEL jobs_total kind open
# HELP read_total Read.
# TYPE read_total counter
# HELP level_bytes Level.
# TYPE level_bytes gauge
# HELP wait_seconds Wait.
# TYPE wait_seconds histogram
# BUCKETS wait_seconds 0.1 1
""",
    source="small.txt",
)


class Pushed:
    """A small set of metrics, pushed to a collector in memory on a simulated clock."""

    def __init__(self, *script: Reply, temporality: str = "cumulative", contract: Any = SMALL) -> None:
        self.now_ns = 1_000
        self.seconds = 0.0
        self.metrics = MetricSet(contract, strict=True)
        self.collector, self.watched = Collector(list(script)), Watched()
        self.waits: list[float] = []
        self.pushes_left = 0
        timing = Timing(monotonic=lambda: self.seconds, wait=self._wait, share=lambda: 0.25)
        plan = PushPlan(RESOURCE, 60.0, temporality, Clock(time_ns=lambda: self.now_ns), timing)  # type: ignore[arg-type]  # the two words
        self.push = PeriodicPush(self._own, self.collector, self.watched, plan=plan)

    def _own(self) -> Iterator[Metric]:
        """Yield the families without those of the process, whose values move by themselves."""
        for family in self.metrics.contract.families:
            yield from self.metrics.family(family.name).collect()

    def _wait(self, closing: threading.Event, seconds: float) -> bool:
        self.waits.append(seconds)
        self.seconds += seconds
        self.pushes_left -= 1
        return closing.is_set() or self.pushes_left < 0

    def run(self, pushes: int) -> None:
        """Do what the thread does for as many intervals, and the last push."""
        self.pushes_left = pushes
        self.push._run()

    def count(self, kind: str, times: float = 1) -> None:
        """Count some jobs."""
        self.metrics.counter("jobs_total").labels(kind=kind).inc(times)

    def wait_seconds(self, *seconds: float) -> None:
        """Observe some times."""
        for amount in seconds:
            self.metrics.histogram("wait_seconds").labels().observe(amount)

    def once(self, *, at_ns: int | None = None) -> dict[Series, float]:
        """Push once and return what was sent."""
        self.now_ns = self.now_ns if at_ns is None else at_ns
        sent = len(self.collector.bodies)
        self.push.push()
        return pushed_series(self.collector.requests()[sent:])

    def metric(self, name: str) -> pb.Metric:
        """Return a metric of the last request."""
        return next(metric for metric in metrics_of(self.collector.requests()[-1:]) if metric.name == name)


def _jobs(series: dict[Series, float]) -> dict[str, float]:
    return {dict(labels)["kind"]: value for (name, labels), value in series.items() if name == "jobs_total"}


def _openmetrics(text: str) -> list[Metric]:
    return list(parse_openmetrics(text))  # type: ignore[no-untyped-call]  # published without types


def _moves(series: Series) -> bool:
    return series[0].startswith(("process_", "python_gc"))


# Recorded once, exported twice.


def test_what_is_pushed_is_what_is_scraped() -> None:
    """Sample by sample: every series of the shipped contract has the same name, labels and value in both."""
    metrics, collector = MetricSet(load_metrics(), strict=True), Collector()
    use_every_family(metrics)
    metrics.observe("db_pool_connections", lambda: {("in_use",): 3, ("idle",): 4})

    PeriodicPush(metrics.own_metrics, collector, Watched(), plan=PushPlan(RESOURCE)).push()
    scrape = _openmetrics(render(metrics.registry, "application/openmetrics-text").body.decode())

    pushed, scraped = pushed_series(collector.requests()), scraped_series(scrape)
    assert pushed.keys() == scraped.keys()
    assert {key for key in pushed if pushed[key] != scraped[key] and not _moves(key)} == set()
    assert len(pushed) > 250


def test_names_help_and_types_are_those_of_the_contract() -> None:
    """Each family is there under its name, with its help, as what it is."""
    metrics, collector = MetricSet(load_metrics()), Collector()
    use_every_family(metrics)

    PeriodicPush(metrics.own_metrics, collector, Watched(), plan=PushPlan(RESOURCE)).push()

    found = {metric.name: metric for metric in metrics_of(collector.requests())}
    data = {"counter": "sum", "gauge": "gauge", "histogram": "histogram"}
    for family in metrics.contract.families:
        metric = found[family.name]
        assert (metric.description, metric.WhichOneof("data")) == (family.help, data[family.kind])
    assert {"process_cpu_seconds_total", "python_info", "python_gc_collections_total"} <= found.keys()


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("search_duration_seconds", "s"),
        ("process_cpu_seconds_total", "s"),
        ("process_resident_memory_bytes", "By"),
        ("http_requests_total", ""),
        ("embedding_batch_size", ""),
    ],
)
def test_units_are_those_of_ucum(name: str, unit: str) -> None:
    """A unit is told by the name, as it is there: seconds and bytes; a number of things has none."""
    metrics, collector = MetricSet(load_metrics()), Collector()
    use_every_family(metrics)

    PeriodicPush(metrics.own_metrics, collector, Watched(), plan=PushPlan(RESOURCE)).push()

    assert [metric.unit for metric in metrics_of(collector.requests()) if metric.name == name] == [unit]


def test_unit_of_the_contract_is_that_of_the_name() -> None:
    """No family of the shipped contract states a unit that its name does not show."""
    families = load_metrics().families

    assert [f.name for f in families if f.unit and not f.name.removesuffix("_total").endswith(f"_{f.unit}")] == []


def test_request_says_whose_metrics_they_are() -> None:
    """Resource, scope and path are there; counters are monotonic and total."""
    pushed = Pushed()
    pushed.count("a")
    pushed.once(at_ns=5_000)

    (about,) = pushed.collector.requests()[0].resource_metrics
    (point,) = pushed.metric("jobs_total").sum.data_points
    assert {attribute.key: attribute.value.string_value for attribute in about.resource.attributes} == {
        "service.name": "prethrift",
        "service.instance.id": "one",
    }
    assert about.scope_metrics[0].scope.name == "prethrift_backend.observability"
    assert pushed.metric("jobs_total").sum.is_monotonic
    assert pushed.metric("jobs_total").sum.aggregation_temporality == pb.AGGREGATION_TEMPORALITY_CUMULATIVE
    assert (point.start_time_unix_nano, point.time_unix_nano) == (1_000, 5_000)
    assert pushed.collector.paths == ["/v1/metrics"]


def test_histogram_has_its_bounds_and_what_is_between_them() -> None:
    """Counts are those of each bucket, not of all below, and their number is one more than that of the bounds."""
    pushed = Pushed()
    pushed.wait_seconds(0.05, 0.5, 0.7, 30)
    pushed.once()

    (point,) = pushed.metric("wait_seconds").histogram.data_points
    assert (list(point.explicit_bounds), list(point.bucket_counts)) == ([0.1, 1], [1, 2, 1])
    assert (point.count, point.sum) == (4, 31.25)


def test_exemplars_lead_to_the_trace() -> None:
    """Trace and span are ids, other labels attributes, and an exemplar is sent once."""
    pushed = Pushed()
    exemplar = {"trace_id": "0a" * 16, "span_id": "0b" * 8, "zone": "x"}
    pushed.metrics.histogram("wait_seconds").labels().observe(0.5, exemplar)
    pushed.metrics.counter("jobs_total").labels(kind="a").inc(2, {"trace_id": "no hex"})

    pushed.once(at_ns=2_000)
    first = [
        *pushed.metric("wait_seconds").histogram.data_points[0].exemplars,
        *pushed.metric("jobs_total").sum.data_points[0].exemplars,
    ]
    pushed.once(at_ns=time.time_ns() + 1_000_000)
    pushed.once(at_ns=time.time_ns() + 2_000_000)

    assert [(e.trace_id, e.span_id, e.as_double) for e in first] == [
        (b"\x0a" * 16, b"\x0b" * 8, 0.5),
        (b"", b"", 2),
    ]
    assert [[(a.key, a.value.string_value) for a in e.filtered_attributes] for e in first] == [
        [("zone", "x")],
        [("trace_id", "no hex")],
    ]
    assert not pushed.metric("wait_seconds").histogram.data_points[0].exemplars


def test_crowd_is_sent_in_requests_of_a_bounded_size() -> None:
    """Many series are several requests, none of which has more than its number of points, and nothing is missing."""
    metrics, collector = crowded_metrics(4 * POINTS_A_REQUEST), Collector()

    PeriodicPush(metrics.own_metrics, collector, Watched(), plan=PushPlan(RESOURCE)).push()

    sizes = [
        sum(len(m.sum.data_points) + len(m.gauge.data_points) + len(m.histogram.data_points) for m in metrics_of([r]))
        for r in collector.requests()
    ]
    assert len(sizes) > 1
    assert max(sizes) == POINTS_A_REQUEST
    assert {key for key in scraped_series(metrics.registry.collect()) if not _moves(key)} <= pushed_series(
        collector.requests()
    ).keys()


# Cumulative and delta.


def test_cumulative_pushes_are_totals_since_the_start() -> None:
    """Each push has everything since the process began."""
    pushed = Pushed()
    pushed.count("a", 2)
    first = pushed.once(at_ns=2_000)
    pushed.count("a", 3)
    second = pushed.once(at_ns=3_000)

    assert (_jobs(first), _jobs(second)) == ({"a": 2}, {"a": 5})
    assert pushed.metric("jobs_total").sum.data_points[0].start_time_unix_nano == 1_000


def test_delta_pushes_are_what_was_added() -> None:
    """Each push has what is new since the one before it, from there on; what did not change is not sent."""
    pushed = Pushed(temporality="delta")
    pushed.count("a", 2)
    pushed.count("b")
    pushed.wait_seconds(0.5)
    pushed.once(at_ns=2_000)
    pushed.count("a", 3)
    pushed.wait_seconds(0.5, 5)
    second = pushed.once(at_ns=3_000)
    (jobs,), (waits,) = pushed.metric("jobs_total").sum.data_points, pushed.metric("wait_seconds").histogram.data_points

    assert _jobs(second) == {"a": 3}
    assert pushed.metric("jobs_total").sum.aggregation_temporality == pb.AGGREGATION_TEMPORALITY_DELTA
    assert (jobs.start_time_unix_nano, jobs.time_unix_nano) == (2_000, 3_000)
    assert (waits.count, waits.sum, list(waits.bucket_counts)) == (2, 5.5, [0, 1, 1])


def test_gauges_are_what_they_are_in_either() -> None:
    """A gauge has no beginning, and is sent each time."""
    pushed = Pushed(temporality="delta")
    pushed.metrics.gauge("level_bytes").labels().set(7)

    sent = [pushed.once() for _ in range(2)]

    assert [series["level_bytes", frozenset()] for series in sent] == [7, 7]
    assert pushed.metric("level_bytes").gauge.data_points[0].start_time_unix_nano == 0


def test_counter_that_begins_anew_is_new_as_a_whole() -> None:
    """A count that is read of something else, and falls, is sent as what it is since."""
    pushed = Pushed(temporality="delta")
    readings = iter([5, 8, 2])
    pushed.metrics.observe("read_total", lambda: {(): next(readings)})

    sent = [pushed.once()["read_total", frozenset()] for _ in range(3)]

    assert sent == [5, 3, 2]


_REPLIES = st.sampled_from(["success", "partial", "retry", "failure"])


@given(st.lists(st.tuples(st.integers(0, 9), _REPLIES), max_size=12))
def test_delta_loses_and_doubles_nothing(intervals: list[tuple[int, Outcome]]) -> None:
    """However pushes fail in between, what the receiver has taken adds up to what was counted."""
    pushed = Pushed(*[Reply(outcome) for _, outcome in intervals], temporality="delta")
    for times, _ in intervals:
        pushed.count("a", times)
        pushed.wait_seconds(*[0.5] * times)
        pushed.once()
    pushed.collector.script.clear()
    pushed.once()

    answered = zip(pushed.collector.requests(), pushed.collector.replies, strict=True)
    taken = [pushed_series([request]) for request, reply in answered if reply.outcome in ("success", "partial")]
    total = sum(times for times, _ in intervals)
    assert sum(_jobs(series).get("a", 0) for series in taken) == total
    assert sum(series.get(("wait_seconds_count", frozenset()), 0) for series in taken) == total
    assert sum(series.get(("wait_seconds_sum", frozenset()), 0) for series in taken) == pytest.approx(total / 2)


# When.


def test_first_push_comes_somewhere_in_the_first_interval() -> None:
    """The first pause is a share of the interval, the later ones are whole; there is one more push at the end."""
    pushed = Pushed()

    pushed.run(3)

    assert pushed.waits == [15.0, 60.0, 60.0, 60.0]
    assert len(pushed.collector.bodies) == 4
    assert pushed.collector.is_closed


def test_collector_of_traces_alone_is_told_once_and_asked_rarely() -> None:
    """404, 405, 501 and gRPC's word for it: a quarter of an hour passes until the next attempt, and none at the end."""
    for detail in ("HTTP 404 page not found", "HTTP 405", "HTTP 501 Not Implemented", "UNIMPLEMENTED unknown service"):
        pushed = Pushed(*[Reply("failure", detail=detail)] * 9)

        pushed.run(31)

        assert len(pushed.collector.bodies) == 3
        outcomes = {(exporter, signal, outcome) for exporter, signal, outcome, _ in pushed.watched.exports}
        assert outcomes == {("otlp", "metrics", "failure")}
        assert "it takes no metrics" in pushed.watched.exports[0][3]
        assert pushed.watched.exports[0][3].startswith(detail)


def test_collector_that_takes_metrics_after_all_is_pushed_to_again() -> None:
    """One success, and the pushes come as often as ever."""
    pushed = Pushed(Reply("failure", detail="HTTP 404"))

    pushed.run(20)

    assert [outcome for _, _, outcome, _ in pushed.watched.exports] == ["failure", *["success"] * 6]


def test_receiver_may_ask_for_a_pause() -> None:
    """Retry-After is kept, up to five minutes."""
    for asked, pushes in ((150.0, 4), (86_400.0, 2)):
        pushed = Pushed(Reply("retry", retry_after_seconds=asked))

        pushed.run(6)

        assert len(pushed.collector.bodies) == pushes + 1  # the one at the end


def test_every_request_is_noted() -> None:
    """Success, partial success and failure are told as they come."""
    replies = [Reply("success"), Reply("partial", rejected=1, detail="too old"), Reply("retry", detail="HTTP 503")]
    pushed = Pushed(*replies)

    for _ in replies:
        pushed.once()

    assert pushed.watched.exports == [
        ("otlp", "metrics", "success", ""),
        ("otlp", "metrics", "partial", "too old"),
        ("otlp", "metrics", "retry", "HTTP 503"),
    ]


def test_first_refusal_ends_a_push_of_several_requests() -> None:
    """A receiver that is away costs one request a push, and not one for each thousand points."""
    metrics, collector = crowded_metrics(4 * POINTS_A_REQUEST), Collector([Reply("retry")])

    PeriodicPush(metrics.own_metrics, collector, Watched(), plan=PushPlan(RESOURCE)).push()

    assert len(collector.bodies) == 1


def test_reader_that_fails_is_a_failure_and_no_end() -> None:
    """Whatever a collector raises, the next push may be better."""
    pushed = Pushed()
    broken: Callable[[], Iterator[Metric]] = lambda: iter(()).throw(RuntimeError("secret"))  # type: ignore[attr-defined]  # noqa: E731
    working, pushed.push._read = pushed.push._read, broken

    pushed.push.push()
    pushed.push._read = working
    pushed.push.push()

    assert [outcome for _, _, outcome, _ in pushed.watched.exports] == ["failure", "success"]
    assert "secret" not in pushed.watched.exports[0][3]


def test_closing_keeps_the_deadline() -> None:
    """The last push has what is left of the time; with nothing left there is none."""
    pushed, late = Pushed(), Pushed()
    pushed.push.close(deadline=1.5)
    late.push.close(deadline=0.0)

    pushed.push._push_regularly = pushed.push.push  # type: ignore[method-assign]  # without the wait before it
    pushed.push._run()
    late.push.push()

    assert pushed.collector.timeouts_seconds == [1.5]
    assert late.collector.bodies == []


def test_thread_pushes_at_intervals_and_at_the_end() -> None:
    """The thread pushes by itself, and once more when it is closed; closing again does nothing."""
    metrics, collector = MetricSet(SMALL), Collector()
    push = PeriodicPush(metrics.own_metrics, collector, Watched(), plan=PushPlan(RESOURCE, 0.02))
    push.start()
    wait_for(lambda: len(collector.bodies) >= 2, 20)
    metrics.counter("jobs_total").labels(kind="last").inc()

    for _ in range(2):
        push.close(time.monotonic() + 10)

    assert _jobs(pushed_series(collector.requests()[-1:])) == {"last": 1}
    assert collector.is_closed


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # forking with threads is what is tested
def test_child_is_another_instance_that_counts_from_its_birth() -> None:
    """After a fork the parent's counts stay the parent's, and the child pushes its own under an id of its own."""
    metrics, collector = MetricSet(SMALL), Collector()
    plan = PushPlan(ProcessResource(RESOURCE.attributes), 0.05)
    push = PeriodicPush(metrics.own_metrics, collector, Watched(), plan=plan)
    push.start()
    metrics.counter("jobs_total").labels(kind="a").inc(5)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        _push_in_child(metrics, collector, push, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        told = answer.read().decode()
    os.waitpid(child, 0)
    push.close(time.monotonic() + 10)

    assert told == "2.0 True True"
    assert _jobs(pushed_series(collector.requests()[-1:])) == {"a": 5}


def _push_in_child(metrics: MetricSet, collector: Collector, push: PeriodicPush, writer: int) -> None:
    try:
        collector.bodies.clear()
        wait_for(lambda: collector.bodies, 20)
        metrics.counter("jobs_total").labels(kind="a").inc(2)
        push.close(time.monotonic() + 10)
        (about,) = collector.requests()[-1].resource_metrics
        ids = {a.key: a.value.string_value for a in about.resource.attributes}
        jobs = _jobs(pushed_series(collector.requests()[-1:]))
        told = f"{jobs['a']} {ids['service.instance.id'] != 'one'} {ids['service.name'] == 'prethrift'}"
        os.write(writer, told.encode())
    finally:
        os._exit(0)


# Settings.


@pytest.mark.parametrize(
    "given", [{}, {"otlp_endpoint": "http://127.0.0.1:1", "otlp_metrics_interval_seconds": 0}], ids=["none", "zero"]
)
def test_without_endpoint_or_interval_nothing_is_pushed(given: dict[str, Any]) -> None:
    """No collector, or an interval of 0: there is no thread."""
    settings = Settings(**given)

    made = make_metrics_push(settings, MetricSet(SMALL), Watched(), resource=RESOURCE, clock=Clock())

    assert made is None
