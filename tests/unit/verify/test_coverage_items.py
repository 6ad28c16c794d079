"""What there is to exercise of a folder of contracts: items, their parts, and the closed values of a schema."""

from __future__ import annotations

from pathlib import Path

from prethrift_backend.contracts import load_contracts, load_health_schema
from prethrift_backend.verify.coverage.items import EVERY_LINE, coverage_items
from prethrift_backend.verify.coverage.schema import ClosedValues
from prethrift_backend.verify.items import items_of
from prethrift_backend.verify.records.log_checks import ANY_LINE

METRICS = """\
# CONTRACT metrics 1.0.0
# HELP work_seconds Time of work.
# TYPE work_seconds histogram
# META work_seconds stability=stable
# LABEL work_seconds kind enum big|small
# LABEL work_seconds place open max=3
# BUCKETS work_seconds 1 2
# SERIES work_seconds max=30
"""
LOGS = """\
# CONTRACT logs 1.0.0
RECORD json utf-8
FIELD * event string required
EVENT work_done level=info|debug stability=beta
  amount int required
"""
SPANS = """\
# CONTRACT spans 1.0.0
RESOURCE service.name string required
SPAN work kind=internal scope=shop stability=stable
  NAME work
  work.size int
  STATUS unset | error
  EVENT exception
    exception.type string
  LINK caller
"""


def _names(folder: Path) -> list[str]:
    return [item.name for item in coverage_items(load_contracts(folder))]


def test_parts_of_each_signal_are_items(tmp_path: Path) -> None:
    """Closed label values, buckets, levels, fields, attributes, statuses, links and events of spans; nothing open."""
    for name, text in (("metrics.txt", METRICS), ("logs.txt", LOGS), ("spans.txt", SPANS)):
        (tmp_path / name).write_text(text)

    assert _names(tmp_path) == [
        "work_seconds",
        'work_seconds{kind="big"}',
        'work_seconds{kind="small"}',
        "work_seconds bucket",
        "every line field event",
        "work_done",
        "work_done level info",
        "work_done level debug",
        "work_done field amount",
        "resource attribute service.name",
        "work",
        "work attribute work.size",
        "work status unset",
        "work status error",
        "work link caller",
        "work event exception",
        "work event exception attribute exception.type",
    ]


def test_parts_are_as_firm_as_their_promise(tmp_path: Path) -> None:
    """The stability of an event holds for its fields; what every line has is stable."""
    (tmp_path / "metrics.txt").write_text(METRICS)
    (tmp_path / "logs.txt").write_text(LOGS)
    firm = {item.name: item.stability for item in coverage_items(load_contracts(tmp_path))}

    assert firm["work_done field amount"] == "beta"
    assert firm["every line field event"] == "stable"


def test_health_endpoints_need_a_schema(tmp_path: Path) -> None:
    """Without a schema of health there is no body to be exercised."""
    (tmp_path / "metrics.txt").write_text(METRICS)

    assert not [item for item in coverage_items(load_contracts(tmp_path)) if item.signal == "health"]


def test_every_promise_of_the_reports_is_an_item() -> None:
    """What other commands count as an item is one here too; health has its endpoints and values instead."""
    contracts = load_contracts()
    names = {(item.signal, item.name) for item in coverage_items(contracts)}

    assert {(item.signal, item.name) for item in items_of(contracts) if item.signal != "health"} <= names
    assert EVERY_LINE == ANY_LINE


def test_names_are_unique() -> None:
    """Two items of one name could not be told apart."""
    names = [(item.signal, item.name) for item in coverage_items(load_contracts())]

    assert len(names) == len(set(names))


def test_closed_values_of_our_schema_are_found() -> None:
    """Through references, lists and members; what the body has is among what the schema promises."""
    closed = ClosedValues(load_health_schema())
    body = {
        "status": "degraded",
        "environment": "moon",
        "checks": [{"status": "healthy", "details": {"code": "ok", "history": [{"status": "unhealthy"}]}}],
    }
    found = list(closed.found(body))

    assert found == [
        ("status", "degraded"),
        ("checks[].status", "healthy"),
        ("checks[].details.code", "ok"),
        ("checks[].details.history[].status", "unhealthy"),
    ]
    assert set(found) < set(closed.promised())


def test_any_member_and_constants_are_places() -> None:
    """Members of any name share a place; a constant is a list of one."""
    schema = {
        "properties": {"up": {"const": True}, "word": {"type": "string"}},
        "additionalProperties": {"$ref": "#/$defs/word"},
        "$defs": {"word": {"enum": ["UP", "DOWN"]}},
    }
    closed = ClosedValues(schema)

    assert list(closed.promised()) == [("up", "True"), ("{}", "UP"), ("{}", "DOWN")]
    assert list(closed.found({"up": True, "word": "UP", "db": "DOWN", "s3": 7})) == [("up", "True"), ("{}", "DOWN")]


def test_a_schema_that_refers_to_itself_ends() -> None:
    """A tree of any depth is promised once; a reference to nowhere has no values."""
    schema = {"properties": {"next": {"$ref": "#"}, "lost": {"$ref": "#/$defs/nothing"}, "end": {"enum": ["a"]}}}
    closed = ClosedValues(schema)

    assert list(closed.promised()) == [("next.end", "a"), ("end", "a")]
    assert list(closed.found({"next": {"next": {"end": "a"}}})) == [("next.next.end", "a")]
