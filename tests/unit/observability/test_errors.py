"""Error events: what becomes one, how often, and what it says."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import sentry_sdk
from fastapi import BackgroundTasks, FastAPI, Request
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span
from pydantic import SecretStr
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport
from starlette.responses import StreamingResponse
from tests.support.sentry import Reporting, caught, exceptions_of, raised

from prethrift_backend.config import Settings
from prethrift_backend.exceptions import (
    DatabaseUnavailableError,
    EmbeddingQueueFullError,
    ImageStoreUnavailableError,
    ItemNotFoundError,
)
from prethrift_backend.observability import context, errors, get_logger, instrument, report_error
from prethrift_backend.observability._export_log import ExportLog
from prethrift_backend.observability._faults import Frame
from prethrift_backend.observability._sentry_event import _is_in_app
from prethrift_backend.observability._sentry_redaction import EventRedaction
from prethrift_backend.observability.errors import ReportWatch, make_error_reporter

TRACE_ID = 0x0AF7651916CD43DD8448EB211C80319C
SPAN_ID = 0xB7AD6B7169203331


@pytest.fixture
def reporting() -> Iterator[Reporting]:
    """Give a telemetry whose events stay in memory."""
    with Reporting(service_name="shop", service_version="1.2.3", environment="staging") as made:
        yield made


def _fail_with_secrets() -> None:
    password = "hunter2-local"  # noqa: F841 - what must not be in the event
    try:
        raise KeyError("sold")
    except KeyError as error:
        raise RuntimeError("no price") from error


def _in_request(reporting: Reporting, **fields: Any) -> context.RequestContext:
    request = context.RequestContext("request-1", reporting.telemetry)
    request.route = lambda: ("GET", "/items/{item}")
    for name, value in fields.items():
        setattr(request, name, value)
    return request


def test_an_event_holds_the_chain_with_its_source(reporting: Reporting) -> None:
    """What was caught comes last, its cause before it, each with its frames and their lines of source."""
    reporting.capture(caught(_fail_with_secrets))

    cause, outer = exceptions_of(reporting.event)
    assert (cause["type"], cause["value"]) == ("KeyError", "'sold'")
    assert (outer["type"], outer["value"]) == ("RuntimeError", "no price")
    assert cause["mechanism"] == {
        "type": "chained",
        "handled": False,
        "exception_id": 1,
        "parent_id": 0,
        "source": "__cause__",
    }
    assert outer["mechanism"] == {"type": "prethrift", "handled": False, "exception_id": 0}
    frame = outer["stacktrace"]["frames"][-1]
    assert frame["function"] == "_fail_with_secrets"
    assert frame["context_line"].strip() == 'raise RuntimeError("no price") from error'
    assert frame["pre_context"][-1].strip() == "except KeyError as error:"


def test_the_frames_of_the_application_are_told_from_others() -> None:
    """What Sentry groups by is neither the standard library, nor a dependency, nor this package's own telemetry."""
    frames = [
        Frame("/app/shop/prices.py", 1, "f", "shop.prices"),
        Frame("/venv/lib/python3.11/site-packages/starlette/routing.py", 1, "f", "starlette.routing"),
        Frame("/venv/lib/python3.11/site-packages/prethrift_backend/cli.py", 1, "f", "prethrift_backend.search"),
        Frame("/app/src/prethrift_backend/observability/asgi.py", 1, "f", "prethrift_backend.observability.asgi"),
        Frame(asyncio.__file__, 1, "f", "asyncio"),
        Frame("<frozen runpy>", 1, "f", "runpy"),
    ]

    assert [_is_in_app(frame) for frame in frames] == [True, False, True, False, False, False]


def test_an_event_says_what_is_running(reporting: Reporting) -> None:
    """Release, environment, service and the name of the log line are there; the host's name is not."""
    reporting.capture(raised(ValueError("x")), event="background_task_failed")

    event = reporting.event
    assert (event["release"], event["environment"]) == ("shop@1.2.3", "staging")
    assert event["tags"] == {"service": "shop", "log_event": "background_task_failed"}
    assert (event["level"], event["platform"]) == ("error", "python")
    assert event["timestamp"] == "2026-01-02T03:04:05.000000Z"
    assert "server_name" not in event


