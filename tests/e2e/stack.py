"""Everything that runs in production, on loopback: three replicas behind nginx, and what watches over them.

    with Stack(folder) as stack:
        httpx.get(f"{stack.url}/api/search", params={"q": "red hat"})
        stack.database.stop()

Every part is real and runs as a process of its own; only the database's restart, the endpoints loop (Kubernetes' part)
and the tap behind the collector are the tests' own. Leaving the block ends all of it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.e2e.catalogue import fill
from tests.e2e.collector import Collector, running_collector
from tests.e2e.database import Database
from tests.e2e.endpoints import Endpoints
from tests.e2e.monitoring import Monitoring, running_monitoring
from tests.e2e.replicas import Replica, close_all, start_all
from tests.support.nginx import Nginx
from tests.support.s3 import fresh_bucket, s3_server
from tests.support.waiting import wait_for

from prethrift_backend.devstack.stack import development_models

ITEM_COUNT = 24  # arbitrary: enough for searches to find something, and taken in within seconds
DRAIN_SECONDS = 3  # several turns of the endpoints loop
ROUTED_SECONDS = 30.0


class Stack:
    """The parts, by name. ``settings`` are names and values for each replica beyond those of `replica_settings`."""

    database: Database
    collector: Collector
    monitoring: Monitoring
    nginx: Nginx
    endpoints: Endpoints
    replicas: list[Replica]

    def __init__(
        self,
        folder: Path,
        *,
        replicas: int = 3,
        items: int = ITEM_COUNT,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.started_at = time.monotonic()
        self._replica_count = replicas
        self._item_count = items
        self._settings = dict(settings or {})
        self._parts = ExitStack()
        self._say_lock = threading.Lock()

    def __enter__(self) -> Self:
        with ExitStack() as parts:
            self._start(parts)
            self._parts = parts.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._parts.__exit__(kind, error, trace)

    @property
    def url(self) -> str:
        """Where clients ask: nginx."""
        return self.nginx.url

    @property
    def prometheus_url(self) -> str:
        """Where Prometheus answers."""
        return self.monitoring.prometheus_url

    @property
    def alertmanager_url(self) -> str:
        """Where Alertmanager answers."""
        return self.monitoring.alertmanager_url

    def say(self, text: str) -> None:
        """Print a line with the seconds since the start, and keep it for the report."""
        line = f"[{time.monotonic() - self.started_at:6.1f} s] {text}"
        with self._say_lock:
            self.said.append(line)
            print(line, flush=True)  # what a step saw is what the session is for

    def wait_until_routed(self, *names: str, deadline_seconds: float = ROUTED_SECONDS) -> None:
        """Wait until nginx sends requests to these replicas and no others; without names, to all."""
        wanted = names or tuple(replica.name for replica in self.replicas)
        wait_for(lambda: self.endpoints.names == wanted, deadline_seconds, what=f"the routes to {wanted}")

    def mend(self) -> None:
        """Start again what does not run, with the settings of the beginning, and wait until nginx asks all replicas."""
        self.database.start()
        for replica in self.replicas:
            replica.mend()
        for replica in self.replicas:
            replica.wait_ready()
        self.wait_until_routed()

    def _start(self, parts: ExitStack) -> None:
        self.database = parts.enter_context(Database())
        s3 = parts.enter_context(s3_server())
        bucket = parts.enter_context(fresh_bucket(s3))
        self.collector = parts.enter_context(running_collector())
        self.say("PostgreSQL, S3 and the collector run")
        settings = replica_settings(
            database_url=self.database.url, s3=s3, bucket=bucket, otlp_endpoint=self.collector.endpoint
        )
        self.replicas = [
            Replica(f"replica-{number}", self.folder / f"replica-{number}", {**settings, **self._settings})
            for number in range(1, self._replica_count + 1)
        ]
        parts.callback(close_all, self.replicas)
        targets = [replica.address for replica in self.replicas]
        start_all(self.replicas)
        self.say(f"{len(self.replicas)} replicas are ready")
        self.nginx = parts.enter_context(Nginx(self.folder / "nginx"))
        self.endpoints = parts.enter_context(Endpoints(self.nginx, self.replicas, say=self.say))
        self.monitoring = parts.enter_context(running_monitoring(self.folder / "monitoring", targets=targets))
        self.wait_until_routed()
        self.say("Prometheus, Alertmanager and nginx run")
        fill(self.url, self._item_count)
        self.say(f"the catalogue has {self._item_count} items")


def replica_settings(*, database_url: str, s3: str, bucket: str, otlp_endpoint: str) -> dict[str, str]:
    """Return what every replica is set to: staging, with the models of development and every request traced."""
    return {
        **{name.upper(): value for name, value in development_models().items()},
        "ENVIRONMENT": "staging",
        "DATABASE_URL": database_url,
        "AWS_ENDPOINT_URL_S3": s3,
        "IMAGES_BUCKET": bucket,
        "OTLP_ENDPOINT": otlp_endpoint,
        "OTLP_METRICS_INTERVAL_SECONDS": "10",
        "TRACE_SAMPLE_RATE": "1",
        "DRAIN_SECONDS": str(DRAIN_SECONDS),
        "HF_HUB_OFFLINE": "1",
    }
