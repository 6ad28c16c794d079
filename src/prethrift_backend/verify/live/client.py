"""The client of ``verify``: it asks one origin, follows nothing, and asks neither often nor fast."""

from __future__ import annotations

import ssl
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import InitVar, dataclass, field
from typing import Final
from urllib.parse import urlsplit

import httpx

from prethrift_backend import __version__
from prethrift_backend.exceptions import PrethriftError
from prethrift_backend.verify.live.deadline import Deadline

# Arbitrary; four times the largest budget that our own contract has.
BODY_BYTES_MAX: Final = 8 * 1024 * 1024


class LiveUsageError(PrethriftError):
    """The command cannot be run as it was given; the text is one sentence."""


class UnreachableError(PrethriftError):
    """There was no answer to a request."""


class EndlessError(UnreachableError):
    """An answer went on beyond what is read of any."""


class CutOffError(UnreachableError):
    """An answer ended before its body did."""


class SpentError(PrethriftError):
    """All requests that the run may make have been made."""


@dataclass(frozen=True, slots=True)
class LiveClock:
    """The time, given as a value so that tests need not wait."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    epoch: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True)
class LiveLimits:
    """What one run may cost the server that it asks."""

    max_requests: int = 60
    timeout_seconds: float = 5.0
    rate_per_second: float = 10.0


@dataclass(frozen=True, slots=True)
class LiveAnswer:
    """One answer; ``body`` is decoded, ``fault`` says why that failed."""

    method: str
    url: str
    status_code: int
    headers: httpx.Headers
    body: bytes
    seconds: float
    fault: str | None = None
    certificate_days: float | None = None

    @property
    def media_type(self) -> str:
        """The media type in lower case, without its parameters."""
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()

    @property
    def parameters(self) -> Mapping[str, str]:
        """The parameters of the media type."""
        parts = (part.partition("=") for part in self.headers.get("content-type", "").split(";")[1:])
        return {key.strip().lower(): value.strip().strip('"') for key, _, value in parts}


@dataclass(slots=True)
class LiveClient:
    """Asks one origin; every request has a connection of its own.

    Several workers behind one port share their connections out, so that a connection that is kept would show one only.
    """

    base_url: str
    limits: LiveLimits = field(default_factory=LiveLimits)
    clock: LiveClock = field(default_factory=LiveClock)
    transport: InitVar[httpx.BaseTransport | None] = None
    requests: int = field(default=0, init=False)
    _client: httpx.Client = field(init=False)
    _next_at: float = field(default=0.0, init=False)

    def __post_init__(self, transport: httpx.BaseTransport | None) -> None:
        self.base_url = checked_url(self.base_url)
        # No proxy of the environment, no .netrc: what is asked is the origin itself, with the tokens that were given.
        self._client = httpx.Client(
            transport=transport,
            verify=tls_context() if self.base_url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            timeout=self.limits.timeout_seconds,
            limits=httpx.Limits(max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
        )

    def close(self) -> None:
        """Let go of what the client holds."""
        self._client.close()

    def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> LiveAnswer:
        """Ask for a path of the origin.

        Raises SpentError where no request is left, UnreachableError where no whole answer came in time (EndlessError,
        CutOffError where its body is to blame), and LiveUsageError where the address or the token cannot be sent.
        """
        if not path.startswith("/") or path.startswith("//"):
            raise LiveUsageError(f"{path!r} is no path of {self.base_url}: it begins with one '/'; correct it")
        self._take_turn()
        sent = {"User-Agent": f"prethrift-backend/{__version__}", "Accept-Encoding": "identity", **(headers or {})}
        if token is not None:
            if not (token.isascii() and token.isprintable()) or " " in token:
                raise LiveUsageError("the token cannot be sent in a header: give visible ASCII without spaces")
            sent["Authorization"] = f"Bearer {token}"
        try:
            with Deadline(self.limits.timeout_seconds) as deadline:
                return self._exchange(method, self.base_url + path, sent, deadline)
        except httpx.InvalidURL as error:
            raise LiveUsageError(f"{self.base_url}{path} is no address: {error}; correct it") from error
        except httpx.HTTPError as error:
            is_late = deadline.is_over or isinstance(error, httpx.TimeoutException)
            reason = f"it took longer than {self.limits.timeout_seconds:g} s" if is_late else _reason(error)
            kind = UnreachableError if is_late else _FAULTS.get(type(error), UnreachableError)
            raise kind(f"{method} {self.base_url}{path} had no answer: {reason}") from error

    def _take_turn(self) -> None:
        if self.requests >= self.limits.max_requests:
            raise SpentError(f"all {self.limits.max_requests} requests are made: raise --max-requests to see more")
        self.requests += 1
        now = self.clock.monotonic()
        if now < self._next_at:
            self.clock.sleep(self._next_at - now)
        self._next_at = max(now, self._next_at) + 1 / self.limits.rate_per_second

    def _exchange(self, method: str, url: str, headers: Mapping[str, str], deadline: Deadline) -> LiveAnswer:
        begun = self.clock.monotonic()
        self._client.cookies.clear()  # one of a balancer's would lead every request to the same worker
        sent, watched = {**headers, "Connection": "close"}, {"trace": deadline.trace}
        with self._client.stream(method, url, headers=sent, extensions=watched) as response:
            raw = self._read(response, begun)
            if deadline.is_over:  # to a body without a length, a connection that is shut is its end
                raise httpx.ReadTimeout("the body took too long")
            seconds = self.clock.monotonic() - begun
            body, fault = _decoded(raw, response.headers.get("content-encoding", "identity"))
            days = _certificate_days(response, self.clock.epoch())
            return LiveAnswer(method, url, response.status_code, response.headers, body, seconds, fault, days)

    def _read(self, response: httpx.Response, begun: float) -> bytes:
        """Read the raw body; the limit of httpx is one for each read, and a server may send a byte a second."""
        if response.is_stream_consumed:  # a response that a test has made comes read
            return response.content
        pieces: list[bytes] = []
        size = 0
        for piece in _pieces(response):
            pieces.append(piece)
            size += len(piece)
            if size > BODY_BYTES_MAX:
                raise TooLongError(f"more than {BODY_BYTES_MAX} bytes")
            if self.clock.monotonic() - begun > self.limits.timeout_seconds:
                raise httpx.ReadTimeout("the body took too long")
        return b"".join(pieces)


class TooLongError(httpx.ReadError):
    """A body is longer than is read of any."""


class _TooShortError(httpx.ReadError):
    pass


_FAULTS: Final[Mapping[type, type[UnreachableError]]] = {TooLongError: EndlessError, _TooShortError: CutOffError}


def _pieces(response: httpx.Response) -> Iterator[bytes]:
    try:
        yield from response.iter_raw()
    except httpx.RemoteProtocolError as error:
        raise _TooShortError("the connection ended before the body did") from error


def tls_context() -> ssl.SSLContext:
    """Return who is trusted: the authorities of httpx, those of this machine, and those of ``SSL_CERT_FILE``."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


