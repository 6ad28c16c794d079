"""What is in a line besides what its caller said: processors, rules of one's own, ids, warnings, breadcrumbs."""

import logging
import re
import warnings
from collections import deque
from collections.abc import Callable
from typing import Any

import orjson
import pytest
import structlog
from opentelemetry import trace
from tests.support.asgi import Recorder, drive, http_scope
from tests.unit.observability.test_asgi import build_application

from prethrift_backend.observability import Redactor, get_logger, instrument
from prethrift_backend.observability.context import RequestContext, enter_request, leave_request
from prethrift_backend.observability.logs import ConsoleRender, render_json

LOG = get_logger("lines")
IDS = trace.SpanContext(trace_id=2**127 + 5, span_id=7, is_remote=False, trace_flags=trace.TraceFlags(0))
ENDS_OF_LINES = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"


def add_region(fields: dict[str, Any]) -> None:
    """Enrich a line, with a secret among what it adds."""
    fields["region"] = "eu"
    fields["note"] = "password=canary"


def write_in_each_way() -> None:
    """Write one line by each way that leads into the chain."""
    LOG.info("ours")
    structlog.get_logger("other").info("structlogs")
    logging.getLogger("library").warning("standard")


@pytest.mark.contract_unobserved("an application that adds fields has a contract of its own")
async def test_a_processor_enriches_every_line() -> None:
    """What a processor adds is on lines of ours, of structlog, of the standard library and on the access line."""
    recorder = Recorder(parts={"processors": [add_region]})
    write_in_each_way()
    await drive(instrument(build_application(), recorder.telemetry), http_scope(path="/items/5"))

    lines = recorder.lines()
    assert [line["event"] for line in lines] == ["ours", "structlogs", "standard", "request_completed"]
    assert {line["region"] for line in lines} == {"eu"}
    assert "canary" not in recorder.text()


def test_a_processor_changes_and_removes_fields() -> None:
    """A processor has the fields of the line in its hands; the caller's own mapping stays as it was."""
    given = {"price": 12, "rest": 1}

    def process(fields: dict[str, Any]) -> None:
        fields["price"] *= 2
        del fields["rest"]

    recorder = Recorder(parts={"processors": [process]})
    structlog.get_logger("x").info("sold", **given)

    (line,) = recorder.lines()
    assert (line["price"], "rest" in line, given) == (24, False, {"price": 12, "rest": 1})


def test_a_processor_cannot_replace_what_the_chain_sets() -> None:
    """A reserved name that a processor sets is kept under another."""
    recorder = Recorder(parts={"processors": [lambda fields: fields.update({"trace_id": "mine", "dd.env": "mine"})]})
    LOG.info("tried")

    (line,) = recorder.lines()
    assert (line.get("trace_id"), line["field_trace_id"], line["field_dd.env"]) == (None, "mine", "mine")


def test_a_processor_that_raises_is_counted_and_passed_over() -> None:
    """The line is written without it, the others run, and it is logged once however often it fails."""

    def fail(fields: dict[str, Any]) -> None:
        raise ValueError("broken")

    recorder = Recorder(strict=False, parts={"processors": [fail, add_region]})
    LOG.info("one")
    LOG.info("two")

    events = [line["event"] for line in recorder.lines()]
    assert sorted(events) == ["one", "telemetry_failed", "two"]
    assert recorder.telemetry.errors == 2
    assert {line.get("region") for line in recorder.lines("one")} == {"eu"}


def test_a_strict_telemetry_raises_what_a_processor_raises() -> None:
    """Under tests a broken processor is seen."""

    def fail(fields: dict[str, Any]) -> None:
        raise ValueError("broken")

    Recorder(parts={"processors": [fail]})

    with pytest.raises(ValueError, match="broken"):
        LOG.info("one")


async def test_rules_of_ones_own_govern_every_line() -> None:
    """The telemetry's redactor hides in events, fields, users, exceptions and queries, for each way of logging."""
    own = Redactor(extra_keys=["iban"], extra_rules=[lambda text: text.replace("canary", "*")])
    recorder = Recorder(parts={"redactor": own})
    token = enter_request(RequestContext("r", recorder.telemetry))
    structlog.get_logger("canary").info("canary event", iban="canary", note="a canary")
    logging.getLogger("canary").error("a canary", exc_info=ValueError("canary"))
    leave_request(token)
    await drive(instrument(build_application(), recorder.telemetry), http_scope(path="/items/5", query=b"q=canary"))

    assert "canary" not in recorder.text()
    assert recorder.lines("request_completed")[0]["query"] == {"q": "*"}


