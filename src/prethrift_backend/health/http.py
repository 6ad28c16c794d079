"""How health becomes an HTTP answer. No framework: a method, two headers in; a code, headers, bytes out.

Codes depend on the state alone. No header, parameter or body of a request can change one, and no fault in here becomes
a 500: a monitor that gets a broken answer knows less than one that gets "unhealthy".
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal, Self

import orjson

from prethrift_backend.config import Settings
from prethrift_backend.health._bodies import Identity, json_body, metrics_body
from prethrift_backend.health._negotiation import Form, negotiate
from prethrift_backend.health.aggregate import Overall, Reason
from prethrift_backend.health.check import CheckReport
from prethrift_backend.health.engine import HealthEngine
from prethrift_backend.health.families import Moment
from prethrift_backend.health.groups import (
    HEALTH,
    HEALTH_DEADLINE_SECONDS,
    READY,
    READY_DEADLINE_SECONDS,
    HealthGroup,
    single,
)
from prethrift_backend.health.lifecycle import Lifecycle, Phase
from prethrift_backend.health.status import HealthStatus
from prethrift_backend.observability import get_logger

Kind = Literal["health", "live", "ready"]
DetailsPolicy = Literal["always", "authorized", "never"]

PATHS: Final[Mapping[str, Kind]] = {"/health": "health", "/health/live": "live", "/health/ready": "ready"}

GROUPS_PREFIX: Final = "/health/groups/"
CHECKS_PREFIX: Final = "/health/checks/"

RETRY_AFTER_SECONDS: Final = 5
SCRAPE_MARGIN_SECONDS: Final = 0.5
"""What is left of Prometheus's own limit for the way of the answer, as the blackbox exporter has it."""

_BASE_HEADERS: Final = (("cache-control", "no-store"), ("x-content-type-options", "nosniff"))
_log = get_logger(__name__)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class HealthResponse:
    """An answer; header names are in lower case, and ``content-length`` is among them. For HEAD the body is empty."""

    status_code: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class DetailsGate:
    """Decides who sees details: everybody, nobody, or whoever sends the token as ``Authorization: Bearer``.

    With ``authorized`` and no token, nobody.
    """

    def __init__(self, policy: DetailsPolicy = "never", *, token: str | None = None) -> None:
        self.policy: Final = policy
        self._token = (token or "").encode()

    def admits(self, authorization: str | None) -> bool:
        """Tell whether the caller with this header (decoded as latin-1, as HTTP has it) may see details."""
        if self.policy != "authorized":
            return self.policy == "always"
        scheme, _, given = (authorization or "").partition(" ")
        # Bytes, because compare_digest refuses text outside ASCII; its time does not depend on where the two differ.
        is_equal = hmac.compare_digest(given.strip().encode("latin-1", errors="replace"), self._token)
        return is_equal and scheme.lower() == "bearer" and self._token != b""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What of a request matters: the headers' values, or None where they were not sent."""

    accept: str | None
    authorization: str | None
    scrape_timeout: str | None


