"""The answers of a real, healthy process of this application, recorded, and ways to spoil them one at a time."""

from __future__ import annotations

import copy
import gzip
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import httpx

from prethrift_backend.verify.live.client import LiveClock
from prethrift_backend.verify.live.run import LiveOptions, LiveRun, verify_live

RECORDED = Path(__file__).parents[1] / "unit" / "verify" / "recorded"
CONTRACTS = RECORDED / "contracts"
URL = "http://service.test"
TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
GET_COUNT = 'http_requests_total{endpoint="/api/items/{item_id}",method="GET",status_code="404"}'


@dataclass
class Reply:
    """One answer before it is sent."""

    status: int
    headers: dict[str, str]
    body: bytes
    extensions: dict[str, Any] = field(default_factory=dict)


Spoil: TypeAlias = Callable[[httpx.Request, Reply], None]


class SteppedClock:
    """A clock that only sleeping, and who holds it, moves on."""

    def __init__(self, epoch: float) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self._epoch = epoch

    def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self.slept.append(seconds)
        self.now += seconds

    def as_live_clock(self) -> LiveClock:
        """Return what the client takes."""
        return LiveClock(monotonic=lambda: self.now, sleep=self.sleep, epoch=lambda: self._epoch)


class RecordedService:
    """Answers as the recorded process did; attributes and spoilers change what it answers."""

    def __init__(self) -> None:
        self.text = (RECORDED / "metrics.prom").read_text()
        self.openmetrics = (RECORDED / "metrics.openmetrics").read_text()
        self.bodies: dict[str, dict[str, Any]] = {
            "/health/live": json.loads((RECORDED / "health_live.json").read_text()),
            "/health/ready": json.loads((RECORDED / "health_ready.json").read_text()),
            "/health": json.loads((RECORDED / "health.json").read_text()),
        }
        self.clock = SteppedClock(datetime.fromisoformat(self.bodies["/health"]["timestamp"]).timestamp())
        self.spoilers: list[Spoil] = []
        self.requests: list[httpx.Request] = []
        self.scrape_count = 0

    def verify(self, options: LiveOptions | None = None, contracts: Path = CONTRACTS) -> LiveRun:
        """Hold the service against the contracts that it had when it was recorded."""
        return verify_live(
            URL,
            contracts,
            options=options,
            transport=httpx.MockTransport(self.answer),
            clock=self.clock.as_live_clock(),
        )

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.requests.append(request)
        reply = copy.deepcopy(self._reply(request))
        for spoil in self.spoilers:
            spoil(request, reply)
        body = b"" if request.method == "HEAD" else reply.body
        return httpx.Response(reply.status, headers=reply.headers, stream=_Raw(body), extensions=dict(reply.extensions))

    def _reply(self, request: httpx.Request) -> Reply:
        path = request.url.path
        if path == "/metrics":
            return self._scrape(request)
        if path in self.bodies:
            return self._health(request, self.bodies[path])
        return Reply(404, {"content-type": "application/problem+json"}, b"{}")

    def _scrape(self, request: httpx.Request) -> Reply:
        self.scrape_count += 1
        if "openmetrics" in request.headers["accept"]:
            return Reply(200, {"content-type": OPENMETRICS_TYPE}, self.openmetrics.encode())
        reply = Reply(200, {"content-type": TEXT_TYPE}, self.text.encode())
        if "gzip" in request.headers["accept-encoding"]:
            reply.headers["content-encoding"] = "gzip"
            reply.body = gzip.compress(reply.body)
        return reply

    def _health(self, request: httpx.Request, body: dict[str, Any]) -> Reply:
        headers = {"content-type": "application/json", "cache-control": "no-store"}
        if request.method not in ("GET", "HEAD"):
            return Reply(405, {"allow": "GET, HEAD"}, b"")
        if body.get("status") == "unhealthy":
            return Reply(503, {**headers, "retry-after": "5"}, json.dumps(body).encode())
        return Reply(200, headers, json.dumps(body).encode())

    # Ways to spoil it. Each insists that there was something to change.

    def replace(self, old: str, new: str, *, count: int = -1) -> None:
        """Replace a text in the text format."""
        assert old in self.text, old
        self.text = self.text.replace(old, new, count)

    def drop(self, pattern: str) -> None:
        """Take the lines away that begin so (a regular expression)."""
        kept = [line for line in self.text.splitlines(keepends=True) if not re.match(pattern, line)]
        assert len(kept) < self.text.count("\n"), pattern
        self.text = "".join(kept)

    def append(self, text: str) -> None:
        """Add lines at the end of the text format."""
        self.text += text

    def body(self, path: str, **changes: Any) -> None:
        """Change fields of a health body."""
        self.bodies[path].update(changes)

    def check(self, name: str, **changes: Any) -> None:
        """Change a check in the bodies of readiness and of health; ``details`` are added to."""
        for path in ("/health", "/health/ready"):
            found = next(check for check in self.bodies[path]["checks"] if check["name"] == name)
            found["details"].update(changes.get("details", {}))
            found.update({key: value for key, value in changes.items() if key != "details"})

    def header(self, path: str, name: str, value: str | None) -> None:
        """Set a header of the answers of a path, or take it away."""

        def spoil(request: httpx.Request, reply: Reply) -> None:
            if request.url.path == path:
                reply.headers.pop(name, None)
                reply.headers.update({} if value is None else {name: value})

        self.spoilers.append(spoil)

    def status(self, path: str, status: int, *, method: str | None = None) -> None:
        """Set the status of the answers of a path."""

        def spoil(request: httpx.Request, reply: Reply) -> None:
            if request.url.path == path and method in (None, request.method):
                reply.status = status

        self.spoilers.append(spoil)

    def slow(self, path: str, seconds: float) -> None:
        """Let the answers of a path take some time."""

        def spoil(request: httpx.Request, _reply: Reply) -> None:
            if request.url.path == path:
                self.clock.now += seconds

        self.spoilers.append(spoil)

    def from_scrape(self, number: int, old: str, new: str) -> None:
        """Replace a text in the text format from a scrape on; the first is number 1."""
        assert old in self.text, old

        def spoil(request: httpx.Request, reply: Reply) -> None:
            if request.url.path == "/metrics" and self.scrape_count >= number and b"# EOF" not in reply.body:
                is_gzip = "content-encoding" in reply.headers
                plain = gzip.decompress(reply.body) if is_gzip else reply.body
                plain = plain.replace(old.encode(), new.encode())
                reply.body = gzip.compress(plain) if is_gzip else plain

        self.spoilers.append(spoil)


class _Raw(httpx.SyncByteStream):
    """A body as it goes over the wire: httpx would decode one that is given as content."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        yield self._body