def test_the_standard_rules_know_nothing_of_them() -> None:
    """A redactor of one telemetry's own changes nothing for another."""
    Recorder(parts={"redactor": Redactor(extra_keys=["iban"])}).telemetry.close()
    recorder = Recorder()
    LOG.info("paid", iban="DE00")

    assert recorder.lines()[0]["iban"] == "DE00"


def test_datadogs_ids_are_decimal_numbers_of_64_bits() -> None:
    """With LOG_DATADOG a line has the ids and the tags by which Datadog joins it to its trace."""
    recorder = Recorder(log_datadog=True, service_name="shop", service_version="1.2", environment="staging")
    with trace.use_span(trace.NonRecordingSpan(IDS)):
        LOG.info("traced")

    (line,) = recorder.lines()
    assert {key: value for key, value in line.items() if key.startswith("dd.")} == {
        "dd.trace_id": "5", "dd.span_id": "7", "dd.service": "shop", "dd.env": "staging", "dd.version": "1.2",
    }  # fmt: skip


async def test_datadogs_ids_are_those_of_the_trace_on_the_access_line() -> None:
    """The access line has them as well."""
    recorder = Recorder(log_datadog=True)
    await drive(instrument(build_application(), recorder.telemetry), http_scope(path="/items/5"))

    (line,) = recorder.lines("request_completed")
    assert int(line["dd.trace_id"]) == int(line["trace_id"], 16) % 2**64
    assert int(line["dd.span_id"]) == int(line["span_id"], 16)


def test_without_the_setting_there_is_nothing_of_datadogs(recorder: Recorder) -> None:
    """Only who asks for Datadog's fields pays for them."""
    with trace.use_span(trace.NonRecordingSpan(IDS)):
        LOG.info("traced")

    assert "dd." not in recorder.text()


def test_a_line_outside_of_a_span_has_the_trace_of_its_request(recorder: Recorder) -> None:
    """Where no span is current, the ids are those of the request's server span."""
    request = RequestContext("r-1", recorder.telemetry)
    request.trace_id, request.span_id = "a" * 32, "b" * 16
    token = enter_request(request)
    LOG.info("inside")
    leave_request(token)

    (line,) = recorder.lines()
    assert (line["trace_id"], line["span_id"]) == ("a" * 32, "b" * 16)


@pytest.mark.parametrize("rate", [0.0, 1.0])
async def test_every_line_of_a_request_is_on_its_trace(rate: float) -> None:
    """Sampled or not, the access line and those before it have the same trace."""
    recorder = Recorder(trace_sample_rate=rate)
    await drive(instrument(build_application(), recorder.telemetry), http_scope(path="/fail"))

    assert len(recorder.lines()) == 2
    (trace_id,) = {line["trace_id"] for line in recorder.lines()}
    assert re.fullmatch(r"[0-9a-f]{32}", trace_id)


def test_warnings_of_python_are_lines() -> None:
    """A warning is a line of the logger py.warnings, without the secret in it, and without an end of its own."""
    recorder = Recorder()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = logging._showwarning  # type: ignore[attr-defined] # what pytest put in its place

        warnings.warn("password=canary is old", DeprecationWarning, stacklevel=1)

    (line,) = recorder.lines()
    assert (line["logger"], line["level"]) == ("py.warnings", "warning")
    assert "DeprecationWarning: password=[redacted] is old" in line["event"]
    assert not line["event"].endswith("\n")


def test_warnings_are_given_back() -> None:
    """After `close` warnings go where they went before; who had asked for them as lines keeps that."""
    before = warnings.showwarning
    recorder = Recorder()
    during = warnings.showwarning
    recorder.telemetry.close()

    assert during is not before
    assert warnings.showwarning is before


