"""A process with a set of metrics, told what to do line by line: one worker of several, without a server around it.

Run as a program it is the worker; `MetricsWorker` is the test's end of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from prometheus_client import Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from prethrift_backend.contracts import load_metrics, parse_metrics
from prethrift_backend.observability.metrics import MetricSet
from prethrift_backend.observability.multiprocess import VARIABLE

Series = tuple[str, frozenset[tuple[str, str]]]


class MetricsWorker:
    """One process that shares ``folder``; without a contract it has the shipped one."""

    def __init__(self, folder: Path, *, contract: str | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.metrics_worker", json.dumps(contract)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, VARIABLE: str(folder)},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process id, by which the worker's files are named."""
        return self._process.pid

    def run(self, statement: str) -> None:
        """Run a statement in the worker, where ``metrics`` is its set."""
        self._ask("run", statement)

    def scrape(self) -> list[Metric]:
        """Return the families that this worker answers with."""
        return list(text_string_to_metric_families(self._ask("scrape", "")))

    def values(self) -> dict[Series, float]:
        """Return the value of each series of a scrape, a series being its name and its labels."""
        samples = [sample for metric in self.scrape() for sample in metric.samples]
        return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}

    def value(self, name: str, **labels: str) -> float | None:
        """Return the value of one series of a scrape, None where it is not there."""
        return self.values().get((name, frozenset(labels.items())))

    def kill(self) -> None:
        """End the process as SIGKILL does, without a last word."""
        self._process.kill()
        self._process.communicate()

    def _ask(self, command: str, argument: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([command, argument]) + "\n")
        self._process.stdin.flush()
        answer: str = json.loads(self._process.stdout.readline())
        return answer


def _serve() -> None:
    text = json.loads(sys.argv[1])
    contract = load_metrics() if text is None else parse_metrics(text, source="worker.txt")
    metrics = MetricSet(contract)
    names: dict[str, Any] = {"metrics": metrics}
    for line in sys.stdin:
        command, argument = json.loads(line)
        answer = ""
        if command == "run":
            exec(argument, names)  # noqa: S102 - the text is the test's own
        else:
            answer = generate_latest(metrics.registry).decode()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _serve()
