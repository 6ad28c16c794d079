"""One look at the health of a running server, from outside: what `prethrift-backend health` does.

The standard library alone, and little of it: a container's health check starts this every few seconds. It goes straight
to the address: no proxy of the environment, no redirect, which could carry the token to another host.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Literal
from urllib.parse import SplitResult, quote, urlsplit

from prethrift_backend import __version__

Kind = Literal["live", "ready"]

HEALTHY_STATUS: Final = 0
UNHEALTHY_STATUS: Final = 1
UNKNOWN_STATUS: Final = 2
"""The exit status where the server has said nothing of its health: wrong use, no answer, another kind of answer."""

TIMEOUT_SECONDS: Final = 2.0
TIMEOUT_SECONDS_MAX: Final = 3600.0  # arbitrary; whoever waits longer does not want a probe

_PATH = "/health"
_DEFAULT_PORT = "8000"
_BODY_BYTES_MAX = 1 << 20  # arbitrary; a body with twenty checks has some 4 KB
_TEXT_LENGTH_MAX = 200  # what the schema allows a message
_COLOURS = {"healthy": 32, "degraded": 33, "unhealthy": 31}  # ANSI: green, yellow, red


class ProbeError(Exception):
    """Nothing can be said of the server's health; the text is one sentence for people."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where to ask; ``path`` holds the query too."""

    scheme: Literal["http", "https"]
    host: str
    port: int
    path: str

    @property
    def address(self) -> str:
        """Give host and port as they stand in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """Give the URL to show: without the query, which may hold anything."""
        return f"{self.scheme}://{self.address}{self.path.partition('?')[0]}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status_code: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Finding:
    """A health answer that was understood."""

    text: str
    content: Mapping[str, Any]
    is_unhealthy: bool

    @property
    def exit_status(self) -> int:
        """Give the exit status of the command."""
        return UNHEALTHY_STATUS if self.is_unhealthy else HEALTHY_STATUS


def locate(url: str | None, *, kind: Kind | None, environ: Mapping[str, str]) -> Target:
    """Work out where to ask: ``url``, or PORT on this machine. A URL without a path gets that of the ``kind``.

    Raises:
        ProbeError: the URL or PORT cannot be used.
    """
    parts, port = _taken_apart(url or f"http://127.0.0.1:{_own_port(environ)}")
    path = parts.path.rstrip("/") or _PATH
    if kind is not None:
        path = f"{path.removesuffix('/live').removesuffix('/ready').removesuffix(_PATH)}{_PATH}/{kind}"
    path = quote(path, safe="/%:@!$&'()*+,;=~")
    query = f"?{quote(parts.query, safe='/%:@!$&()*+,;=~?')}" if parts.query else ""
    scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
    return Target(scheme, parts.hostname or "", port or (443 if scheme == "https" else 80), path + query)


def _own_port(environ: Mapping[str, str]) -> int:
    text = environ.get("PORT", "").strip() or _DEFAULT_PORT
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 65535):
        raise ProbeError(f"PORT={text!r} is not a port to ask: give a whole number from 1 to 65535, or a URL")
    return int(text)


def _taken_apart(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ProbeError(
            f"{_veiled(url)} cannot be taken apart: give a URL, as in http://127.0.0.1:8000/health"
        ) from None
    if not url.isprintable() or " " in url or parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ProbeError(f"{_veiled(url)} is not a web address: give a URL, as in http://127.0.0.1:8000/health")
    if "@" in parts.netloc:
        raise ProbeError(f"{_veiled(url)} holds a user or a password: leave it out, and give a token in HEALTH_TOKEN")
    return parts, port


def _veiled(url: str) -> str:
    return "'********'" if "@" in url or "?" in url else ascii(url[:_TEXT_LENGTH_MAX])


def own_token(environ: Mapping[str, str]) -> str | None:
    """Give HEALTH_TOKEN, to be sent as a bearer token.

    Raises:
        ProbeError: it cannot be sent in a header.
    """
    token = environ.get("HEALTH_TOKEN", "").strip()
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ProbeError("HEALTH_TOKEN='********' cannot be sent in a header: give visible ASCII without spaces")
    return token or None


def fetch(target: Target, *, token: str | None, timeout_seconds: float = TIMEOUT_SECONDS) -> Answer:
    """Ask once; all of it, from the name of the host to the last byte, within ``timeout_seconds``.

    Raises:
        ProbeError: there was no answer.
    """
    outcome: list[Answer | ProbeError] = []

    def attempt() -> None:
        try:
            outcome.append(_request(target, token, timeout_seconds))
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            outcome.append(ProbeError(_sentence(target, error, timeout_seconds)))

    # The limit of a socket is one for each of its reads, and a host's name is looked up without any: a server that
    # sends a byte a second would hold us for ever. A daemon thread is left behind when the process ends.
    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(timeout_seconds)
    found = outcome[0] if outcome else ProbeError(_late(target, timeout_seconds))
    if isinstance(found, ProbeError):
        raise found
    return found


def _request(target: Target, token: str | None, timeout_seconds: float) -> Answer:
    if target.scheme == "https":
        context = ssl.create_default_context()
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            target.host, target.port, timeout=timeout_seconds, context=context
        )
    else:
        connection = http.client.HTTPConnection(target.host, target.port, timeout=timeout_seconds)
    headers = {"Accept": "application/json", "Connection": "close", "User-Agent": f"prethrift-backend/{__version__}"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request("GET", target.path, headers=headers)
        response = connection.getresponse()
        return Answer(response.status, response.read(_BODY_BYTES_MAX + 1))
    finally:
        connection.close()


# The first that fits; a subclass stands before its base.
_SENTENCES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (ConnectionRefusedError, "nothing listens at {where}: is the server started, and is this its address?"),
    (socket.gaierror, "the host {host!r} is not known: {reason}"),
    (ssl.SSLError, "no TLS connection with {where}: {reason}; is it http://, or a certificate of your own?"),
    (ConnectionError, "{where} closed the connection without an answer"),  # RemoteDisconnected is one as well
    (
        http.client.HTTPException,
        "what listens at {where} does not answer in HTTP: is this the server's port, or is it https://?",
    ),
    (Exception, "{where} cannot be reached: {reason}"),
)


def _sentence(target: Target, error: Exception, timeout_seconds: float) -> str:
    if isinstance(error, TimeoutError):
        return _late(target, timeout_seconds)
    sentence = next(sentence for kind, sentence in _SENTENCES if isinstance(error, kind))
    return sentence.format(where=target.address, host=target.host, reason=_clean(_reason(error)))


def _reason(error: Exception) -> str:
    words = (getattr(error, name, None) for name in ("verify_message", "reason", "strerror"))
    return next((word for word in words if isinstance(word, str) and word), type(error).__name__)


def _late(target: Target, timeout_seconds: float) -> str:
    return f"{target.address} gave no answer within {timeout_seconds:g} s: it hangs, or the way to it does"


def understand(target: Target, answer: Answer) -> Finding:
    """Read an answer.

    Raises:
        ProbeError: it is not one of a health endpoint.
    """
    if answer.status_code not in {200, 503}:
        raise ProbeError(
            f"{target.url} answered {answer.status_code}, which no health endpoint does: is this its address?"
        )
    if len(answer.body) > _BODY_BYTES_MAX:
        raise ProbeError(f"{target.url} answered more than {_BODY_BYTES_MAX} bytes, which no health endpoint does")
    try:
        text = answer.body.decode()
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise ProbeError(f"{target.url} answered {answer.status_code} with something that is not JSON") from None
    if not isinstance(content, dict) or content.get("status") not in _COLOURS:
        raise ProbeError(f"{target.url} answered {answer.status_code} with JSON that does not tell of health")
    return Finding(text, content, answer.status_code == 503 or content["status"] == "unhealthy")


def describe(target: Target, finding: Finding, *, in_colour: bool = False, encoding: str = "utf-8") -> str:
    """Write a finding for people: the whole first, then one line a check."""
    lines = [_summary(target, finding.content, in_colour=in_colour)]
    lines += _check_lines(_checks(finding.content), in_colour=in_colour)
    return "\n".join(_encodable(line, encoding) for line in lines)


def passed_through(finding: Finding, *, encoding: str = "utf-8") -> str:
    """Give the body as it came, except that what a terminal would obey or cannot show is escaped, as JSON allows."""
    # Outside of a string JSON has no such characters but white space, so that escaping them keeps its meaning.
    text = "".join(
        char if char.isprintable() or char in "\n\t" else " " if char == "\r" else json.dumps(char)[1:-1]
        for char in finding.text.strip()
    )
    return _encodable(text, encoding)


def _summary(target: Target, content: Mapping[str, Any], *, in_colour: bool) -> str:
    status = _coloured(content["status"], content["status"], in_colour=in_colour)
    words = [f"{status} ({_clean(content['reason'])})" if "reason" in content else status, target.url]
    words += [_clean(content[name]) for name in ("version", "environment") if name in content]
    uptime = content.get("uptime_seconds")
    if isinstance(uptime, int | float) and 0 <= uptime < 1e9:
        words.append(f"up {timedelta(seconds=int(uptime))}")
    return "  ".join(words)


def _checks(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    checks = content.get("checks", [content] if "name" in content else [])
    return [check for check in checks if isinstance(check, dict)] if isinstance(checks, list) else []


def _check_lines(checks: list[dict[str, Any]], *, in_colour: bool) -> Iterator[str]:
    names = [_clean(check.get("name", "?")) for check in checks]
    width = max(map(len, names), default=0)
    for name, check in zip(names, checks, strict=True):
        status = _clean(check.get("status", "?"))
        shown = _coloured(f"{status:<9}", status, in_colour=in_colour)
        yield f"  {shown}  {name:<{width}}  {_duration(check):>10}  {_clean(check.get('message', ''))}".rstrip()


def _duration(check: Mapping[str, Any]) -> str:
    value = check.get("duration_ms")
    return f"{value:.1f} ms" if isinstance(value, int | float) and 0 <= value < 1e9 else ""


def _coloured(text: str, status: str, *, in_colour: bool) -> str:
    number = _COLOURS.get(status)
    return f"\x1b[{number}m{text}\x1b[0m" if in_colour and number is not None else text


def _clean(value: object) -> str:
    """Make text of the server's fit for one line of a terminal: no control characters, no endless line."""
    text = str(value)[:_TEXT_LENGTH_MAX]
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def _encodable(text: str, encoding: str) -> str:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return "".join(char if char.isascii() else json.dumps(char)[1:-1] for char in text)
    return text
