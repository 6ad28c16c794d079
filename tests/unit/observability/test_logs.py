"""Log lines, read as the bytes that the real chain wrote."""

import asyncio
import logging
import os
import re
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from tests.support.asgi import Recorder
from tests.support.waiting import wait_for

from prethrift_backend.exceptions import ConfigurationError
from prethrift_backend.observability import bind_user, get_logger
from prethrift_backend.observability.context import RequestContext, enter_request, leave_request
from prethrift_backend.observability.logs import mark_reported

EARLY = get_logger("early")


def fail() -> None:
    """Raise with a secret in the message and another in a local variable."""
    local = "local-canary"
    raise ValueError(f"postgresql://u:hunter2@h/d of {len(local)}")


def test_every_line_has_the_fields_of_the_contract(recorder: Recorder) -> None:
    """A line says when, how grave, what, by whom and of which process."""
    get_logger("shop").info("item_sold", price=12)

    (line,) = recorder.lines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line.pop("timestamp"))
    assert line.pop("version")
    assert line == {
        "level": "info", "event": "item_sold", "logger": "shop", "service": "prethrift-backend",
        "environment": "development", "price": 12,
    }  # fmt: skip


def test_a_logger_made_at_import_works_after_configure(recorder: Recorder) -> None:
    """A logger that is older than the telemetry writes through it."""
    EARLY.warning("late_event")

    assert [line["logger"] for line in recorder.lines()] == ["early"]


def test_a_logger_follows_a_new_telemetry() -> None:
    """After another `configure` the same logger writes to the new telemetry."""
    first = Recorder()
    EARLY.info("one")
    first.telemetry.close()
    second = Recorder()
    EARLY.info("two")

    assert [line["event"] for line in (*first.lines(), *second.lines())] == ["one", "two"]


def test_a_logger_works_without_a_telemetry(caplog: pytest.LogCaptureFixture) -> None:
    """Before `configure`, lines go to the standard library, without secrets."""
    EARLY.warning("no_telemetry", password="hunter2")

    assert caplog.messages == ["no_telemetry password='[redacted]'"]


def test_bound_fields_are_on_each_line(recorder: Recorder) -> None:
    """What was bound to a logger is on its lines, and not on those of the logger it came from."""
    bound = EARLY.bind(item_id=7)
    bound.info("one")
    EARLY.info("two")

    assert [line.get("item_id") for line in recorder.lines()] == [7, None]


def test_the_level_is_respected() -> None:
    """Lines below LOG_LEVEL are not written."""
    recorder = Recorder(log_level="WARNING")
    EARLY.info("quiet")
    logging.getLogger("library").info("quiet")
    EARLY.error("loud")

    assert [line["event"] for line in recorder.lines()] == ["loud"]


def test_a_line_carries_the_request(recorder: Recorder) -> None:
    """Inside of a request each line has its id and its user, outside none."""
    token = enter_request(RequestContext("r-1", recorder.telemetry))
    bind_user("user-1")
    EARLY.info("inside")
    leave_request(token)
    EARLY.info("outside")

    found = [(line.get("request_id"), line.get("user_id")) for line in recorder.lines()]
    assert found == [("r-1", "user-1"), (None, None)]


@pytest.mark.parametrize("flags", [trace.TraceFlags.SAMPLED, trace.TraceFlags.DEFAULT])
def test_a_line_carries_the_trace(recorder: Recorder, flags: int) -> None:
    """The ids of a valid span are on the line, sampled or not."""
    ids = trace.SpanContext(trace_id=0xABC, span_id=0xDEF, is_remote=False, trace_flags=trace.TraceFlags(flags))
    with trace.use_span(trace.NonRecordingSpan(ids)):
        EARLY.info("traced")

    (line,) = recorder.lines()
    assert (line["trace_id"], line["span_id"]) == (f"{0xABC:032x}", f"{0xDEF:016x}")


