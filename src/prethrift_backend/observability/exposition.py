"""The scrape: which format the client wants, the body in it, and the endpoint that serves both.

Accept is read as RFC 9110 section 12.5.1 says: quality first, then how specific the range is, then its place. Nothing
that a client writes there is an error; what cannot be understood is passed over, and where nothing is left the answer
is the text format, which every scraper reads.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry

from prethrift_backend.observability._exposition_text import write

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_Headers = list[tuple[bytes, bytes]]

# RFC 9110 section 12.4.2, without its limit of three decimals: some clients write more.
_QUALITY: Final = re.compile(r"0(?:\.[0-9]{0,9})?|1(?:\.0{0,9})?")
# Smaller bodies fit into a packet or two either way. Arbitrary.
_GZIP_MIN_BYTES: Final = 1024
# Arbitrary: a scrape is compressed for every scraper anew, so a level below the default of 9.
_GZIP_LEVEL: Final = 4
# As much goes to the server at once; the event loop has other turns in between. Arbitrary.
_PIECE_BYTES: Final = 256 * 1024

_UNAUTHORIZED: Final = b"401: the metrics are for whoever sends the header Authorization: Bearer and METRICS_TOKEN\n"


@dataclass(frozen=True, slots=True)
class Exposition:
    """The body of a scrape and the media type it is in."""

    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class _Offer:
    """A format that we can serve; ``version`` is what a client may ask for by parameter."""

    media_type: str
    version: str
    is_openmetrics: bool

    @property
    def content_type(self) -> str:
        return f"{self.media_type}; version={self.version}; charset=utf-8"


@dataclass(frozen=True, slots=True)
class _Range:
    """One element of an Accept header."""

    media_range: str
    parameters: Mapping[str, str]
    quality: float
    position: int

    def specificity(self, offer: _Offer) -> int:
        """Say how exactly the range names the offer: 0 for ``*/*``, 3 for type and version, -1 for not at all."""
        main_type = offer.media_type.partition("/")[0]
        version = self.parameters.get("version")
        if self.media_range == "*/*":
            return 0
        if self.media_range == f"{main_type}/*":
            return 1
        if self.media_range != offer.media_type or version not in (None, offer.version):
            return -1
        return 2 if version is None else 3


_TEXT: Final = _Offer("text/plain", "0.0.4", is_openmetrics=False)
_OPENMETRICS: Final = _Offer("application/openmetrics-text", "1.0.0", is_openmetrics=True)
# The first wins where the client likes both the same.
_OFFERS: Final = (_TEXT, _OPENMETRICS)


def render(registry: CollectorRegistry, accept: str) -> Exposition:
    """Collect the registry and write it in the format that the Accept header prefers.

    OpenMetrics 1.0.0 carries exemplars; text 0.0.4 is the default. No header is an error.
    """
    offer = _choose(accept)
    return Exposition(offer.content_type, b"".join(write(registry.collect(), openmetrics=offer.is_openmetrics)))


def _choose(accept: str) -> _Offer:
    ranges = _ranges(accept)
    ranked = [(_rank(ranges, offer), offer) for offer in _OFFERS]
    wanted = [(rank, offer) for rank, offer in ranked if rank is not None]
    return max(wanted, key=lambda pair: pair[0])[1] if wanted else _TEXT


def _rank(ranges: list[_Range], offer: _Offer) -> tuple[float, int, int] | None:
    """Return quality, specificity and place of the range that decides on this offer; None where it is not wanted."""
    matching = [item for item in ranges if item.specificity(offer) >= 0]
    if not matching:
        return None
    best = max(matching, key=lambda item: (item.specificity(offer), item.quality))
    return (best.quality, best.specificity(offer), -best.position) if best.quality > 0 else None


def _ranges(header: str) -> list[_Range]:
    ranges: list[_Range] = []
    for position, element in enumerate(header.split(",")):
        name, parameters = _element(element)
        quality = _quality(parameters)
        if name and quality is not None:
            ranges.append(_Range(name, parameters, quality, position))
    return ranges


def _element(element: str) -> tuple[str, dict[str, str]]:
    """Split ``name; key=value; …``; names and keys are compared in lower case."""
    name, *rest = element.split(";")
    pairs = (part.partition("=") for part in rest)
    return name.strip().lower(), {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}


def _quality(parameters: Mapping[str, str]) -> float | None:
    """Return the quality, 1 where none is given, None where it is not a number from 0 to 1."""
    given = parameters.get("q", "1")
    return float(given) if _QUALITY.fullmatch(given) else None


def _accepts_gzip(header: str) -> bool:
    """Say whether an Accept-Encoding header wants gzip: by name, else by ``*``."""
    qualities: dict[str, float] = {}
    for element in header.split(","):
        name, parameters = _element(element)
        qualities[name] = _quality(parameters) or 0.0
    return qualities.get("gzip", qualities.get("x-gzip", qualities.get("*", 0.0))) > 0


