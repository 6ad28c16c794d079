"""The scrape: which format the client wants, the body in it, and the endpoint that serves both.

Accept is read as RFC 9110 section 12.5.1 says: quality first, then how specific the range is, then its place. Nothing
that a client writes there is an error; what cannot be understood is passed over, and where nothing is left the answer
is the text format, which every scraper reads.
"""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

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
    generate: Callable[[CollectorRegistry], bytes]

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


_TEXT: Final = _Offer("text/plain", "0.0.4", generate_latest)
_OPENMETRICS: Final = _Offer("application/openmetrics-text", "1.0.0", generate_openmetrics)
# The first wins where the client likes both the same.
_OFFERS: Final = (_TEXT, _OPENMETRICS)


def render(registry: CollectorRegistry, accept: str) -> Exposition:
    """Collect the registry and write it in the format that the Accept header prefers.

    OpenMetrics 1.0.0 carries exemplars; text 0.0.4 is the default. No header is an error.
    """
    offer = _choose(accept)
    return Exposition(offer.content_type, offer.generate(registry))


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


class MetricsEndpoint:
    """An ASGI application that answers GET and HEAD, whatever the path, with the exposition of a registry.

    The work is done in a thread, so that a scrape of many series does not hold the event loop.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    async def __call__(self, scope: _Scope, _receive: _Receive, send: _Send) -> None:
        """Answer one request.

        Raises whatever a collector raises that is not of a MetricSet; nothing has been sent then.
        """
        if scope["type"] != "http":
            raise ValueError(f"scope type {scope['type']!r} is not served: metrics are HTTP; mount them on a route")
        if scope["method"] not in ("GET", "HEAD"):
            await _send_answer(send, 405, [(b"allow", b"GET, HEAD")], b"")
            return
        accept, accept_encoding = _header(scope, b"accept"), _header(scope, b"accept-encoding")
        headers, body = await asyncio.to_thread(self._answer, accept, _accepts_gzip(accept_encoding))
        await _send_answer(send, 200, headers, body, with_body=scope["method"] == "GET")

    def _answer(self, accept: str, gzip_wanted: bool) -> tuple[_Headers, bytes]:
        exposition = render(self._registry, accept)
        headers = [
            (b"content-type", exposition.content_type.encode()),
            (b"vary", b"Accept, Accept-Encoding"),
        ]
        if not gzip_wanted or len(exposition.body) < _GZIP_MIN_BYTES:
            return headers, exposition.body
        body = gzip.compress(exposition.body, compresslevel=_GZIP_LEVEL, mtime=0)
        return [*headers, (b"content-encoding", b"gzip")], body


def _header(scope: _Scope, name: bytes) -> str:
    # Latin-1 gives every byte a character; a header that comes several times is one list.
    return ",".join(value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name)


async def _send_answer(send: _Send, status: int, headers: _Headers, body: bytes, *, with_body: bool = True) -> None:
    """Send one complete response; without its body for HEAD, whose headers are those of GET."""
    framing = [(b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *framing]})
    await send({"type": "http.response.body", "body": body if with_body else b""})
