"""Statements and waits on a real database: one span each, in the right trace, ended however they end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from tests.support.proxy import FaultProxy
from tests.support.sentry import Reporting
from tests.support.span_list import Traced, attributes
from tests.support.waiting import wait_for_async

from prethrift_backend.exceptions import DatabaseUnavailableError
from prethrift_backend.stores import Postgres, observe_engine

DEADLINE_SECONDS = 20.0


@pytest.fixture
async def postgres(migrated_database_url: str) -> AsyncIterator[Postgres]:
    """Open a database with a pool of two connections."""
    opened = Postgres(migrated_database_url, pool_size=1, max_overflow=1, pool_timeout_seconds=0.2)
    yield opened
    await opened.aclose()


async def _run(postgres: Postgres, statement: str, **values: Any) -> Any:
    async with postgres.connect() as connection:
        return (await connection.execute(text(statement), values)).all()


async def test_a_statement_is_a_client_span(traced_all: Traced, postgres: Postgres) -> None:
    """The span has the stable names, the text without values, and no login of the database."""
    with traced_all.request() as request:
        await _run(postgres, "SELECT title, 'SECRET' FROM items WHERE price = 7 AND title = :title", title="SECRET")

    span = traced_all.spans.named("SELECT items")
    shown = attributes(span)
    address = {name: shown.pop(name, None) for name in ("server.address", "server.port", "db.namespace")}
    assert (span.kind, span.status.status_code) == (SpanKind.CLIENT, StatusCode.UNSET)
    assert shown == {
        "db.system.name": "postgresql",
        "db.operation.name": "SELECT",
        "db.collection.name": "items",
        "db.query.text": "SELECT title, ? FROM items WHERE price = ? AND title = $1",
    }
    assert address["server.address"]
    assert address["db.namespace"]
    assert traced_all.spans.path(span) == ["server", "SELECT items"]
    assert request.statements == 1


async def test_a_span_lasts_as_long_as_its_statement(traced_all: Traced, postgres: Postgres) -> None:
    """The time until the driver has the rows is in the span and in the histogram."""
    with traced_all.request():
        await _run(postgres, "SELECT pg_sleep(0.05)")

    span = traced_all.spans.named("SELECT")
    total = traced_all.sample("db_statement_duration_seconds_sum", operation="SELECT")
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.end_time - span.start_time >= 50_000_000
    assert total is not None
    assert total >= 0.05


async def test_the_duration_leads_to_its_statement(traced_all: Traced, postgres: Postgres) -> None:
    """The histogram's exemplar has the ids of the statement's span."""
    with traced_all.request():
        await _run(postgres, "SELECT 1")

    context = traced_all.spans.named("SELECT").context
    (exemplar,) = traced_all.exemplars("db_statement_duration_seconds")
    assert context is not None
    assert exemplar == {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}


async def test_every_kind_of_statement_is_counted(traced_all: Traced, postgres: Postgres) -> None:
    """Outside of a request, and unsampled, statements make no spans and are observed by what they do."""
    async with postgres.begin() as connection:
        await connection.execute(text("CREATE TABLE things (number int)"))
        await connection.execute(text("INSERT INTO things VALUES (:number)"), [{"number": 1}, {"number": 2}])
        await connection.execute(text("UPDATE things SET number = 3"))
        await connection.execute(text("DELETE FROM things"))
    with traced_all.request(is_sampled=False) as request:
        await _run(postgres, "SELECT 1")

    counts = {
        operation: traced_all.sample("db_statement_duration_seconds_count", operation=operation)
        for operation in ("SELECT", "INSERT", "UPDATE", "DELETE", "OTHER")
    }
    assert counts == {"SELECT": 1, "INSERT": 1, "UPDATE": 1, "DELETE": 1, "OTHER": 1}
    assert request.statements == 1
    assert traced_all.spans.spans == []


async def test_engines_that_are_observed_twice_do_not_double(
    traced_all: Traced, postgres: Postgres, migrated_database_url: str
) -> None:
    """Observing an engine again, or one made of it, changes nothing; several engines are each observed."""
    observe_engine(postgres.engine)
    observe_engine(postgres.engine.execution_options(isolation_level="AUTOCOMMIT"))
    other = Postgres(migrated_database_url)

    with traced_all.request() as request:
        await _run(postgres, "SELECT 1")
        async with postgres.begin() as connection:
            await connection.execute(text("SELECT 2"))
        await _run(other, "SELECT 3")
    await other.aclose()

    assert len(traced_all.spans.all_named("SELECT")) == 3
    assert request.statements == 3
    assert traced_all.sample("db_statement_duration_seconds_count", operation="SELECT") == 3


async def test_a_failed_statement_says_which_state(traced_all: Traced, postgres: Postgres) -> None:
    """The span has the driver's class and SQLSTATE, and not the text of the error, which holds values."""
    with traced_all.request(), pytest.raises(DBAPIError):
        await _run(postgres, "SELECT CAST('SECRET' AS int)")

    span = traced_all.spans.named("SELECT")
    shown = attributes(span)
    assert (shown["error.type"], shown["db.response.status_code"]) == ("InvalidTextRepresentationError", "22P02")
    assert (span.status.status_code, span.status.description, span.events) == (StatusCode.ERROR, None, ())
    assert "SECRET" not in str(shown)