@dataclass(frozen=True, slots=True)
class _Wish:
    """What two scrapes have in common that can share an answer."""

    offer: _Offer
    gzipped: bool


@dataclass(frozen=True, slots=True)
class _Answer:
    """A body in pieces, and the headers that say what it is."""

    headers: _Headers
    pieces: tuple[bytes, ...]

    @property
    def length_bytes(self) -> int:
        return sum(map(len, self.pieces))


class _Turns:
    """The renderings of one event loop: one thread at a time works, however many scrape.

    Whoever asks while a rendering is under way gets the next one, together with all others who asked meanwhile: what
    is scraped is never older than the request for it.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._next: dict[_Wish, asyncio.Task[_Answer]] = {}

    async def take(self, wish: _Wish, render: Callable[[_Wish], _Answer]) -> _Answer:
        task = self._next.get(wish)
        if task is None or task.done():
            task = self._next[wish] = asyncio.create_task(self._render(wish, render))
        # A client that goes away ends its own waiting and nobody else's.
        return await asyncio.shield(task)

    async def _render(self, wish: _Wish, render: Callable[[_Wish], _Answer]) -> _Answer:
        async with self._lock:
            del self._next[wish]
            return await asyncio.to_thread(render, wish)


class MetricsEndpoint:
    """An ASGI application that answers GET and HEAD, whatever the path, with the exposition of a registry.

    With a ``token`` it answers only those who send it as ``Authorization: Bearer``. The work is done in a thread and in
    slices, so that a scrape of many series does not hold the event loop.
    """

    def __init__(self, registry: CollectorRegistry, *, token: str | None = None) -> None:
        self._registry = registry
        self._token = None if token is None else token.encode()
        # An application has one event loop; one that is tested may meet several.
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns] = WeakKeyDictionary()

    async def __call__(self, scope: _Scope, _receive: _Receive, send: _Send) -> None:
        """Answer one request.

        Raises whatever a collector raises that is not of a MetricSet; nothing has been sent then.
        """
        if scope["type"] != "http":
            raise ValueError(f"scope type {scope['type']!r} is not served: metrics are HTTP; mount them on a route")
        with_body = scope["method"] != "HEAD"
        if not self._admits(_header(scope, b"authorization")):
            await _send_answer(send, 401, _refusal(), with_body=with_body)
        elif scope["method"] not in ("GET", "HEAD"):
            await _send_answer(send, 405, _Answer([(b"allow", b"GET, HEAD")], ()))
        else:
            wish = _Wish(_choose(_header(scope, b"accept")), _accepts_gzip(_header(scope, b"accept-encoding")))
            turns = self._turns.setdefault(asyncio.get_running_loop(), _Turns())
            await _send_answer(send, 200, await turns.take(wish, self._render), with_body=with_body)

    def _admits(self, authorization: str) -> bool:
        if self._token is None:
            return True
        scheme, _, given = authorization.partition(" ")
        # In constant time, and of bytes: compare_digest takes no text outside of ASCII.
        is_equal = hmac.compare_digest(given.strip().encode("latin-1"), self._token)
        return is_equal and scheme.lower() == "bearer"

    def _render(self, wish: _Wish) -> _Answer:
        pieces = list(write(self._registry.collect(), openmetrics=wish.offer.is_openmetrics))
        headers = [(b"content-type", wish.offer.content_type.encode()), (b"vary", b"Accept, Accept-Encoding")]
        if wish.gzipped and sum(map(len, pieces)) >= _GZIP_MIN_BYTES:
            headers.append((b"content-encoding", b"gzip"))
            pieces = _compressed(pieces)
        return _Answer(headers, tuple(_joined(pieces)))


def _refusal() -> _Answer:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"www-authenticate", b'Bearer realm="metrics"')]
    return _Answer(headers, (_UNAUTHORIZED,))


def _compressed(pieces: Iterable[bytes]) -> list[bytes]:
    """Compress piece by piece: zlib gives the interpreter's lock up for as long as it works."""
    compressor = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)  # 16 for gzip's frame
    return [*filter(None, map(compressor.compress, pieces)), compressor.flush()]


def _joined(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Put small pieces together: each costs the server a turn."""
    gathered: list[bytes] = []
    size = 0
    for piece in pieces:
        gathered.append(piece)
        size += len(piece)
        if size >= _PIECE_BYTES:
            yield b"".join(gathered)
            gathered, size = [], 0
    yield b"".join(gathered)


def _header(scope: _Scope, name: bytes) -> str:
    # Latin-1 gives every byte a character; a header that comes several times is one list.
    return ",".join(value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name)


async def _send_answer(send: _Send, status: int, answer: _Answer, *, with_body: bool = True) -> None:
    """Send one complete response; without its body for HEAD, whose headers are those of GET."""
    framing = [(b"content-length", str(answer.length_bytes).encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": [*answer.headers, *framing]})
    *pieces, last = answer.pieces if with_body and answer.pieces else (b"",)
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(0)  # a server that buffers what it is given does not give the others a turn
    await send({"type": "http.response.body", "body": last})
