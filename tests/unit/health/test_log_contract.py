"""The lines that health writes, held against ``contracts/logs.txt``."""

from __future__ import annotations

import asyncio

from tests.support.asgi import Recorder, drive, http_scope
from tests.support.log_contract import BASE
from tests.support.log_contract import EVENTS as ALL_EVENTS
from tests.support.waiting import wait_for_async
from tests.unit.health._parts import Harness, ScriptedCheck

from prethrift_backend.health import HealthApp
from prethrift_backend.observability import instrument

EVENTS = {name: promise for name, promise in ALL_EVENTS.items() if name.startswith("health_")}


async def _scenario(recorder: Recorder) -> None:
    """Make every event happen."""
    harness, check = Harness(), ScriptedCheck()
    harness.registry.register("x", check)
    harness.lifecycle.mark_ready()
    app = instrument(HealthApp(harness.endpoint), recorder.telemetry)
    harness.engine.start()
    await wait_for_async(lambda: check.runs == 1, 5)
    harness.engine._schedules["x"].cancel()
    await wait_for_async(lambda: not harness.engine._schedules["x"].cancelled(), 5)
    supervisor = harness.engine._supervisor
    assert supervisor is not None
    supervisor.cancel()
    await asyncio.wait({supervisor})
    check.fail()
    harness.clock.advance(8)
    await drive(app, http_scope(path="/health"))
    await harness.engine.aclose()
    harness.engine.refresh = None  # type: ignore[method-assign,assignment] # the point is to break it
    await drive(app, http_scope(path="/health"))


async def test_every_line_keeps_the_contract() -> None:
    """Each event of health happens, at the promised level, by the promised logger, with the promised fields alone."""
    recorder = Recorder(log_level="INFO")

    await _scenario(recorder)

    lines = [line for line in recorder.lines() if line["event"] in EVENTS]
    assert {line["event"] for line in lines} == set(EVENTS)
    for line in lines:
        promise = EVENTS[line["event"]]
        assert line["level"] in promise.levels
        assert line["logger"] == promise.logger
        assert set(line) - BASE.required - BASE.optional == promise.required
