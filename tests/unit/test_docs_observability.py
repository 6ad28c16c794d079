"""What docs/observability.md says, held against the code: its examples are run, its tables are compared."""

from __future__ import annotations

import inspect
import io
import logging
import re
import shlex
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from tests.support.asgi import drive
from tests.support.log_contract import EVENTS as ALL_EVENTS

from prethrift_backend import pytest_plugin
from prethrift_backend.config import Settings
from prethrift_backend.contracts import load_metrics
from prethrift_backend.observability import (
    EXPOSED_HEADERS,
    Instrumented,
    Telemetry,
    errors,
    instrument,
    loop_lag,
    setup,
)
from prethrift_backend.observability._queue import Limits
from prethrift_backend.observability._sentry_transport import _MAX_EVENT_BYTES
from prethrift_backend.observability._writer import _CAPACITY
from prethrift_backend.observability.exporters import make_transports
from prethrift_backend.observability.redaction import redact
from prethrift_backend.observability.testing import Capture, capture_telemetry
from prethrift_backend.observability.vendors import otlp_headers

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "observability.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _blocks(section: str, language: str) -> list[str]:
    return [text for name, text in BLOCK.findall(SECTIONS[section]) if name == language]


def _run(section: str) -> dict[str, Any]:
    """Run the examples of a section as one program; return its names."""
    namespace: dict[str, Any] = {"__name__": "docs_observability"}
    for number, block in enumerate(_blocks(section, "python")):
        exec(compile(block, f"docs/observability.md, {section}, example {number}", "exec"), namespace)  # noqa: S102 - our own page
    return namespace


def _table(*header: str) -> list[list[str]]:
    """Return the rows of the table with this header; the marks of code are taken off."""
    start = PAGE.index(f"| {' | '.join(header)} |")
    lines = PAGE[start:].split("\n\n")[0].splitlines()[2:]
    rows = [re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in lines]
    return [[cell.strip().replace("`", "") for cell in row] for row in rows]


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """Hold every example to closing what it has configured."""
    yield
    assert setup._open == []


@pytest.fixture
def log_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the examples' own telemetry write its lines into a file, every level of them."""
    path = tmp_path / "logs" / "app.log"
    monkeypatch.setenv("LOG_FILE", str(path))
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    monkeypatch.setattr("sys.stdout", io.StringIO())
    return path


