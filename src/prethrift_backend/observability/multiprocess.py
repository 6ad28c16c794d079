"""The metrics of several worker processes, added up in whichever of them answers the scrape.

The workers of one server share a folder. Counters and histograms are prometheus_client's multiprocess mode: each worker
keeps its values in memory that is mapped to a file of its own. What is read at the scrape cannot be read in another
process, so that each worker writes it down once a second, in one small file that is replaced as a whole: its gauges,
the families of `MetricSet.observe`, and the figures of its process and interpreter.

The supervisor folds the files of a worker that is gone into one: what it had counted stays counted, its gauges vanish,
and the folder does not grow with the number of workers that there have been. A scrape and a folding take turns by a
lock on a file, which the system gives back whoever is killed.

Exemplars are not there with several workers: prometheus_client's files have no room for them.
"""

from __future__ import annotations

import fcntl
import json
import operator
import os
import shutil
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from prometheus_client import Metric, values
from prometheus_client import mmap_dict as untyped_mmap_dict
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from prethrift_backend.contracts import MetricFamily
from prethrift_backend.observability._exposition_text import LiveMetric, label_text, number_text
from prethrift_backend.observability._pace import Pace

# prometheus_client looks for it when it is imported, and keeps to what it found.
VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
_PREFIX: Final = "prethrift-metrics-"

_TURN: Final = "turn"  # locked by a scrape (shared) or a folding (alone)
_GONE: Final = "gone"  # in the place of a process id: the sum of the workers that are gone
_MAPPED: Final = ("counter", "histogram")
_NOTES: Final = "notes"

# Arbitrary: far below any scrape interval, and the writing takes a millisecond.
_PUBLISH_SECONDS: Final = 1.0

# What is not the sum of the workers' values in the families of prometheus_client itself.
_ACROSS_OF_LIBRARIES: Final[Mapping[str, str]] = {"process_start_time_seconds": "min", "python_info": "max"}
_COMBINE: Final[Mapping[str, Callable[[float, float], float]]] = {"sum": operator.add, "max": max, "min": min}

# It has no types.
_MappedDict: Final[Any] = untyped_mmap_dict.MmapedDict

_Labels = tuple[tuple[str, str], ...]
_Series = tuple[str, _Labels]
_Note = tuple[str, str, str, list[tuple[str, dict[str, str], float]]]
# The series of one family in the mapped files, those of one histogram together.
_Groups = dict[_Labels, list[tuple["_Mapped", float]]]


