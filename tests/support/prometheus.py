"""A real Prometheus for the tests that need one, and the decision whether they can run.

The rules are those of the container engine: where a missing Prometheus would go unnoticed (CI), the tests fail; on a
user's machine they are not collected, and the run says so at its end. Nothing is ever skipped.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from tests.support.processes import LOOPBACK, ServerProcess, free_port

COMMANDS = ("prometheus", "promtool", "prometheus-alertmanager")
START_SECONDS = 60.0
SCRAPE_SECONDS = 0.5
JOB = "prethrift-health"  # the name that the alert of the documentation uses

_CONFIGURATION = """\
global:
  scrape_interval: {pause_ms}ms
  scrape_timeout: {pause_ms}ms
  evaluation_interval: {pause_ms}ms
rule_files: {rules}
alerting: {{alertmanagers: [{{static_configs: [{{targets: {alertmanagers}}}]}}]}}
scrape_configs:
  - job_name: {job}
    metrics_path: {path}
    {authorization}
    static_configs:
      - targets: ["{target}"]
"""


@dataclass(frozen=True)
class PrometheusDecision:
    """Whether the tests are collected; `note` for the end of the run, `failure` for the tests to fail with."""

    is_collected: bool
    note: str | None = None
    failure: str | None = None


def decide_prometheus(*, required: bool, find: Callable[[str], str | None] = shutil.which) -> PrometheusDecision:
    """Choose from what the machine has and whether the tests are required."""
    missing = [name for name in COMMANDS if find(name) is None]
    if not missing:
        return PrometheusDecision(is_collected=True)
    what = f"no {' and no '.join(missing)} is in the PATH"
    if required:
        failure = f"{what}, and CI allows no run without it: run `scripts/ci-tools` as root"
        return PrometheusDecision(is_collected=True, failure=failure)
    packages = "the Debian packages prometheus and prometheus-alertmanager bring them"
    note = f"the tests on a real Prometheus were left out: {what} ({packages})"
    return PrometheusDecision(is_collected=False, note=note)


@dataclass(frozen=True)
class Alerting:
    """What a Prometheus evaluates, and to which Alertmanager (host:port) it sends what fires."""

    rules: tuple[Path, ...] = ()
    alertmanager: str | None = None


class PrometheusServer:
    """A Prometheus on loopback that scrapes one target, with its data in a folder of the test's.

    It sends ``token`` with each scrape, where one is given. Used as a context manager: leaving the block ends it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        target: str,
        path: str,
        token: str | None = None,
        job: str = JOB,
        alerting: Alerting | None = None,
    ) -> None:
        alerting = alerting or Alerting()
        self._address = f"{LOOPBACK}:{free_port()}"
        configuration = folder / "prometheus.yml"
        configuration.write_text(
            _CONFIGURATION.format(
                pause_ms=int(SCRAPE_SECONDS * 1000),
                job=job,
                rules=json.dumps([str(path) for path in alerting.rules]),
                alertmanagers=json.dumps([alerting.alertmanager] if alerting.alertmanager else []),
                path=path,
                target=target,
                authorization="" if token is None else f"authorization: {{credentials: {token}}}",
            )
        )
        self.process = ServerProcess(
            [
                "prometheus",
                f"--config.file={configuration}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={self._address}",
                "--log.level=warn",
            ],
            directory=folder,
        )

    def __enter__(self) -> Self:
        self.process.start()
        self.process.wait_for_http(f"http://{self._address}/-/ready", START_SECONDS)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.__exit__(kind, error, trace)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{self._address}"

    def query(self, expression: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Return the value of each series that an instant query finds, by its sorted labels."""
        response = httpx.get(f"http://{self._address}/api/v1/query", params={"query": expression}, trust_env=False)
        response.raise_for_status()
        found: list[dict[str, Any]] = response.json()["data"]["result"]
        return {tuple(sorted(series["metric"].items())): float(series["value"][1]) for series in found}

    def targets(self) -> list[dict[str, Any]]:
        """Return what it says of its targets, the error of the last scrape among it."""
        response = httpx.get(f"http://{self._address}/api/v1/targets", trust_env=False)
        response.raise_for_status()
        active: list[dict[str, Any]] = response.json()["data"]["activeTargets"]
        return active