def test_an_exception_is_structured(recorder: Recorder) -> None:
    """An exception is type, message and stack, without secrets and without local variables."""
    try:
        fail()
    except ValueError:
        EARLY.exception("it_failed")

    assert "hunter2" not in recorder.text()
    assert "local-canary" not in str(recorder.lines()[0]["exception"]["stack"]).replace('local = "local-canary"', "")
    exception = recorder.lines()[0]["exception"]
    assert (exception["type"], exception["message"]) == ("ValueError", "postgresql://u:[redacted]@h/d of 12")
    assert "in fail" in exception["stack"]


def test_an_exception_without_text_keeps_its_line(recorder: Recorder) -> None:
    """An exception whose `__str__` raises is still named."""

    class MuteError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("mute")

    EARLY.error("it_failed", exc_info=MuteError())

    assert "MuteError" in recorder.lines()[0]["exception"]["type"]


@pytest.mark.parametrize(
    "value",
    [
        object(), 2**70, -(2**70), float("nan"), "\ud800", b"\xff\x00", {1: {2, 3}}, {"k": object()}, UUID(int=1),
        datetime(2026, 1, 1, tzinfo=UTC), Path("/x"), ValueError("x"), int, (1, [2, {"a": b"c"}]), 1j, "x" * 100_000,
        {str(number): "y" * 4000 for number in range(50)}, {"\ud800": 1},
    ],
)  # fmt: skip
def test_no_value_loses_the_line(recorder: Recorder, value: object) -> None:
    """Whatever a field holds, the line is written, is JSON, and is not longer than the contract allows."""
    EARLY.info("odd_value", value=value)

    (raw,) = recorder.text().splitlines()
    assert orjson.loads(raw)["event"] == "odd_value"
    assert len(raw.encode()) < 16_384


@given(st.dictionaries(st.text(min_size=1), st.text() | st.binary() | st.integers() | st.floats()))
def test_any_fields_make_a_line(fields: dict[str, object]) -> None:
    """Random fields never lose the line and never hide the event."""
    recorder = Recorder()

    structlog.get_logger("fuzz").info("fuzzed", extra=fields)

    assert [line["event"] for line in recorder.lines()] == ["fuzzed"]


def test_a_field_cannot_replace_what_the_chain_sets(recorder: Recorder) -> None:
    """A caller's field with a reserved name is kept under another."""
    EARLY.info("tried", service="evil", request_id="evil", left_out=None)

    (line,) = recorder.lines()
    assert (line["service"], line["field_service"], line["field_request_id"]) == ("prethrift-backend", "evil", "evil")
    assert (line.get("left_out", "not there"), line["field_left_out"]) == ("not there", None)


def test_a_field_may_have_any_name(recorder: Recorder) -> None:
    """A field that is called like a parameter of ours, or of structlog, is no TypeError in the code that logs."""
    fields: dict[str, Any] = {"self": 1, "event": 2, "method_name": 3, "name": 4, "args": 5}
    EARLY.info("tried", **fields)
    EARLY.bind(**fields).error("tried_again")
    structlog.get_logger("other").info("tried", method_name=3)

    first, second, other = recorder.lines()
    for line in (first, second):
        assert (line["field_self"], line["field_event"], line["method_name"], line["name"], line["args"]) == (
            1,
            2,
            3,
            4,
            5,
        )
    assert (first["event"], second["event"], other["method_name"]) == ("tried", "tried_again", 3)


def test_fields_are_redacted(recorder: Recorder) -> None:
    """Secrets in fields do not reach the output."""
    EARLY.info("login", password="canary-1", url="postgresql://u:canary-2@h/d", headers=[("cookie", "canary-3")])

    assert "canary" not in recorder.text()


def test_the_standard_library_takes_the_same_chain(recorder: Recorder) -> None:
    """A library's record has our fields, its extras, and no secret."""
    logging.getLogger("library").warning("cannot reach %s", "//u:hunter2@h", extra={"attempt": 3, "token": "hunter2"})

    (line,) = recorder.lines()
    assert (line["event"], line["logger"], line["level"]) == ("cannot reach //u:[redacted]@h", "library", "warning")
    assert (line["attempt"], line["token"]) == (3, "[redacted]")