class WorkerFolder:
    """The folder of one server's workers; each of its methods says who calls it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write_notes(self, metrics: Iterable[Metric]) -> None:
        """Put a worker's readings in the place of its earlier ones (worker)."""
        self._write_notes(str(os.getpid()), [_note(metric) for metric in metrics])

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep the files as they are for as long as the block lasts (worker)."""
        with self._turn(fcntl.LOCK_SH):
            yield

    def read_mapped(self) -> Iterator[tuple[str, float]]:
        """Yield key and value of the counters and histograms of all workers, those that are gone included (worker)."""
        for path in (path for kind in _MAPPED for path in self.path.glob(f"{kind}_*.db")):
            if path.stat().st_size:  # it is empty for the moment between its making and its first value
                for key, value, _, _ in _MappedDict.read_all_values_from_file(str(path)):
                    yield key, value

    def read_notes(self) -> Iterator[_Note]:
        """Yield the readings of each worker, and what remains of those that are gone (worker)."""
        for path in sorted(self.path.glob(f"{_NOTES}_*.json")):
            yield from json.loads(path.read_text())

    def fold_all_but(self, living: Collection[int]) -> None:
        """Fold the files of workers that are gone into one; leave it for the next time when a scrape is under way.

        Only the supervisor calls it, between starting one worker and the next. OSError where the disk is full: the
        files are then left as they are, and count as before.
        """
        kept = {_GONE, *map(str, living)}
        gone = {process for path in self.path.iterdir() if (process := _process_of(path)) not in kept}
        gone.discard("")
        if not gone:
            return
        with suppress(BlockingIOError), self._turn(fcntl.LOCK_EX | fcntl.LOCK_NB):
            for process in gone:
                self._fold(process)

    def _fold(self, process: str) -> None:
        for kind in _MAPPED:
            self._fold_mapped(self.path / f"{kind}_{_GONE}.db", self.path / f"{kind}_{process}.db")
        self._fold_notes(process)
        for path in self.path.iterdir():
            if _process_of(path) == process:
                path.unlink()  # gauges of prometheus_client, which nobody reads, and notes that were not finished

    def _fold_mapped(self, into: Path, source: Path) -> None:
        if not source.exists():
            return
        totals: dict[str, float] = defaultdict(float)
        for path in (into, source):
            if path.exists() and path.stat().st_size:
                for key, value, _, _ in _MappedDict.read_all_values_from_file(str(path)):
                    totals[key] += value
        _write_mapped(into, totals)
        source.unlink()

    def _fold_notes(self, process: str) -> None:
        """Add the counters among a worker's readings to those of the workers before it."""
        source, into = (self.path / f"{_NOTES}_{name}.json" for name in (process, _GONE))
        if not source.exists():
            return
        totals = _Totals({})
        for path in (into, source):
            for note in json.loads(path.read_text()) if path.exists() else ():
                if note[2] == "counter":
                    totals.add_note(note)
        self._write_notes(_GONE, [_note(metric) for metric in totals.metrics()])
        source.unlink()

    def _write_notes(self, process: str, notes: list[_Note]) -> None:
        unfinished = self.path / f"{_NOTES}_{process}.new"
        unfinished.write_text(json.dumps(notes))
        unfinished.replace(self.path / f"{_NOTES}_{process}.json")

    @contextmanager
    def _turn(self, operation: int) -> Iterator[None]:
        descriptor = os.open(self.path / _TURN, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, operation)
            yield
        finally:
            os.close(descriptor)  # gives the lock back, too


def _process_of(path: Path) -> str:
    """Return which process a file is of; nothing for a file that is of none."""
    is_ours = path.name.startswith((*_MAPPED, "gauge", "summary", _NOTES)) and "_" in path.name
    return path.stem.rpartition("_")[2] if is_ours else ""


def _write_mapped(path: Path, totals: Mapping[str, float]) -> None:
    unfinished = path.with_suffix(".new")
    # Written in full before it is mapped: a full disk is then an error, and not a signal that ends the supervisor.
    unfinished.write_bytes(bytes(4096 + sum(len(key.encode()) + 32 for key in totals)))
    mapped = _MappedDict(str(unfinished))
    for key, value in totals.items():
        mapped.write_value(key, value, 0.0)
    mapped.close()
    unfinished.replace(path)


def _note(metric: Metric) -> _Note:
    samples = [(sample.name, sample.labels, sample.value) for sample in metric.samples]
    return metric.name, metric.documentation, metric.type, samples


@dataclass(frozen=True, slots=True)
class _Mapped:
    """What a key of the mapped files stands for, and how its line begins; ``bound`` is that of a bucket."""

    family: str
    name: str
    labels: _Labels
    group: _Labels
    bound: float | None
    start: str

    @classmethod
    def of(cls, key: str) -> _Mapped:
        family, name, given, _ = json.loads(key)
        labels = tuple(sorted(given.items()))
        group = tuple(label for label in labels if label[0] != "le")
        bound = float(given["le"]) if "le" in given else None
        return cls(family, name, labels, group, bound, _start(name, labels))

    def named(self, name: str) -> _Mapped:
        """Return the same series under another name."""
        return replace(self, name=name, start=_start(name, self.labels))


def _start(name: str, labels: _Labels) -> str:
    text = label_text(labels)
    return f"{name}{{{text}}} " if text else f"{name} "