async def test_the_text_of_an_error_holds_no_parameters(postgres: Postgres) -> None:
    """What was searched for is not in what a log line or an error event shows of a failure."""
    with pytest.raises(DBAPIError) as caught:
        await _run(postgres, "SELECT 1 / length(:words) - 1 / (length(:words) - 6)", words="SECRET")

    assert "division by zero" in str(caught.value)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        ("INSERT INTO guests VALUES (:email, 1), (:email, 2)", {"email": "hunter2"}),
        ("INSERT INTO guests VALUES (:email, NULL)", {"email": "hunter2"}),
        ("SELECT CAST(:age AS integer)", {"age": "hunter2"}),
        ("SELECT CAST(concat('hunter', CAST(:age AS integer)) AS integer)", {"age": 2}),
    ],
    ids=["unique", "not null", "wrong type", "wrong text"],
)
async def test_the_rows_own_values_are_in_no_line_and_no_event(
    postgres: Postgres, statement: str, values: dict[str, Any]
) -> None:
    """A database says in its errors which values broke the rule; they are people's, and stay here."""
    with Reporting() as reporting:
        async with postgres.begin() as connection:
            await connection.execute(text("CREATE TEMPORARY TABLE guests (email text PRIMARY KEY, age int NOT NULL)"))
            with pytest.raises(DBAPIError) as caught:
                await connection.execute(text(statement), values)
            await connection.rollback()
        reporting.capture(caught.value)
        reporting.telemetry.logger("guests").error("guest_refused", exc_info=caught.value)

        (event,) = map(str, reporting.events)
        lines = str(reporting.lines())

    assert caught.value.orig is not None
    assert "hunter2" in f"{caught.value} {caught.value.orig.__cause__}"
    assert "hunter2" not in event
    assert "hunter2" not in lines
    assert type(caught.value).__name__ in lines


async def test_a_cancelled_statement_ends_its_span(traced_all: Traced, postgres: Postgres) -> None:
    """A caller who gives up in the middle leaves a finished span that is no error, and the next one is its own."""

    async def search() -> None:
        await _run(postgres, "SELECT pg_sleep(30)")

    with traced_all.request() as request:
        task = asyncio.create_task(search())

        async def is_sent() -> bool:
            return request.statements == 1

        await wait_for_async(is_sent, DEADLINE_SECONDS, what="the statement was sent")
        task.cancel()
        await asyncio.wait([task])
        await _run(postgres, "SELECT title FROM items")

    span = traced_all.spans.named("SELECT")
    assert (attributes(span)["outcome"], span.status.status_code) == ("cancelled", StatusCode.UNSET)
    assert "outcome" not in attributes(traced_all.spans.named("SELECT items"))


