"""The whole of it on loopback, for tests of what is seen from outside: backend, database, S3, collector, Prometheus.

with watched_backend(folder) as watched:
watched.traffic.send_round()
empty_queries(watched.prometheus_url, dashboard_queries(), watched.looking())
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import time

from tests.support.catalogue_traffic import CatalogueTraffic
from tests.support.dashboards import Looking
from tests.support.databases import create_database, start_server, through
from tests.support.engine import EMBEDDED
from tests.support.environment import DUMMY_AWS
from tests.support.ops_prometheus import ops_prometheus
from tests.support.proxy import FaultProxy
from tests.support.rotel import running_rotel
from tests.support.s3 import fresh_bucket, s3_server
from tests.support.verify_targets import START_SECONDS, backend, is_ready

from prethrift_backend.stores.migrations import migrate

SCRAPE_SECONDS = 1.0
SEED = 7


@dataclass(frozen=True)
class Watched:
    """What runs: the backend's address, Prometheus', the traffic, and the proxy in front of the database."""

    address: str
    prometheus_url: str
    traffic: CatalogueTraffic
    database: FaultProxy
    begun: float = field(default_factory=time)

    def looking(self, **variables: str) -> Looking:
        """Return how a dashboard is looked at now: all the time since the start."""
        now = time()
        return Looking(SCRAPE_SECONDS, max(now - self.begun, SCRAPE_SECONDS), end=now, variables=variables)

    def fail_for_a_moment(self) -> None:
        """Take the database away, search in vain, and give it back."""
        self.database.refuse()
        self.database.cut()
        try:
            for _ in range(3):
                self.traffic.count(self.traffic.look_at_item())
        finally:
            self.database.restore()


@contextmanager
def watched_backend(folder: Path) -> Iterator[Watched]:
    """Run it all, with an empty catalogue; leaving the block ends it."""
    with ExitStack() as stack:
        server = stack.enter_context(start_server(EMBEDDED, image=""))
        database_url = server.url(asyncio.run(create_database(server)))
        asyncio.run(migrate(database_url))
        proxy = stack.enter_context(FaultProxy(server.target))
        s3 = stack.enter_context(s3_server())
        collector = stack.enter_context(running_rotel())
        environ = {
            **DUMMY_AWS,
            "AWS_ENDPOINT_URL_S3": s3,
            "IMAGES_BUCKET": stack.enter_context(fresh_bucket(s3)),
            "OTLP_ENDPOINT": collector.http_endpoint,
            "TRACE_SAMPLE_RATE": "1",
        }
        process, address = stack.enter_context(backend(through(database_url, proxy.port), **environ))
        process.wait_for(lambda: is_ready(address), START_SECONDS)
        target = address.removeprefix("http://")
        prometheus = stack.enter_context(ops_prometheus(folder, target=target, seconds=SCRAPE_SECONDS))
        traffic = stack.enter_context(CatalogueTraffic(address, seed=SEED))
        yield Watched(address, prometheus, traffic, proxy)
