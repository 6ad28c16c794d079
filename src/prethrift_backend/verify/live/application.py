"""An application that runs in this process and is asked without a socket: ``verify --app module:attribute``.

Its lifespan and its requests run on an event loop on a thread of their own; the stages ask it as they ask a service.
What it logs and traces is observed where it is made, so that neither a log file nor a receiver is needed. What a server
adds is not seen: the parser of HTTP, TLS, several workers. This package's own application has no database here, and is
right to say so.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, MutableMapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

import httpx
from opentelemetry.sdk.trace import ReadableSpan

from prethrift_backend.observability import redact_text
from prethrift_backend.observability.observing import observed_by
from prethrift_backend.verify.application import OWN_REFERENCE, ApplicationError, load_application
from prethrift_backend.verify.live.client import BODY_BYTES_MAX, LiveClock, TooLongError
from prethrift_backend.verify.live.context import LiveApplication, LiveRecords
from prethrift_backend.verify.live.options import LiveOptions, LiveRun
from prethrift_backend.verify.live.run import verify_live

if TYPE_CHECKING:
    from prethrift_backend.observability.asgi import ASGIApp
    from prethrift_backend.observability.metrics import MetricSet

# Nobody is asked at this address; a host of this machine passes where an application admits only some.
_URL: Final = "http://localhost"
# Arbitrary: an application that loads a model may take some time, one that hangs does not end.
_LIFESPAN_SECONDS: Final = 60.0
# Nobody else is waiting, and no network is to be spared.
_REASON_CHARACTERS: Final = 300  # arbitrary
_RATE_PER_SECOND: Final = 1_000_000.0


class _Recorder:
    """Keeps what the telemetries of the application say."""

    def __init__(self, records: LiveRecords) -> None:
        self._records = records

    def configured(self, metrics: MetricSet) -> None:  # noqa: ARG002 - the name is the protocol's
        """Note that there is somebody to say something; the metrics are scraped."""
        self._records.is_told = True

    def line(self, line: bytes) -> None:
        """Keep a line."""
        self._records.lines.append(line)

    def span(self, span: ReadableSpan) -> None:
        """Keep a span."""
        self._records.spans.append(span)


def verify_application(
    reference: str | None,
    contracts: Path | None = None,
    *,
    options: LiveOptions | None = None,
    clock: LiveClock | None = None,
) -> LiveRun:
    """Make an application, run it, and hold it against the contracts of a folder; None is this package's own.

    Raises ApplicationError where it cannot be made or does not start, and as `verify_live` does.
    """
    options = options or LiveOptions()
    records = LiveRecords()
    own = None if reference in (None, "", OWN_REFERENCE) else reference
    unhurried = replace(options, limits=replace(options.limits, rate_per_second=_RATE_PER_SECOND))
    with observed_by(_Recorder(records)):  # the lifespan too: some configure their telemetry there
        application = load_application(own)
        try:
            with running(application.app, application.reference, timeout_seconds=options.limits.timeout_seconds) as way:
                asked = LiveApplication(application.reference, way, records)
                return verify_live(_URL, contracts, options=unhurried, clock=clock, application=asked)
        finally:
            application.close()


@contextmanager
def running(app: ASGIApp, reference: str, *, timeout_seconds: float = 5.0) -> Iterator[httpx.BaseTransport]:
    """Run the lifespan of an application on a thread, and yield the way for httpx to ask it.

    Raises ApplicationError where it does not start.
    """
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="verify-application", daemon=True)
    thread.start()
    lifespan = _Lifespan(app, reference)
    try:
        _result(asyncio.run_coroutine_threadsafe(lifespan.start(), loop), reference, "start")
        yield _Transport(loop, lifespan.serve, timeout_seconds)
    finally:
        try:
            _result(asyncio.run_coroutine_threadsafe(lifespan.stop(), loop), reference, "stop")
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_LIFESPAN_SECONDS)
            if not thread.is_alive():
                _close(loop)


def _result(future: Future[None], reference: str, what: str) -> None:
    try:
        future.result(_LIFESPAN_SECONDS)
    except TimeoutError:
        future.cancel()
        raise ApplicationError(
            f"application {reference!r} did not {what} within {_LIFESPAN_SECONDS:g} s; see what its lifespan waits for"
        ) from None


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """End what the application has left on its loop, and close it."""
    loop.run_until_complete(_end_tasks())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


async def _end_tasks() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


class _Lifespan:
    """The lifespan of one application, by the ASGI specification (Lifespan Protocol, 2.0)."""

    def __init__(self, app: ASGIApp, reference: str) -> None:
        self._app: Any = app
        self._reference = reference
        self._state: dict[str, Any] = {}
        self._is_started = asyncio.Event()
        self._is_to_stop = asyncio.Event()
        self._events = iter(({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}))
        self._failure: str | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Run until the application says that it is up; one that knows no lifespan is up at once."""
        self._task = asyncio.create_task(self._run())
        await self._is_started.wait()
        if self._failure is not None:
            raise ApplicationError(
                f"application {self._reference!r} does not start: {self._failure}; start it by itself to see why"
            )

    async def stop(self) -> None:
        """Let the application give back what it has."""
        self._is_to_stop.set()
        if self._task is not None:
            if not self._is_started.is_set():  # nobody waits for it any more
                self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def serve(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Answer a request, with the state that the lifespan has made."""
        try:
            await self._app({**scope, "state": dict(self._state)}, receive, send)
        except SystemExit as error:  # it would end the loop, and with it every other request
            raise RuntimeError("the application wanted to end the process") from error

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self._state}
        # An error means that it knows no lifespan, or failed in it: then it has said so in a message before.
        with contextlib.suppress(Exception):
            try:
                await self._app(scope, self._receive, self._send)
            except SystemExit as error:
                self._failure = f"it ends the process with status {error.code}"
        self._is_started.set()

    async def _receive(self) -> dict[str, str]:
        if self._is_started.is_set():
            await self._is_to_stop.wait()
        return next(self._events)

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "lifespan.startup.failed":
            said = str(message.get("message", "")).strip().splitlines()
            # It may hold what the start failed at, an address with a password for one.
            self._failure = redact_text(said[-1])[:_REASON_CHARACTERS] if said else "it gives no reason"
        if message["type"].startswith("lifespan.startup."):
            self._is_started.set()


class _Transport(httpx.BaseTransport):
    """Asks on the loop of the application, and waits on the thread of whoever asks."""

    def __init__(self, loop: asyncio.AbstractEventLoop, app: Any, timeout_seconds: float) -> None:
        self._loop = loop
        self._app = app
        self._timeout_seconds = timeout_seconds

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer with its body; raises ReadTimeout where none comes in time."""
        request.read()
        future = asyncio.run_coroutine_threadsafe(self._answer(request), self._loop)
        try:
            return future.result(self._timeout_seconds)
        except TimeoutError:
            raise httpx.ReadTimeout("no answer in time", request=request) from None
        finally:
            future.cancel()

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        bounded = _Bounded(self._app)
        transport = httpx.ASGITransport(app=bounded, raise_app_exceptions=False)
        response = await transport.handle_async_request(request)
        if bounded.size > BODY_BYTES_MAX:
            raise TooLongError(f"more than {BODY_BYTES_MAX} bytes", request=request)
        body = b"".join([piece async for piece in response.aiter_raw()])
        return httpx.Response(response.status_code, headers=response.headers, stream=httpx.ByteStream(body))


class _Bounded:
    """An application that is cut off where its answer has no end; without a socket nothing else would slow it."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.size = 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        """Answer a request as far as an answer is read."""

        async def counted(message: MutableMapping[str, Any]) -> None:
            self.size += len(message.get("body", b""))
            if self.size > BODY_BYTES_MAX:
                raise OSError("the client has gone")
            await asyncio.sleep(0)  # so that others have their turn, and the time of a request can end
            await send(message)

        await self._app(scope, receive, counted)
