"""The two text formats: byte by byte what prometheus_client writes of the same values, and read by its parsers."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any
from unittest.mock import patch

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import Collector
from prometheus_client.samples import BucketSpan, Exemplar, NativeHistogram, Sample, Timestamp
from tests.support.crowds import crowded_metrics

from prethrift_backend.contracts import MetricFamily, parse_metrics
from prethrift_backend.observability import _pace
from prethrift_backend.observability._exposition_text import number_text, write
from prethrift_backend.observability.metrics import MetricSet

CONTRACT = parse_metrics(
    """\
# CONTRACT metrics 1.0.0
# HELP jobs_total Jobs, "quoted" and with a \\\\ backslash.
# TYPE jobs_total counter
# LABEL jobs_total zone open
# LABEL jobs_total kind open
# HELP plain_total Plain.
# TYPE plain_total counter
# HELP level Level.
# TYPE level gauge
# LABEL level kind open
# HELP bare Bare.
# TYPE bare gauge
# HELP wait_seconds Wait.
# TYPE wait_seconds histogram
# LABEL wait_seconds zone open
# LABEL wait_seconds apple open
# BUCKETS wait_seconds 0.1 1 2500000
# HELP size Size.
# TYPE size histogram
# BUCKETS size -1 0 1
# HELP last_seconds Last.
# TYPE last_seconds histogram
# LABEL last_seconds zone open
# BUCKETS last_seconds 1
""",
    source="text.txt",
)
NOW = 1_700_000_000.25


def _written(metrics: Iterable[Metric], *, openmetrics: bool) -> str:
    return b"".join(write(metrics, openmetrics=openmetrics)).decode()


def _openmetrics(text: str) -> list[Metric]:
    return list(parse_openmetrics(text))  # type: ignore[no-untyped-call]  # published without types


def _by_library(registry: Any, *, openmetrics: bool) -> str:
    generate: Any = generate_openmetrics if openmetrics else generate_latest
    text: str = generate(registry).decode()
    return text


class _WithoutCreation(Collector):
    """A collector of prometheus_client without the samples that we leave out."""

    def __init__(self, parent: Any) -> None:
        self._parent = parent

    def collect(self) -> Iterator[Metric]:
        for metric in self._parent.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


def _parent(family: MetricFamily) -> Any:
    options = {"buckets": family.buckets} if family.kind == "histogram" else {}
    make = getattr(prometheus_client, family.kind.capitalize())
    return make(family.name, family.help, family.label_names, registry=None, **options)


_LABEL_VALUES = st.sampled_from(["", "a", 'q"', "back\\slash", "line\nfeed", "\u2028ü", "x" * 40])
_AMOUNTS = st.one_of(
    st.floats(0, 10), st.floats(0), st.integers(0, 10**9), st.sampled_from([1e6, 999_999.5, 1e16, 1e21, 5e-324])
)
_EXEMPLARS = st.sampled_from([None, {"trace_id": "a" * 32}, {"trace_id": "b" * 32, "span_id": 'c"\\'}])
_USES = st.lists(
    st.tuples(st.sampled_from(CONTRACT.families), st.lists(_LABEL_VALUES, min_size=2), _AMOUNTS, _EXEMPLARS),
    max_size=12,
)


def _use(child: Any, kind: str, amount: float, exemplar: dict[str, str] | None) -> None:
    if kind == "histogram":
        child.observe(amount, exemplar)
    elif kind == "counter":
        child.inc(amount, exemplar)
    else:
        child.set(-amount)


@given(_USES)
def test_families_are_written_as_the_library_writes_them(uses: list[tuple[MetricFamily, list[str], Any, Any]]) -> None:
    """Whatever was counted under whichever labels, both formats have the library's bytes, exemplars included."""
    ours, parents = MetricSet(CONTRACT), {family.name: _parent(family) for family in CONTRACT.families}
    with patch("time.time", return_value=NOW):
        for family, values, amount, exemplar in uses:
            labels = dict(zip(family.label_names, values, strict=False))
            _use(ours.family(family.name).labels(**labels), family.kind, amount, exemplar)
            parent = parents[family.name]
            _use(parent.labels(**labels) if labels else parent, family.kind, amount, exemplar)

    theirs = CollectorRegistry()
    for parent in parents.values():
        theirs.register(_WithoutCreation(parent))
    metrics = [metric for name in parents for metric in ours.family(name).collect()]

    assert _written(metrics, openmetrics=False) == _by_library(theirs, openmetrics=False)
    assert _written(metrics, openmetrics=True) == _by_library(theirs, openmetrics=True)


@given(_USES)
def test_samples_are_those_that_are_written(uses: list[tuple[MetricFamily, list[str], Any, Any]]) -> None:
    """Whoever collects the samples, as other exporters do, sees what a scrape shows."""
    ours = MetricSet(CONTRACT)
    for family, values, amount, exemplar in uses:
        labels = dict(zip(family.label_names, values, strict=False))
        _use(ours.family(family.name).labels(**labels), family.kind, amount, exemplar)
    metrics = [metric for family in CONTRACT.families for metric in ours.family(family.name).collect()]

    assert _written(metrics, openmetrics=True) == _by_library(_Fixed(metrics), openmetrics=True)


