"""Variants against one another: each in its process, all of them in every round, in an order drawn anew for each.

Within a round the variants follow one another within a second or so, and the differences are taken within it: what the
machine does otherwise meets all of them alike.
"""

from __future__ import annotations

import json
import random
import select
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from tests.overhead.load import LoadFailedError, put_load
from tests.overhead.rows import BARE, Row
from tests.overhead.sink import LOOPBACK
from tests.overhead.workload import Cost, path_of_last

ROOT = Path(__file__).parents[2]
_ANSWER_SECONDS = 60


class ChildFailedError(Exception):
    """A variant could not be built, or ended; the text is its own."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values, and the quarters around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Take the quartiles of at least two values."""
        low, _, high = quantiles(values, n=4, method="inclusive")
        return cls(median(values), low, high)


class Child:
    """One process that runs a module of this folder and answers lines of JSON."""

    def __init__(self, module: str, *arguments: object) -> None:
        command = [sys.executable, "-m", f"tests.overhead.{module}", *(str(argument) for argument in arguments)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def read(self) -> Any:
        """Return the next answer; ChildFailedError where it is an error, or none comes within a minute."""
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], _ANSWER_SECONDS)
        line = self._process.stdout.readline() if readable else ""
        if not line:
            raise ChildFailedError(f"ended with status {self._process.poll()}" if readable else "does not answer")
        answer = json.loads(line)
        if isinstance(answer, dict) and "error" in answer:
            raise ChildFailedError(answer["error"])
        return answer

    def ask(self, what: object) -> Any:
        """Send one line and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return self.read()

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@contextmanager
def child(module: str, *arguments: object) -> Iterator[Child]:
    """Run a process inside the block."""
    started = Child(module, *arguments)
    try:
        yield started
    finally:
        started.end()


@contextmanager
def receiver() -> Iterator[str]:
    """Run the sink; give its URL."""
    with child("sink") as process:
        yield f"http://{LOOPBACK}:{process.read()}"


@dataclass(slots=True)
class Results:
    """What was measured of each row in each round, and why a row was not measured."""

    values: dict[Row, list[float]] = field(default_factory=dict)
    errors: dict[Row, str] = field(default_factory=dict)

    def against_bare(self, compare: Callable[[float, float], float]) -> dict[Row, list[float]]:
        """Return ``compare(value, value of bare)`` of each round; bare has as many routes."""
        return {
            row: [compare(mine, its) for mine, its in zip(values, self.values[BARE.at(row.routes)], strict=True)]
            for row, values in self.values.items()
        }


def run_rounds(
    processes: dict[Row, Child], results: Results, *, rounds: int, take: Callable[[Row, Child], float]
) -> Results:
    """Take one value of every process in each round, in random order; one that fails takes no further part."""
    order = random.Random(0)  # the same orders in every run
    taken: dict[Row, list[float]] = {row: [] for row in processes}
    for _ in range(rounds):
        for row in order.sample(list(taken), len(taken)):
            try:
                taken[row].append(take(row, processes[row]))
            except (ChildFailedError, LoadFailedError) as error:
                results.errors[row] = str(error)
                del taken[row]
    results.values = taken
    return results


def start(
    stack: ExitStack, mode: str, rows: Sequence[Row], *, sink: str
) -> tuple[dict[Row, tuple[Child, Any]], Results]:
    """Start a process for each row; return each with its first answer, and the errors of those that failed."""
    started = {
        row: stack.enter_context(child("child", mode, row.module, row.sampled, row.routes, sink)) for row in rows
    }
    ready: dict[Row, tuple[Child, Any]] = {}
    results = Results()
    for row, process in started.items():
        try:
            ready[row] = process, process.read()
        except ChildFailedError as error:
            results.errors[row] = str(error)
    return ready, results


def ask_each(rows: Sequence[Row], mode: str, requests: int, *, sink: str) -> dict[Row, Any]:
    """Ask a process of each row once, and return the answers; ChildFailedError where one cannot be built."""
    with ExitStack() as stack:
        ready, results = start(stack, mode, rows, sink=sink)
        for row, error in results.errors.items():
            raise ChildFailedError(f"{row.name}: {error}")
        return {row: process.ask(requests) for row, (process, _) in ready.items()}


def race(rows: Sequence[Row], *, sink: str, rounds: int, requests: int, processes: int = 1) -> Results:
    """Measure the CPU time of a request, in microseconds, of each row in each round.

    One process differs from the next by some microseconds for as long as it lives, by where its memory happens to lie:
    so there are several of each row, and their rounds count together.
    """

    def take(row: Row, process: Child) -> float:
        return Cost(**process.ask(round(requests * row.share))).cpu_us

    with ExitStack() as stack:
        copies = [row.of(number) for row in rows for number in range(processes)]
        ready, results = start(stack, "measure", copies, sink=sink)
        return _pooled(
            run_rounds({row: process for row, (process, _) in ready.items()}, results, rounds=rounds, take=take)
        )


def _pooled(results: Results) -> Results:
    """Put the values of the processes of a row one behind the other, in the same order for every row."""
    pooled = Results(errors={row.of(0): error for row, error in results.errors.items()})
    for row, values in results.values.items():
        pooled.values.setdefault(row.of(0), []).extend(values)
    return pooled


def count_answers(process: Child, url: str) -> float:
    """Return how many answers come in a second of load."""
    return put_load(url, seconds=1.0).a_second


def run_load(
    rows: Sequence[Row],
    *,
    sink: str,
    rounds: int,
    mode: str = "serve",
    read: Callable[[Child, str], float] = count_answers,
) -> Results:
    """Put load on a uvicorn of each row in each round; ``read`` does so, and returns what is measured."""
    with ExitStack() as stack:
        ready, results = start(stack, mode, rows, sink=sink)
        processes = {row: process for row, (process, _) in ready.items()}

        def take(row: Row, process: Child) -> float:
            port = ready[row][1]["port"]
            return read(process, f"http://{LOOPBACK}:{port}{path_of_last(row.routes)}")

        for row, process in processes.items():  # not counted: what is made once is made here
            take(row, process)
        return run_rounds(processes, results, rounds=rounds, take=take)
