"""From an envelope to a receiver: what is counted, what stays here, and when Sentry is spared."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

import pytest
import sentry_sdk
from sentry_sdk.attachments import Attachment
from sentry_sdk.envelope import Envelope, Item
from tests.support.sentry import PATIENCE_SECONDS, Reporting, raised

from prethrift_backend.observability._export_log import ExportLog
from prethrift_backend.observability._http_poster import HttpPoster
from prethrift_backend.observability._sentry_transport import (
    CapturedEvents,
    HttpReceiver,
    KeptReceiver,
    Outlet,
    Target,
    sentry_target,
    silence_seconds,
)
from prethrift_backend.observability.errors import SentryReporter
from prethrift_backend.observability.export_protocols import Reply
from prethrift_backend.observability.testing import FakeClock


class Sentry:
    """What stands in the place of the connection: answers as it is told, and keeps what came."""

    def __init__(self) -> None:
        self.status = 200
        self.headers: Mapping[str, str] = {}
        self.bodies: list[bytes] = []

    def post(self, poster: HttpPoster, body: bytes, **_options: object) -> Reply:
        """Answer in the place of `HttpPoster.post`."""
        self.bodies.append(body)
        assert poster._on_headers is not None
        poster._on_headers(self.status, self.headers)
        return Reply("success" if self.status == 200 else "retry", detail=f"HTTP {self.status}")


@pytest.fixture
def sentry(monkeypatch: pytest.MonkeyPatch) -> Sentry:
    """Put a `Sentry` in the place of the network."""
    made = Sentry()

    def post(poster: HttpPoster, body: bytes, **options: object) -> Reply:
        return made.post(poster, body, **options)

    monkeypatch.setattr(HttpPoster, "post", post)
    return made


class Post:
    """A receiver on a simulated clock, with what it counted."""

    def __init__(self, reporting: Reporting) -> None:
        self.clock = FakeClock()
        self.counts: list[tuple[str, int]] = []
        self.receiver = HttpReceiver(
            Target("sentry", "http://sentry.example/api/1/envelope/"),
            watch=ExportLog(reporting.telemetry),
            count=lambda outcome, count: self.counts.append((outcome, count)),
            monotonic=self.clock.monotonic,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.receiver.stop()
        self.receiver.join(time.monotonic() + PATIENCE_SECONDS)

    def send(self) -> None:
        """Send one event and wait for what becomes of it."""
        self.receiver.put(_envelope())
        assert self.receiver.wait_idle(time.monotonic() + PATIENCE_SECONDS)


def _envelope() -> Envelope:
    envelope = Envelope(headers={"event_id": "1" * 32})
    envelope.add_event({"message": "x"})
    return envelope


def test_a_dsn_names_the_place_and_the_key() -> None:
    """The envelope goes to the project's own path, the key into a header."""
    target = sentry_target("https://abc123@o1.ingest.sentry.io/prefix/42")

    assert (target.name, target.url) == ("sentry", "https://o1.ingest.sentry.io/prefix/api/42/envelope/")
    assert target.headers["x-sentry-auth"].startswith("Sentry sentry_key=abc123, sentry_version=7, sentry_client=")


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (200, {}, 0),
        (500, {"retry-after": "30"}, 0),
        (429, {}, 60),
        (429, {"retry-after": "17"}, 17),
        (429, {"retry-after": "tomorrow"}, 60),
        (200, {"x-sentry-rate-limits": "30:error:organization"}, 30),
        (200, {"x-sentry-rate-limits": "30::organization"}, 30),
        (200, {"x-sentry-rate-limits": "30"}, 30),
        (429, {"x-sentry-rate-limits": "30:transaction;span:organization", "retry-after": "17"}, 0),
        (200, {"x-sentry-rate-limits": "30:transaction:key, 90:default;error:organization:quota"}, 90),
        (200, {"x-sentry-rate-limits": "nonsense, -5:error, :"}, 0),
    ],
)
def test_how_long_sentry_asks_to_be_spared(status: int, headers: Mapping[str, str], seconds: float) -> None:
    """Sentry's own header holds with any status and for its categories; Retry-After with 429 alone."""
    assert silence_seconds(status, headers) == seconds


def test_while_sentry_is_to_be_spared_events_are_dropped(sentry: Sentry) -> None:
    """Nothing is sent in that time, each event is counted, and afterwards they are sent again."""
    sentry.status, sentry.headers = 429, {"retry-after": "30"}
    with Reporting() as reporting, Post(reporting) as post:
        post.send()
        sentry.status, sentry.headers = 200, {}
        post.send()
        post.clock.tick(31)
        post.send()

        assert len(sentry.bodies) == 2
        assert post.counts == [("dropped", 1), ("dropped", 1), ("sent", 1)]
        events = [line["event"] for line in reporting.lines()]
    assert events == ["export_failed", "export_recovered"]


