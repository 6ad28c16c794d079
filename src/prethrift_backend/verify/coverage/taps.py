"""Where a test run listens besides the observer of telemetries: scrapes, settings, answers about health.

Each is a function of a class that is wrapped for as long as the run lasts, in the process of the tests and by the
plugin of the tests alone: the code under test has no switch for it, and pays nothing where nobody listens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest.mock import patch

from prometheus_client import CollectorRegistry, Metric
from pydantic_settings import BaseSettings
from starlette.applications import Starlette

from prethrift_backend.health.http import CHECKS_PREFIX, GROUPS_PREFIX, PATHS, HealthEndpoint, HealthResponse
from prethrift_backend.verify.coverage.observer import CoverageObserver

_OWN_ENDPOINTS: Final[Mapping[str, str]] = {kind: path for path, kind in PATHS.items()}


@contextmanager
def listening(observer: CoverageObserver, health_endpoints: Iterable[str]) -> Iterator[None]:
    """Show the observer scrapes, settings and bodies within the block; ``health_endpoints`` are path templates."""
    with ExitStack() as stack:
        for owner, name, make in (
            (CollectorRegistry, "collect", _collect),
            (BaseSettings, "__init__", _settings),
            (HealthEndpoint, "answer", _answer(lambda kind: _OWN_ENDPOINTS[kind])),
            (HealthEndpoint, "answer_check", _answer(lambda _: f"{CHECKS_PREFIX}{{name}}")),
            (HealthEndpoint, "answer_group", _answer(lambda _: f"{GROUPS_PREFIX}{{name}}")),
            (Starlette, "__call__", _application(tuple(health_endpoints))),
        ):
            stack.enter_context(patch.object(owner, name, make(getattr(owner, name), observer)))
        yield


_Function = Callable[..., Any]
_Wrapper = Callable[[_Function, CoverageObserver], _Function]


def _collect(original: _Function, observer: CoverageObserver) -> _Function:
    def collect(registry: CollectorRegistry) -> Iterator[Metric]:
        for metric in original(registry):
            observer.scraped(registry, metric)
            yield metric

    return collect


def _settings(original: _Function, observer: CoverageObserver) -> _Function:
    def initialise(self: BaseSettings, *arguments: Any, **values: Any) -> None:
        original(self, *arguments, **values)
        for name in _changed(self):
            observer.setting(name)

    return initialise


def _changed(settings: BaseSettings) -> Iterator[str]:
    """Yield the names in the environment of the fields that were given another value than their default."""
    model = type(settings)
    values = dict(settings)
    prefix = str(model.model_config.get("env_prefix") or "")
    for name in settings.model_fields_set & set(model.model_fields):
        field = model.model_fields[name]
        if values[name] != field.get_default(call_default_factory=True, validated_data=values):
            yield f"{prefix}{name}".upper()
            yield from (alias.upper() for alias in (field.alias, field.validation_alias) if isinstance(alias, str))


def _answer(endpoint_of: Callable[[str], str]) -> _Wrapper:
    def wrap(original: _Function, observer: CoverageObserver) -> _Function:
        async def answer(self: HealthEndpoint, what: str, **options: Any) -> HealthResponse:
            response: HealthResponse = await original(self, what, **options)
            if dict(response.headers).get("content-type") == "application/json":
                _show(observer, endpoint_of(what), response.body)
            return response

        return answer

    return wrap


def _show(observer: CoverageObserver, endpoint: str, body: bytes) -> None:
    try:
        document = json.loads(body)
    except ValueError:  # the body of a HEAD, or a fault that the test is about
        return
    observer.body(endpoint, document)


def _application(endpoints: tuple[str, ...]) -> _Wrapper:
    patterns = {endpoint: re.compile(re.sub(r"\\\{[^/]*?\\\}", "[^/]+", re.escape(endpoint))) for endpoint in endpoints}

    def wrap(original: _Function, observer: CoverageObserver) -> _Function:
        async def application(self: Starlette, scope: Any, receive: Any, send: Any) -> None:
            path = scope.get("path", "") if scope["type"] == "http" else ""
            endpoint = next((one for one, pattern in patterns.items() if pattern.fullmatch(path)), None)
            if endpoint is not None:
                send = _Body(send, lambda body: _show(observer, endpoint, body))
            await original(self, scope, receive, send)

        return application

    return wrap


class _Body:
    """Hands a response on, and its body to whoever listens; none but JSON is read, whatever its code."""

    def __init__(self, send: _Function, on_body: Callable[[bytes], None]) -> None:
        self._send = send
        self._on_body = on_body
        self._pieces: list[bytes] = []
        self._is_json = False

    async def __call__(self, message: Mapping[str, Any]) -> None:
        await self._send(message)
        if message["type"] == "http.response.start":
            headers = {bytes(name).lower(): bytes(value) for name, value in message.get("headers", ())}
            self._is_json = headers.get(b"content-type", b"").startswith(b"application/json")
        elif message["type"] == "http.response.body" and self._is_json:
            self._pieces.append(message.get("body", b""))
            if not message.get("more_body", False):
                self._on_body(b"".join(self._pieces))
