"""How health becomes an HTTP answer. No framework: a method, two headers in; a code, headers, bytes out.

Codes depend on the state alone. No header, parameter or body of a request can change one, and no fault in here becomes
a 500: a monitor that gets a broken answer knows less than one that gets "unhealthy".
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, Self

from prethrift_backend.config import Settings
from prethrift_backend.health._bodies import Identity, json_body, metrics_body
from prethrift_backend.health._negotiation import Form, negotiate
from prethrift_backend.health.aggregate import Overall, Reason, health_of, readiness_of
from prethrift_backend.health.check import CheckReport
from prethrift_backend.health.engine import HealthEngine
from prethrift_backend.health.lifecycle import Lifecycle, Phase
from prethrift_backend.health.status import HealthStatus
from prethrift_backend.observability import get_logger

Kind = Literal["health", "live", "ready"]
DetailsPolicy = Literal["always", "authorized", "never"]

PATHS: Final[Mapping[str, Kind]] = {"/health": "health", "/health/live": "live", "/health/ready": "ready"}

HEALTH_DEADLINE_SECONDS: Final = 2.0
READY_DEADLINE_SECONDS: Final = 0.8
"""Below the second after which a kubelet gives up by default: an answer that nobody reads is none."""

RETRY_AFTER_SECONDS: Final = 5

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


class HealthEndpoint:
    """Answers ``/health``, ``/health/live`` and ``/health/ready`` for one engine and one life cycle."""

    def __init__(  # noqa: PLR0913 - the parts of an answer, each given by the composition root; tests give a clock
        self,
        engine: HealthEngine,
        lifecycle: Lifecycle,
        *,
        version: str,
        environment: str,
        gate: DetailsGate | None = None,
        health_deadline_seconds: float = HEALTH_DEADLINE_SECONDS,
        ready_deadline_seconds: float = READY_DEADLINE_SECONDS,
        utc_now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._engine = engine
        self._lifecycle = lifecycle
        self._identity = Identity(version, environment)
        self._gate = gate or DetailsGate()
        self._health_deadline_seconds = health_deadline_seconds
        self._ready_deadline_seconds = ready_deadline_seconds
        self._utc_now = utc_now
        self._has_failed = False

    @classmethod
    def from_settings(cls, engine: HealthEngine, lifecycle: Lifecycle, *, settings: Settings) -> Self:
        """Make the endpoint with the version, environment and details policy of ``settings``."""
        token = settings.health_token
        gate = DetailsGate(settings.health_details, token=None if token is None else token.get_secret_value())
        return cls(engine, lifecycle, version=settings.service_version, environment=settings.environment, gate=gate)

    async def answer(
        self, kind: Kind, *, method: str = "GET", accept: str | None = None, authorization: str | None = None
    ) -> HealthResponse:
        """Answer one request; never raises, except for its own cancellation.

        ``accept`` and ``authorization`` are the headers' values, or None where they were not sent.
        """
        if method not in ("GET", "HEAD"):
            return _response(405, (("allow", "GET, HEAD"),), b"")
        try:
            response = await self._answer(kind, accept, authorization)
            self._has_failed = False
        except Exception as error:  # noqa: BLE001 - the last resort that keeps a 500 from ever being sent
            self._tell(kind, error)
            response = self._last_resort(kind, accept)
        return HealthResponse(response.status_code, response.headers, b"") if method == "HEAD" else response

    async def _answer(self, kind: Kind, accept: str | None, authorization: str | None) -> HealthResponse:
        shows_details = self._gate.admits(authorization)
        if kind == "live":  # looks at nothing: being able to answer is what it says
            return self._json(kind, Overall(HealthStatus.HEALTHY), (), shows_details=False)
        if kind == "ready":
            reports = await self._ready_reports()
            return self._json(kind, readiness_of(reports, self._lifecycle), reports, shows_details=shows_details)
        reports = await self._engine.refresh(deadline_seconds=self._health_deadline_seconds)
        overall = health_of(reports, self._lifecycle)
        form = negotiate(accept)
        if form is Form.JSON:
            return self._json(kind, overall, reports, shows_details=shows_details)
        return self._metrics(form, overall, reports)

    async def _ready_reports(self) -> Sequence[CheckReport]:
        if self._lifecycle.phase is not Phase.READY:  # the answer is no already; checks would only delay it
            return self._engine.snapshot()
        return await self._engine.refresh(deadline_seconds=self._ready_deadline_seconds)

    def _json(
        self, kind: Kind, overall: Overall, reports: Sequence[CheckReport], *, shows_details: bool
    ) -> HealthResponse:
        body = json_body(
            self._identity,
            overall,
            reports,
            timestamp=self._utc_now(),
            uptime_seconds=self._lifecycle.uptime_seconds,
            shows_details=shows_details,
        )
        return _response(_code(overall), self._headers(kind, Form.JSON), body)

    def _metrics(self, form: Form, overall: Overall, reports: Sequence[CheckReport]) -> HealthResponse:
        body = metrics_body(overall, reports, is_openmetrics=form is Form.OPENMETRICS)
        return _response(_code(overall), self._headers("health", form), body)

    def _last_resort(self, kind: Kind, accept: str | None) -> HealthResponse:
        """Answer from constants alone, since anything else may be what has just failed."""
        is_live = kind == "live"
        overall = Overall(HealthStatus.HEALTHY) if is_live else Overall(HealthStatus.UNHEALTHY, Reason.INTERNAL)
        form = negotiate(accept) if kind == "health" else Form.JSON
        if form is not Form.JSON:
            return self._metrics(form, overall, ())
        body = json_body(self._identity, overall, (), timestamp=_utc_now(), uptime_seconds=0.0, shows_details=False)
        return _response(_code(overall), self._headers(kind, form), body)

    def _headers(self, kind: Kind, form: Form) -> tuple[tuple[str, str], ...]:
        varies = (["Accept"] if kind == "health" else []) + (
            ["Authorization"] if kind != "live" and self._gate.policy == "authorized" else []
        )
        vary = (("vary", ", ".join(varies)),) if varies else ()
        return (("content-type", form.value), *vary)

    def _tell(self, kind: Kind, error: Exception) -> None:
        if not self._has_failed:  # once, and not for each probe
            _log.error("health_endpoint_failed", kind=kind, error_type=type(error).__name__)
        self._has_failed = True


def _code(overall: Overall) -> int:
    return 503 if overall.status is HealthStatus.UNHEALTHY else 200


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
    """The three paths as an ASGI application, alone or in front of ``app``, which then gets everything else."""

    def __init__(self, endpoint: HealthEndpoint, app: AsgiApp | None = None) -> None:
        self._endpoint = endpoint
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request to one of the paths; pass on whatever else comes, or answer 404 to it."""
        kind = PATHS.get(_path(scope)) if scope["type"] == "http" else None
        if kind is not None:
            await _send(send, await self._answer(kind, scope))
        elif self._app is not None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await _send(send, _response(404, (), b""))
        else:  # the ASGI specification's way to say that there is no lifespan, and no websocket, here
            raise RuntimeError(f"HealthApp has no answer to a scope of type {scope['type']!r}: give it an app to wrap")

    async def _answer(self, kind: Kind, scope: Scope) -> HealthResponse:
        return await self._endpoint.answer(
            kind,
            method=scope["method"],
            accept=_header(scope, b"accept"),
            authorization=_header(scope, b"authorization"),
        )


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
