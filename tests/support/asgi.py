"""Drive an ASGI application message by message, and read what its telemetry wrote."""

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import orjson

from prethrift_backend.config import Settings
from prethrift_backend.observability import Telemetry, configure
from prethrift_backend.observability.setup import PartsGiven

Message = MutableMapping[str, Any]
Application = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass
class Answer:
    """What an application sent on one connection, and the exception that it ended in."""

    messages: list[Message] = field(default_factory=list)
    error: BaseException | None = None

    @property
    def status(self) -> int:
        """The status of the response."""
        return next(int(m["status"]) for m in self.messages if m["type"] == "http.response.start")

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers of the response, or of the handshake of a WebSocket."""
        return next(list(m["headers"]) for m in self.messages if "headers" in m)

    @property
    def body(self) -> bytes:
        """The body of the response, its parts joined."""
        return b"".join(m.get("body", b"") for m in self.messages if m["type"] == "http.response.body")

    def header(self, name: bytes) -> list[bytes]:
        """Return every value of the header ``name``."""
        return [value for key, value in self.headers if key == name]


def http_scope(
    method: str = "GET", path: str = "/", *, headers: Iterable[tuple[bytes, bytes]] = (), query: bytes = b""
) -> dict[str, Any]:
    """Return the scope of an HTTP request as uvicorn makes it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode("utf-8", "surrogateescape"),
        "root_path": "",
        "query_string": query,
        "headers": list(headers),
        "client": ("192.0.2.1", 1234),
        "server": ("test", 80),
        "state": {},
    }


async def drive(
    app: Application,
    scope: dict[str, Any],
    incoming: Iterable[Message] = ({"type": "http.request", "body": b"", "more_body": False},),
    *,
    fail_send_after: int | None = None,
) -> Answer:
    """Serve one connection and return what was sent.

    When ``incoming`` is used up, receiving waits for ever, as it does on a connection that is quiet. Sending raises
    OSError after ``fail_send_after`` messages, as a server does whose client is gone.
    """
    answer = Answer()
    waiting = list(incoming)

    async def receive() -> Message:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    async def send(message: Message) -> None:
        if fail_send_after is not None and len(answer.messages) >= fail_send_after:
            raise OSError("client is gone")
        answer.messages.append(message)

    try:
        await app(scope, receive, send)
    except BaseException as error:  # noqa: BLE001 - the answer holds it; the test decides
        answer.error = error
    return answer


class Recorder:
    """A telemetry that writes JSON lines into memory; strict unless a test breaks something on purpose.

    ``made`` holds those of the test that runs, for a fixture to close.
    """

    made: ClassVar[list["Recorder"]] = []

    def __init__(
        self, *, strict: bool = True, log_format: str = "json", parts: PartsGiven | None = None, **settings: Any
    ) -> None:
        self.stream = io.BytesIO()
        given: PartsGiven = {"log_stream": self.stream}
        given.update(parts or {})
        self.telemetry: Telemetry = configure(
            Settings.model_validate({"log_format": log_format, **settings}), strict=strict, **given
        )
        self.made.append(self)

    def text(self) -> str:
        """Close the telemetry and return everything that it wrote."""
        self.telemetry.close()
        return self.stream.getvalue().decode()

    def lines(self, event: str | None = None) -> list[dict[str, Any]]:
        """Close the telemetry and return its lines, or those of one event."""
        parsed = [orjson.loads(line) for line in self.text().split("\n") if line]
        return [line for line in parsed if event is None or line["event"] == event]

    def sample(self, name: str, **labels: str) -> float | None:
        """Return the value of one sample of the registry."""
        value: float | None = self.telemetry.metrics.registry.get_sample_value(name, labels)
        return value
