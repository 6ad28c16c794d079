"""How much work the telemetry adds to a request, counted: the same numbers in every run on one version of Python.

The application is called by hand, without a server and without an event loop, in a state that is warm; clock, ids and
samples do not vary. What is counted is counted in the thread that serves: nothing here is a time.
"""

from __future__ import annotations

import gc
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any, Final
from unittest.mock import patch

from fastapi import FastAPI
from opentelemetry.sdk.trace import ReadableSpan
from sqlalchemy import Engine, StaticPool, create_engine, event, text
from tests.overhead.workload import HEADERS, Application, request_scope
from tests.perf.counters import count_allocations, count_calls, count_opcodes, least, peak_bytes

from prethrift_backend.config import Settings
from prethrift_backend.observability import configure, get_tracer, instrument, mark_quiet
from prethrift_backend.observability._request_metrics import RequestMetrics
from prethrift_backend.observability.clock import Clock
from prethrift_backend.observability.testing import CapturedEvents, CountingIds
from prethrift_backend.stores import observe_engine

WARM_UP_REQUESTS: Final = 50
# The smallest of these counts: once in a while the thread that serves has to wake the one that writes lines.
REPEATS: Final = 7
ALLOCATION_REPEATS: Final = 2  # each asks for the size of the heap some thousand times

_STARTED_NS: Final = 1_767_225_600_000_000_000
_STATEMENT: Final = text("SELECT 1")
_CALLER: Final = [
    (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    (b"x-request-id", b"a-callers-own-id"),
]


@dataclass(frozen=True)
class Case:
    """One request under one configuration; what differs from a GET of a route with everything on."""

    path: str = "/items/7"
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    settings: Mapping[str, Any] = field(default_factory=dict)
    is_answered: bool = True
    has_metrics: bool = True
    has_file: bool = False


CASES: Final[Mapping[str, Case]] = {
    "request": Case(),
    "sampled_request": Case(settings={"trace_sample_rate": 1.0}),
    "linked_request": Case(headers=_CALLER),
    "silent_request": Case(settings={"log_level": "WARNING"}),
    "unreported_request": Case(settings={"sentry_dsn": None}),
    "unmatched_request": Case(path="/nowhere/7"),
    "failed_request": Case(path="/broken", is_answered=False),
    "nested_spans": Case(path="/nested", settings={"trace_sample_rate": 1.0}),
    "unsampled_nested_spans": Case(path="/nested"),
    "probe": Case(path="/health"),
    # No setting takes the metrics of requests away: here they are, to see what they cost.
    "unmeasured_request": Case(has_metrics=False),
    "filed_request": Case(has_file=True),
    "datadog_request": Case(settings={"log_datadog": True}),
    "statement": Case(path="/statement"),
    "sampled_statement": Case(path="/statement", settings={"trace_sample_rate": 1.0}),
}

# What each feature costs is what one case takes more than another, which differs from it by the feature alone.
FEATURES: Final[Mapping[str, tuple[str, str]]] = {
    "access line": ("request", "silent_request"),
    "metrics": ("request", "unmeasured_request"),
    "error reports, none sent": ("request", "unreported_request"),
    "trace, sampled": ("sampled_request", "request"),
    "span within, sampled, three": ("nested_spans", "sampled_request"),
    "span within, not sampled, three": ("unsampled_nested_spans", "request"),
    "caller's ids and trace, linked": ("linked_request", "request"),
    "LOG_FILE": ("filed_request", "request"),
    "LOG_DATADOG": ("datadog_request", "request"),
    "SQL statement, not sampled": ("statement", "request"),
    "SQL statement, sampled": ("sampled_statement", "sampled_request"),
}


class _Spans:
    """Counts finished spans."""

    def __init__(self) -> None:
        self.count = 0

    def put(self, _span: ReadableSpan) -> None:
        self.count += 1

    def close(self, deadline: float) -> None:
        """Do nothing."""


class _Lines(io.BytesIO):
    """Takes lines, and tells how many there were a request, once the telemetry is closed."""

    def __init__(self, requests: int) -> None:
        super().__init__()
        self.requests = requests

    @property
    def a_request(self) -> int:
        count, rest = divmod(self.getvalue().count(b"\n"), self.requests)
        assert rest == 0, f"{count * self.requests + rest} lines of {self.requests} requests: they vary"
        return count


class _Clock:
    """Stands still, and counts who looks."""

    def __init__(self) -> None:
        self.looks = 0

    def now(self) -> float:
        self.looks += 1
        return 1_000.0

    def now_ns(self) -> int:
        self.looks += 1
        return _STARTED_NS


class Bench:
    """The application of a case, bare or observed, and what it is asked."""

    def __init__(self, app: Application, case: Case, statements: list[str]) -> None:
        self._app = app
        self._case = case
        self._statements = statements

    def count_statements(self) -> int:
        """Serve one request and return how many SQL statements it sent."""
        before = len(self._statements)
        self.ask()
        return len(self._statements) - before

    def ask(self) -> None:
        """Serve one request to its end; RuntimeError where the application waits for something."""
        scope = {**request_scope(self._case.path), "headers": [*HEADERS, *self._case.headers], "state": {}}
        serving = self._app(scope, _receive, _send)
        try:
            serving.send(None)  # type: ignore[attr-defined] # an Awaitable that is a coroutine
        except StopIteration:
            return
        except ValueError:
            if not self._case.is_answered:
                return
            raise
        raise RuntimeError("the application waits: what is counted here goes through in one piece")


async def _receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"", "more_body": False}


