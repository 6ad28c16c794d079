"""Prometheus and Alertmanager of ops/, by the faster clock of clock.py, and an inbox for what Alertmanager sends."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from tests.e2e.clock import alertmanager_text, write_prometheus
from tests.support.alertmanager import AlertmanagerServer
from tests.support.http_receiver import FaultyReceiver
from tests.support.processes import LOOPBACK, ServerProcess, free_port
from tests.support.waiting import wait_for

START_SECONDS = 60.0


@dataclass(frozen=True)
class Monitoring:
    """The two, running; ``rules`` is the folder of the rules that Prometheus has loaded."""

    prometheus_url: str
    alertmanager_url: str
    inbox: FaultyReceiver
    rules: Path

    def query(self, expression: str, *, at_seconds: float | None = None) -> list[dict[str, Any]]:
        """Return what an instant query finds: series with ``metric`` and ``value``."""
        params: dict[str, str | float] = {"query": expression}
        if at_seconds is not None:
            params["time"] = at_seconds
        found: list[dict[str, Any]] = _get(f"{self.prometheus_url}/api/v1/query", params)["data"]["result"]
        return found

    def alerts(self, name: str) -> list[dict[str, Any]]:
        """Return the alerts of this name that Alertmanager holds as active, those that are inhibited included."""
        found: list[dict[str, Any]] = _get(
            f"{self.alertmanager_url}/api/v2/alerts", {"filter": f'alertname="{name}"', "active": "true"}
        )
        return found

    def firing_names(self) -> list[str]:
        """Return the names of all alerts that are active in Alertmanager."""
        found = _get(f"{self.alertmanager_url}/api/v2/alerts", {"active": "true"})
        return sorted({alert["labels"]["alertname"] for alert in found})

    def wait_for_alert(self, name: str, deadline_seconds: float) -> list[dict[str, Any]]:
        """Wait until an alert of this name is active in Alertmanager, and return it with its like."""
        return wait_for(lambda: self.alerts(name), deadline_seconds, what=f"the alert {name} in Alertmanager")

    def wait_until_resolved(self, name: str, deadline_seconds: float) -> None:
        """Wait until no alert of this name is active in Alertmanager."""
        wait_for(lambda: not self.alerts(name), deadline_seconds, what=f"the end of the alert {name}")

    def notified(self, receiver: str, name: str, status: str) -> bool:
        """Tell whether a receiver was sent an alert of this name with this status, ``firing`` or ``resolved``."""
        alerts = [alert for sent in self.notifications(receiver) for alert in sent["alerts"]]
        return any(alert["labels"]["alertname"] == name and alert["status"] == status for alert in alerts)

    def notifications(self, receiver: str) -> list[dict[str, Any]]:
        """Return what Alertmanager has sent to a receiver of its configuration (``pager``), parsed, in order."""
        sent = [request for request in self.inbox.requests if request.path == f"/{receiver}"]
        return [json.loads(request.body) for request in sent]


@contextmanager
def running_monitoring(folder: Path, *, targets: Sequence[str]) -> Iterator[Monitoring]:
    """Run both for these targets (host:port); leaving the block ends them."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as parts:
        inbox = parts.enter_context(FaultyReceiver())
        configuration = alertmanager_text(inbox=inbox.endpoint)
        alertmanager = parts.enter_context(AlertmanagerServer(folder, configuration))
        address = parts.enter_context(_prometheus(folder, targets=targets, alertmanager=alertmanager.address))
        yield Monitoring(f"http://{address}", alertmanager.url, inbox, folder / "rules")


@contextmanager
def _prometheus(folder: Path, *, targets: Sequence[str], alertmanager: str) -> Iterator[str]:
    configuration = write_prometheus(folder, targets=targets, alertmanager=alertmanager)
    address = f"{LOOPBACK}:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={configuration}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--enable-feature=exemplar-storage",
        "--log.level=warn",
    ]
    with ServerProcess(command, directory=folder) as process:
        process.wait_for_http(f"http://{address}/-/ready", START_SECONDS)
        yield address


def _get(url: str, params: dict[str, Any]) -> Any:
    response = httpx.get(url, params=params, trust_env=False, timeout=10.0)
    response.raise_for_status()
    return response.json()