def test_a_capture_of_somebody_elses_stays() -> None:
    """The telemetry takes back only what it asked for itself."""
    before = warnings.showwarning
    logging.captureWarnings(True)
    during = warnings.showwarning

    Recorder().telemetry.close()

    assert warnings.showwarning is during
    logging.captureWarnings(False)
    assert warnings.showwarning is before


@pytest.mark.contract_unobserved("its access line is made up, and has one field")
async def test_the_lines_of_a_request_are_its_breadcrumbs(recorder: Recorder) -> None:
    """Each line is appended as it was written, redacted; the access line is not."""
    request = RequestContext("r-1", recorder.telemetry)
    request.breadcrumbs = deque(maxlen=2)
    token = enter_request(request)
    for number in range(3):
        LOG.info("step", number=number, password="canary")
    recorder.telemetry.log("info", "request_completed", {"method": "GET"})
    leave_request(token)
    LOG.info("after")

    written = [line for line in recorder.lines("step") if line["number"] > 0]
    assert list(request.breadcrumbs) == written
    assert "canary" not in str(request.breadcrumbs)


def test_a_line_that_cannot_be_made_does_not_reach_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in the chain is counted; the code that logs goes on."""
    recorder = Recorder(strict=False)
    monkeypatch.setattr(recorder.telemetry._pipeline, "_now", lambda: 1 / 0)

    LOG.info("lost")
    logging.getLogger("library").error("lost")

    assert recorder.telemetry.errors == 3  # the line about it is lost as well
    monkeypatch.undo()


def test_an_event_without_text_keeps_its_line(recorder: Recorder) -> None:
    """An event that is an object whose `__str__` raises is still a line."""

    class Mute:
        def __str__(self) -> str:
            raise RuntimeError("mute")

    structlog.get_logger("x").info(Mute())
    recorder.telemetry.handle_record(logging.LogRecord("x", logging.ERROR, __file__, 1, Mute(), None, None))

    assert all("Mute" in line["event"] for line in recorder.lines())
    assert len(recorder.lines()) == 2


def base_line(**fields: Any) -> dict[str, Any]:
    """Return a line with its required fields and ``fields``."""
    return {
        "timestamp": "2026-01-01T00:00:00.000000Z", "level": "info", "event": "e", "logger": "l", "service": "s",
        "version": "1", "environment": "production", **fields,
    }  # fmt: skip


@pytest.mark.parametrize("character", [*ENDS_OF_LINES, "\x00", "\x1b", "\x7f", "\x9b", "\u202e", "\u2066"])
@pytest.mark.parametrize("render", [render_json, ConsoleRender(colors=False)], ids=["json", "console"])
def test_no_character_ends_a_line_or_commands_a_terminal(
    character: str, render: Callable[[dict[str, Any]], bytes]
) -> None:
    """Ends of lines, escape sequences and changes of direction are shown, in events, names and values."""
    text = f"a{character}b"

    rendered = render(base_line(event=text, value=text, deep=[{"x": text}], **{f"name{character}": 1})).decode()

    assert rendered.endswith("\n")
    assert len(rendered.splitlines()) == 1
    assert character not in rendered.removesuffix("\n")


@pytest.mark.parametrize("character", ["a", "\x00", "\u2028", "\U0001f457", "\ud800", '"'])
def test_a_line_is_never_too_long(character: str) -> None:
    """Whatever is too large, the line keeps its required fields and is at most 16,384 bytes."""
    huge = character * 9000
    exception = {"type": huge, "message": huge, "stack": huge}

    rendered = render_json(
        base_line(event=huge, logger=huge, user_id=huge, exception=exception, **{huge: huge, "x": 1})
    )

    line = orjson.loads(rendered)
    assert len(rendered) <= 16_384
    assert {"timestamp", "level", "event", "logger", "service", "version", "environment", "exception"} <= set(line)
    assert line["x"] == 1
    assert len(line["left_out"]) == 1


def test_a_large_field_gives_way_to_small_ones() -> None:
    """What is left out is named, and only what does not fit is left out."""
    rendered = render_json(base_line(stack="x" * 7000, huge="y" * 17_000, small="z", exception={"stack": "s" * 5000}))

    line = orjson.loads(rendered)
    assert line["left_out"] == ["huge"]
    assert (len(line["stack"]), line["small"], len(line["exception"]["stack"])) == (7000, "z", 5000)
