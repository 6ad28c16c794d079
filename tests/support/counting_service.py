"""The recorded service once more, one that counts requests which no route takes."""

from __future__ import annotations

from collections import Counter

import httpx
from tests.support.recorded_service import RecordedService, Reply

Labels = tuple[str, str]
BOUNDS = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")
KNOWN = frozenset({"GET", "HEAD", "POST"})


class CountingService(RecordedService):
    """Counts requests that no route takes, as the recorded process did; ``label`` says under which labels."""

    def __init__(self) -> None:
        super().__init__()
        self.drop("http_requests_total")
        self.drop("http_request_duration_seconds")
        self.counted: Counter[Labels] = Counter()
        self.timed: Counter[Labels] = Counter()
        self.in_progress = 0
        self.spoilers.append(self._count)

    def label(self, request: httpx.Request) -> list[Labels]:
        """Return method and endpoint under which the request counts."""
        return [(request.method if request.method in KNOWN else "_OTHER", "__unmatched__")]

    def time(self, request: httpx.Request) -> list[Labels]:
        """Return method and endpoint under which the request is timed."""
        return self.label(request)

    def _count(self, request: httpx.Request, reply: Reply) -> None:
        if request.url.path == "/metrics":
            if b"# EOF" not in reply.body and "content-encoding" not in reply.headers:
                reply.body += self._lines().encode()
        elif request.url.path not in self.bodies:
            self.counted.update(self.label(request))
            self.timed.update(self.time(request))

    def _lines(self) -> str:
        lines = [
            f'http_requests_total{{endpoint="{endpoint}",method="{method}",status_code="404"}} {count}'
            for (method, endpoint), count in self.counted.items()
        ]
        for (method, endpoint), count in self.timed.items():
            labels = f'endpoint="{endpoint}",method="{method}"'
            name = "http_request_duration_seconds"
            lines += [f'{name}_bucket{{{labels},le="{bound}"}} {count}' for bound in BOUNDS]
            lines += [f"{name}_sum{{{labels}}} {count}", f"{name}_count{{{labels}}} {count}"]
        return "".join(f"{line}\n" for line in lines)
