"""The listeners of an engine, on SQLite in memory: what does not depend on the database."""

import sqlite3
from collections.abc import Iterator

import pytest
from opentelemetry.trace import StatusCode
from sqlalchemy import Engine, StaticPool, create_engine, text
from sqlalchemy.exc import OperationalError
from tests.support.asgi import Recorder
from tests.support.span_list import Traced, attributes, traced

from prethrift_backend.stores import _statements, observe_engine
from prethrift_backend.stores._statements import _Listener


@pytest.fixture
def engine() -> Iterator[Engine]:
    """Make an engine that is observed, with a table of things."""
    made = create_engine("sqlite://", poolclass=StaticPool)
    observe_engine(made, attributes={"server.address": "memory"})
    with made.begin() as connection:
        connection.execute(text("CREATE TABLE things (number int)"))
    yield made
    made.dispose()


def test_many_rows_in_one_statement_are_one_span(engine: Engine, traced_all: Traced) -> None:
    """What SQLAlchemy sends at once is one statement, however many rows it has."""
    with traced_all.request() as request, engine.begin() as connection:
        connection.execute(text("INSERT INTO things VALUES (:number)"), [{"number": n} for n in range(3)])

    span = traced_all.spans.named("INSERT things")
    assert request.statements == 1
    assert attributes(span)["server.address"] == "memory"


def test_an_error_without_a_state_has_its_class(engine: Engine, traced_all: Traced) -> None:
    """A driver that gives no SQLSTATE is shown by the class of its error."""
    with traced_all.request(), engine.connect() as connection, pytest.raises(OperationalError):
        connection.execute(text("SELECT * FROM nothing"))

    span = traced_all.spans.named("SELECT nothing")
    assert attributes(span)["error.type"] == sqlite3.OperationalError.__qualname__
    assert "db.response.status_code" not in attributes(span)
    assert span.status.status_code is StatusCode.ERROR


def test_each_application_sees_its_own_requests(engine: Engine) -> None:
    """Of two telemetries in one process each gets the spans and counts of its own requests, whichever came last."""
    with traced() as first, traced() as second:
        for made, count in ((first, 2), (second, 1)):
            for _ in range(count):
                with made.request(), engine.connect() as connection:
                    connection.execute(text("SELECT 1"))

        assert first.spans.names == ["SELECT", "server"] * 2
        assert second.spans.names == ["SELECT", "server"]
        assert first.sample("db_statement_duration_seconds_count", operation="SELECT") == 2
        assert second.sample("db_statement_duration_seconds_count", operation="SELECT") == 1


def test_two_listeners_on_one_engine_do_not_double(traced_all: Traced) -> None:
    """An engine that is observed after one that was made of it does not see that one's statements again."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    made_of_it = engine.execution_options(logging_token="reading")
    observe_engine(made_of_it)
    observe_engine(engine)

    with traced_all.request() as request, made_of_it.connect() as connection:
        connection.execute(text("SELECT 1"))
    engine.dispose()

    assert traced_all.spans.names == ["SELECT", "server"]
    assert request.statements == 1
    assert traced_all.sample("db_statement_duration_seconds_count", operation="SELECT") == 1


@pytest.mark.contract_unobserved("its connection is made up, and is of no database")
def test_a_statement_of_which_nobody_told_ends_with_its_connection(traced_all: Traced) -> None:
    """A span that no event ended is ended when the connection comes back, and when another statement begins."""

    class Connection:
        info: dict[str, object]

    listener, connection = _Listener({}), Connection()
    connection.info = {}
    with traced_all.request() as request:
        listener.before(connection, None, "SELECT 1", None, object(), False)
        listener.before(connection, None, "SELECT 2 FROM things", None, object(), False)
        assert traced_all.spans.names == ["SELECT"]
        listener.returned(None, connection)

    assert traced_all.spans.names == ["SELECT", "SELECT things", "server"]
    assert request.statements == 2
    assert connection.info == {}


def test_without_telemetry_statements_run(engine: Engine) -> None:
    """Nothing is configured, and nothing is missed."""
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1


def test_a_fault_in_the_watching_does_not_fail_the_statement(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a statement cannot be described, it is sent all the same, and the fault is counted."""
    recorder = Recorder(strict=False)

    def fail(statement: str) -> None:
        raise ValueError(statement)

    monkeypatch.setattr(_statements, "describe", fail)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1

    assert recorder.telemetry.errors == 1
    recorder.telemetry.close()