class SumMetric(LiveMetric):
    """A counter or histogram of all workers."""

    def __init__(self, about: Metric, groups: _Groups) -> None:
        super().__init__(about.name, about.documentation, about.type)
        self._groups = groups

    def lines(self, *, with_exemplars: bool) -> Iterator[str]:  # noqa: ARG002 - the files have no room for them
        """Yield a line for each series."""
        for series, value in self._each():
            yield f"{series.start}{number_text(value)}\n"

    def read(self) -> Iterator[Sample]:
        """Yield a sample for each series."""
        for series, value in self._each():
            yield Sample(series.name, dict(series.labels), value)

    def _each(self) -> Iterator[tuple[_Mapped, float]]:
        for group in self._groups.values():
            yield from _accumulated(group, self.name) if self.type == "histogram" else group


def _accumulated(group: list[tuple[_Mapped, float]], family: str) -> Iterator[tuple[_Mapped, float]]:
    """Yield a histogram as it is shown: each bucket with all below it, their count, the sum."""
    buckets = [(series.bound, series, value) for series, value in group if series.bound is not None]
    total = 0.0
    for _, bucket, value in sorted(buckets, key=itemgetter(0)):
        total += value
        yield bucket, total
    for series, value in group:
        if series.bound is None:
            yield series.named(f"{family}_count"), total
            yield series, value


class _Totals:
    """The values of several processes on their way to one; ``across`` gives the rule of each family that is no sum."""

    def __init__(self, across: Mapping[str, str]) -> None:
        self._across = across
        self._about: dict[str, tuple[str, str]] = {}
        self._series: dict[str, dict[_Series, float]] = {}

    def add_note(self, note: _Note) -> None:
        name, documentation, kind, samples = note
        self._about.setdefault(name, (documentation, kind))
        series = self._series.setdefault(name, {})
        combine = _COMBINE[self._across.get(name, "sum")]
        for sample_name, labels, value in samples:
            key = (sample_name, tuple(sorted(labels.items())))
            series[key] = combine(series[key], value) if key in series else value

    def __contains__(self, name: str) -> bool:
        return name in self._about

    def metrics(self) -> Iterator[Metric]:
        """Yield what is left, each family once."""
        for name in list(self._about):
            yield self.take(name)

    def take(self, name: str) -> Metric:
        """Return a family and forget it."""
        metric = Metric(name, *self._about.pop(name))
        for (sample_name, labels), value in self._series.pop(name).items():
            metric.add_sample(sample_name, dict(labels), value)
        return metric


class SharedCollector(Collector):
    """What all workers have counted and read, as the families of one contract.

    ``read_own`` gives what this worker reads of itself. Every family of the contract is there, with or without series,
    as it is in a server of one process.
    """

    def __init__(
        self, folder: WorkerFolder, families: Sequence[MetricFamily], read_own: Callable[[], Iterable[Metric]]
    ) -> None:
        self._folder = folder
        self._families = tuple(families)
        self._across = dict(_ACROSS_OF_LIBRARIES) | {
            family.name: family.across for family in families if family.kind == "gauge"
        }
        self._read_own = read_own
        self._counted: dict[str, Metric] = {}
        # By the key in the files, whose number the contract bounds; reading one costs as much as all else with it.
        self._known: dict[str, _Mapped] = {}
        self._lock = threading.Lock()

    def describe(self) -> Iterable[Metric]:
        """Return the contract's families without samples, so that a registry refuses their names a second time."""
        return [Metric(family.name.removesuffix("_total"), family.help, family.kind) for family in self._families]

    def publish(self) -> None:
        """Read what this worker knows of itself and write it down for the scrapes of the others."""
        with self._lock:  # a scrape and the publisher may meet
            self._folder.write_notes([self._steady(metric) for metric in self._read_own()])

    def collect(self) -> Iterator[Metric]:
        """Yield each family with the values of all workers; those of this one are read now."""
        self.publish()
        pace = Pace()
        with self._folder.reading():
            counted = self._add_up(pace)
            notes = list(self._folder.read_notes())
        totals = _Totals(self._across)
        for note in notes:
            totals.add_note(note)
            pace.breathe()
        grouped = self._group(counted, pace)
        for about in self.describe():
            yield _total(about, grouped[about.name], totals)
        yield from totals.metrics()

    def _add_up(self, pace: Pace) -> dict[str, float]:
        counted: dict[str, float] = {}
        for key, value in self._folder.read_mapped():
            counted[key] = counted.get(key, 0.0) + value
            pace.breathe()
        return counted

    def _group(self, counted: Mapping[str, float], pace: Pace) -> dict[str, _Groups]:
        """Return the series by family, of those that are promised: a library that counts shares the files, too."""
        grouped: dict[str, _Groups] = {about.name: {} for about in self.describe()}
        for key, value in counted.items():
            series = self._known.get(key)
            if series is None:
                series = self._known[key] = _Mapped.of(key)
            groups = grouped.get(series.family)
            if groups is not None:
                groups.setdefault(series.group, []).append((series, value))
            pace.breathe()
        return grouped

    def _steady(self, metric: Metric) -> Metric:
        """Return a counter that could not be read as it was before: without it the sum of all workers would fall."""
        if metric.type != "counter":
            return metric
        if metric.samples:
            self._counted[metric.name] = metric
        return self._counted.get(metric.name, metric)


