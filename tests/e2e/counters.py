"""The counters of the replicas, read over time: what they were, and whether one fell without a restart."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import httpx
from prometheus_client.parser import text_string_to_metric_families
from tests.e2e.replicas import Replica

Series = tuple[str, frozenset[tuple[str, str]]]

PERIOD_SECONDS: Final = 1.0
_SCRAPE_SECONDS: Final = 5.0
_COUNTING_TYPES: Final = frozenset({"counter", "histogram"})
_NOT_COUNTING: Final = ("_created",)  # the time at which a series began


@dataclass(frozen=True)
class Reading:
    """The counters of one replica at one time; ``run`` is the process that answered, by the pid of its start."""

    replica: str
    run: int
    at: float
    values: Mapping[Series, float]


def counters(exposition: str) -> dict[Series, float]:
    """Return each series that may only grow: counters, and the buckets, counts and sums of histograms."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(exposition)
        if family.type in _COUNTING_TYPES
        for sample in family.samples
        if not sample.name.endswith(_NOT_COUNTING)
    }


def requests_counted(values: Mapping[Series, float]) -> float:
    """Return the sum of `http_requests_total` over all labels."""
    return sum(value for (name, _), value in values.items() if name == "http_requests_total")


def falls(readings: Sequence[Reading]) -> list[str]:
    """Return where a series became smaller, or went away, from one reading of a run to the next."""
    found, before = [], dict[tuple[str, int], Reading]()
    for reading in sorted(readings, key=lambda one: one.at):
        earlier = before.get((reading.replica, reading.run))
        before[reading.replica, reading.run] = reading
        found += [] if earlier is None else _falls_between(earlier, reading)
    return found


def _falls_between(earlier: Reading, later: Reading) -> list[str]:
    return [
        f"{later.replica}: {name}{dict(labels)} fell from {value:g} to {later.values.get((name, labels), 0.0):g}"
        for (name, labels), value in earlier.values.items()
        if later.values.get((name, labels), 0.0) < value
    ]


class CounterWatch:
    """Reads the counters of all replicas once a second in a thread of its own, until the block is left."""

    def __init__(self, replicas: Sequence[Replica]) -> None:
        self.readings: list[Reading] = []
        self._replicas = replicas
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="counters")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def runs(self) -> set[tuple[str, int]]:
        """Return the processes that were read, as name of the replica and pid."""
        return {(reading.replica, reading.run) for reading in self.readings}

    def _run(self) -> None:
        with httpx.Client(trust_env=False, timeout=_SCRAPE_SECONDS) as client:
            while not self._ended.wait(PERIOD_SECONDS):
                for replica in self._replicas:
                    self._read(client, replica)

    def _read(self, client: httpx.Client, replica: Replica) -> None:
        run = _run_of(replica)
        try:
            answer = client.get(f"{replica.url}/metrics")
        except httpx.TransportError:
            return  # it is being restarted, and nobody listens
        # A process that came while the question was on its way would be taken for the one before it.
        if run is not None and answer.is_success and run == _run_of(replica):
            self.readings.append(Reading(replica.name, run, time.monotonic(), counters(answer.text)))


def _run_of(replica: Replica) -> int | None:
    try:
        return replica.pid
    except RuntimeError:
        return None  # it is between two processes
