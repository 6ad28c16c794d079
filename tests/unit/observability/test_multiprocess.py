"""The metrics of several workers: added up, steady when one dies, and in a folder that does not grow."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client import Metric, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from tests.support.metric_contracts import differences
from tests.support.metrics_worker import MetricsWorker
from tests.support.pushed_metrics import pushed_series
from tests.support.waiting import wait_for

from prethrift_backend.contracts import load_metrics, parse_metrics
from prethrift_backend.observability._exposition_text import write
from prethrift_backend.observability.metrics import MetricSet
from prethrift_backend.observability.multiprocess import (
    VARIABLE,
    Publisher,
    SharedCollector,
    WorkerFolder,
    open_worker_folder,
    shared_folder,
)

SMALL = """\
# CONTRACT metrics 1.0.0
# HELP contract_violations_total Violations.
# TYPE contract_violations_total counter
# LABEL contract_violations_total family open max=50
# LABEL contract_violations_total label open max=50
# HELP jobs_total Jobs.
# TYPE jobs_total counter
# LABEL jobs_total kind enum a|b|_OTHER overflow=_OTHER
# HELP runs_total Runs, read at the scrape.
# TYPE runs_total counter
# HELP wait_seconds Wait.
# TYPE wait_seconds histogram
# BUCKETS wait_seconds 0.1 1
# HELP busy Busy.
# TYPE busy gauge
# META busy across=sum
# HELP peak Peak.
# TYPE peak gauge
# META peak across=max
# HELP floor Floor.
# TYPE floor gauge
# META floor across=min
# EXTERNAL process_*
# EXTERNAL python_*
"""


@pytest.fixture
def folder(tmp_path: Path) -> WorkerFolder:
    """Return an empty folder that workers share."""
    return WorkerFolder(tmp_path)


@pytest.fixture
def pair(folder: WorkerFolder) -> Iterator[tuple[MetricsWorker, MetricsWorker]]:
    """Run two workers with the small contract."""
    with MetricsWorker(folder.path, contract=SMALL) as one, MetricsWorker(folder.path, contract=SMALL) as other:
        one.scrape()
        other.scrape()
        yield one, other


def _count(worker: MetricsWorker, kind: str, times: int) -> None:
    worker.run(f"metrics.counter('jobs_total').labels(kind={kind!r}).inc({times})")


def test_counters_of_two_workers_add_up_in_either(pair: tuple[MetricsWorker, MetricsWorker]) -> None:
    """Whichever worker answers, the counter is the sum, at once."""
    for worker, times in zip(pair, (2, 3), strict=True):
        _count(worker, "a", times)

    assert [worker.value("jobs_total", kind="a") for worker in pair] == [5, 5]


def test_histograms_of_two_workers_add_up(pair: tuple[MetricsWorker, MetricsWorker]) -> None:
    """Buckets, sum and count are those of all observations, and in the order that a histogram has."""
    for worker, seconds in zip(pair, (0.05, 0.5), strict=True):
        worker.run(f"metrics.histogram('wait_seconds').labels().observe({seconds})")

    metric = next(metric for metric in pair[0].scrape() if metric.name == "wait_seconds")

    assert [(sample.name, sample.labels.get("le"), sample.value) for sample in metric.samples] == [
        ("wait_seconds_bucket", "0.1", 1),
        ("wait_seconds_bucket", "1.0", 2),
        ("wait_seconds_bucket", "+Inf", 2),
        ("wait_seconds_count", None, 2),
        ("wait_seconds_sum", None, 0.55),
    ]


@pytest.mark.parametrize(("name", "expected"), [("busy", 9), ("peak", 7), ("floor", 2)])
def test_gauges_follow_the_rule_of_their_contract(
    pair: tuple[MetricsWorker, MetricsWorker], name: str, expected: float
) -> None:
    """across= says whether the workers' values are added, or the greatest or least is shown."""
    for worker, value in zip(pair, (2, 7), strict=True):
        worker.run(f"metrics.gauge({name!r}).labels().set({value})")
        worker.run("metrics.publish()")

    assert [worker.value(name) for worker in pair] == [expected, expected]