def checked_url(url: str) -> str:
    """Return the address without a slash at its end.

    Raises LiveUsageError where it is none of the web, or holds a user, a query or a fragment.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        (parts.hostname or "").encode("idna")  # as it is looked up; a part of a name has 63 characters at most
    except ValueError:
        raise LiveUsageError("the URL cannot be taken apart: give one such as http://127.0.0.1:8000") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not url.isprintable():
        raise LiveUsageError("the URL is no web address: give one such as http://127.0.0.1:8000")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise LiveUsageError("the URL holds a user, a query or a fragment: leave it out; a token goes into --token")
    return url.rstrip("/")


def _certificate_days(response: httpx.Response, now: float) -> float | None:
    """Return for how many days the certificate of the server is good; None without TLS."""
    stream = response.extensions.get("network_stream")
    tls = None if stream is None else stream.get_extra_info("ssl_object")
    certificate = None if tls is None else tls.getpeercert()
    if not certificate:
        return None
    return (ssl.cert_time_to_seconds(certificate["notAfter"]) - now) / 86400


def _reason(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__


def _decoded(raw: bytes, encoding: str) -> tuple[bytes, str | None]:
    """Undo gzip within bounds; httpx would raise for a broken one, and we want to say what is broken."""
    if encoding.strip().lower() in ("", "identity"):
        return raw, None
    if encoding.strip().lower() not in ("gzip", "x-gzip"):
        return raw, f"content-encoding {encoding!r} was not asked for"
    inflater = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        body = inflater.decompress(raw, BODY_BYTES_MAX)
    except zlib.error as error:
        return b"", f"the gzip stream cannot be read: {error}"
    if raw and not inflater.eof:
        return body, "the gzip stream ends too early, or is too large"
    return body, None
