"""What a running service shows to whoever only reads: its scrapes and the bodies of its health endpoints."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from prethrift_backend.exceptions import PrethriftError
from prethrift_backend.observability.redaction import Redactor
from prethrift_backend.verify.live.client import (
    LiveAnswer,
    LiveClient,
    LiveClock,
    LiveLimits,
    SpentError,
    UnreachableError,
)
from prethrift_backend.verify.live.options import LiveTokens
from prethrift_backend.verify.live.scrape import Scrape, read_scrape

# Where clients and frameworks put it; a mounted application answers with a slash at the end.
METRICS_PATHS: Final = ("/metrics", "/metrics/", "/actuator/prometheus")
# By kind, in the order of the options of ``verify``; the first that answers with a JSON object is taken.
HEALTH_PATHS: Final = {
    "live": ("/health/live", "/livez"),
    "ready": ("/health/ready", "/readyz"),
    "health": ("/health", "/healthz"),
}
_TEXT_ACCEPT: Final = "text/plain;version=0.0.4"
# Each is asked twice: what differs between two answers is no constant.
_REPEATS: Final = 2


class NothingSeenError(PrethriftError):
    """The service showed nothing that a contract could be drafted from; the text says what came instead."""


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """What is asked and how often; a path that is None is looked for in the usual places, '' is not asked."""

    limits: LiveLimits = field(default_factory=LiveLimits)
    tokens: LiveTokens = field(default_factory=LiveTokens)
    scrapes: int = 5
    metrics_path: str | None = None
    health_paths: dict[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recording:
    """What was seen: ``health_paths`` has the path of each kind that there is, ``bodies`` all that came from them."""

    metrics_path: str
    scrapes: tuple[Scrape, ...]
    size_bytes: int
    seconds: float
    health_paths: dict[str, str]
    bodies: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]
    requests: int


def record_service(
    url: str,
    options: RecordOptions,
    *,
    transport: httpx.BaseTransport | None = None,
    clock: LiveClock | None = None,
) -> Recording:
    """Ask the service with GET alone, each time on a connection of its own.

    Raises NothingSeenError where there are no metrics that can be read, LiveUsageError where the address is none.
    """
    client = LiveClient(url, options.limits, clock or LiveClock(), transport)
    try:
        return _Recorder(client, options).record()
    finally:
        client.close()


class _Recorder:
    """One recording while it goes on."""

    def __init__(self, client: LiveClient, options: RecordOptions) -> None:
        self._client = client
        self._options = options
        self._redactor = Redactor()
        self._answers: list[LiveAnswer] = []
        self._scrapes: list[Scrape] = []
        self._bodies: list[dict[str, Any]] = []
        self._paths: dict[str, str] = {}
        self._notes: list[str] = []

    def record(self) -> Recording:
        path = self._record_metrics()
        self._record_health()
        return Recording(
            metrics_path=path,
            scrapes=tuple(self._scrapes),
            size_bytes=max(len(answer.body) for answer in self._answers),
            seconds=max(answer.seconds for answer in self._answers),
            health_paths=self._paths,
            bodies=tuple(self._bodies),
            notes=tuple(self._notes),
            requests=self._client.requests,
        )

    def _note(self, text: str) -> None:
        for token in self._options.tokens.all:
            text = text.replace(token, "[redacted]")
        self._notes.append(self._redactor.redact_text(text))

    # Metrics.

    def _record_metrics(self) -> str:
        try:
            path = self._find_metrics()
            while len(self._scrapes) < self._options.scrapes:
                self._take(self._scrape(path))
        except (SpentError, UnreachableError) as error:
            if not self._scrapes:
                raise NothingSeenError(str(error)) from error
            self._note(str(error))
            path = self._answers[0].url.removeprefix(self._client.base_url)
        return path

    def _find_metrics(self) -> str:
        given = self._options.metrics_path
        tried = METRICS_PATHS if given is None else (given,)
        codes: list[int] = []
        for path in tried:
            answer = self._scrape(path)
            codes.append(answer.status_code)
            if answer.status_code == 200:
                self._take(answer)
                return path
            if answer.status_code in (401, 403):
                raise NothingSeenError(f"{path} answered {answer.status_code}: give its token in --token")
        told = ", ".join(f"{path} answered {code}" for path, code in zip(tried, codes, strict=True))
        fix = "give the right path in --metrics-path, or have the service export them: a contract begins with metrics"
        raise NothingSeenError(f"no metrics: {told}; {fix}")

    def _scrape(self, path: str) -> LiveAnswer:
        return self._client.ask(path, headers={"Accept": _TEXT_ACCEPT}, token=self._options.tokens.metrics)

    def _take(self, answer: LiveAnswer) -> None:
        """Read a scrape and keep it; raises NothingSeenError where it is none."""
        scrape = _read(answer) if not self._is_same(answer) else self._scrapes[-1]
        self._answers.append(answer)
        self._scrapes.append(scrape)

    def _is_same(self, answer: LiveAnswer) -> bool:
        """Say whether the last scrape came with the same bytes: to read one again takes as long as to fetch it."""
        last = self._answers[-1] if self._answers else None
        return last is not None and (last.status_code, last.body) == (answer.status_code, answer.body)

    # Health.

    def _record_health(self) -> None:
        try:
            for kind, usual in HEALTH_PATHS.items():
                given = self._options.health_paths.get(kind)
                for path in usual if given is None else (given,) if given else ():
                    if kind not in self._paths and self._has_bodies(path):
                        self._paths[kind] = path
        except (SpentError, UnreachableError) as error:
            self._note(str(error))

    def _has_bodies(self, path: str) -> bool:
        """Ask a health endpoint, with the token and without it; keep the bodies where they are JSON objects."""
        answers = [self._ask(path, self._options.tokens.health)]
        if answers[0].status_code == 404:
            return False
        answers += [self._ask(path, None) for _ in range(1, _REPEATS)]
        bodies = [body for body in map(_body, answers) if body is not None]
        if not bodies:
            told = f"{answers[0].status_code}, {answers[0].media_type or 'no content type'}"
            self._note(f"{path} is left out: its answer is no JSON object ({told})")
        self._bodies += bodies
        return bool(bodies)

    def _ask(self, path: str, token: str | None) -> LiveAnswer:
        return self._client.ask(path, headers={"Accept": "application/json"}, token=token)


def _read(answer: LiveAnswer) -> Scrape:
    path = answer.url
    if answer.media_type == "application/openmetrics-text":
        what = "OpenMetrics, and the text format 0.0.4 was asked for: contracts are held against the text format"
        raise NothingSeenError(f"{path} answered with {what}; have the service look at the header Accept")
    if answer.status_code != 200 or answer.fault is not None:
        raise NothingSeenError(f"{path} answered {answer.status_code}: {answer.fault or 'a scrape is answered 200'}")
    try:
        scrape = read_scrape(answer.body.decode())
    except UnicodeDecodeError as error:
        raise NothingSeenError(f"{path} is no UTF-8: byte {error.start} cannot be read; mend the service") from error
    except ValueError as error:
        told = Redactor().redact_text(str(error))[:200]
        raise NothingSeenError(f"{path} is no text format 0.0.4: {told}; mend the service") from error
    if not scrape.samples:
        raise NothingSeenError(f"{path} has no series: give the path of the metrics in --metrics-path")
    return scrape


def _body(answer: LiveAnswer) -> dict[str, Any] | None:
    if answer.media_type != "application/json" and not answer.media_type.endswith("+json"):
        return None
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None
