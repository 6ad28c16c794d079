"""What a soak looks at: memory, threads, files and their sizes, a reading a second; and their slopes."""

from __future__ import annotations

import itertools
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil
from tests.e2e.replicas import Replica

MEBI: Final = 1024 * 1024
PERIOD_SECONDS: Final = 1.0
_MINUTE: Final = 60.0
# Of the readings, those at the beginning: caches fill, pools grow, allocators find their size.
_WARM_UP_SHARE: Final = 1 / 3


@dataclass(frozen=True)
class Sample:
    """One reading of one replica, its process of the models included."""

    at_seconds: float
    memory_mib: float
    threads: int
    descriptors: int
    temporary_bytes: int
    log_bytes: int


def slope_per_minute(samples: Sequence[Sample], value: Callable[[Sample], float]) -> float:
    """Return the median of the slopes between any two readings after the warm-up, per minute (Theil and Sen).

    A single reading that is far off, such as one during a collection of garbage, does not move it.
    """
    settled = samples[int(len(samples) * _WARM_UP_SHARE) :]
    pairs = [
        (value(later) - value(earlier)) / (later.at_seconds - earlier.at_seconds)
        for earlier, later in itertools.combinations(settled[:: max(1, len(settled) // 100)], 2)
    ]
    if not pairs:
        raise ValueError(f"{len(samples)} readings have no slope: take three or more")
    return statistics.median(pairs) * _MINUTE


def take(replica: Replica, at_seconds: float) -> Sample:
    """Read a replica now."""
    processes = [psutil.Process(replica.pid), *psutil.Process(replica.pid).children(recursive=True)]
    return Sample(
        at_seconds,
        sum(_read(process, lambda one: one.memory_info().rss) for process in processes) / MEBI,
        sum(_read(process, psutil.Process.num_threads) for process in processes),
        sum(_read(process, psutil.Process.num_fds) for process in processes),
        _size(Path(replica.settings["TMPDIR"]).rglob("*")),
        _size(replica.log_file.parent.glob(f"{replica.log_file.name}*")),
    )


def rotate(replica: Replica) -> None:
    """Do as logrotate does: the log becomes the one before, which is let go of; the replica begins a new one."""
    with suppress(FileNotFoundError):
        replica.log_file.replace(replica.log_file.with_name(f"{replica.log_file.name}.1"))


class SoakWatch:
    """Reads the replicas once a second until the block is left, and rotates their logs; ``samples`` by name."""

    def __init__(self, replicas: Sequence[Replica], *, rotate_seconds: float) -> None:
        self.samples: dict[str, list[Sample]] = {replica.name: [] for replica in replicas}
        self.rotations = 0
        self._replicas = replicas
        self._rotate_seconds = rotate_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="soak")

    def __enter__(self) -> Self:
        self._started_at = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(PERIOD_SECONDS):
            at_seconds = time.monotonic() - self._started_at
            for replica in self._replicas:
                # One that has ended is found by the requests that fail and by the readings that are missing.
                with suppress(psutil.NoSuchProcess):
                    self.samples[replica.name].append(take(replica, at_seconds))
            if at_seconds >= self._rotate_seconds * (self.rotations + 1):
                self.rotations += 1
                for replica in self._replicas:
                    rotate(replica)


def _read(process: psutil.Process, value: Callable[[psutil.Process], int]) -> int:
    try:
        return value(process)
    except psutil.NoSuchProcess:
        return 0


def _size(paths: Iterable[Path]) -> int:
    total = 0
    for path in paths:
        with suppress(FileNotFoundError):
            total += path.stat().st_size if path.is_file() else 0
    return total
