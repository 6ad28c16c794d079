"""`configure` and the life of a `Telemetry`."""

import io
import logging
import threading
import time

import orjson
import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan
from tests.support.asgi import Recorder, drive

from prethrift_backend.config import Settings
from prethrift_backend.observability import configure, get_logger, instrument
from prethrift_backend.observability._exchange import Send
from prethrift_backend.observability.context import RequestContext, current_signals, enter_request, leave_request
from prethrift_backend.observability.setup import _close_all

LOG = get_logger("setup")


def writer_threads() -> int:
    """Return how many writer threads run."""
    return sum(thread.name == "prethrift-log-writer" for thread in threading.enumerate())


async def test_closing_writes_what_is_queued() -> None:
    """`aclose` loses no line and stops the thread; a second call does nothing."""
    stream = io.BytesIO()
    telemetry = configure(Settings(log_format="json"), log_stream=stream)
    for number in range(100):
        LOG.info("queued", number=number)

    await telemetry.aclose()
    await telemetry.aclose()

    assert [orjson.loads(line)["number"] for line in stream.getvalue().splitlines()] == list(range(100))
    assert writer_threads() == 0


def test_a_text_stream_is_written_to() -> None:
    """A stream that takes text, as standard output does under a test runner, is fine."""
    stream = io.StringIO()
    telemetry = configure(Settings(log_format="json"), log_stream=stream)
    LOG.info("in_text")

    telemetry.close()

    assert orjson.loads(stream.getvalue())["event"] == "in_text"


def test_the_last_configured_is_the_default_until_it_closes() -> None:
    """Of two telemetries the later one is the default; when it closes, the earlier one is again."""
    first, second = Recorder(service_name="first"), Recorder(service_name="second")
    LOG.info("one")
    logging.getLogger("library").warning("one")
    second.telemetry.close()
    LOG.info("two")
    logging.getLogger("library").warning("two")
    structlog.get_logger("other").info("two")

    assert [line["event"] for line in second.lines()] == ["one", "one"]
    assert [line["event"] for line in first.lines()] == ["two", "two", "two"]


def test_closing_out_of_order_leaves_the_other_in_force() -> None:
    """An earlier telemetry may close first."""
    first, second = Recorder(), Recorder()
    first.telemetry.close()
    LOG.info("still_here")

    assert current_signals() is second.telemetry
    assert [line["event"] for line in second.lines()] == ["still_here"]
    assert current_signals() is None


@pytest.mark.parametrize("is_talkative_first", [True, False])
def test_the_level_of_one_is_not_that_of_the_other(is_talkative_first: bool) -> None:
    """The standard library's loggers are shared; each telemetry leaves out what is below its own level."""
    levels = ["DEBUG", "ERROR"] if is_talkative_first else ["ERROR", "DEBUG"]
    recorders = {level: Recorder(log_level=level) for level in levels}

    for recorder in recorders.values():
        token = enter_request(RequestContext("r", recorder.telemetry))
        logging.getLogger("library").info("asked")
        leave_request(token)

    assert [len(recorders[level].lines()) for level in ("DEBUG", "ERROR")] == [1, 0]


def test_configuring_again_and_again_leaves_nothing_behind() -> None:
    """A reload leaves no handler and no thread."""
    before = (list(logging.getLogger().handlers), writer_threads())

    for _ in range(5):
        Recorder().telemetry.close()

    assert (list(logging.getLogger().handlers), writer_threads()) == before


async def test_settings_given_to_instrument_make_a_telemetry_of_its_own() -> None:
    """`instrument(app, settings)` configures, and closes when the lifespan ends."""

    async def app(_scope: object, _receive: object, send: Send) -> None:
        await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})

    wrapped = instrument(app, Settings(log_format="json"))
    during = current_signals()

    await drive(wrapped, {"type": "lifespan"})

    assert during is not None
    assert current_signals() is None


def test_the_colours_are_for_terminals() -> None:
    """A console form that does not go to a terminal has no escape sequences."""
    recorder = Recorder(log_format="console")
    LOG.info("plain")

    assert "\x1b" not in recorder.text()


class _LateSink:
    """A receiver's queue that notes until when it may send."""

    def __init__(self) -> None:
        self.deadlines: list[float] = []

    def put(self, span: ReadableSpan) -> None:
        """Forget it."""

    def close(self, deadline: float) -> None:
        """Note the deadline."""
        self.deadlines.append(deadline)


def test_receivers_leave_the_log_its_part_of_the_three_seconds() -> None:
    """Receivers and a log that take nothing are three seconds together, not three and some more."""
    sink = _LateSink()
    telemetry = configure(Settings(), log_stream=io.BytesIO(), span_sinks=[sink])
    before = time.monotonic()

    telemetry.close()

    assert before + 2.7 <= sink.deadlines[0] <= time.monotonic() + 2.7


def test_a_process_that_ends_closes_what_is_open() -> None:
    """At the end of a process every telemetry is closed, all of them until one moment, and none a second time."""
    first, second = _LateSink(), _LateSink()
    telemetries = [configure(Settings(), log_stream=io.BytesIO(), span_sinks=[sink]) for sink in (first, second)]
    before = time.monotonic()

    _close_all()
    _close_all()
    for telemetry in telemetries:
        telemetry.close()

    assert len(first.deadlines) == 1
    assert first.deadlines == second.deadlines
    assert before + 2.7 <= first.deadlines[0] <= time.monotonic() + 2.7
    assert current_signals() is None


def test_where_no_thread_starts_any_more_closing_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.12 starts no threads at the end of the process; what is queued is sent all the same."""
    sink = _LateSink()
    telemetry = configure(Settings(), log_stream=io.BytesIO(), span_sinks=[sink])

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        telemetry.close()

    assert len(sink.deadlines) == 1
