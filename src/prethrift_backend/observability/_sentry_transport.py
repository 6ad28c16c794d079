"""From an envelope to Sentry and to Spotlight: a bounded queue and a thread for each, and what they count.

Sentry's own transport waits up to 30 seconds for an answer, does not say what it sent, and reaches one receiver; its
client for Spotlight waits for it in the request. What is sent and how limits are kept is as they do it
(https://develop.sentry.dev/sdk/foundations/transport/).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, TypeAlias

import orjson
from sentry_sdk.consts import VERSION
from sentry_sdk.envelope import Envelope, Item
from sentry_sdk.transport import Transport
from sentry_sdk.utils import Dsn

from prethrift_backend.observability._http_poster import HttpPoster
from prethrift_backend.observability._job_thread import JobThread
from prethrift_backend.observability._sentry_event import reduced
from prethrift_backend.observability.export_protocols import ExportWatch

EventOutcome: TypeAlias = Literal["sent", "suppressed", "dropped"]
Count: TypeAlias = Callable[[EventOutcome, int], None]

_CONTENT_TYPE: Final = "application/x-sentry-envelope"
# 100 events of at most some 100 kB. Arbitrary; the rates of `_fault_limits` let it fill only where Sentry hangs.
_MAX_QUEUED: Final = 100
# A receiver may ask us to be quiet for a day; after an hour we ask again.
_MAX_SILENCE_SECONDS: Final = 3600.0
# A 429 that names no time (Sentry's rule).
_DEFAULT_SILENCE_SECONDS: Final = 60.0
_POST_SECONDS: Final = 2.0
# Sentry refuses an event of more than a mebibyte (docs.sentry.io/concepts/data-management/size-limits).
_MAX_EVENT_BYTES: Final = 1_000_000
# What passed the redaction. Attachments, profiles, sessions and logs of Sentry's did not, and stay here.
_SENT_TYPES: Final = frozenset({"event", "feedback", "check_in"})


class EventReceiver(Protocol):
    """Where envelopes go."""

    def put(self, envelope: Envelope) -> None:
        """Take one envelope; never waits, never raises."""
        ...

    def wait_idle(self, deadline: float) -> bool:
        """Wait until everything is sent, at most until ``deadline``."""
        ...

    def stop(self) -> None:
        """Take no further envelopes."""
        ...

    def join(self, deadline: float) -> None:
        """Send what is there until ``deadline`` (of ``time.monotonic``) and give the rest up."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """Where a receiver is; ``name`` is the one it has in metrics and log lines, ``headers`` hold its key."""

    name: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


def sentry_target(dsn: str) -> Target:
    """Return the target that a DSN names."""
    auth = Dsn(dsn).to_auth(f"sentry.python/{VERSION}")
    return Target("sentry", auth.get_api_url(), {"x-sentry-auth": auth.to_header()})


class HttpReceiver:
    """Sentry or a Spotlight, over HTTP; what fails is not sent again, as in Sentry's own transport."""

    def __init__(
        self, target: Target, *, watch: ExportWatch, count: Count, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = target.name
        self._poster = HttpPoster(target.url, headers=target.headers, on_headers=self._note_limits)
        self._watch = watch
        self._count = count
        self._monotonic = monotonic
        self._silent_until: float | None = None
        self._jobs: JobThread[Envelope] = JobThread(
            self._send, name=f"prethrift-{target.name}-events", capacity=_MAX_QUEUED, on_drop=self._drop
        )
        self._is_failing = False
        self._is_ending = False
        self.join, self.wait_idle = self._jobs.join, self._jobs.wait_idle

    def put(self, envelope: Envelope) -> None:
        """Take one envelope; never waits, never raises."""
        self._jobs.put(envelope)

    def stop(self) -> None:
        """Take no further envelopes; those of a receiver that fails are not waited for."""
        self._is_ending = True
        self._jobs.stop()

    def _send(self, envelope: Envelope) -> None:
        if self._is_silent() or (self._is_ending and self._is_failing):
            self._drop(envelope)
            return
        reply = self._poster.post(envelope.serialize(), content_type=_CONTENT_TYPE, timeout_seconds=_POST_SECONDS)
        self._is_failing = reply.outcome != "success"
        self._watch.exported(self._name, "errors", reply.outcome, reply.detail)
        self._count("dropped" if self._is_failing else "sent", _events_in(envelope))

    def _is_silent(self) -> bool:
        return self._silent_until is not None and self._monotonic() < self._silent_until

    def _note_limits(self, status: int, headers: Mapping[str, str]) -> None:
        seconds = silence_seconds(status, headers)
        if seconds:
            self._silent_until = self._monotonic() + min(seconds, _MAX_SILENCE_SECONDS)

    def _drop(self, envelope: Envelope) -> None:
        self._count("dropped", _events_in(envelope))


def envelope_of(event: Mapping[str, Any], *, sent_at: str) -> Envelope:
    """Return the envelope of one event, a redacted plain tree; of one that is too large, with less in it."""
    payload = _encode(event)
    if len(payload) > _MAX_EVENT_BYTES:
        payload = _encode(reduced(event))
    envelope = Envelope(headers={"event_id": event["event_id"], "sent_at": sent_at})
    envelope.add_item(Item(payload=payload, type="event", content_type="application/json"))
    return envelope


def _encode(event: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(event)
    except (TypeError, ValueError):  # half of a surrogate pair, as in the name of a file that is no UTF-8
        return json.dumps(event, default=str).encode("ascii")


def _events_in(envelope: Envelope) -> int:
    return sum(item.type == "event" for item in envelope.items)


def silence_seconds(status: int, headers: Mapping[str, str]) -> float:
    """Return for how long Sentry asks to be spared error events; 0 where it does not ask.

    ``X-Sentry-Rate-Limits`` holds with any status, ``Retry-After`` with 429 alone
    (https://develop.sentry.dev/sdk/foundations/transport/rate-limiting/).
    """
    limits = headers.get("x-sentry-rate-limits")
    if limits:
        return max(map(_limit_seconds, limits.split(",")))
    if status != 429:
        return 0.0
    value = headers.get("retry-after", "")
    return _seconds(value) or _DEFAULT_SILENCE_SECONDS


def _limit_seconds(limit: str) -> float:
    """Return the seconds of one limit, ``60:error;transaction:organization``; 0 where it is about something else."""
    seconds, _, rest = limit.strip().partition(":")
    categories = rest.partition(":")[0]
    return _seconds(seconds) if not categories or "error" in categories.split(";") else 0.0


def _seconds(text: str) -> float:
    try:
        return max(0.0, float(text))
    except ValueError:
        return 0.0


class Outlet(Transport):
    """What a client of Sentry's hands its envelopes to, and what leads them to the receivers."""

    def __init__(self, receivers: Sequence[EventReceiver]) -> None:
        super().__init__()
        self._receivers = tuple(receivers)

    def capture_envelope(self, envelope: Envelope) -> None:
        """Hand on what may be sent; never waits."""
        items = [item for item in envelope.items if item.type in _SENT_TYPES]
        if items:
            for receiver in self._receivers:
                receiver.put(Envelope(headers=envelope.headers, items=items))

    def wait_idle(self, deadline: float) -> bool:
        """Wait until everything is sent, at most until ``deadline`` (of ``time.monotonic``)."""
        return all(receiver.wait_idle(deadline) for receiver in self._receivers)

    def flush(self, timeout: float, callback: object = None) -> None:  # noqa: ARG002 - the form of Sentry's `Transport`
        """Wait until everything is sent, at most ``timeout`` seconds: what ``sentry_sdk.flush()`` comes to."""
        self.wait_idle(time.monotonic() + timeout)

    def close(self, deadline: float) -> None:
        """Send what is there until ``deadline`` and stop; all at the same time."""
        for receiver in self._receivers:
            receiver.stop()
        for receiver in self._receivers:
            receiver.join(deadline)


class KeptReceiver:
    """A transport of a test's in the place of a receiver; it is called at once and counts as one that takes all."""

    def __init__(self, transport: Transport, *, count: Count) -> None:
        self._transport = transport
        self._count = count

    def put(self, envelope: Envelope) -> None:
        """Hand the envelope to the transport."""
        self._transport.capture_envelope(envelope)
        self._count("sent", _events_in(envelope))

    def wait_idle(self, deadline: float) -> bool:
        """Let the transport send what it holds itself."""
        self._transport.flush(max(0.0, deadline - time.monotonic()))
        return True

    def stop(self) -> None:
        """Do nothing."""

    def join(self, deadline: float) -> None:
        """Let the transport send what it holds itself, and end it."""
        self.wait_idle(deadline)
        self._transport.kill()


class CapturedEvents(Transport):
    """A transport that sends nothing and keeps each event as the dictionary that Sentry would have read.

    ``configure(settings, sentry_transport=CapturedEvents())``; all are in ``events`` after the reporter's `flush`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.envelopes: list[bytes] = []
        self.events: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        """Keep the envelope's bytes, and its events."""
        self.envelopes.append(envelope.serialize())
        self.events.extend(json.loads(item.get_bytes()) for item in envelope.items if item.type == "event")
