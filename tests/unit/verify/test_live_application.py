"""`verify --app`: an application in this process, its lifespan, its answers, its lines and spans."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from tests.support.foreign_shop import app as shop

from prethrift_backend.verify.application import ApplicationError
from prethrift_backend.verify.live import application as live_application
from prethrift_backend.verify.live.application import running, verify_application
from prethrift_backend.verify.live.client import TooLongError
from prethrift_backend.verify.live.health_checks import HealthPaths
from prethrift_backend.verify.live.options import LiveOptions
from prethrift_backend.verify.verdict import VERIFIED, VIOLATED, exit_status

SHOP_PATHS = HealthPaths("/livez", "/readyz", "/healthz")


class Recorder:
    """An application that keeps its scopes and messages; ``fault`` spoils its lifespan in one way."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.piece = b"x" * 65536
        self.heard: list[str] = []
        self.states: list[object] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Speak the lifespan, and answer every request."""
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
            return
        self.states.append(scope["state"].get("part"))
        if scope["path"] == "/fails":
            raise RuntimeError("in the middle of it")
        if scope["path"] == "/hangs":
            await asyncio.Event().wait()
        if scope["path"] == "/exits":
            sys.exit(3)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"b")]})
        while scope["path"] == "/endless":
            await send({"type": "http.response.body", "body": self.piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"he", "more_body": True})
        await send({"type": "http.response.body", "body": b"llo"})

    async def _lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        if self.fault == "none":
            raise TypeError("http alone")
        self.heard.append((await receive())["type"])
        if self.fault == "exits":
            sys.exit(3)
        if self.fault == "tells":
            await send({"type": "lifespan.startup.failed", "message": "no answer of postgresql://shop:hunter2@db/shop"})
            return
        if self.fault == "refuses":
            await send({"type": "lifespan.startup.failed", "message": "Traceback\nValueError: no database"})
            return
        scope["state"]["part"] = "made at the start"
        await send({"type": "lifespan.startup.complete"})
        self.heard.append((await receive())["type"])
        await send({"type": "lifespan.shutdown.complete"})


def _get(app: Any, path: str, *, timeout_seconds: float = 5.0) -> httpx.Response:
    with (
        running(app, "a:b", timeout_seconds=timeout_seconds) as way,
        httpx.Client(transport=way, base_url="http://localhost") as client,
    ):
        return client.get(path)


def test_a_request_is_answered_within_the_lifespan() -> None:
    """The application starts before the first request, hands its state over, and stops at the end."""
    app = Recorder()

    answer = _get(app, "/")

    assert (answer.status_code, answer.headers["x-a"], answer.content) == (200, "b", b"hello")
    assert app.heard == ["lifespan.startup", "lifespan.shutdown"]
    assert app.states == ["made at the start"]


def test_an_application_without_a_lifespan_is_asked_all_the_same() -> None:
    """The specification lets an application raise where it knows no lifespan."""
    assert _get(Recorder("none"), "/").status_code == 200


def test_an_error_of_the_application_is_an_answer() -> None:
    """A server turns it into 500, and so does this."""
    assert _get(Recorder(), "/fails").status_code == 500


def test_a_request_that_hangs_ends_at_the_time_limit() -> None:
    """The run goes on without that answer."""
    with pytest.raises(httpx.ReadTimeout):
        _get(Recorder(), "/hangs", timeout_seconds=0.05)


def test_an_answer_without_end_is_cut_off() -> None:
    """Without a socket nothing else would slow it before the memory is full."""
    with pytest.raises(TooLongError, match="more than 8388608 bytes"):
        _get(Recorder(), "/endless", timeout_seconds=60.0)


def test_an_answer_of_nothing_without_end_ends_at_the_time_limit() -> None:
    """What never waits has to be made to."""
    app = Recorder()
    app.piece = b""

    with pytest.raises(httpx.ReadTimeout):
        _get(app, "/endless", timeout_seconds=0.05)


def test_an_application_that_ends_the_process_is_an_error_of_its_own() -> None:
    """The loop goes on for the other requests."""
    assert _get(Recorder(), "/exits").status_code == 500


def test_an_application_that_ends_the_process_at_its_start_is_named() -> None:
    """It is told at once, and not after a wait."""
    with pytest.raises(ApplicationError, match="does not start: it ends the process with status 3"):
        _get(Recorder("exits"), "/")


def test_the_reason_of_a_refusal_is_told_without_secrets() -> None:
    """What an application failed at may be an address with a password."""
    with pytest.raises(ApplicationError) as caught:
        _get(Recorder("tells"), "/")

    assert "hunter2" not in str(caught.value)


def test_nothing_is_left_of_a_run() -> None:
    """The thread has ended, whether the application came up or not."""
    for fault in ("", "none", "refuses", "exits"):
        with suppress(ApplicationError):
            _get(Recorder(fault), "/")

    assert not [thread for thread in threading.enumerate() if thread.name == "verify-application"]


def test_an_application_that_refuses_to_start_is_named_with_its_reason() -> None:
    """The reason is the last line of what it says."""
    with pytest.raises(ApplicationError, match="'a:b' does not start: ValueError: no database"):
        _get(Recorder("refuses"), "/")


def test_an_application_that_does_not_come_up_ends_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lifespan that waits for ever is not waited for."""
    monkeypatch.setattr(live_application, "_LIFESPAN_SECONDS", 0.05)

    async def hangs(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    with pytest.raises(ApplicationError, match="did not st"):
        _get(hangs, "/")


def test_the_application_of_another_team_is_verified_in_this_process() -> None:
    """Its contracts are enough; what it logs by itself is its own affair."""
    reference = "tests.support.foreign_shop.app:app"
    options = LiveOptions(paths=SHOP_PATHS, min_coverage=0.7)

    run = verify_application(reference, shop.CONTRACTS, options=options)

    assert run.outcome.target == reference
    assert [finding.rule for finding in run.outcome.findings] == []
    assert exit_status(run.outcome, "error") == VERIFIED


def test_a_finding_in_this_process_shows_no_command_to_ask_with(tmp_path: Path) -> None:
    """There is no address that anybody could ask."""
    text = (shop.CONTRACTS / "metrics.txt").read_text()
    (tmp_path / "metrics.txt").write_text(text.replace("shop_stock_items", "shop_shelf_items"))
    options = LiveOptions(paths=SHOP_PATHS, min_coverage=0.5)

    run = verify_application("tests.support.foreign_shop.app:app", tmp_path, options=options)

    assert exit_status(run.outcome, "error") == VIOLATED
    assert {finding.reproduce for finding in run.outcome.findings} == {None}


@pytest.fixture
def module() -> Iterator[ModuleType]:
    """Make a module that a reference can name."""
    made = ModuleType("made_application")
    sys.modules["made_application"] = made
    yield made
    del sys.modules["made_application"]


def test_a_reference_that_is_wrong_is_refused(module: ModuleType) -> None:
    """The text says what is not there."""
    with pytest.raises(ApplicationError, match="has no 'app'"):
        verify_application("made_application:app", shop.CONTRACTS)