class HealthEndpoint:
    """Answers every health path for one engine and one life cycle: the whole, its groups, and each check.

    Raises ValueError where one of ``groups`` names a check that is not registered, or two have one name.
    """

    def __init__(  # noqa: PLR0913 - the parts of an answer, each given by the composition root; tests give a clock
        self,
        engine: HealthEngine,
        lifecycle: Lifecycle,
        *,
        version: str,
        environment: str,
        gate: DetailsGate | None = None,
        groups: Iterable[HealthGroup] = (),
        health_deadline_seconds: float = HEALTH_DEADLINE_SECONDS,
        ready_deadline_seconds: float = READY_DEADLINE_SECONDS,
        utc_now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._engine = engine
        self._lifecycle = lifecycle
        self._identity = Identity(version, environment)
        self._gate = gate or DetailsGate()
        self._health = replace(HEALTH, deadline_seconds=health_deadline_seconds)
        self._ready = replace(READY, deadline_seconds=ready_deadline_seconds)
        self._groups = _by_name(groups, engine.check_names)
        self._utc_now = utc_now
        self._has_failed = False

    @classmethod
    def from_settings(
        cls, engine: HealthEngine, lifecycle: Lifecycle, *, settings: Settings, groups: Iterable[HealthGroup] = ()
    ) -> Self:
        """Make the endpoint with the version, environment and details policy of ``settings``."""
        token = settings.health_token
        gate = DetailsGate(settings.health_details, token=None if token is None else token.get_secret_value())
        return cls(
            engine,
            lifecycle,
            version=settings.service_version,
            environment=settings.environment,
            gate=gate,
            groups=groups,
        )

    @property
    def check_names(self) -> tuple[str, ...]:
        """Return the names that ``answer_check`` knows."""
        return self._engine.check_names

    @property
    def groups(self) -> tuple[HealthGroup, ...]:
        """Return the groups that ``answer_group`` knows."""
        return tuple(self._groups.values())

    async def answer(
        self,
        kind: Kind,
        *,
        method: str = "GET",
        accept: str | None = None,
        authorization: str | None = None,
        scrape_timeout: str | None = None,
    ) -> HealthResponse:
        """Answer one request; never raises, except for its own cancellation.

        ``accept``, ``authorization`` and ``scrape_timeout`` (``X-Prometheus-Scrape-Timeout-Seconds``) are the headers'
        values, or None where they were not sent.
        """
        asked = _Asked(accept, authorization, scrape_timeout)
        answers = {"live": self._live, "ready": self._ready_answer, "health": self._health_answer}
        return await self._guarded(kind, method, asked, answers[kind])

    async def answer_group(self, name: str, *, method: str = "GET", authorization: str | None = None) -> HealthResponse:
        """Answer for the group of this name, with the codes of the group; 404 where there is none."""
        group = self._groups.get(name)
        if group is None:
            return _bodiless(method, _unknown("group", self._groups))
        return await self._group_answer(f"groups/{name}", group, method, authorization)

    async def answer_check(self, name: str, *, method: str = "GET", authorization: str | None = None) -> HealthResponse:
        """Answer for one check alone: 503 when it is unhealthy, critical or not; 404 where none has this name."""
        if name not in self.check_names:
            return _bodiless(method, _unknown("check", self.check_names))
        return await self._group_answer(f"checks/{name}", single(name), method, authorization)

    async def _group_answer(
        self, what: str, group: HealthGroup, method: str, authorization: str | None
    ) -> HealthResponse:
        asked = _Asked(None, authorization, None)
        return await self._guarded(what, method, asked, lambda asked: self._judged(group, asked))

    async def _guarded(
        self, what: str, method: str, asked: _Asked, answer: Callable[[_Asked], Awaitable[HealthResponse]]
    ) -> HealthResponse:
        if method not in ("GET", "HEAD"):
            return _response(405, (("allow", "GET, HEAD"),), b"")
        try:
            response = await answer(asked)
            self._has_failed = False
        except Exception as error:  # noqa: BLE001 - the last resort that keeps a 500 from ever being sent
            self._tell(what, error)
            response = self._last_resort(what, asked.accept)
        return _bodiless(method, response)

    async def _live(self, _asked: _Asked) -> HealthResponse:
        """Answer without a look at anything: being able to answer is what it says."""
        body = self._body(Overall(HealthStatus.HEALTHY), (), shows_details=False)
        return _response(200, _headers(Form.JSON), body)

    async def _ready_answer(self, asked: _Asked) -> HealthResponse:
        if self._lifecycle.phase is Phase.READY:
            return await self._judged(self._ready, asked)
        # The answer is no already; checks would only delay it.
        return self._json(self._ready, self._engine.snapshot(), asked)

    async def _health_answer(self, asked: _Asked) -> HealthResponse:
        form = negotiate(asked.accept)
        reports = await self._reports(self._health, asked)
        if form is Form.JSON:
            return self._json(self._health, reports, asked, varies=("Accept",))
        overall = self._health.judge(reports, self._lifecycle)
        return self._metrics(form, Moment(overall, reports, self._engine.heartbeat_age_seconds))

    async def _judged(self, group: HealthGroup, asked: _Asked) -> HealthResponse:
        return self._json(group, await self._reports(group, asked), asked)

    async def _reports(self, group: HealthGroup, asked: _Asked) -> Sequence[CheckReport]:
        deadline = _deadline_seconds(group.deadline_seconds, asked.scrape_timeout)
        return await self._engine.refresh(deadline_seconds=deadline, names=group.checks)

    def _json(
        self, group: HealthGroup, reports: Sequence[CheckReport], asked: _Asked, *, varies: tuple[str, ...] = ()
    ) -> HealthResponse:
        overall = group.judge(reports, self._lifecycle)
        body = self._body(overall, reports, shows_details=self._gate.admits(asked.authorization))
        return _response(group.code_of(overall.status), _headers(Form.JSON, *varies, *self._details_vary()), body)

    def _body(self, overall: Overall, reports: Sequence[CheckReport], *, shows_details: bool) -> bytes:
        return json_body(
            self._identity,
            overall,
            reports,
            timestamp=self._utc_now(),
            uptime_seconds=self._lifecycle.uptime_seconds,
            shows_details=shows_details,
        )

    def _metrics(self, form: Form, moment: Moment) -> HealthResponse:
        body = metrics_body(moment, is_openmetrics=form is Form.OPENMETRICS)
        code = self._health.code_of(moment.overall.status)
        return _response(code, _headers(form, "Accept", *self._details_vary()), body)

    def _last_resort(self, what: str, accept: str | None) -> HealthResponse:
        """Answer from constants alone, since anything else may be what has just failed."""
        is_live = what == "live"
        overall = Overall(HealthStatus.HEALTHY) if is_live else Overall(HealthStatus.UNHEALTHY, Reason.INTERNAL)
        form = negotiate(accept) if what == "health" else Form.JSON
        if form is not Form.JSON:
            return self._metrics(form, Moment(overall, ()))
        body = json_body(self._identity, overall, (), timestamp=_utc_now(), uptime_seconds=0.0, shows_details=False)
        varies = (*(("Accept",) if what == "health" else ()), *(() if is_live else self._details_vary()))
        return _response(200 if is_live else 503, _headers(form, *varies), body)

    def _details_vary(self) -> tuple[str, ...]:
        return ("Authorization",) if self._gate.policy == "authorized" else ()

    def _tell(self, what: str, error: Exception) -> None:
        if not self._has_failed:  # once, and not for each probe
            _log.error("health_endpoint_failed", kind=what, error_type=type(error).__name__)
        self._has_failed = True


def _by_name(groups: Iterable[HealthGroup], check_names: Collection[str]) -> Mapping[str, HealthGroup]:
    by_name: dict[str, HealthGroup] = {}
    for group in groups:
        if group.name in by_name:
            raise ValueError(f"the group name {group.name!r} is taken: names are unique; choose another")
        unknown = [name for name in group.checks or () if name not in check_names]
        if unknown:
            raise ValueError(
                f"the group {group.name!r} names the check {unknown[0]!r}, which is not registered: a group is made of "
                f"registered checks ({', '.join(check_names) or 'there is none'}); register it before, or mend the name"
            )
        by_name[group.name] = group
    return by_name


def _deadline_seconds(own: float, scrape_timeout: str | None) -> float:
    """Return how long to wait for checks: our own limit, or less where the scraper leaves sooner."""
    try:
        asked = float(scrape_timeout or "inf")
    except ValueError:
        return own
    # Nothing that a client sends may lengthen the wait, and NaN compares false.
    return max(0.0, min(own, asked - SCRAPE_MARGIN_SECONDS)) if asked > 0 else own


def _unknown(what: str, names: Iterable[str]) -> HealthResponse:
    """Answer 404 as a problem document (RFC 9457). The name that was asked for is not repeated."""
    problem = {
        "type": f"urn:prethrift:problem:{what}_not_found",
        "title": "Not Found",
        "status": 404,
        "detail": f"there is no {what} of this name; those that exist are listed in {what}s",
        "code": f"{what}_not_found",
        f"{what}s": list(names),
    }
    return _response(404, (("content-type", "application/problem+json"),), orjson.dumps(problem))


def _bodiless(method: str, response: HealthResponse) -> HealthResponse:
    return HealthResponse(response.status_code, response.headers, b"") if method == "HEAD" else response


def _headers(form: Form, *varies: str) -> tuple[tuple[str, str], ...]:
    vary = (("vary", ", ".join(varies)),) if varies else ()
    return (("content-type", form.value), *vary)


def _response(status_code: int, headers: Iterable[tuple[str, str]], body: bytes) -> HealthResponse:
    retry = (("retry-after", str(RETRY_AFTER_SECONDS)),) if status_code == 503 else ()
    length = ("content-length", str(len(body)))
    return HealthResponse(status_code, (*headers, length, *_BASE_HEADERS, *retry), body)


Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class HealthApp:
    """The health paths as an ASGI application, alone or in front of ``app``, which then gets everything else."""

    def __init__(self, endpoint: HealthEndpoint, app: AsgiApp | None = None) -> None:
        self._endpoint = endpoint
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request to one of the paths; pass on whatever else comes, or answer 404 to it."""
        response = await self._answer(scope) if scope["type"] == "http" else None
        if response is not None:
            await _send(send, response)
        elif self._app is not None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await _send(send, _response(404, (), b""))
        else:  # the ASGI specification's way to say that there is no lifespan, and no websocket, here
            raise RuntimeError(f"HealthApp has no answer to a scope of type {scope['type']!r}: give it an app to wrap")

    async def _answer(self, scope: Scope) -> HealthResponse | None:
        path, method, authorization = _path(scope), scope["method"], _header(scope, b"authorization")
        kind = PATHS.get(path)
        if kind is not None:
            return await self._endpoint.answer(
                kind,
                method=method,
                accept=_header(scope, b"accept"),
                authorization=authorization,
                scrape_timeout=_header(scope, b"x-prometheus-scrape-timeout-seconds"),
            )
        for prefix, answer in (
            (GROUPS_PREFIX, self._endpoint.answer_group),
            (CHECKS_PREFIX, self._endpoint.answer_check),
        ):
            if path.startswith(prefix):
                return await answer(path.removeprefix(prefix), method=method, authorization=authorization)
        return None


def _path(scope: Scope) -> str:
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))  # a mount leaves its own part of the path in place


def _header(scope: Scope, name: bytes) -> str | None:
    values = [value.decode("latin-1") for key, value in scope["headers"] if key == name]
    return ", ".join(values) if values else None


async def _send(send: Send, response: HealthResponse) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})