async def _send(message: dict[str, Any]) -> None:
    pass


@contextmanager
def _database() -> Iterator[tuple[Engine, list[str]]]:
    """Give a database in memory, and the statements that are sent to it."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    statements: list[str] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    try:
        yield engine, statements
    finally:
        engine.dispose()


def _make_app(engine: Engine) -> FastAPI:
    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})

    @app.get("/items/{item_id}")
    async def read_item(item_id: int) -> dict[str, object]:
        return {"id": item_id, "title": "Striped dress", "price": 12.5}

    @app.get("/broken")
    async def fail() -> None:
        raise ValueError("broken")

    @app.get("/nested")
    async def nest() -> None:
        tracer = get_tracer("shop")
        for _ in range(3):
            with tracer.start_as_current_span("step"):
                pass

    @app.get("/statement")
    async def ask_database() -> None:
        with engine.connect() as connection:
            connection.execute(_STATEMENT)

    @app.get("/health")
    @mark_quiet
    async def answer_probe() -> None:
        return None

    return app


@contextmanager
def _observed(case: Case, clock: _Clock, spans: _Spans, lines: io.BytesIO) -> Iterator[Bench]:
    with _database() as (engine, statements), TemporaryDirectory() as folder:
        observe_engine(engine)
        telemetry = configure(
            _settings(case, folder),
            log_stream=lines,
            clock=Clock(time_ns=clock.now_ns, monotonic=clock.now),
            ids=CountingIds(),
            span_sinks=[spans],
            sentry_transport=CapturedEvents() if "sentry_dsn" not in case.settings else None,
        )
        try:
            yield Bench(instrument(_make_app(engine), telemetry), case, statements)
        finally:
            telemetry.close()


def _settings(case: Case, folder: str) -> Settings:
    usual = {
        "environment": "staging",
        "log_format": "json",
        "log_level": "INFO",
        "trace_sample_rate": 0.0,
        "sentry_dsn": "http://key@127.0.0.1:9/1",
        "sentry_traces": False,
        "log_file": f"{folder}/lines.json" if case.has_file else None,
    }
    return Settings.model_validate({**usual, **case.settings})


def _no_metrics(*_: object) -> None:
    """Count nothing."""


def count_work(case: Case, *, repeats: int = ALLOCATION_REPEATS) -> dict[str, int]:
    """Return what the telemetry adds to one request of the case, by the names that overhead.txt uses.

    Counting allocations takes longest; it is done as often as ``repeats`` says, and with 0 they are left out.
    """
    if case.has_metrics:
        return _count_work(case, repeats)
    with patch.object(RequestMetrics, "count_request", _no_metrics):
        return _count_work(case, repeats)


def _count_work(case: Case, repeats: int) -> dict[str, int]:
    clock, spans, lines = _Clock(), _Spans(), _Lines(WARM_UP_REQUESTS + 3 * REPEATS + repeats + 2)
    with _database() as (engine, statements):
        bare = _counts(Bench(_make_app(engine), case, statements), repeats)
    with _observed(case, clock, spans, lines) as bench:
        observed = _counts(bench, repeats)
        looks, ended = clock.looks, spans.count
        bench.ask()
        looks, ended = clock.looks - looks, spans.count - ended
    added = {name: observed[name] - bare[name] for name in observed}
    return {**added, "clock_calls": added["clock_calls"] + looks, "spans": ended, "lines": lines.a_request}


def _counts(bench: Bench, repeats: int) -> dict[str, int]:
    for _ in range(WARM_UP_REQUESTS):
        bench.ask()
    gc.collect()
    gc.disable()
    try:
        calls = least(partial(count_calls, bench.ask), REPEATS)
        return {
            "opcodes": min(count_opcodes(bench.ask) for _ in range(REPEATS)),
            **({"allocations": min(count_allocations(bench.ask) for _ in range(repeats))} if repeats else {}),
            "peak_bytes": peak_bytes(bench.ask, REPEATS),
            "sql_statements": bench.count_statements(),
            **calls,
        }
    finally:
        gc.enable()