def test_an_event_has_no_local_variables(reporting: Reporting) -> None:
    """Frames hold no values, so that nothing can leak from them."""
    reporting.capture(caught(_fail_with_secrets))

    frames = [f for e in exceptions_of(reporting.event) for f in e["stacktrace"]["frames"]]
    assert not any("vars" in frame for frame in frames)


@pytest.mark.parametrize("flags", [TraceFlags(0), TraceFlags(1)], ids=["unsampled", "sampled"])
def test_an_event_is_on_the_trace(reporting: Reporting, flags: TraceFlags) -> None:
    """The ids are those of the current span, whether it was sampled or not."""
    span = NonRecordingSpan(SpanContext(TRACE_ID, SPAN_ID, is_remote=False, trace_flags=flags))
    with use_span(span):
        reporting.capture(raised(ValueError("x")))

    trace = reporting.event["contexts"]["trace"]
    assert trace == {"trace_id": f"{TRACE_ID:032x}", "span_id": f"{SPAN_ID:016x}"}


def test_an_event_names_its_request_and_nothing_more(reporting: Reporting) -> None:
    """Method, template, allow-listed query, user and request id are there; path, headers and body are not."""
    request = _in_request(
        reporting, user_id="user-7", client_trace_id="test-trace-123", query_string=b"q=red+shoes&token=hunter2"
    )
    assert reporting.telemetry.reporter is not None
    reporting.telemetry.reporter.capture(raised(ValueError("x")), event="request_failed", request=request)

    event = reporting.event
    assert (event["transaction"], event["transaction_info"]) == ("GET /items/{item}", {"source": "route"})
    assert event["request"] == {"method": "GET", "url": "/items/{item}", "query_string": [["q", "red shoes"]]}
    assert event["user"] == {"id": "user-7"}
    assert event["tags"] == {
        "service": "shop",
        "request_id": "request-1",
        "client_trace_id": "test-trace-123",
        "method": "GET",
        "endpoint": "/items/{item}",
        "log_event": "request_failed",
    }


def test_an_event_without_a_current_span_is_on_the_trace_of_its_request(reporting: Reporting) -> None:
    """Where the span has ended already, the request still knows its ids."""
    request = _in_request(reporting, trace_id="1" * 32, span_id="2" * 16)
    assert reporting.telemetry.reporter is not None
    reporting.telemetry.reporter.capture(raised(ValueError("x")), event="request_failed", request=request)

    assert reporting.event["contexts"]["trace"] == {"trace_id": "1" * 32, "span_id": "2" * 16}


def test_log_lines_are_breadcrumbs(reporting: Reporting) -> None:
    """The last lines of the request come with the event, each with its fields and without the ids all share."""
    line = {
        "timestamp": "2026-01-02T03:04:04.000000Z",
        "level": "critical",
        "event": "payment_failed",
        "logger": "shop.payments",
        "service": "shop",
        "trace_id": "1" * 32,
        "attempt": 2,
        "exception": {"type": "OSError", "message": "gone", "stack": "Traceback"},
    }
    request = _in_request(reporting, breadcrumbs=[line])
    assert reporting.telemetry.reporter is not None
    reporting.telemetry.reporter.capture(raised(ValueError("x")), event="request_failed", request=request)

    assert reporting.event["breadcrumbs"]["values"] == [
        {
            "type": "default",
            "category": "shop.payments",
            "level": "fatal",
            "message": "payment_failed",
            "timestamp": "2026-01-02T03:04:04.000000Z",
            "data": {"attempt": 2, "exception": {"type": "OSError", "message": "gone"}},
        }
    ]