def _total(about: Metric, groups: _Groups, totals: _Totals) -> Metric:
    """Return a family with what was counted and what was noted of it."""
    counted = SumMetric(about, groups)
    if about.name not in totals:
        return counted
    totals.add_note(_note(counted))
    return totals.take(about.name)


class Publisher:
    """The thread that calls ``publish`` once a second, and once more at the end."""

    def __init__(self, publish: Callable[[], None], *, on_error: Callable[[Exception], None]) -> None:
        self._publish = publish
        self._on_error = on_error
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prethrift-metrics-publisher", daemon=True)
        self._thread.start()

    def close(self, deadline: float) -> None:
        """Publish for the last time and stop; wait for a reading that is under way until ``deadline`` at most."""
        self._ended.set()
        self._thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while True:
            ending = self._ended.is_set()
            try:
                self._publish()
            except Exception as error:  # noqa: BLE001 - the folder is full or gone; the next time may be better
                with suppress(Exception):
                    self._on_error(error)
            if ending:
                return
            self._ended.wait(_PUBLISH_SECONDS)


def shared_folder() -> WorkerFolder | None:
    """Return the folder that this process shares with other workers; None where it is the only one."""
    mode: Any = values.ValueClass
    return WorkerFolder(Path(os.environ[VARIABLE])) if mode._multiprocess else None


@contextmanager
def open_worker_folder() -> Iterator[WorkerFolder]:
    """Make a fresh private folder for the workers that are started inside the block, and remove it afterwards.

    It lies where TMPDIR says. Folders of servers that were killed before they could remove theirs are removed, too.
    """
    parent = Path(tempfile.gettempdir())
    remove_abandoned(parent)
    before = os.environ.get(VARIABLE)
    with _new_folder(parent) as path:
        os.environ[VARIABLE] = str(path)
        try:
            yield WorkerFolder(path)
        finally:
            if before is None:
                del os.environ[VARIABLE]
            else:
                os.environ[VARIABLE] = before


@contextmanager
def _new_folder(parent: Path) -> Iterator[Path]:
    """Make a folder and hold the lock by which others know that its supervisor lives: they leave it alone.

    The others are servers of ours that start, and systemd-tmpfiles, which clears /tmp of what is old.
    """
    unlocked = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}", dir=parent))
    with _opened(unlocked) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Only a folder that is locked already gets the name under which others look for those that were left behind.
        path = unlocked.rename(parent / unlocked.name.removeprefix("."))
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


def remove_abandoned(parent: Path) -> None:
    """Remove this user's folders in ``parent`` whose supervisor is gone."""
    for path in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError), _opened(path) as descriptor:
            if os.fstat(descriptor).st_uid == os.getuid():
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