def test_a_record_whose_arguments_do_not_fit_keeps_its_line(recorder: Recorder) -> None:
    """A wrong format string does not lose the line and does not raise."""
    record = logging.LogRecord("library", logging.ERROR, __file__, 1, "%d items %s", ("many",), None)

    recorder.telemetry.handle_record(record)

    assert recorder.lines()[0]["event"].startswith("%d items %s")


def test_structlog_as_others_call_it_takes_the_chain(recorder: Recorder) -> None:
    """`structlog.get_logger()` in other code writes the same lines."""
    structlog.get_logger("other").info("other_event", password="hunter2")

    (line,) = recorder.lines()
    assert (line["event"], line["logger"], line["password"]) == ("other_event", "other", "[redacted]")


def test_what_structlog_bound_is_on_its_lines(recorder: Recorder) -> None:
    """Other code's `structlog.contextvars.bind_contextvars` works as it did, redacted."""
    with structlog.contextvars.bound_contextvars(tenant="t-1", token="hunter2"):
        structlog.get_logger("other").info("bound")

    (line,) = recorder.lines()
    assert (line["tenant"], line["token"]) == ("t-1", "[redacted]")


def test_uvicorn_writes_through_the_chain() -> None:
    """Uvicorn's loggers lose their own handlers; its access log is off."""
    for name in ("uvicorn", "uvicorn.access"):
        logging.getLogger(name).addHandler(logging.StreamHandler(sys.stderr))
    recorder = Recorder()
    logging.getLogger("uvicorn.error").info("Started")
    logging.getLogger("uvicorn.access").info("GET /?token=hunter2")

    assert not logging.getLogger("uvicorn.access").hasHandlers()
    assert [(line["event"], line["logger"]) for line in recorder.lines()] == [("Started", "uvicorn.error")]
    for name in ("uvicorn", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()


@pytest.mark.parametrize(("level", "count"), [("INFO", 0), ("DEBUG", 3)])
def test_a_text_that_is_cut_in_a_span_is_no_line_each_time(level: str, count: int) -> None:
    """OpenTelemetry warns of each long text in a span, which callers decide on; only who looks for faults sees it."""
    recorder = Recorder(log_level=level)
    for _ in range(3):
        logging.getLogger("opentelemetry.attributes").warning("String attribute value exceeds max length of 4096")

    assert len(recorder.lines()) == count


def test_the_server_does_not_repeat_a_reported_exception(recorder: Recorder) -> None:
    """Uvicorn's line about an exception that has its line already is left out."""
    known, unknown = ValueError("known"), ValueError("unknown")
    mark_reported(known)
    for error in (known, unknown):
        logging.getLogger("uvicorn.error").error("Exception in ASGI application\n", exc_info=error)

    assert [line["exception"]["message"] for line in recorder.lines()] == ["unknown"]


def test_close_gives_the_standard_library_back() -> None:
    """After `close` the root logger is as it was."""
    root = logging.getLogger()
    console = logging.StreamHandler(sys.stderr)
    root.addHandler(console)
    before = (root.level, set(root.handlers))
    recorder = Recorder(log_level="DEBUG")
    during = console in root.handlers
    recorder.telemetry.close()

    assert (during, (root.level, set(root.handlers))) == (False, before)
    root.removeHandler(console)


def test_the_console_form_is_for_people() -> None:
    """In development a line is text, with its stack below it."""
    recorder = Recorder(log_format="console")
    EARLY.info("item_sold", price=12)
    try:
        fail()
    except ValueError:
        EARLY.exception("it_failed")

    text = recorder.text()
    assert "item_sold" in text
    assert "price=12" in text
    assert "Traceback" in text
    assert "hunter2" not in text


def test_a_log_file_has_the_same_lines(tmp_path: Path) -> None:
    """LOG_FILE holds JSON, also where the console shows text."""
    path = tmp_path / "folder" / "log"
    recorder = Recorder(log_format="console", log_file=path)
    EARLY.info("item_sold")
    recorder.telemetry.close()

    assert [orjson.loads(line)["event"] for line in path.read_text().splitlines()] == ["item_sold"]


def test_a_log_file_that_cannot_be_opened_is_a_fault_of_the_settings(tmp_path: Path) -> None:
    """A path that is a folder is reported with name, value, rule and fix."""
    with pytest.raises(ConfigurationError, match="LOG_FILE"):
        Recorder(log_file=tmp_path)


def test_an_output_that_fails_is_counted(recorder: Recorder) -> None:
    """A closed stream loses lines, which are counted in the metrics; nothing raises."""
    recorder.stream.close()
    EARLY.error("lost")
    recorder.telemetry.close()

    assert recorder.sample("log_events_dropped_total") == 1


def test_nothing_is_lost_when_many_threads_write(recorder: Recorder) -> None:
    """Lines of several threads are whole and complete."""

    def burst() -> None:
        for number in range(200):
            EARLY.info("burst", number=number)

    threads = [threading.Thread(target=burst) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(recorder.lines("burst")) == 1000


async def test_tasks_keep_their_own_request(recorder: Recorder) -> None:
    """Requests that run at the same time do not see each other's id."""

    async def serve(name: str) -> None:
        token = enter_request(RequestContext(name, recorder.telemetry))
        await asyncio.sleep(0)
        await asyncio.to_thread(EARLY.info, "served", name=name)
        leave_request(token)

    await asyncio.gather(*(serve(f"r{number}") for number in range(10)))

    assert all(line["request_id"] == line["name"] for line in recorder.lines("served"))


def test_a_child_process_writes_its_own_lines(tmp_path: Path) -> None:
    """After a fork the child has a writer thread of its own, and no line is there twice."""
    path = tmp_path / "log"
    recorder = Recorder(log_file=path)
    EARLY.info("of_the_parent")
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        EARLY.error("of_the_child")
        recorder.telemetry.close()
        os._exit(0)
    os.waitpid(child, 0)
    recorder.telemetry.close()

    wait_for(path.exists, 1)
    events = sorted(orjson.loads(line)["event"] for line in path.read_text().splitlines())
    assert events == ["of_the_child", "of_the_parent"]


def test_a_fork_does_not_hang_in_somebody_elses_lock() -> None:
    """A child starts, whatever was imported after the telemetry was made."""
    program = (
        "import os, sys\n"
        "from prethrift_backend.config import Settings\n"
        "from prethrift_backend.observability import configure, get_logger\n"
        "telemetry = configure(Settings(log_format='json'))\n"
        "import concurrent.futures.thread\n"
        "child = os.fork()\n"
        "get_logger('p').info('child' if child == 0 else 'parent')\n"
        "telemetry.close()\n"
        "if child: os.waitpid(child, 0)\n"
    )

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)

    assert sorted(orjson.loads(line)["event"] for line in ended.stdout.splitlines()) == ["child", "parent"]


def test_lines_are_written_when_the_process_ends() -> None:
    """A process that ends without closing the telemetry has written its lines."""
    program = (
        "from prethrift_backend.config import Settings\n"
        "from prethrift_backend.observability import configure, get_logger\n"
        "configure(Settings(log_format='json'))\n"
        "get_logger('p').info('last_words')\n"
    )

    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    assert orjson.loads(ended.stdout)["event"] == "last_words"


def test_an_import_sets_nothing_up() -> None:
    """Importing the package adds no handler and starts no thread."""
    program = (
        "import logging, threading\n"
        "import prethrift_backend.observability\n"
        "assert not logging.getLogger().handlers\n"
        "assert threading.active_count() == 1\n"
    )

    subprocess.run([sys.executable, "-c", program], check=True)
