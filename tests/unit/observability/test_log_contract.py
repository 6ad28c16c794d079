"""The lines that this package writes, held against ``contracts/logs.txt``."""

import re

import pytest
from tests.support.asgi import Message, Recorder, drive, http_scope
from tests.support.log_contract import BASE, broken_promises
from tests.support.log_contract import EVENTS as ALL_EVENTS
from tests.unit.observability.test_asgi import build_application

from prethrift_backend.observability import _names, instrument, track_embedding_operation, track_search_operation
from prethrift_backend.observability._export_log import ExportLog
from prethrift_backend.observability.loop_lag import LoopWatch

REQUIRED, OPTIONAL = BASE.required, BASE.optional
EVENTS = {name: promise for name, promise in ALL_EVENTS.items() if promise.logger == "prethrift_backend.observability"}


async def scenario(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every event happen once or more."""
    app = instrument(build_application(), recorder.telemetry)
    for path in ("/items/5", "/probe", "/fail", "/stream-fails", "/background", "/nowhere"):
        await drive(app, http_scope(path=path, query=b"q=1"))
    connect: list[Message] = [{"type": "websocket.connect"}]
    await drive(app, {**http_scope(path="/api/outer/inner/socket/broken"), "type": "websocket"}, connect)
    for track in (track_search_operation("text_search"), track_embedding_operation("clip")):
        with pytest.raises(ValueError, match="x"), track:
            raise ValueError("x")
    watch = ExportLog(recorder.telemetry)
    watch.dropped("otlp", "queue_full", 3)
    watch.exported("otlp", "traces", "retry", "503")
    watch.exported("otlp", "traces", "success")
    writer = recorder.telemetry._pipeline._writers()[0]
    writer._lost = 3
    overdue = iter([0.0, 2.0, 2.0])
    with LoopWatch(recorder.telemetry, monotonic=lambda: next(overdue, 2.0)) as loop_watch:
        loop_watch.look()
    monkeypatch.setattr(recorder.telemetry.requests, "count_request", None)
    await drive(app, http_scope(path="/items/5"))


def test_the_events_are_those_of_the_code() -> None:
    """The contract names exactly the events that this package knows."""
    values = {value for value in vars(_names).values() if isinstance(value, str)}
    events = {
        value for value in values if re.fullmatch(r"[a-z_]+_(completed|failed|closed|recovered|dropped|stalled)", value)
    }

    assert set(EVENTS) == events


async def test_every_line_keeps_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each event happens, at the promised level, with the promised fields and no others."""
    recorder = Recorder(log_level="DEBUG", strict=False)
    await scenario(recorder, monkeypatch)

    seen = set()
    for line in recorder.lines():
        promise = EVENTS[line["event"]]
        own = set(line) - REQUIRED - OPTIONAL
        assert set(line) >= REQUIRED
        assert promise.required <= own, line
        assert promise.is_open or own <= promise.required | promise.optional, line
        assert line["level"] in promise.levels
        seen.add(line["event"])
    assert seen == set(EVENTS)


async def test_every_rendered_line_has_the_promised_types(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each value in the bytes of each line is of the type, the length and the range that the contract names."""
    recorder = Recorder(log_level="DEBUG", strict=False, log_datadog=True)
    await scenario(recorder, monkeypatch)

    assert [(line, broken) for line in recorder.text().encode().splitlines() if (broken := broken_promises(line))] == []


GOOD = b'{"timestamp":"2026-01-01T00:00:00.000000Z","level":"info","service":"s","version":"1","environment":"staging",'
READY = GOOD + b'"event":"service_ready","logger":"prethrift_backend.main"'
FREE = GOOD + b'"event":"free text","logger":"l"'
DROPPED = GOOD.replace(b"info", b"warning") + b'"event":"log_lines_dropped","logger":"prethrift_backend.observability"'


@pytest.mark.parametrize(
    ("line", "rules"),
    [
        (READY + b"}", []),
        (FREE + b',"trace_id":"ABC"}', ["LG006", "LG007"]),
        (FREE + b',"user_id":"' + b"x" * 201 + b'"}', ["LG007"]),
        (READY.replace(b"info", b"loud") + b"}", ["LG007", "LG011"]),
        (READY.replace(b".000000Z", b"Z") + b"}", ["LG007"]),
        (DROPPED + b',"output":"socket","count":0}', ["LG007", "LG007"]),
        (FREE + b',"note":"token=abc"}', ["LG014"]),
        (FREE + b',"note":"\xe2\x80\xa8"}', ["LG003"]),
        (FREE + b',"note":"' + b"x" * 16_384 + b'"}', ["LG005"]),
    ],
)
def test_what_breaks_the_contract_is_found(line: bytes, rules: list[str]) -> None:
    """Our own lines are held to the contract, to our form of a time, and to what the redaction hides."""
    assert sorted(fault.rule for fault in broken_promises(line)) == rules
