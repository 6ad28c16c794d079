"""The lines that this package writes, held against ``contracts/logs.txt``."""

import re
from dataclasses import dataclass, field

import pytest
from tests.support.asgi import Message, Recorder, drive, http_scope
from tests.unit.observability.test_asgi import build_application

from prethrift_backend.contracts import find_contracts
from prethrift_backend.observability import _names, instrument, track_embedding_operation, track_search_operation
from prethrift_backend.observability._watch import ExportLog
from prethrift_backend.observability.loop_lag import LoopWatch


@dataclass
class Promise:
    """What the contract says of one event."""

    levels: set[str]
    is_open: bool
    logger: str
    required: set[str] = field(default_factory=set)
    optional: set[str] = field(default_factory=set)


def read_contract() -> tuple[set[str], set[str], dict[str, Promise]]:
    """Return the required and the optional fields of every line, and the promises by event."""
    required: set[str] = set()
    optional: set[str] = set()
    events: dict[str, Promise] = {}
    current = Promise(set(), is_open=False, logger="")
    for raw in (find_contracts() / "logs.txt").read_text().splitlines():
        words = raw.partition(" #")[0].split()
        if raw.startswith("FIELD"):
            (required if "required" in words else optional).add(words[2])
        elif raw.startswith("EVENT"):
            options = dict(word.split("=", 1) for word in words[2:] if "=" in word)
            levels = set(options["level"].split("|"))
            current = Promise(levels, is_open="open-fields" in words, logger=options["logger"])
            events[words[1]] = current
        elif raw.startswith("  "):
            (current.required if "required" in words else current.optional).add(words[0])
    return required, optional, events


REQUIRED, OPTIONAL, ALL_EVENTS = read_contract()
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
    (writer,) = recorder.telemetry._pipeline._writers()
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
