"""A recording of a service: what is asked of it, what is kept, and what is said where there is nothing to keep."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.support.recorded_service import TEXT_TYPE, URL, RecordedService, Reply, SteppedClock

from prethrift_backend.contracts import load_contracts
from prethrift_backend.verify.lint.outcome import contracts_part
from prethrift_backend.verify.live.client import LiveLimits
from prethrift_backend.verify.live.options import LiveTokens
from prethrift_backend.verify.recording.metrics import Collection, draft_metrics
from prethrift_backend.verify.recording.schema import draft_schema
from prethrift_backend.verify.recording.service import NothingSeenError, Recording, RecordOptions, record_service
from prethrift_backend.verify.verdict import VERIFIED, exit_status

TOKEN = "s3cr3t-of-the-service"


def _record(service: RecordedService, options: RecordOptions | None = None) -> Recording:
    return record_service(
        URL,
        options or RecordOptions(),
        transport=httpx.MockTransport(service.answer),
        clock=service.clock.as_live_clock(),
    )


def _answering(answer: Callable[[httpx.Request], httpx.Response], options: RecordOptions | None = None) -> Recording:
    clock = SteppedClock(0).as_live_clock()
    return record_service(URL, options or RecordOptions(), transport=httpx.MockTransport(answer), clock=clock)


def _text(body: bytes | str, content_type: str = TEXT_TYPE) -> Callable[[httpx.Request], httpx.Response]:
    content = body.encode() if isinstance(body, str) else body
    return lambda _: httpx.Response(200, headers={"content-type": content_type}, content=content)


def test_a_service_is_only_read() -> None:
    """GET alone, several scrapes, each health endpoint that there is twice, no faster than the rate allows."""
    service = RecordedService()

    recording = _record(service, RecordOptions(scrapes=3, limits=LiveLimits(rate_per_second=4)))

    paths = [request.url.path for request in service.requests]
    assert {request.method for request in service.requests} == {"GET"}
    assert (paths.count("/metrics"), paths.count("/health"), paths.count("/livez")) == (3, 2, 0)
    assert recording.health_paths == {"live": "/health/live", "ready": "/health/ready", "health": "/health"}
    assert sum(service.clock.slept) == pytest.approx((recording.requests - 1) / 4)


def _write(recording: Recording, folder: Path) -> None:
    collection = Collection(None, recording.metrics_path, recording.size_bytes, recording.seconds)
    (folder / "metrics.txt").write_text(draft_metrics(recording.scrapes, collection).text)
    (folder / "health.schema.json").write_text(draft_schema(recording.bodies, title="Health"))


def test_what_was_recorded_is_verified_with_its_draft(tmp_path: Path) -> None:
    """The service keeps every promise that was drafted from it."""
    service = RecordedService()
    _write(_record(service), tmp_path)

    run = service.verify(contracts=tmp_path)

    assert run.outcome.findings == ()
    assert exit_status(run.outcome, "error") == VERIFIED


def test_a_draft_leaves_to_lint_what_only_people_know(tmp_path: Path) -> None:
    """The contracts agree with themselves; the one error is the list of states, of which one was seen."""
    _write(_record(RecordedService()), tmp_path)

    part = contracts_part(load_contracts(tmp_path), why_no_code="there is none")

    assert {finding.rule for finding in part.findings if finding.level == "error"} == {"FH003"}


def test_the_usual_paths_are_tried() -> None:
    """404 is no fault; the first path that answers is the one."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/healthz":
            return httpx.Response(200, json={"status": "UP"})
        return _text("up 1\n")(request) if request.url.path == "/metrics/" else httpx.Response(404)

    recording = _answering(answer)

    assert recording.metrics_path == "/metrics/"
    assert recording.health_paths == {"health": "/healthz"}
    assert recording.notes == ()


def test_paths_that_are_given_are_the_only_ones() -> None:
    """An empty path is not asked at all."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return _text("up 1\n")(request) if request.url.path == "/stats" else httpx.Response(200, json={})

    _answering(answer, RecordOptions(metrics_path="/stats", health_paths={"live": "", "ready": "/ok", "health": ""}))

    assert set(asked) == {"/stats", "/ok"}


def test_an_answer_that_is_no_object_is_noted() -> None:
    """There is nothing in it that a schema could say."""

    def answer(request: httpx.Request) -> httpx.Response:
        return _text("up 1\n")(request) if request.url.path == "/metrics" else httpx.Response(200, text="OK")

    recording = _answering(answer, RecordOptions(health_paths={"live": "/ok", "ready": "", "health": ""}))

    assert recording.notes == ("/ok is left out: its answer is no JSON object (200, text/plain)",)
    assert recording.bodies == ()


def test_tokens_are_sent_where_they_belong_and_told_nowhere() -> None:
    """Health is asked with its token and without it, metrics with theirs."""
    service = RecordedService()

    recording = _record(service, RecordOptions(tokens=LiveTokens(health=TOKEN)))

    sent = {request.url.path for request in service.requests if "authorization" in request.headers}
    assert sent == {"/health", "/health/live", "/health/ready"}
    assert TOKEN not in json.dumps(recording.bodies) + str(recording.notes)


def test_requests_that_are_spent_end_the_recording() -> None:
    """What was seen until then is kept."""
    recording = _record(RecordedService(), RecordOptions(limits=LiveLimits(max_requests=2)))

    assert len(recording.scrapes) == 2
    assert recording.notes[0].startswith("all 2 requests are made")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda _: httpx.Response(404), "no metrics: /metrics answered 404, /metrics/ answered 404"),
        (lambda _: httpx.Response(404), "have the service export them: a contract begins with metrics"),
        (lambda _: httpx.Response(401), "/metrics answered 401: give its token in --token"),
        (_text("# EOF\n", "application/openmetrics-text; version=1.0.0"), "OpenMetrics, and the text format 0.0.4"),
        (_text(b'up{a="\xff"} 1\n'), "is no UTF-8: byte 6 cannot be read"),
        (_text("up one\n"), "is no text format 0.0.4"),
        (_text('up{a="1} 1\n'), "is no text format 0.0.4"),
        (_text("<html>\n"), "is no text format 0.0.4"),
        (_text(""), "has no series"),
        (_text("# TYPE up gauge\n"), "has no series"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else "",
)
def test_nothing_to_record_is_said(answer: Callable[[httpx.Request], httpx.Response], said: str) -> None:
    """Whatever comes, the text says what came and what to do; nothing else is raised."""
    with pytest.raises(NothingSeenError) as raised:
        _answering(answer)

    assert said in str(raised.value)


def test_a_service_that_is_away_is_told() -> None:
    """The first request shows it."""

    def answer(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(NothingSeenError, match="had no answer: refused"):
        _answering(answer)


def test_a_spoilt_scrape_ends_the_recording_with_its_reason() -> None:
    """A service whose later scrapes cannot be read is not drafted from the first alone."""
    service = RecordedService()

    def spoil(request: httpx.Request, reply: Reply) -> None:
        if request.url.path == "/metrics" and service.scrape_count > 2:
            reply.status = 500

    service.spoilers.append(spoil)

    with pytest.raises(NothingSeenError, match="answered 500"):
        _record(service)