class _Fixed:
    """What has `collect`, and always gives the same."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


_NAMES = st.sampled_from(["up", "jobs", "jobs_total", "with:colon", "with.dot", "ü"])
_KINDS = st.sampled_from(
    ["counter", "gauge", "summary", "histogram", "gaugehistogram", "unknown", "info", "stateset", "untyped"]
)
_NUMBERS = st.one_of(st.floats(), st.integers(-(10**20), 10**20))
_TIMES = st.one_of(st.none(), st.none(), st.floats(0, 1e10), st.builds(Timestamp, st.just(5), st.just(7)))
_NATIVE = NativeHistogram(3, 2.5, 1, 0.001, 0, [BucketSpan(0, 2)], None, [1, 1], None)


@st.composite
def _metrics(draw: st.DrawFn) -> Metric:
    metric = Metric(draw(_NAMES), draw(st.text(max_size=9)), draw(_KINDS), draw(st.sampled_from(["", "", "seconds"])))
    suffixes = st.sampled_from(["", "_total", "_bucket", "_count", "_sum", "_created", "_gsum", "_gcount", "_info"])
    for _ in range(draw(st.integers(0, 4))):
        labels = draw(st.dictionaries(st.sampled_from(["b", "a", "le", "a.b"]), _LABEL_VALUES, max_size=3))
        exemplar = draw(st.sampled_from([None, None, Exemplar({"trace_id": "a"}, 0.5, NOW), Exemplar({}, 1, None)]))
        native = draw(st.sampled_from([None, None, None, _NATIVE]))
        name = metric.name + draw(suffixes)
        metric.samples.append(Sample(name, labels, draw(_NUMBERS), draw(_TIMES), exemplar, native))
    return metric


@given(st.lists(_metrics(), max_size=3), st.booleans())
def test_any_other_metric_is_written_as_the_library_writes_it(metrics: list[Metric], openmetrics: bool) -> None:
    """Collectors of other people may yield what they like; where the library refuses, so do we."""
    try:
        expected = _by_library(_Fixed(metrics), openmetrics=openmetrics)
    except ValueError as error:
        with pytest.raises(type(error), match="exemplars"):
            _written(metrics, openmetrics=openmetrics)
    else:
        assert _written(metrics, openmetrics=openmetrics) == expected


@given(_NUMBERS)
def test_numbers_are_read_as_they_were(number: float) -> None:
    """What is written of a value is that value again, infinities and no-numbers included."""
    read = float(number_text(number))

    assert read == float(number) or (math.isnan(read) and math.isnan(number))


def test_crowd_is_read_by_the_parsers() -> None:
    """Many series, in several pieces, are read back by both parsers with their values."""
    metrics = crowded_metrics(1000)
    text = list(parse_text(_written(metrics.registry.collect(), openmetrics=False)))
    openmetrics = _openmetrics(_written(metrics.registry.collect(), openmetrics=True))

    for families in (text, openmetrics):
        (counter,) = (family for family in families if family.name == "requests")
        assert {sample.labels["endpoint"]: sample.value for sample in counter.samples} == {
            f"/api/items/{number}": number for number in range(len(counter.samples))
        }
        assert len(counter.samples) > 250


def test_pieces_are_whole_lines() -> None:
    """No line is divided between two pieces, and none of them is large."""
    pieces = list(write(crowded_metrics(2000).registry.collect(), openmetrics=False))

    assert all(piece.endswith(b"\n") for piece in pieces)
    assert max(piece.count(b"\n") for piece in pieces) <= 260


def test_exemplar_shows_in_openmetrics_only() -> None:
    """Trace and span are behind the bucket and the counter in OpenMetrics; the text format has no room for them."""
    metrics, ids = MetricSet(CONTRACT), {"trace_id": "a" * 32, "span_id": "b" * 16}
    metrics.histogram("last_seconds").labels(zone="a").observe(0.5, ids)
    metrics.counter("plain_total").labels().inc(1, ids)
    families = [family for name in ("last_seconds", "plain_total") for family in metrics.family(name).collect()]

    text, openmetrics = (_written(families, openmetrics=wanted) for wanted in (False, True))

    samples = [sample for family in _openmetrics(openmetrics) for sample in family.samples]
    shown = {sample.name: sample.exemplar.labels for sample in samples if sample.exemplar}
    assert shown == {"last_seconds_bucket": ids, "plain_total": ids}
    assert "trace_id" not in text


def test_exemplar_is_held_to_its_length() -> None:
    """OpenMetrics allows 128 characters for an exemplar's names and values together; more is refused when given."""
    child = MetricSet(CONTRACT).counter("plain_total").labels()
    child.inc(1, {"trace_id": "x" * 120})

    with pytest.raises(ValueError, match="limit of 128"):
        child.inc(1, {"trace_id": "x" * 121})


def test_pauses_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every look at the clock is a slice later, there is a pause for every series."""
    pauses: list[float] = []
    clock = iter(range(10**9))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    monkeypatch.setattr(time, "sleep", pauses.append)
    metrics = crowded_metrics(500)

    list(write(metrics.registry.collect(), openmetrics=False))

    assert len(pauses) >= 500
    assert set(pauses) == {_pace._PAUSE_SECONDS}


def test_other_threads_have_turns_while_a_crowd_is_written() -> None:
    """A thread that only counts gets on while another writes: the pauses let go of the interpreter's lock."""
    metrics, turns, ended = crowded_metrics(5000), [0], threading.Event()

    def take_turns() -> None:
        while not ended.is_set():
            turns[0] += 1
            time.sleep(0)

    thread = threading.Thread(target=take_turns)
    thread.start()
    try:
        before = turns[0]
        list(write(metrics.registry.collect(), openmetrics=True))
        after = turns[0]
    finally:
        ended.set()
        thread.join()

    assert after > before