def _lines(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


async def _ask(app: Instrumented, *paths: str) -> list[httpx.Response]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return [await client.get(path) for path in paths]


async def _end(app: Instrumented) -> None:
    """Let the application's lifespan begin and end, which closes its telemetry."""
    await drive(app, {"type": "lifespan"}, [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])


# The examples.


def test_every_block_is_in_a_section_that_is_run() -> None:
    """No example stands on the page in a language, or at a place, that nothing here looks at."""
    found = {(section, language) for section, text in SECTIONS.items() for language, _ in BLOCK.findall(text)}

    assert found == {
        ("From nothing to all of it", "python"),
        ("Logs", "python"),
        ("Metrics", "python"),
        ("Metrics", "text"),
        ("Traces", "python"),
        ("Errors", "python"),
        ("Redaction", "python"),
        ("What it says of itself", "python"),
        ("Testing your own promises", "python"),
    }
    assert len(BLOCK.findall(PAGE)) == sum(len(BLOCK.findall(text)) for text in SECTIONS.values())


async def test_the_first_examples_make_two_applications(log_file: Path) -> None:
    """Both answer with the headers, write their lines under the route's template, and keep the probe out."""
    made = _run("From nothing to all of it")
    shirt, nowhere = await _ask(made["app"], "/shirts/7", "/nowhere")
    hello, probe, scrape = await _ask(made["small_app"], "/hello", "/probe", "/metrics")
    await _end(made["app"])
    await _end(made["small_app"])

    assert [answer.status_code for answer in (shirt, nowhere, hello, probe, scrape)] == [200, 404, 200, 200, 200]
    assert all(name in answer.headers for name in EXPOSED_HEADERS for answer in (shirt, nowhere, hello))
    lines = _lines(log_file)
    (shown,) = [line for line in lines if line["event"] == "shirt_shown"]
    assert (shown["shirt_id"], shown["trace_id"]) == (7, shirt.headers["x-trace-id"])
    ended = {line["endpoint"]: line["level"] for line in lines if line["event"] == "request_completed"}
    levels = {"/shirts/{shirt_id}": "info", "__unmatched__": "info", "/hello": "info"}
    assert ended == levels | {"/probe": "debug", "/metrics": "debug"}
    assert 'endpoint="/hello"' in scrape.text
    assert 'endpoint="/probe"' not in scrape.text


def test_the_examples_of_logs_write_lines(captured_telemetry: Capture, log_file: Path) -> None:
    """Fields, bound fields, an exception, and a processor's field."""
    _run("Logs")

    assert captured_telemetry.line("user_login", user_id="user-7", ip="192.0.2.1")
    assert captured_telemetry.line("basket_left", basket_id="b-1", items=3)["level"] == "warning"
    assert captured_telemetry.line("size_refused")["exception"]["type"] == "ValueError"
    assert [line["region"] for line in _lines(log_file) if line["event"] == "stock_counted"] == ["eu-central-1"]


def _shop_folder(parent: Path) -> Path:
    """Make the folder ``shop`` with the contract that is on the page; return where it is."""
    (contract,) = _blocks("Metrics", "text")
    (parent / "shop").mkdir()
    (parent / "shop" / "metrics.txt").write_text(contract)
    return parent


async def test_the_examples_of_metrics_count(
    captured_telemetry: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_file: Path
) -> None:
    """The families of the backend, nested operations, and a contract of one's own."""
    monkeypatch.chdir(_shop_folder(tmp_path))
    made = _run("Metrics")
    own: Telemetry = made["own"]
    await _ask(instrument(_answer, own), "/")
    own.close()
    await made["search"]("blue dress")

    changed = captured_telemetry.deltas()
    assert changed['search_operations_total{search_type="visual",status="success"}'] == 1
    assert changed['search_operations_total{search_type="text",status="success"}'] == 1
    assert changed['embedding_operations_total{operation_type="clip",status="success"}'] == 1
    assert captured_telemetry.span_outline() == ["search text", "  embedding clip"]
    assert captured_telemetry.line("search_completed")["dimensions"] == 1
    registry = own.metrics.registry
    assert registry.get_sample_value("shirts_sold_total", {"size": "M"}) == 1
    assert registry.get_sample_value("shirts_in_stock") == 12
    counted = {"method": "GET", "endpoint": "__unmatched__", "status_code": "200"}
    assert registry.get_sample_value("http_requests_total", counted) == 1
    assert own.errors == 0


async def _answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def test_the_example_of_traces_makes_a_span(captured_telemetry: Capture) -> None:
    """A span with its attribute, and no header for a host that is not listed."""
    made = _run("Traces")

    assert captured_telemetry.span("custom_operation").attributes == {"user.id": "user-7"}
    assert made["headers_for_partner"] == {}


def test_the_example_of_errors_reports(captured_telemetry: Capture) -> None:
    """An error that was handled is an event under the id that is returned."""
    made = _run("Errors")

    assert [event["event_id"] for event in captured_telemetry.error_events] == [made["event_id"]]


def test_the_example_of_redaction_hides(log_file: Path) -> None:
    """By key, by an extra key and by an extra rule."""
    _run("Redaction")

    (line,) = [line for line in _lines(log_file) if line["event"] == "refund_sent"]
    assert (line["iban"], line["note"], line["password"]) == ("[redacted]", "to [customer]", "[redacted]")


async def test_the_example_of_the_loop_watches(log_file: Path) -> None:
    """The watch by hand begins and ends."""
    await _run("What it says of itself")["work"]()

    assert _watches() == []


def _watches() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "prethrift-loop-watch"]


def test_the_first_example_of_testing_holds() -> None:
    """Its assertions are its own."""
    assert _run("Testing your own promises")["capture"].span_outline() == ["checkout", "  pay"]


def test_the_examples_of_tests_pass() -> None:
    """The tests on the page, with the settings of its own fixture; `test_plugin_run.py` runs it by pytest itself."""
    made = _run("Testing your own promises")
    settings: Settings = inspect.unwrap(made["telemetry_settings"])()

    with capture_telemetry(settings) as capture:
        made["test_a_search_is_logged_and_counted"](capture.find_lines, capture.deltas)
    with capture_telemetry(settings) as capture:
        made["test_a_request_is_traced"](capture)


# The tables.


@pytest.mark.parametrize(("receiver", "settings", "header"), _table("receiver", "settings", "header with the key"))
def test_receivers_are_reached_as_the_table_says(receiver: str, settings: str, header: str) -> None:
    """The settings of a row are good, name a receiver, and put the key into that header."""
    named = dict(word.split("=", 1) for word in shlex.split(settings))
    made = Settings(**{name.lower(): value for name, value in named.items()})

    if not receiver.startswith("Spotlight"):  # errors alone
        assert len(list(make_transports(made))) == 1
    assert list(otlp_headers(made)) == ([] if header == "none" else [header])


