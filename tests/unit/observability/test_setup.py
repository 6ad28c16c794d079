"""`configure` and the life of a `Telemetry`."""

import io
import logging
import threading

import orjson
import structlog
from tests.support.asgi import Recorder, drive

from prethrift_backend.config import Settings
from prethrift_backend.observability import configure, get_logger, instrument
from prethrift_backend.observability.context import current_signals

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


def test_configuring_again_and_again_leaves_nothing_behind() -> None:
    """A reload leaves no handler and no thread."""
    before = (list(logging.getLogger().handlers), writer_threads())

    for _ in range(5):
        Recorder().telemetry.close()

    assert (list(logging.getLogger().handlers), writer_threads()) == before


async def test_settings_given_to_instrument_make_a_telemetry_of_its_own() -> None:
    """`instrument(app, settings)` configures, and closes when the lifespan ends."""

    async def app(scope: object, receive: object, send: object) -> None:
        return

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
