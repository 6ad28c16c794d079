"""The identity of a request on the lines of a real application, wherever its code runs."""

import asyncio
import contextvars
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI
from starlette.concurrency import run_in_threadpool
from tests.support.asgi import Recorder, drive, http_scope

from prethrift_backend.observability import bind_user, get_logger, get_tracer, instrument

LOG = get_logger("served")
TRACER = get_tracer("served")
POOL = ThreadPoolExecutor(1)

PLACES = {"handler", "task", "to_thread", "executor", "threadpool", "gathered", "group", "dependency", "after", "sync"}


def say(place: str) -> None:
    """Write the line of a place."""
    LOG.info("said", place=place)


async def say_later(place: str) -> None:
    """Write the line of a place after others had their turn."""
    await asyncio.sleep(0)
    say(place)


def known_user(user: str) -> Iterator[str]:
    """Bind the user, in the thread that a synchronous dependency runs in, and speak again when it is torn down."""
    bind_user(user)
    say("dependency")
    yield user


def make_application() -> FastAPI:
    """Build an application whose one route logs from every place that code may run in."""
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})

    @app.get("/speak/{user}")
    async def speak(user: Annotated[str, Depends(known_user)], background: BackgroundTasks) -> str:
        say("handler")
        await asyncio.create_task(say_later("task"))
        await asyncio.to_thread(say, "to_thread")
        context = contextvars.copy_context()
        await asyncio.get_running_loop().run_in_executor(POOL, context.run, say, "executor")
        await run_in_threadpool(say, "threadpool")
        await asyncio.gather(say_later("gathered"), say_later("gathered"))
        async with asyncio.TaskGroup() as group:
            group.create_task(say_later("group"))
        background.add_task(say, "after")
        return user

    @app.get("/sync/{user}")
    def speak_synchronously(user: Annotated[str, Depends(known_user)]) -> str:
        say("sync")
        return user

    return app


async def serve(recorder: Recorder, users: int) -> None:
    """Serve requests of several users at the same time."""
    app = instrument(make_application(), recorder.telemetry)
    scopes = [
        http_scope(path=f"/{route}/user-{number}", headers=[(b"x-request-id", b"r-%d" % number)])
        for number in range(users)
        for route in ("speak", "sync")
    ]
    await asyncio.gather(*(drive(app, scope) for scope in scopes))


async def test_a_line_knows_its_request_wherever_it_is_written(recorder: Recorder) -> None:
    """In tasks, threads, pools, gathered coroutines, dependencies and background tasks a line has the request's id."""
    await serve(recorder, 5)

    lines = recorder.lines("said")
    assert {line["place"] for line in lines} == PLACES
    assert {line["request_id"] for line in lines} == {f"r-{number}" for number in range(5)}
    assert len({(line["request_id"], line["trace_id"]) for line in lines}) == 10


async def test_a_user_bound_in_a_dependency_is_on_every_line_after_it(recorder: Recorder) -> None:
    """A synchronous dependency runs in a thread; its user is on the handler's lines, and on the access line."""
    await serve(recorder, 5)

    for line in [*recorder.lines("said"), *recorder.lines("request_completed")]:
        assert line["user_id"] == line["request_id"].replace("r-", "user-")


async def test_requests_leave_nothing_behind(recorder: Recorder) -> None:
    """After a request, a line has neither its id nor its user nor its trace."""
    await serve(recorder, 1)
    say("outside")

    (line,) = [line for line in recorder.lines("said") if line["place"] == "outside"]
    assert line.keys().isdisjoint({"request_id", "user_id", "trace_id", "span_id"})


@pytest.mark.parametrize("rate", [0.0, 1.0])
async def test_a_span_of_the_handlers_own_is_on_its_lines(rate: float) -> None:
    """Inside of a further span a line has that span's id, on the same trace, sampled or not."""
    recorder = Recorder(trace_sample_rate=rate)
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})

    @app.get("/x")
    async def handle() -> None:
        say("handler")
        with TRACER.start_as_current_span("inner"):
            await asyncio.to_thread(say, "inner")

    await drive(instrument(app, recorder.telemetry), http_scope(path="/x"))

    outer, inner = recorder.lines("said")
    assert inner["trace_id"] == outer["trace_id"]
    assert inner["span_id"] != outer["span_id"]