def test_bounds_are_those_of_the_code() -> None:
    """Every number in the table is the constant behind it."""
    limits = Limits()
    values = [
        limits.queue_spans,
        limits.batch_spans,
        limits.batch_characters,
        limits.gather_seconds,
        limits.timeout_seconds,
        limits.longest_pause_seconds,
        _MAX_EVENT_BYTES,
        _CAPACITY,
        setup._CLOSING_SECONDS,
    ]

    assert [float(value) for _, value in _table("bound", "value")] == values


def test_numbers_in_the_text_are_those_of_the_code() -> None:
    """The watch over the loop, and how often an error is an event."""
    text = SECTIONS["What it says of itself"]
    bug, operational = errors._BUG_RATE, errors._OPERATIONAL_RATE

    assert f"{1 / loop_lag.INTERVAL_SECONDS:g} times a second" in text
    assert f"{loop_lag.STALL_SECONDS:g} second overdue" in text
    assert (bug.at_once, bug.every_seconds) == (10, 6.0)
    assert (operational.at_once, operational.every_seconds) == (1, 60.0)


def test_trust_is_what_the_settings_take() -> None:
    """Each value is one, and the default where the table says so."""
    defaults: dict[str, str] = {}
    for value, _, environments in _table("`TRACE_TRUST`", "a caller's `traceparent` becomes", "default in"):
        assert Settings(trace_trust=value).trace_trust == value
        defaults |= {name.strip(): value for name in environments.split(",") if name.strip()}

    names = ("development", "staging", "production")
    assert defaults == {name: Settings(environment=name).trace_trust for name in names}


def test_settings_on_the_page_exist() -> None:
    """A word in capitals with an underscore is a setting, or one of the few names of others."""
    others = {"SEARCH_OPERATIONS", "EXPOSED_HEADERS", "OTEL_EXPORTER_OTLP_ENDPOINT"}
    prose = BLOCK.sub("", PAGE)

    named = set(re.findall(r"`([A-Z]+(?:_[A-Z0-9]+)+)", prose)) - others
    assert {name for name in named if name.lower() not in Settings.model_fields} == set()
    assert {"TRACE_SAMPLE_RATE", "METRICS_TOKEN", "OTLP_METRICS_TEMPORALITY"} <= named


def test_headers_of_answers_are_those_that_are_exposed() -> None:
    """Both headers, and no other."""
    assert [row[0] for row in _table("header of an answer", "what it holds")] == list(EXPOSED_HEADERS)


def test_metrics_of_the_telemetry_itself_are_all_there() -> None:
    """The table has every family by which the telemetry tells of itself."""
    own = re.compile(r"telemetry_\w+|log_events_\w+|contract_\w+|event_loop_\w+|build_info")
    families = {family.name for family in load_metrics().families}

    assert {row[0] for row in _table("metric", "what it says")} == {name for name in families if own.fullmatch(name)}


def test_events_of_the_telemetry_itself_are_those_of_the_contract() -> None:
    """Event and level of each row are promised."""
    for event, level, _ in _table("event", "level", "when"):
        assert level in ALL_EVENTS[event].levels


def test_what_a_capture_has_is_all_there() -> None:
    """The table has every public name of a capture, and no other."""
    public = {name for name in vars(Capture) if not name.startswith("_")} | {"telemetry"}

    assert {row[0] for row in _table("of a capture", "what it returns")} == public


def test_fixtures_are_those_of_the_plugin() -> None:
    """The table has every fixture."""
    fixtures = {name for name, value in vars(pytest_plugin).items() if "Fixture" in type(value).__name__}

    assert {row[0] for row in _table("fixture", "what it is")} == fixtures


def test_words_that_are_no_secrets_stay() -> None:
    """What the page says of false positives holds."""
    fields = {"author": "Jane", "session_length": 12}

    assert redact(fields) == fields


def test_rows_about_errors_hold(captured_telemetry: Capture) -> None:
    """A line at level error makes no event."""
    logging.getLogger("library").error("broken")

    assert captured_telemetry.line("broken")["level"] == "error"
    assert captured_telemetry.error_events == []


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(([^)#:]+)\)", PAGE.replace("\n", " ")))))
def test_every_link_leads_somewhere(path: str) -> None:
    """A file that the page links to is there."""
    assert (ROOT / "docs" / path).resolve().exists()
