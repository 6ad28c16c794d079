"""A Prometheus and an Alertmanager for the tests of arrival: they answer from what a recorded service shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import respx
from tests.support.recorded_service import URL, RecordedService

from prethrift_backend.verify.live.scrape import read_scrape

PROMETHEUS = "http://prometheus.test:9090"
ALERTMANAGER = "http://alertmanager.test:9093"
JOB = "prethrift-backend"
INSTANCE = "service.test:80"

RULES = """\
groups:
  - name: service
    rules:
      - record: job:http_requests:rate5m
        expr: sum by (job) (rate(http_requests_total[5m]))
      - alert: ServiceDown
        expr: up{job="prethrift-backend",instance!=""} == 0 or absent(up{job="prethrift-backend"})
        for: 2m
        labels:
          severity: page
      - alert: ServiceSlow
        expr: (job:http_requests:rate5m) > 100
        for: 10m
        labels:
          severity: ticket
"""

CONFIGURATION = """\
route:
  receiver: mailbox
  routes:
  - receiver: pager
    matchers:
    - severity="page"
  - receiver: tickets
    match:
      severity: ticket
receivers:
- name: mailbox
  email_configs: [{to: a@b.test}]
- name: pager
  webhook_configs: [{url: http://pager.test/}]
- name: tickets
  webhook_configs: [{url: http://tickets.test/}]
"""


def rule(kind: str, name: str, query: str, **more: Any) -> dict[str, Any]:
    """Return a rule as Prometheus tells it."""
    return {"type": kind, "name": name, "query": query, "health": "ok", "labels": {}, **more}


class RecordedPrometheus:
    """Answers as a Prometheus that scrapes the recorded service; attributes change what it answers."""

    def __init__(self, service: RecordedService) -> None:
        self.service = service
        self.looks = 0
        self.requests: list[httpx.Request] = []
        self.age_seconds = 3.0
        self.scraped: int | None = None
        self.versions = {"1.1.0": 1}
        self.dropped: frozenset[str] = frozenset()
        self.relabelled: dict[str, str] = {}
        self.instead: Callable[[httpx.Request], httpx.Response] | None = None
        self.targets: list[dict[str, Any]] = [
            {
                "labels": {"job": JOB, "instance": INSTANCE},
                "scrapeUrl": f"{URL}/metrics",
                "health": "up",
                "lastError": "",
                "scrapeInterval": "15s",
            }
        ]
        self.alertmanagers = [f"{ALERTMANAGER}/api/v2/alerts"]
        self.configuration = CONFIGURATION
        self.rules = [
            rule("recording", "job:http_requests:rate5m", "sum by (job) (rate(http_requests_total[5m]))"),
            rule(
                "alerting",
                "ServiceDown",
                'up{instance!="",job="prethrift-backend"} == 0 or absent(up{job="prethrift-backend"})',
                duration=120,
                labels={"severity": "page"},
            ),
            rule(
                "alerting", "ServiceSlow", "job:http_requests:rate5m > 100", duration=600, labels={"severity": "ticket"}
            ),
        ]

    def mock(self, router: respx.Router) -> None:
        """Answer at the addresses of both programs."""
        router.route(host="prometheus.test").mock(side_effect=self.answer)
        router.route(host="alertmanager.test").mock(side_effect=self.answer_as_alertmanager)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer one request to Prometheus."""
        self.requests.append(request)
        if request.url.path == "/api/v1/targets":
            self.looks += 1
        if self.instead is not None:
            return self.instead(request)
        return self.usual(request)

    def usual(self, request: httpx.Request) -> httpx.Response:
        """Return what it answers where nothing else is wanted."""
        query = request.url.params.get("query")
        data: dict[str, Any] = {
            "/api/v1/targets": {"activeTargets": self.targets},
            "/api/v1/rules": {"groups": [{"name": "service", "rules": self.rules}]},
            "/api/v1/alertmanagers": {"activeAlertmanagers": [{"url": url} for url in self.alertmanagers]},
            "/api/v1/query": {"resultType": "vector", "result": self._result(query) if query else []},
        }
        return httpx.Response(200, json={"status": "success", "data": data[request.url.path]})

    def answer_as_alertmanager(self, request: httpx.Request) -> httpx.Response:
        """Answer one request to Alertmanager."""
        self.requests.append(request)
        return httpx.Response(200, json={"config": {"original": self.configuration}})

    def _result(self, query: str) -> list[dict[str, Any]]:
        if query.startswith("time()"):
            return [_series("", {"instance": INSTANCE}, self.age_seconds)] if self.age_seconds >= 0 else []
        if query.startswith("count by"):
            return [
                _series("", {"version": version, "contract": "metrics"}, count)
                for version, count in self.versions.items()
            ]
        return self._samples()

    def _samples(self) -> list[dict[str, Any]]:
        scrape = read_scrape(self.service.text)
        samples = [sample for samples in scrape.samples.values() for sample in samples]
        target = {"job": JOB, "instance": INSTANCE}
        found = [
            _series(s.name, {**{self.relabelled.get(k, k): v for k, v in s.labels.items()}, **target}, s.value)
            for s in samples
            if scrape.owner(s.name) not in self.dropped
        ]
        count = scrape.series_count if self.scraped is None else self.scraped
        return [*found, _series("up", target, 1), _series("scrape_samples_scraped", target, count)]


def _series(name: str, labels: dict[str, str], value: float) -> dict[str, Any]:
    named = {"__name__": name} if name else {}
    return {"metric": {**named, **labels}, "value": [1.7e9, json.dumps(value)]}


def write_rules(folder: Path, text: str = RULES) -> Path:
    """Write the rule file of the repository."""
    path = folder / "service.yml"
    path.write_text(text)
    return path
