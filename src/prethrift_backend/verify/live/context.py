"""One run of ``verify`` while it goes on: what its stages may use, and what they have seen so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from opentelemetry.sdk.trace import ReadableSpan

from prethrift_backend.contracts import MetricsContract
from prethrift_backend.verify.live.client import LiveAnswer, LiveClient
from prethrift_backend.verify.live.health_checks import Body, make_validator
from prethrift_backend.verify.live.items import Ledger
from prethrift_backend.verify.live.options import LiveOptions
from prethrift_backend.verify.live.scrape import Scrape
from prethrift_backend.verify.live.versions import Released
from prethrift_backend.verify.records.correlation import SentRequest
from prethrift_backend.verify.records.sources import RecordSources

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator


@dataclass(slots=True)
class LiveRecords:
    """What an application that runs in this process has logged and traced; it grows from other threads.

    ``is_told`` says whether it has a telemetry that can be observed: the log of any other is its own affair.
    """

    lines: list[bytes] = field(default_factory=list)
    spans: list[ReadableSpan] = field(default_factory=list)
    is_told: bool = False


@dataclass(frozen=True, slots=True)
class LiveApplication:
    """An application that runs in this process: what reports call it, the way to ask it, what it says."""

    reference: str
    transport: httpx.BaseTransport
    records: LiveRecords


@dataclass(slots=True)
class LiveContext:
    """What the stages of one run share; ``folder`` has the contract files.

    ``application`` is there where it runs in this process: then nobody else has to hand logs and spans over.
    """

    client: LiveClient
    ledger: Ledger
    folder: Path
    contract: MetricsContract
    validator: Draft202012Validator | None
    options: LiveOptions
    application: LiveApplication | None = None
    live: LiveAnswer | None = None
    ready: LiveAnswer | None = None
    health: tuple[LiveAnswer, Body] | None = None
    scrapes: list[tuple[LiveAnswer, Scrape]] = field(default_factory=list)
    is_adopted: bool = False
    sources: RecordSources = field(default_factory=RecordSources)
    sent: list[SentRequest] = field(default_factory=list)

    def adopt(self, released: Released) -> None:
        """Hold the service against the contract of another version from now on."""
        self.contract, self.is_adopted = released.contract, True
        self.folder = released.folder or self.folder
        if released.schema is not None:
            self.validator = make_validator(released.schema)

    @property
    def metrics_path(self) -> str:
        """Where the service is scraped."""
        return self.contract.scrape.path if self.contract.scrape else "/metrics"

    @property
    def health_paths(self) -> list[str]:
        """Where the service has health endpoints."""
        paths = self.options.paths
        return [path for path in (paths.live, paths.ready, paths.health) if path]
