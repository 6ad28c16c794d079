"""Trace context between processes: what a caller's headers may say, and whom we tell about our traces.

Parsing follows W3C Trace Context, Level 1 (https://www.w3.org/TR/trace-context/), strictly: a header that breaks it in
any way counts as absent. The SDK's propagator is not used, because it logs hostile values as they came, and forwards
baggage to whoever is called.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.trace import SpanContext, TraceFlags, TraceState, format_span_id, format_trace_id, get_current_span

from prethrift_backend.observability import context

REQUEST_ID_HEADER: Final = b"x-request-id"
TRACE_ID_HEADER: Final = b"x-trace-id"
TRACEPARENT: Final = b"traceparent"
TRACESTATE: Final = b"tracestate"

_IDENTITY: Final = frozenset({REQUEST_ID_HEADER, TRACE_ID_HEADER, TRACEPARENT, TRACESTATE})
_NO_HEADERS: Final[Mapping[bytes, Sequence[bytes]]] = {}

# Version, trace, parent, flags. Only a version that we do not know may have more behind them (section 3.2.4).
_TRACEPARENT: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_KEY: Final = r"[a-z][_0-9a-z*/-]{0,255}|[a-z0-9][_0-9a-z*/-]{0,240}@[a-z][_0-9a-z*/-]{0,13}"
_MEMBER: Final = re.compile(rf"({_KEY})=([\x20-\x2b\x2d-\x3c\x3e-\x7e]{{0,255}}[\x21-\x2b\x2d-\x3c\x3e-\x7e])")
_MAX_STATE_MEMBERS: Final = 32
_MAX_STATE_BYTES: Final = 512  # the least that everybody has to forward (section 3.3.1.5); more is not kept

_OWN_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
_CLIENT_TRACE_ID: Final = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?")

# Characters that clients and `urlsplit` read differently: where the host ends is not certain behind one of them.
_AMBIGUOUS: Final = re.compile(r"[\\\x00-\x20\x7f]")


def read_identity(headers: Iterable[tuple[bytes, bytes]] | None) -> Mapping[bytes, Sequence[bytes]]:
    """Return every value of the headers that say who calls; servers send names in lower case, as ASGI has it."""
    found: dict[bytes, list[bytes]] | None = None
    for name, value in headers or ():
        if name in _IDENTITY:
            if found is None:
                found = {}
            found.setdefault(name, []).append(value)
    return _NO_HEADERS if found is None else found


def only_text(values: Sequence[bytes]) -> str | None:
    """Return the one value of a header, None where it is missing or there are several."""
    return bytes(values[0]).decode("latin-1") if len(values) == 1 else None


def parse_traceparent(values: Sequence[bytes]) -> SpanContext | None:
    """Return the caller's span, without tracestate; None where the header is missing, repeated or not valid."""
    if len(values) != 1:
        return None
    match = _TRACEPARENT.fullmatch(bytes(values[0]).strip(b" \t"))
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == b"ff" or (version == b"00" and rest is not None):
        return None
    sampled = TraceFlags(int(flags, 16) & TraceFlags.SAMPLED)  # the others belong to later levels
    caller = SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=sampled)
    return caller if caller.is_valid else None


def parse_tracestate(values: Sequence[bytes]) -> TraceState | None:
    """Return the vendors' members of all the headers together; None where one is not valid or they are too many."""
    text = b",".join(bytes(value) for value in values).decode("latin-1")
    if not text or len(text) > _MAX_STATE_BYTES:
        return None
    members = [_MEMBER.fullmatch(part.strip(" \t")) for part in text.split(",") if part.strip(" \t")]
    pairs = {match[1]: match[2] for match in members if match is not None}
    if not pairs or len(pairs) != len(members) or len(pairs) > _MAX_STATE_MEMBERS:  # not valid, or a key twice
        return None
    return TraceState(list(pairs.items()))


def parse_trace_id(text: str) -> int | None:
    """Return the trace id that an X-Trace-Id gives, None where it is another kind of word."""
    return (int(text, 16) or None) if _OWN_TRACE_ID.fullmatch(text) else None


def is_client_trace_id(text: str) -> bool:
    """Return whether a caller's own word for its trace may be repeated; secrets are not looked for."""
    return _CLIENT_TRACE_ID.fullmatch(text) is not None


class Propagation:
    """The hosts that our trace context is sent to: ``api.example.com``, or ``.example.com`` for all below it."""

    def __init__(self, hosts: str) -> None:
        given = [host.strip().lower() for host in hosts.split(",") if host.strip()]
        self._exact = frozenset(host for host in given if not host.startswith("."))
        self._suffixes = tuple(host for host in given if host.startswith("."))

    def headers(self, url: str) -> dict[str, str]:
        """Return traceparent, and tracestate where there is one, for a request to ``url``; nothing for other hosts."""
        if not (self._exact or self._suffixes) or not self._reaches(url):
            return {}
        current = get_current_span().get_span_context()
        if not current.is_valid:
            return {}
        trace_id, span_id = format_trace_id(current.trace_id), format_span_id(current.span_id)
        headers = {"traceparent": f"00-{trace_id}-{span_id}-{current.trace_flags:02x}"}
        if current.trace_state:
            headers["tracestate"] = current.trace_state.to_header()
        return headers

    def _reaches(self, url: str) -> bool:
        if _AMBIGUOUS.search(url) is not None:
            return False
        try:
            host = urlsplit(url).hostname or ""
        except ValueError:
            return False
        return host in self._exact or host.endswith(self._suffixes)


def trace_headers(url: str) -> dict[str, str]:
    """Return the headers that make a request to ``url`` a part of the current trace.

    Empty where the host is not listed in TRACE_PROPAGATE_HOSTS, outside of a trace, and without a `Telemetry`: what a
    third party is told about our traces is decided by settings. Baggage is never sent.
    """
    signals = context.current_signals()
    return {} if signals is None else signals.trace_headers(url)