def test_observed_values_of_all_workers_are_shown(pair: tuple[MetricsWorker, MetricsWorker]) -> None:
    """What a worker reads of itself is there in the scrape of another once it is published."""
    for worker, value in zip(pair, (4, 6), strict=True):
        worker.run(f"metrics.observe('busy', lambda: {{(): {value}}})")
        worker.run(f"metrics.observe('runs_total', lambda: {{(): {value}}})")
        worker.run("metrics.publish()")

    assert [(worker.value("busy"), worker.value("runs_total")) for worker in pair] == [(10, 10), (10, 10)]


def test_observed_counter_that_cannot_be_read_does_not_fall(pair: tuple[MetricsWorker, MetricsWorker]) -> None:
    """A reader that fails leaves the counter at its last value and the gauge away; the failure is counted."""
    worker = pair[0]
    for name in ("busy", "runs_total"):
        worker.run(f"metrics.observe({name!r}, lambda: {{(): 4}})")
    worker.scrape()
    for name in ("busy", "runs_total"):
        worker.run(f"metrics.observe({name!r}, lambda: 1 / 0)")

    values = worker.values()

    assert values["runs_total", frozenset()] == 4
    assert values["busy", frozenset()] == 0  # the other worker's
    assert values["contract_violations_total", frozenset({("family", "busy"), ("label", "_callback")})] == 1


def test_killed_worker_leaves_its_counts_and_takes_its_gauges(
    pair: tuple[MetricsWorker, MetricsWorker], folder: WorkerFolder
) -> None:
    """After SIGKILL and the folding nothing that was counted is lost or doubled; gauges are the others'."""
    one, other = pair
    for worker in pair:
        _count(worker, "a", 5)
        worker.run("metrics.histogram('wait_seconds').labels().observe(0.5)")
        worker.run("metrics.gauge('busy').labels().set(1)")
        worker.run("metrics.observe('runs_total', lambda: {(): 7})")
        worker.run("metrics.publish()")
    before = other.values()

    one.kill()
    unfolded = other.values()
    folder.fold_all_but({other.pid})
    folded = other.values()

    counted = [key for key in before if key[0].startswith(("jobs", "runs", "wait"))]
    assert len(counted) == 7
    assert {key: unfolded[key] for key in counted} == {key: before[key] for key in counted}
    assert {key: folded[key] for key in counted} == {key: before[key] for key in counted}
    assert (before["busy", frozenset()], folded["busy", frozenset()]) == (2, 1)
    assert all(folded[key] >= value for key, value in before.items() if key[0] == "process_cpu_seconds_total")


def test_folder_does_not_grow_with_the_workers_that_have_been(folder: WorkerFolder) -> None:
    """After many workers there are as many files as after the first one, and the sum is still exact."""
    sizes = []
    with MetricsWorker(folder.path, contract=SMALL) as watcher:
        watcher.scrape()  # it has its files now
        for _ in range(4):
            with MetricsWorker(folder.path, contract=SMALL) as worker:
                _count(worker, "b", 3)
                worker.scrape()
            folder.fold_all_but({watcher.pid})
            sizes.append((len(list(folder.path.iterdir())), sum(path.stat().st_size for path in folder.path.iterdir())))

        assert watcher.value("jobs_total", kind="b") == 12
    assert {count for count, _ in sizes} == {sizes[0][0]}
    assert sizes[-1][1] <= sizes[0][1] + 1024