def test_a_silence_of_a_day_is_one_of_an_hour(sentry: Sentry) -> None:
    """A receiver cannot turn us off for good."""
    sentry.headers = {"x-sentry-rate-limits": "86400:error:organization"}
    with Reporting() as reporting, Post(reporting) as post:
        post.send()
        post.clock.tick(3599)
        post.send()
        post.clock.tick(2)
        post.send()

        assert post.counts == [("sent", 1), ("dropped", 1), ("sent", 1)]


def test_only_what_was_redacted_leaves() -> None:
    """An attachment, a profile or a session has not passed the redaction, and stays here."""
    captured = CapturedEvents()
    outlet = Outlet([KeptReceiver(captured, count=lambda _outcome, _count: None)])
    envelope = _envelope()
    envelope.add_item(Attachment(bytes=b"hunter2", filename="dump.txt").to_envelope_item())
    envelope.add_item(Item(type="session", payload=b"{}"))
    outlet.capture_envelope(envelope)
    outlet.capture_envelope(Envelope(items=[Item(type="log", payload=b"hunter2")]))

    (kept,) = captured.envelopes
    assert (b"hunter2" in kept, b"session" in kept, len(captured.events)) == (False, False, 1)


def test_a_receiver_that_raises_is_a_drop(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong in sending is a number, and the thread goes on."""
    monkeypatch.setattr(HttpPoster, "post", lambda *_args, **_options: 1 / 0)
    with Reporting() as reporting, Post(reporting) as post:
        post.send()
        post.send()

        assert post.counts == [("dropped", 1), ("dropped", 1)]


def test_with_a_spotlight_beside_it_sentry_counts(sentry: Sentry) -> None:
    """Both get every event, and the figures are those of Sentry."""
    dsn, spotlight = "http://abc@sentry.example/1", "http://spotlight.example/stream"
    with Reporting(parts={"sentry_transport": None}, sentry_dsn=dsn, sentry_spotlight=spotlight) as reporting:
        reporting.capture(raised(ValueError("x")))
        assert reporting.telemetry.reporter is not None
        assert reporting.telemetry.reporter.flush(time.monotonic() + PATIENCE_SECONDS)

        assert len(sentry.bodies) == 2
        assert reporting.counts() == {"sent": 1, "suppressed": 0, "dropped": 0}


def test_sentrys_own_flush_waits_for_what_is_on_its_way(sentry: Sentry) -> None:
    """A program that captures and flushes before it ends has sent it then."""
    with Reporting(parts={"sentry_transport": None}, sentry_dsn="http://abc@sentry.example/1"):
        sentry_sdk.capture_message("x")
        sentry_sdk.flush(PATIENCE_SECONDS)

        assert len(sentry.bodies) == 1


def test_a_sentry_that_hangs_does_not_hold_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the deadline what has not been begun is dropped and counted, and the end goes on."""
    begun, released = threading.Event(), threading.Event()

    def hang(_poster: HttpPoster, _body: bytes, **_options: object) -> Reply:
        begun.set()
        released.wait(PATIENCE_SECONDS)
        return Reply("retry", detail="late")

    monkeypatch.setattr(HttpPoster, "post", hang)
    with Reporting(parts={"sentry_transport": None}, sentry_dsn="http://abc@sentry.example/1") as reporting:
        reporter = reporting.telemetry.reporter
        assert isinstance(reporter, SentryReporter)
        for number in range(4):
            reporting.capture(ValueError(number))
        assert begun.wait(PATIENCE_SECONDS)
        assert reporter._jobs.wait_idle(time.monotonic() + PATIENCE_SECONDS)
        reporter.close(time.monotonic())

        assert reporting.counts() == {"sent": 0, "suppressed": 0, "dropped": 3}
        released.set()
        for thread in threading.enumerate():
            if thread.name == "prethrift-sentry-events":
                thread.join(PATIENCE_SECONDS)
                assert not thread.is_alive()


def test_at_the_end_a_sentry_that_fails_is_tried_once_more_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a receiver that does not answer is dropped, and not tried for seconds one after the other."""
    begun, released = threading.Event(), threading.Event()
    tried = []

    def fail(_poster: HttpPoster, body: bytes, **_options: object) -> Reply:
        tried.append(body)
        begun.set()
        released.wait(PATIENCE_SECONDS)
        return Reply("retry", detail="late")

    monkeypatch.setattr(HttpPoster, "post", fail)
    with Reporting() as reporting, Post(reporting) as post:
        for _ in range(4):
            post.receiver.put(_envelope())
        assert begun.wait(PATIENCE_SECONDS)
        post.receiver.stop()
        released.set()
        post.receiver.join(time.monotonic() + PATIENCE_SECONDS)

        assert (len(tried), post.counts) == (1, [("dropped", 1)] * 4)