def test_what_a_line_holds_is_bounded_in_a_breadcrumb(reporting: Reporting) -> None:
    """A list or mapping that is too much is the beginning of its text; a small one stays what it is."""
    line = {"event": "cart_read", "small": {"shirts": 2}, "large": {str(key): "x" * 900 for key in range(100)}}
    line |= {"exception": {"type": "OSError", "message": "gone", "stack": "frame " * 1000}}
    request = _in_request(reporting, breadcrumbs=[line])
    assert reporting.telemetry.reporter is not None
    reporting.telemetry.reporter.capture(raised(ValueError("x")), event="request_failed", request=request)

    (said,) = (line["data"] for line in reporting.event["breadcrumbs"]["values"])
    assert said["small"] == {"shirts": 2}
    assert said["large"].startswith("{'0': 'xxx")
    assert len(said["large"]) == 1000
    assert said["exception"] == {"type": "OSError", "message": "gone"}


def test_an_event_that_sentry_would_refuse_is_sent_with_less_in_it(reporting: Reporting) -> None:
    """Beyond a megabyte it goes without breadcrumbs, source and the middle of its stacks; the chain stays whole."""

    def recurse(depth: int) -> None:
        if not depth:
            raise ValueError("as deep as it goes")
        recurse(depth - 1)

    error = caught(lambda: recurse(300))
    for _ in range(19):
        cause, error = error, caught(lambda: recurse(300))
        error.__cause__ = cause
    request = _in_request(reporting, breadcrumbs=[{"event": "order_read"}])
    assert reporting.telemetry.reporter is not None
    reporting.telemetry.reporter.capture(error, event="request_failed", request=request)

    chain = exceptions_of(reporting.event)
    assert len(reporting.captured.envelopes[0]) < 1_000_000
    assert len(chain) == 20
    assert "breadcrumbs" not in reporting.event
    frames = chain[-1]["stacktrace"]["frames"]
    assert (len(frames), frames[0]["function"]) == (20, "caught")
    assert frames[-1]["lineno"] == recurse.__code__.co_firstlineno + 2
    assert not {"pre_context", "context_line", "post_context"}.intersection(*frames)


def test_an_error_line_is_no_event(reporting: Reporting) -> None:
    """``logger.error``, ours or the standard library's, reports nothing by itself."""
    get_logger("shop").error("payment_failed", exc_info=raised(ValueError("x")))
    logging.getLogger("shop").error("payment failed")

    assert reporting.events == []


def test_the_same_exception_is_one_event(reporting: Reporting) -> None:
    """Re-raised, reported by hand and raised, captured by Sentry's own function: one fault is one event."""
    error = raised(ValueError("x"))

    first = reporting.capture(error)
    others = [reporting.capture(error), report_error(error), sentry_sdk.capture_exception(error)]

    assert (first, others) == (reporting.event["event_id"], [None] * 3)


def test_a_group_of_what_was_reported_is_no_second_event(reporting: Reporting) -> None:
    """A task group wraps what failed in it; the fault is still the one."""
    error = raised(ValueError("x"))
    reporting.capture(error)
    reporting.capture(raised(ExceptionGroup("unhandled errors in a TaskGroup", [error])))

    assert exceptions_of(reporting.event)[-1]["type"] == "ValueError"


def test_a_part_of_a_reported_group_is_no_second_event(reporting: Reporting) -> None:
    """What was reported within a group is not reported again alone."""
    parts = [ValueError("x"), TypeError("y")]
    reporting.capture(raised(ExceptionGroup("several", parts)))
    reporting.capture(parts[0])

    kinds = [(e["type"], e["mechanism"].get("source")) for e in exceptions_of(reporting.event)]
    assert kinds == [
        ("TypeError", "exceptions[1]"),
        ("ValueError", "exceptions[0]"),
        ("ExceptionGroup", None),
    ]
    assert exceptions_of(reporting.event)[-1]["mechanism"]["is_exception_group"] is True


def test_an_exception_that_takes_no_attributes_is_still_one_event(reporting: Reporting) -> None:
    """A frozen dataclass refuses to be written on; the note is made past that."""

    @dataclass(frozen=True)
    class FrozenError(Exception):
        reason: str

    error = raised(FrozenError("x"))
    reporting.capture(error)
    reporting.capture(error)

    assert len(reporting.events) == 1