def test_worker_of_the_same_process_id_goes_on_counting(folder: WorkerFolder) -> None:
    """A process id that comes again after a folding starts at nothing, and the sum at what was counted."""
    with MetricsWorker(folder.path, contract=SMALL) as watcher:
        with MetricsWorker(folder.path, contract=SMALL) as worker:
            _count(worker, "a", 2)
        mapped = (folder.path / f"counter_{worker.pid}.db").read_bytes()
        folder.fold_all_but({watcher.pid})
        (folder.path / f"counter_{worker.pid}.db").write_bytes(mapped)

        assert watcher.value("jobs_total", kind="a") == 4


def test_folding_waits_for_a_scrape(pair: tuple[MetricsWorker, MetricsWorker], folder: WorkerFolder) -> None:
    """While a scrape reads, no file is touched; the next call folds."""
    pair[0].kill()
    files = set(folder.path.iterdir())

    with folder.reading():
        folder.fold_all_but({pair[1].pid})
        during = set(folder.path.iterdir())
    folder.fold_all_but({pair[1].pid})

    assert during == files
    assert not [path for path in folder.path.iterdir() if str(pair[0].pid) in path.name]


@pytest.mark.parametrize("refused", ["counter", "histogram"])
def test_full_disk_loses_and_doubles_nothing(
    pair: tuple[MetricsWorker, MetricsWorker], folder: WorkerFolder, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    """A folding that cannot write all it has to raises; what was counted is there once, then and after the next try."""
    _count(pair[0], "a", 5)
    pair[0].run("metrics.histogram('wait_seconds').labels().observe(0.5)")
    pair[0].kill()
    write = Path.write_bytes

    def refuse(path: Path, data: bytes) -> int:
        if path.name.startswith(refused):
            raise OSError(28, "No space left on device")
        return write(path, data)

    counts: list[tuple[float | None, float | None]] = []
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", refuse)
        with pytest.raises(OSError, match="No space left"):
            folder.fold_all_but({pair[1].pid})
        counts.append((pair[1].value("jobs_total", kind="a"), pair[1].value("wait_seconds_count")))
    folder.fold_all_but({pair[1].pid})
    counts.append((pair[1].value("jobs_total", kind="a"), pair[1].value("wait_seconds_count")))

    assert counts == [(5, 1), (5, 1)]


def test_file_that_is_just_being_made_does_not_break_a_scrape(
    pair: tuple[MetricsWorker, MetricsWorker], folder: WorkerFolder
) -> None:
    """A worker that starts makes its files empty first."""
    (folder.path / "counter_1.db").touch()

    assert pair[0].scrape()


def test_counts_of_a_library_stay_out_of_the_scrape(pair: tuple[MetricsWorker, MetricsWorker]) -> None:
    """The mapped files are shared by everything that uses prometheus_client; only what is promised is served."""
    pair[0].run("import prometheus_client; prometheus_client.Counter('theirs_total', 'Theirs.').inc()")

    assert pair[1].value("theirs_total") is None


def test_exemplars_are_dropped_without_a_fault(pair: tuple[MetricsWorker, MetricsWorker]) -> None:
    """The files have no room for exemplars: whoever gives one is counted as ever, and can ask before."""
    exemplar = "{'trace_id': 'a' * 32, 'span_id': 'b' * 16}"
    pair[0].run("assert not metrics.takes_exemplars")
    pair[0].run(f"metrics.counter('jobs_total').labels(kind='a').inc(1, {exemplar})")
    pair[0].run(f"metrics.histogram('wait_seconds').labels().observe(0.5, {exemplar})")

    assert pair[1].value("jobs_total", kind="a") == 1
    assert pair[1].value("wait_seconds_count") == 1


def test_each_worker_pushes_its_own(pair: tuple[MetricsWorker, MetricsWorker], tmp_path: Path) -> None:
    """What goes out by OTLP is one worker's alone: a receiver adds the workers up, and would count a sum twice."""
    written = tmp_path.parent / f"{tmp_path.name}-pushed"
    for worker, times in zip(pair, (2, 3), strict=True):
        _count(worker, "a", times)
        worker.run(f"from tests.support.pushed_metrics import push_to_file; push_to_file(metrics, {str(written)!r})")
        pushed = pushed_series([ExportMetricsServiceRequest.FromString(written.read_bytes())])

        assert pushed["jobs_total", frozenset({("kind", "a")})] == times
        assert pushed["busy", frozenset()] == 0
        assert ("process_cpu_seconds_total", frozenset()) in pushed


def test_process_figures_are_of_the_set_of_workers(pair: tuple[MetricsWorker, MetricsWorker]) -> None:
    """CPU time and memory are sums, the start is that of the oldest, and the interpreter is shown once."""
    metrics = {metric.name: metric for metric in pair[0].scrape()}
    resident_kb = [
        int(line.split()[1])
        for worker in pair
        for line in Path(f"/proc/{worker.pid}/status").read_text().splitlines()
        if line.startswith("VmRSS")
    ]
    started = [Path(f"/proc/{worker.pid}").stat().st_ctime for worker in pair]

    assert metrics["process_resident_memory_bytes"].samples[0].value > 1024 * max(resident_kb) * 1.5
    assert metrics["process_start_time_seconds"].samples[0].value < min(started) + 1.5
    assert [sample.value for sample in metrics["python_info"].samples] == [1]


def test_labels_outside_the_contract_are_bounded_in_each_worker(pair: tuple[MetricsWorker, MetricsWorker]) -> None:
    """A value that is not allowed is the overflow value in every worker, and each use is counted once."""
    for worker in pair:
        _count(worker, "unheard-of", 1)

    values = pair[1].values()

    assert values["jobs_total", frozenset({("kind", "_OTHER")})] == 2
    assert values["contract_violations_total", frozenset({("family", "jobs_total"), ("label", "kind")})] == 2


def test_shipped_contract_holds_over_several_workers(folder: WorkerFolder) -> None:
    """Two workers serve every promised family as promised, nothing else, and each info once."""
    with MetricsWorker(folder.path) as one, MetricsWorker(folder.path) as other:
        fresh = {metric.name for metric in one.scrape()}
        for worker in (one, other):
            worker.run("from tests.support.metric_contracts import use_every_family; use_every_family(metrics)")
            worker.run("metrics.publish()")
        served = one.scrape()
    contract = load_metrics()

    assert differences(served, contract) == set()
    assert {family.name.removesuffix("_total") for family in contract.families} <= fresh
    infos = [metric.samples for metric in served if metric.name in ("build_info", "contract_info")]
    assert [[sample.value for sample in samples] for samples in infos] == [[1], [1]]


def test_sums_are_those_that_prometheus_client_makes(folder: WorkerFolder) -> None:
    """Every counter and histogram of two workers is, sample by sample, what the library's own collector adds up."""
    with MetricsWorker(folder.path) as one, MetricsWorker(folder.path) as other:
        for worker in (one, other, other):
            worker.run("from tests.support.metric_contracts import use_every_family; use_every_family(metrics)")
        served = one.values()
        library: Any = MultiProcessCollector.merge
        merged = library([str(path) for kind in ("counter", "histogram") for path in folder.path.glob(f"{kind}_*.db")])

    expected = {(s.name, frozenset(s.labels.items())): s.value for metric in merged for s in metric.samples}
    assert len(expected) > 200
    assert {key: served.get(key) for key in expected} == expected


def test_both_formats_of_several_workers_are_the_librarys(folder: WorkerFolder) -> None:
    """What is written line by line is what prometheus_client writes of the same samples, in the same order."""
    with MetricsWorker(folder.path) as one, MetricsWorker(folder.path) as other:
        for worker in (one, other):
            worker.run("from tests.support.metric_contracts import use_every_family; use_every_family(metrics)")
            worker.run("metrics.publish()")
        contract = load_metrics()
        metrics = list(SharedCollector(folder, contract.families, tuple).collect())

    for openmetrics, generate in ((False, generate_latest), (True, generate_openmetrics)):
        registry: Any = _Fixed(metrics)
        library: Any = generate
        assert b"".join(write(metrics, openmetrics=openmetrics)) == library(registry)


class _Fixed:
    """What has `collect`, and always gives the same."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


def test_series_at_the_start_are_there_before_any_use(folder: WorkerFolder) -> None:
    """init= holds over several workers: 0, and not twice."""
    with MetricsWorker(folder.path) as one, MetricsWorker(folder.path) as other:
        other.scrape()
        values = one.values()

    searches = [value for (name, _), value in values.items() if name == "search_operations_total"]
    assert searches == [0] * 6


def test_the_only_process_shares_nothing() -> None:
    """Without the variable there is no folder, and nothing to publish."""
    assert shared_folder() is None
    assert MetricSet(parse_metrics(SMALL, source="small.txt")).publish is None


# The folder.


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let temporary folders be made in this test's own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv(VARIABLE, raising=False)
    return tmp_path


def test_folder_is_private_told_and_removed(temporary: Path) -> None:
    """Inside the block the variable names a folder that only this user can enter; afterwards both are gone."""
    with open_worker_folder() as folder:
        assert os.environ[VARIABLE] == str(folder.path)
        assert folder.path.stat().st_mode & 0o777 == 0o700
        assert folder.path.parent == temporary

    assert VARIABLE not in os.environ
    assert list(temporary.iterdir()) == []


def test_variable_of_the_environment_comes_back(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that the environment named is not used, and is named again afterwards."""
    monkeypatch.setenv(VARIABLE, "/elsewhere")
    with open_worker_folder() as folder:
        assert folder.path.parent == temporary

    assert os.environ[VARIABLE] == "/elsewhere"


def test_folder_of_a_killed_server_is_removed_and_that_of_a_living_one_kept(temporary: Path) -> None:
    """A start clears what was left behind, and does not touch a server beside it or anybody else's folder."""
    left = temporary / "prethrift-metrics-left"
    left.mkdir()
    (left / "counter_1.db").touch()
    (temporary / ".prethrift-metrics-starting").mkdir()
    with open_worker_folder() as living, open_worker_folder() as second:
        kept = set(temporary.iterdir())

        assert kept == {living.path, second.path, temporary / ".prethrift-metrics-starting"}


# The publisher.


def test_publisher_publishes_at_once_and_at_the_end() -> None:
    """Other workers see a new one at its start, and its last word at its end."""
    calls: list[bool] = []
    closing = threading.Event()
    publisher = Publisher(lambda: calls.append(closing.is_set()), on_error=lambda _: None)
    wait_for(lambda: calls, 5, what="the first publishing")
    closing.set()
    publisher.close(time.monotonic() + 10)

    assert (calls[0], calls[-1]) == (False, True)


def test_publisher_reports_a_failure_and_goes_on() -> None:
    """A folder that cannot be written to is told of, and tried again."""
    errors: list[Exception] = []

    def fail() -> None:
        raise OSError("full")

    publisher = Publisher(fail, on_error=errors.append)
    wait_for(lambda: errors, 5, what="the first failure")
    publisher.close(time.monotonic() + 10)

    assert [str(error) for error in errors] == ["full"] * len(errors)
    assert len(errors) >= 2


def test_scrapes_and_publishing_at_once_do_not_meet(folder: WorkerFolder) -> None:
    """Several threads that publish leave whole notes behind."""
    metric = Metric("busy", "Busy.", "gauge")
    metric.add_sample("busy", {}, 3)
    collector = SharedCollector(folder, parse_metrics(SMALL, source="small.txt").families, lambda: [metric])

    def publish() -> None:
        for _ in range(50):
            collector.publish()

    with ThreadPoolExecutor(4) as pool:
        publishing = [pool.submit(publish) for _ in range(4)]
        seen = [sample.value for _ in range(50) for found in collector.collect() for sample in found.samples]

    assert [done.exception() for done in publishing] == [None] * 4
    assert seen == [3] * 50