async def test_statements_at_the_same_time_are_in_their_own_traces(traced_all: Traced, postgres: Postgres) -> None:
    """Two requests that run together have each their statements and their count."""

    async def serve(counts: list[int]) -> None:
        with traced_all.request() as request:
            await _run(postgres, "SELECT pg_sleep(0.01)")
            await _run(postgres, "SELECT title FROM items")
            counts.append(request.statements)

    counts: list[int] = []
    await asyncio.gather(serve(counts), serve(counts))

    statements = [span for span in traced_all.spans.spans if span.name.startswith("SELECT")]
    assert counts == [2, 2]
    assert len({span.context.trace_id for span in statements if span.context}) == 2
    assert {tuple(traced_all.spans.path(span)[:-1]) for span in statements} == {("server",)}


async def test_opening_a_connection_is_a_wait_and_no_statement(traced_all: Traced, postgres: Postgres) -> None:
    """The first request waits for a new connection, which its trace shows; the driver's own questions are no spans."""
    with traced_all.request() as request:
        await _run(postgres, "SELECT 1")

    assert traced_all.spans.names == ["wait for database connection", "SELECT", "server"]
    assert request.statements == 1
    assert traced_all.sample("db_pool_wait_seconds_count") == 1


async def test_a_pool_without_a_free_connection_shows(traced_all: Traced, postgres: Postgres) -> None:
    """A request that gets none in time has the wait as a failed span; it is counted, and not among the waits."""
    async with postgres.connect(), postgres.connect():
        with traced_all.request(), pytest.raises(DatabaseUnavailableError):
            await _run(postgres, "SELECT 1")

    span = traced_all.spans.named("wait for database connection")
    assert (attributes(span)["error.type"], span.status.status_code) == ("pool_timeout", StatusCode.ERROR)
    assert span.start_time is not None
    assert span.end_time is not None
    assert span.end_time - span.start_time >= 200_000_000
    assert traced_all.sample("db_pool_timeouts_total") == 1
    assert traced_all.sample("db_pool_wait_seconds_count") == 2


async def test_a_database_that_is_away_shows(
    traced_all: Traced, proxied_database_url: str, database_proxy: FaultProxy
) -> None:
    """A refused connection is a failed wait; a connection that breaks in a statement is a failed statement."""
    postgres = Postgres(proxied_database_url)
    await _run(postgres, "SELECT 1")
    async with postgres.connect() as connection:
        database_proxy.cut()
        database_proxy.refuse()
        with traced_all.request(), pytest.raises(DBAPIError):
            await connection.execute(text("SELECT title FROM items"))
    with traced_all.request(), pytest.raises(DatabaseUnavailableError):
        await _run(postgres, "SELECT 1")
    await postgres.aclose()

    broken = traced_all.spans.named("SELECT items")
    wait = traced_all.spans.named("wait for database connection")
    assert (broken.status.status_code, wait.status.status_code) == (StatusCode.ERROR, StatusCode.ERROR)
    assert attributes(broken)["error.type"] in {"ConnectionDoesNotExistError", "InterfaceError"}
    assert attributes(wait)["error.type"] == "ConnectionRefusedError"
    assert traced_all.sample("db_pool_timeouts_total") == 0


async def test_the_probe_makes_no_spans(traced_all: Traced, postgres: Postgres) -> None:
    """The health check's own connection is no part of any trace, and counts as no statement."""
    with traced_all.request() as request:
        await postgres.probe()
        await postgres.probe_vectors({"clip_vector": 512, "text_vector": 384})

    assert traced_all.spans.names == ["server"]
    assert request.statements == 0