@pytest.mark.parametrize(
    "error",
    [
        ItemNotFoundError("no such item"),
        ExceptionGroup("group", [ItemNotFoundError("no such item")]),
        asyncio.CancelledError(),
        KeyboardInterrupt(),
        SystemExit(1),
        BaseExceptionGroup("group", [ItemNotFoundError("x"), asyncio.CancelledError()]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_nobodys_fault_is_no_event(reporting: Reporting, error: BaseException) -> None:
    """A caller's mistake, a cancellation and the end of the program are not reported, by whichever way."""
    reporting.capture(raised(error))
    report_error(raised(error))
    sentry_sdk.capture_exception(error)

    assert (reporting.events, sum(reporting.counts().values())) == ([], 0)


def test_operational_errors_are_one_group_and_one_a_minute(reporting: Reporting) -> None:
    """The first is sent at once, then one a minute, which says how many there were; the text does not matter."""
    for number in range(100):
        reporting.capture(raised(DatabaseUnavailableError(f"no connection to 10.0.0.{number}")))
    reporting.clock.tick(59.9)
    reporting.capture(raised(DatabaseUnavailableError("no connection")))
    reporting.clock.tick(0.2)
    reporting.capture(raised(DatabaseUnavailableError("no connection")))

    first, second = reporting.events
    assert first["fingerprint"] == second["fingerprint"]
    assert first["fingerprint"][1:] == [
        "prethrift_backend.exceptions.DatabaseUnavailableError",
        "database_unavailable",
    ]
    assert first["level"] == "warning"
    assert "repetition" not in first.get("contexts", {})
    assert second["contexts"]["repetition"] == {"suppressed_before": 100}
    assert reporting.counts() == {"sent": 2, "suppressed": 100, "dropped": 0}


def test_each_kind_of_operational_error_has_a_rate_of_its_own(reporting: Reporting) -> None:
    """That the database is away does not hide that the picture store is away too."""
    for error in (DatabaseUnavailableError("x"), ImageStoreUnavailableError("x"), EmbeddingQueueFullError("x")):
        reporting.capture(raised(error))

    assert len({tuple(event["fingerprint"]) for event in reporting.events}) == 3


def test_a_storm_costs_a_handful_of_events(reporting: Reporting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 10,000 failures at one place a few are taken down and serialized; the rest are a number."""
    built = _count_calls(monkeypatch, "event_of")
    taken = _count_calls(monkeypatch, "take_down")
    for number in range(10_000):
        reporting.capture(raised(ValueError(f"row {number}")))

    assert len(reporting.events) == len(built) == len(taken) == 10
    assert reporting.counts() == {"sent": 10, "suppressed": 9_990, "dropped": 0}


def _count_calls(monkeypatch: pytest.MonkeyPatch, name: str) -> list[object]:
    original = getattr(errors, name)
    calls: list[object] = []

    def count(argument: object) -> object:
        calls.append(argument)
        return original(argument)

    monkeypatch.setattr(errors, name, count)
    return calls


def test_bugs_at_different_places_have_rates_of_their_own(reporting: Reporting) -> None:
    """A storm at one place does not hide the first failure at another; Sentry groups bugs by its own rules."""

    def fail_here() -> None:
        raise ValueError("here")

    def fail_there() -> None:
        raise ValueError("there")

    for _ in range(50):
        reporting.capture(caught(fail_here))
    reporting.capture(caught(fail_there))

    assert [exceptions_of(event)[-1]["value"] for event in reporting.events].count("there") == 1
    assert not any("fingerprint" in event for event in reporting.events)


def test_what_fails_in_task_groups_is_told_apart(reporting: Reporting) -> None:
    """All groups are raised at one place of the standard library; what counts is where their first part failed."""

    def fail_here() -> None:
        raise ValueError("here")

    def fail_there() -> None:
        raise ValueError("there")

    for number in range(12):
        part = caught(fail_here if number % 2 else fail_there)
        reporting.capture(raised(BaseExceptionGroup("unhandled errors in a TaskGroup", [part])))

    assert (len(reporting.events), reporting.counts()["suppressed"]) == (12, 0)


def test_a_long_text_is_cut(reporting: Reporting) -> None:
    """An exception that quotes a whole document does not send it."""
    reporting.capture(raised(ValueError("word " * 100_000)))

    assert len(exceptions_of(reporting.event)[-1]["value"]) <= 4096


def test_a_password_on_the_cut_of_a_long_text_is_not_sent(reporting: Reporting) -> None:
    """An address whose password ends where the text is cut is known for one: it is redacted before it is cut short."""
    reporting.capture(raised(ValueError(f"{'x' * 4060} postgresql://app:canary-of-a-password@db/prethrift")))

    value = exceptions_of(reporting.event)[-1]["value"]
    assert ("canary" not in value, len(value) <= 4096) == (True, True)


def test_a_bug_that_stays_is_sent_ten_times_a_minute(reporting: Reporting) -> None:
    """Behind the first ten there is one every six seconds, with the number of those between."""
    for _ in range(110):
        reporting.capture(raised(ValueError("x")))
        reporting.clock.tick(1)

    later = [event["contexts"]["repetition"] for event in reporting.events if "repetition" in event.get("contexts", {})]
    assert len(reporting.events) == 10 + 18
    assert later[-1] == {"suppressed_before": 5}


def test_an_event_of_an_exception_that_cannot_be_shown_is_sent(reporting: Reporting) -> None:
    """An exception whose text raises is reported without its text."""

    class ShyError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no")

    reporting.capture(raised(ShyError()))

    assert exceptions_of(reporting.event)[-1]["value"] == "[cannot be shown: RuntimeError]"


def test_half_of_a_surrogate_pair_does_not_cost_the_event(reporting: Reporting) -> None:
    """The name of a file that is no UTF-8 is in the text of an error about it."""
    reporting.capture(raised(FileNotFoundError(b"caf\xe9.jpg".decode("utf-8", "surrogateescape"))))

    assert exceptions_of(reporting.event)[-1]["value"] == "caf\udce9.jpg"
    assert reporting.counts() == {"sent": 1, "suppressed": 0, "dropped": 0}


def test_notes_are_part_of_the_text(reporting: Reporting) -> None:
    """What `add_note` added is shown below the message."""
    error = ValueError("x")
    error.add_note("while reading page 3")
    reporting.capture(raised(error))

    assert exceptions_of(reporting.event)[-1]["value"] == "x\nwhile reading page 3"


def test_a_deep_stack_is_bounded(reporting: Reporting) -> None:
    """Of a stack of hundreds of frames both ends are kept: where it began and where it failed."""

    def recurse(depth: int) -> None:
        if depth:
            recurse(depth - 1)
        _fail_with_secrets()

    reporting.capture(caught(lambda: recurse(300)))

    frames = exceptions_of(reporting.event)[-1]["stacktrace"]["frames"]
    assert (len(frames), frames[0]["function"], frames[-1]["function"]) == (100, "caught", "_fail_with_secrets")


def test_a_chain_in_a_circle_ends(reporting: Reporting) -> None:
    """An exception that is its own cause's cause is shown once."""
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    reporting.capture(first)

    assert [e["value"] for e in exceptions_of(reporting.event)] == ["second", "first"]


def test_a_context_that_was_left_out_stays_out(reporting: Reporting) -> None:
    """What `raise ... from None` hides is not shown; what was being handled otherwise is."""

    def fail(*, hide: bool) -> None:
        try:
            raise KeyError("inner")
        except KeyError:
            if hide:
                raise ValueError("hidden") from None
            raise ValueError("shown")  # noqa: B904 - the context is what is tested

    reporting.capture(caught(lambda: fail(hide=True)))
    reporting.capture(caught(lambda: fail(hide=False)))

    assert [[e["type"] for e in exceptions_of(event)] for event in reporting.events] == [
        ["ValueError"],
        ["KeyError", "ValueError"],
    ]


def test_no_frame_is_held_by_what_waits(reporting: Reporting) -> None:
    """What a failed function held is let go of where it failed, not by the thread that sends."""

    class Connection:
        pass

    def fail() -> None:
        connections.append(weakref.ref(held := Connection()))
        raise ValueError(str(bool(held)))

    connections: list[weakref.ref[Connection]] = []
    error = caught(fail)
    reporting.capture(error)
    del error
    gc.collect()

    assert connections[0]() is None


def test_sentrys_own_functions_reach_the_same_client(reporting: Reporting) -> None:
    """What the program captures itself has our tags, trace and redaction, and is on the request's trace."""
    request = _in_request(reporting, breadcrumbs=[{"event": "item_viewed", "level": "info"}])
    token = context.enter_request(request)
    span = NonRecordingSpan(SpanContext(TRACE_ID, SPAN_ID, is_remote=False))
    try:
        with use_span(span):
            sentry_sdk.capture_message("paid with token=hunter2")
            sentry_sdk.capture_exception(raised(ValueError("Bearer hunter2hunter2hunter2")))
    finally:
        context.leave_request(token)

    message, exception = reporting.events
    assert message["message"] == "paid with token=[redacted]"
    assert exceptions_of(exception)[-1]["value"] == "Bearer [redacted]"
    for event in (message, exception):
        assert "server_name" not in event
        assert event["tags"]["request_id"] == "request-1"
        assert event["contexts"]["trace"] == {"trace_id": f"{TRACE_ID:032x}", "span_id": f"{SPAN_ID:016x}"}
        assert event["breadcrumbs"]["values"][0]["message"] == "item_viewed"


def test_a_programs_own_client_stays() -> None:
    """Who has set Sentry up itself keeps its client, and gets nothing of ours."""
    kept: list[Envelope] = []
    own = sentry_sdk.Client(dsn="", transport=_Keeping(kept), default_integrations=False)
    scope = sentry_sdk.Scope.get_global_scope()
    scope.set_client(own)
    try:
        with Reporting() as reporting:
            sentry_sdk.capture_message("mine")
            reporting.capture(raised(ValueError("x")))
            assert len(reporting.events) == 1
        assert sentry_sdk.get_client() is own
    finally:
        scope.set_client(None)

    assert len(kept) == 1


class _Keeping(Transport):
    def __init__(self, kept: list[Envelope]) -> None:
        super().__init__()
        self._kept = kept

    def capture_envelope(self, envelope: Envelope) -> None:
        self._kept.append(envelope)


def test_two_telemetries_do_not_meet() -> None:
    """Each has its own events and its own memory of what was reported; Sentry's functions reach the last one."""
    with Reporting(service_name="first") as first:
        with Reporting(service_name="second") as second:
            error = raised(ValueError("x"))
            for each in (first, second, first, second):
                each.capture(error)
            sentry_sdk.capture_message("to the last")
            assert len(second.events) == 2
        sentry_sdk.capture_message("to the one that is left")

        assert [event["tags"]["service"] for event in first.events] == ["first", "first"]
        assert [event["tags"]["service"] for event in second.captured.events] == ["second", "second"]
    assert not sentry_sdk.get_client().is_active()


def test_a_telemetry_that_is_closed_first_is_taken_out_of_the_row() -> None:
    """Telemetries may be closed in any order: Sentry's functions reach one that is open."""
    with Reporting(service_name="first") as first, Reporting(service_name="second") as second:
        first.telemetry.close()
        sentry_sdk.capture_message("still here")

        assert second.event["message"] == "still here"


def test_a_client_that_the_program_sets_up_later_stays() -> None:
    """Closing gives back what was taken, and takes nothing that somebody else has set since."""
    scope = sentry_sdk.Scope.get_global_scope()
    own = sentry_sdk.Client(dsn="", transport=_Keeping([]), default_integrations=False)
    try:
        with Reporting():
            scope.set_client(own)
        assert sentry_sdk.get_client() is own
    finally:
        scope.set_client(None)


def test_nothing_is_patched() -> None:
    """Setting up reports by the standard library's hooks changes none of them."""
    hooks = _hooks()
    with Reporting() as reporting:
        assert reporting.telemetry.reporter is not None
        assert _hooks() == hooks


def _hooks() -> list[Any]:
    return [sys.excepthook, threading.excepthook, logging.Logger.callHandlers, threading.Thread.run]


def test_a_closed_telemetry_reports_nothing(reporting: Reporting) -> None:
    """After the end a fault is counted as dropped, and nothing is raised."""
    reporting.telemetry.close()

    assert reporting.capture(raised(ValueError("late"))) is None
    assert report_error(raised(ValueError("late"))) is None
    assert reporting.counts()["dropped"] == 1


def test_a_fault_in_reporting_does_not_reach_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong in here is counted as a fault of the telemetry, and the request goes on."""
    monkeypatch.setattr("prethrift_backend.observability.errors.take_down", lambda _error: 1 / 0)
    with Reporting(strict=False) as reporting:
        assert reporting.capture(raised(ValueError("x"))) is None

        assert reporting.telemetry.errors == 1


def test_an_event_that_cannot_be_redacted_does_not_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the redaction fails, the event is dropped and counted."""
    with Reporting(strict=False) as reporting:
        monkeypatch.setattr(EventRedaction, "redact", lambda _self, _event: 1 / 0)
        reporting.capture(raised(ValueError("x")))
        sentry_sdk.capture_message("x")

        assert (reporting.events, reporting.counts()["dropped"]) == ([], 2)
        assert reporting.telemetry.errors == 2


def test_without_a_receiver_there_is_no_reporter() -> None:
    """Without SENTRY_DSN and SENTRY_SPOTLIGHT nothing is made, and reporting is a call that does nothing."""
    with Reporting(parts={"sentry_transport": None}) as reporting:
        assert reporting.telemetry.reporter is None
        assert report_error(raised(ValueError("x"))) is None
    assert report_error(raised(ValueError("x"))) is None


def test_the_environment_sets_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sentry's own variables are read by our settings or not at all."""
    for name, value in {
        "SENTRY_RELEASE": "other@9",
        "SENTRY_ENVIRONMENT": "other",
        "SENTRY_DEBUG": "1",
        "SENTRY_SPOTLIGHT": "http://127.0.0.1:1/stream",
        "SENTRY_DSN": "http://abc@127.0.0.1:1/1",
    }.items():
        monkeypatch.setenv(name, value)
    with Reporting() as reporting:
        reporting.capture(raised(ValueError("x")))
        client = sentry_sdk.get_client()

        assert reporting.event["release"].startswith("prethrift-backend@")
        assert reporting.event["environment"] == "development"
        assert (client.spotlight, client.dsn, client.options["debug"]) == (None, "", False)
        assert client.options["include_local_variables"] is False


def test_a_reporter_is_made_for_a_dsn_and_for_a_spotlight() -> None:
    """Either setting is enough; making one opens no connection and starts no thread."""
    with Reporting() as reporting:
        telemetry = reporting.telemetry
        watch = ReportWatch(lambda _outcome, _count: None, ExportLog(telemetry), telemetry.fail)
        for settings in (
            Settings(sentry_dsn=SecretStr("https://abc@sentry.example/1")),
            Settings(sentry_spotlight="http://127.0.0.1:8969/stream"),
        ):
            made = make_error_reporter(settings, redactor=telemetry.redactor, clock=reporting.clock, watch=watch)

            assert made is not None
            made.close(0.0)


SECRET = "hunter2canary"


@pytest.fixture
def shop(reporting: Reporting) -> httpx.AsyncClient:
    """Give a client of an application that fails with a secret wherever one can stand."""
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})

    @app.post("/items/{item}")
    async def fail(item: str, request: Request) -> None:
        """Fail with the secret in a local variable, in a log line and in two texts."""
        password = (await request.body()).decode()
        get_logger("shop").warning("payment_refused", password=password, reason=f"token={password}")
        try:
            raise KeyError(f"postgresql://app:{password}@db/shop")
        except KeyError as error:
            raise RuntimeError(f"Authorization: Bearer {password}{password}") from error

    @app.get("/later")
    async def later(tasks: BackgroundTasks) -> None:
        """Answer, and fail afterwards."""
        tasks.add_task(_fail_with_secrets)

    @app.get("/half")
    async def half() -> StreamingResponse:
        """Fail in the middle of the body."""

        async def body() -> AsyncIterator[bytes]:
            yield b"half"
            raise ValueError("the other half")

        return StreamingResponse(body())

    transport = httpx.ASGITransport(instrument(app, reporting.telemetry), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://shop.test")


async def test_no_secret_of_a_request_leaves(reporting: Reporting, shop: httpx.AsyncClient) -> None:
    """In path, query, header, cookie, body, local variable, log line and text: none is in what Sentry gets."""
    response = await shop.post(
        f"/items/{SECRET}",
        params={"token": SECRET, "q": "shoes"},
        headers={"authorization": f"Bearer {SECRET}", "x-api-key": SECRET, "cookie": f"session={SECRET}"},
        content=SECRET.encode(),
    )

    event = reporting.event
    assert SECRET.encode() not in b"".join(reporting.captured.envelopes)
    assert event["request"]["query_string"] == [["q", "shoes"]]
    assert [crumb["message"] for crumb in event["breadcrumbs"]["values"]] == ["payment_refused"]
    assert event["tags"]["request_id"] == response.headers["x-request-id"]


def test_long_values_are_cut(reporting: Reporting, tmp_path: Path) -> None:
    """A tag has Sentry's own bound, a field of a log line and a line of source have ours."""
    line = {"event": "x", "level": "info", "text": "word " * 1000}
    request = _in_request(reporting, breadcrumbs=[line], client_trace_id="word " * 1000)
    source = tmp_path / "generated.py"
    source.write_text(f"raise ValueError('x')  # {'word ' * 1000}\n")
    error = caught(lambda: exec(compile(source.read_text(), str(source), "exec"), {}))  # noqa: S102 - our own text
    assert reporting.telemetry.reporter is not None
    reporting.telemetry.reporter.capture(error, event="request_failed", request=request)

    event = reporting.event
    assert len(event["tags"]["client_trace_id"]) == 200
    assert len(event["breadcrumbs"]["values"][0]["data"]["text"]) == 1000
    assert len(exceptions_of(event)[-1]["stacktrace"]["frames"][-1]["context_line"]) == 256


def test_an_event_of_a_program_keeps_what_it_says(reporting: Reporting) -> None:
    """Tags, user and breadcrumbs that the program set itself are not written over."""
    request = _in_request(reporting, user_id="user-7", breadcrumbs=[{"event": "item_viewed"}])
    token = context.enter_request(request)
    try:
        with sentry_sdk.new_scope() as scope:
            scope.set_tag("endpoint", "mine")
            scope.set_user({"id": "me"})
            scope.add_breadcrumb(message="my own")
            sentry_sdk.capture_message("x")
    finally:
        context.leave_request(token)

    event = reporting.event
    assert (event["tags"]["endpoint"], event["user"]) == ("mine", {"id": "me"})
    assert [crumb["message"] for crumb in event["breadcrumbs"]["values"]] == ["item_viewed", "my own"]


async def test_a_failure_after_the_answer_is_on_its_trace(reporting: Reporting, shop: httpx.AsyncClient) -> None:
    """A background task that fails is an event of the request that started it."""
    response = await shop.get("/later")

    event = reporting.event
    assert (response.status_code, event["tags"]["log_event"]) == (200, "background_task_failed")
    assert event["contexts"]["trace"]["trace_id"] == response.headers["x-trace-id"]
    assert event["transaction"] == "GET /later"


async def test_a_failure_in_the_middle_of_an_answer_is_an_event(reporting: Reporting, shop: httpx.AsyncClient) -> None:
    """That the status was sent already does not hide it."""
    with suppress(Exception):
        await shop.get("/half")

    assert exceptions_of(reporting.event)[-1]["value"] == "the other half"


async def test_what_the_caller_got_wrong_is_no_event(reporting: Reporting, shop: httpx.AsyncClient) -> None:
    """Neither an unknown path nor a wrong method is reported."""
    statuses = [(await shop.get("/nowhere")).status_code, (await shop.get("/items/1")).status_code]

    assert (statuses, reporting.events) == ([404, 405], [])
