"""What the reference holds for programs: the schema of log lines, the OpenAPI document of health, the registry."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from tests.support.asgi import Recorder
from tests.support.record_contracts import LOGS
from tests.unit.health._parts import Harness, ScriptedCheck
from tests.unit.observability.test_log_contract import scenario

from prethrift_backend.contracts import Contracts, ValueType, load_contracts, parse_logs, parse_spans
from prethrift_backend.health import HealthApp, HealthEndpoint, HealthGroup
from prethrift_backend.verify.records.log_checks import LogChecks
from prethrift_backend.verify.reference.examples import example_line
from prethrift_backend.verify.reference.json_text import type_schema
from prethrift_backend.verify.reference.log_schema import render_log_schema
from prethrift_backend.verify.reference.openapi import render_openapi
from prethrift_backend.verify.reference.registry import render_registry
from prethrift_backend.verify.reference.rendering import render_reference
from prethrift_backend.verify.reference.yaml_text import dumped_yaml

ROOT = Path(__file__).parents[3]
CONTRACTS = load_contracts(ROOT / "contracts")
CHECKER = Draft202012Validator.FORMAT_CHECKER
STABILITIES = {"development", "beta", "stable"}
# What OpenTelemetry Weaver asks of a group, by its type.
NEEDED = {
    "attribute_group": {"id", "brief", "attributes"},
    "metric": {"id", "brief", "stability", "metric_name", "instrument", "unit", "attributes"},
    "event": {"id", "brief", "stability", "name"},
    "span": {"id", "brief", "stability", "span_kind", "attributes"},
}
TYPES = {"string", "int", "double", "boolean", "any"}


def log_validator(text: str | None = None) -> Draft202012Validator:
    """Return a validator of lines by the schema of a contract, or of the project's own."""
    logs = CONTRACTS.logs if text is None else parse_logs(text, source="logs.txt")
    assert logs is not None
    schema = json.loads(render_log_schema(logs))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=CHECKER)


def completed(**changes: Any) -> dict[str, Any]:
    """Return a line of `request_completed` with some fields changed; None takes a field away."""
    assert CONTRACTS.logs is not None
    line = json.loads(example_line(CONTRACTS.logs.event("request_completed"), CONTRACTS.logs) or "")
    return {name: value for name, value in (line | changes).items() if value is not None}


async def test_real_lines_pass_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the process writes when every event of the telemetry happens is as the schema says."""
    recorder = Recorder(log_level="DEBUG", strict=False, log_datadog=True)
    await scenario(recorder, monkeypatch)
    validator = log_validator()

    lines = recorder.lines()

    assert len(lines) > 10
    assert [(line, error.message) for line in lines for error in validator.iter_errors(line)] == []


FAULTY = {
    "another level": completed(level="error"),
    "no level": completed(level="loud"),
    "another logger": completed(logger="somebody.else"),
    "no time": completed(timestamp="yesterday"),
    "too small": completed(status_code=99),
    "a text": completed(status_code="200"),
    "too long": completed(endpoint="x" * 201),
    "missing": completed(endpoint=None),
    "missing in every line": completed(environment=None),
    "missing in a request": completed(request_id=None),
    "missing in a span": completed(span_id=None),
    "not listed": completed(method="BREW"),
    "another form": completed(trace_id="xyz"),
    "not promised": completed(more=1),
    "a secret within": completed(query={"filters": [{"Password": "x"}]}),
    "not even a line": {"event": "free text"},
}


@pytest.mark.parametrize("line", FAULTY.values(), ids=FAULTY)
def test_faulty_lines_do_not_pass(line: dict[str, Any]) -> None:
    """A wrong level, logger, type, length or value, a missing field, one too many, a key that never occurs."""
    assert not log_validator().is_valid(line)


def test_lines_at_the_edge_pass() -> None:
    """Null where it is allowed, the other level, free text of somebody's logger."""
    validator = log_validator()
    free = completed(event="free text", logger="somebody.else", more=1)
    null = completed() | {"ttfb_ms": None}

    for line in (completed(), null, completed(level="debug"), free):
        assert [error.message for error in validator.iter_errors(line)] == []


def test_the_schema_and_the_checks_of_lines_agree() -> None:
    """What one of the two finds in a line, the other finds too, for a contract of somebody else."""
    validator, checks = log_validator(LOGS), LogChecks(parse_logs(LOGS, source="logs.txt"))
    lines = [json.loads(example_line(event, checks.contract) or "") for event in checks.contract.events]
    assert lines

    for line in lines:
        for changed in _variations(line):
            found = checks.faults(json.dumps(changed).encode(), holds=())
            judged = [fault for fault in found if fault.rule not in ("LG009", "LG010", "LG014")]
            assert validator.is_valid(changed) == (judged == []), (changed, judged)


def _variations(line: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield line
    for name in line:
        yield {key: value for key, value in line.items() if key != name}
        others: list[object] = [None, 7, "other", {"a": {"session_id": 1}}, []]
        yield from (line | {name: other} for other in others)
    yield line | {"never_heard_of": 1}
    yield line | {"trace_id": "0" * 32}
    yield line | {"trace_id": "0" * 32, "span_id": "1" * 16}


@given(st.data())
def test_a_type_and_its_schema_allow_the_same(data: st.DataObject) -> None:
    """For every type of the contracts and any JSON value: both allow it or neither does."""
    promised = data.draw(st.sampled_from(_types()))
    scalar = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 700),
        st.floats(-5, 700),
        st.text(max_size=5),
        st.sampled_from(_words()),
    )
    value = data.draw(st.one_of(scalar, st.lists(scalar, max_size=2), st.dictionaries(st.text(max_size=3), scalar)))

    # In JSON Schema 2.0 is an integer, and a text may end with a line break behind what a pattern says.
    if isinstance(value, float) and value.is_integer():
        return
    if isinstance(value, str) and value.endswith("\n"):
        return
    validator = Draft202012Validator(type_schema(promised), format_checker=CHECKER)
    if promised.kind != "date-time":
        assert validator.is_valid(value) == promised.allows(value)


def _types() -> list[ValueType]:
    assert CONTRACTS.logs is not None
    assert CONTRACTS.spans is not None
    values = [*CONTRACTS.logs.fields, *(field for event in CONTRACTS.logs.events for field in event.fields)]
    values_of_spans = [attribute for span in CONTRACTS.spans.spans for attribute in span.attributes]
    return list(dict.fromkeys(one.type for one in (*values, *values_of_spans)))


def _words() -> list[str]:
    return sorted({word for promised in _types() for word in promised.values})


@pytest.mark.parametrize("text", ["12", "a12", "12a", "x", ""])
def test_a_pattern_is_for_the_whole_text(text: str) -> None:
    """As in the contract, and not for some part of the text as in JSON Schema."""
    promised = ValueType("match", pattern="[0-9]{2}|x")

    assert Draft202012Validator(type_schema(promised)).is_valid(text) == promised.allows(text)


def test_a_pattern_that_only_python_reads_is_left_out() -> None:
    """JSON Schema has other regular expressions; one that it would not understand is told in words."""
    schema = type_schema(ValueType("match", pattern="(?i)abc"))

    assert schema == {"type": "string", "$comment": "matches (?i)abc, in Python's syntax"}


def test_the_openapi_document_is_valid() -> None:
    """A validator that nobody here wrote finds no fault; GET and HEAD of each path are there, each by its own name."""
    document = openapi()

    OpenAPIV31SpecValidator(document).validate()
    operations = [item[method]["operationId"] for item in document["paths"].values() for method in ("get", "head")]
    assert operations[:4] == ["get_health", "head_health", "get_health_live", "head_health_live"]
    assert len(set(operations)) == 10


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of the project's health endpoints."""
    assert CONTRACTS.health_schema is not None
    document: dict[str, Any] = json.loads(render_openapi(CONTRACTS.health_schema) or "")
    return document


@pytest.mark.parametrize("is_well", [True, False], ids=["well", "down"])
@pytest.mark.parametrize("path", openapi()["paths"])
async def test_the_endpoints_answer_as_the_document_says(path: str, is_well: bool) -> None:
    """Status, headers and body of each endpoint are documented; HEAD has no body, other methods get 405."""
    document = openapi()
    async with await client_of(is_well=is_well) as client:
        got, head, other = [await client.request(method, path.format(name="x")) for method in ("GET", "HEAD", "DELETE")]

    response = document["paths"][path]["get"]["responses"][str(got.status_code)]
    assert got.status_code == (200 if is_well or path == "/health/live" else 503)
    assert _faults(response["content"]["application/json"]["schema"], document, got.json()) == []
    assert got.headers["content-type"] == "application/json"
    assert {header.lower() for header in response["headers"]} <= set(got.headers)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert other.status_code == 405
    assert "GET" in other.headers["allow"]


@pytest.mark.parametrize("path", [path for path in openapi()["paths"] if "{name}" in path])
async def test_an_unknown_name_is_answered_as_the_document_says(path: str) -> None:
    """404 is documented where a name is asked for; no method is another answer."""
    async with await client_of(is_well=True) as client:
        answers = [await client.request(method, path.format(name="nobody")) for method in ("GET", "HEAD", "DELETE")]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert "404" in openapi()["paths"][path]["get"]["responses"]


async def client_of(*, is_well: bool) -> httpx.AsyncClient:
    """Return a client of health endpoints with one check, alone in a group, which passes or has failed for long."""
    harness, check = Harness(), ScriptedCheck()
    harness.registry.register("x", check)
    harness.lifecycle.mark_ready()
    if not is_well:
        check.fail()
    await harness.run_checks(3)
    endpoint = HealthEndpoint(
        harness.engine,
        harness.lifecycle,
        version="1.2.3",
        environment="production",
        gate=harness.details,
        groups=[HealthGroup("x", ("x",))],
    )
    return httpx.AsyncClient(transport=httpx.ASGITransport(HealthApp(endpoint)), base_url="http://health")


def _faults(schema: dict[str, Any], document: dict[str, Any], body: object) -> list[str]:
    validator = Draft202012Validator({**schema, "components": document["components"]}, format_checker=CHECKER)
    return [error.message for error in validator.iter_errors(body)]


@pytest.mark.parametrize(
    ("code", "changes", "is_allowed"),
    [
        ("200", {}, True),
        ("200", {"status": "unhealthy"}, False),
        ("503", {"status": "unhealthy"}, True),
        ("503", {}, False),
        ("200", {"timestamp": "yesterday"}, False),
        ("200", {"checks": [{"name": "Not valid"}]}, False),
    ],
)
def test_a_status_code_goes_with_its_statuses(code: str, changes: dict[str, Any], is_allowed: bool) -> None:
    """A body that says unhealthy is one of 503 and of no other code."""
    document = openapi()
    schema = document["paths"]["/health"]["get"]["responses"][code]["content"]["application/json"]["schema"]
    body = {
        "status": "healthy",
        "timestamp": "2026-01-01T00:00:00Z",
        "version": "1",
        "environment": "staging",
        "uptime_seconds": 1,
        "checks": [],
    }

    assert (_faults(schema, document, body | changes) == []) is is_allowed


def test_no_openapi_document_is_made_without_paths_or_codes() -> None:
    """A schema that names no path, or no code of a status, says too little for one."""
    status = {"enum": ["up", "down"], "description": "down comes with 503, up with 200"}

    assert render_openapi({"properties": {"status": status}}) is None
    assert render_openapi({"description": "The body of /h.", "properties": {"status": {"enum": ["up"]}}}) is None
    assert render_openapi({"description": "The body of /h.", "properties": {"status": status}}) is not None


def _groups(contracts: Contracts) -> list[dict[str, Any]]:
    return [group for text in render_registry(contracts).values() for group in yaml.safe_load(text)["groups"]]


@pytest.mark.parametrize("folder", ["contracts", "tests/support/foreign_shop/contracts"])
def test_the_registry_has_the_structure_that_weaver_reads(folder: str) -> None:
    """Ids are unique, each group has what its type needs, each reference leads to the one definition."""
    groups = _groups(load_contracts(ROOT / folder))
    attributes = [one for group in groups for one in group.get("attributes", [])]
    defined = [one for one in attributes if "id" in one]

    assert len({group["id"] for group in groups}) == len(groups)
    assert [group["id"] for group in groups if not set(group) >= NEEDED[group["type"]]] == []
    assert {group["stability"] for group in groups if "stability" in group} <= STABILITIES
    assert {group["extends"] for group in groups if "extends" in group} <= {group["id"] for group in groups}
    assert len({one["id"] for one in defined}) == len(defined)
    assert {one["ref"] for one in attributes if "ref" in one} == {one["id"] for one in defined}
    assert [one["id"] for one in defined if not _is_defined(one)] == []


def _is_defined(attribute: dict[str, Any]) -> bool:
    kind = attribute["type"]
    if isinstance(kind, dict):
        ids = [member["id"] for member in kind["members"]]
        is_whole = len(set(ids)) == len(ids) and all(isinstance(member["value"], str) for member in kind["members"])
    else:
        is_whole = kind in TYPES and (kind != "string" or isinstance(attribute["examples"], list))
    return is_whole and bool(attribute["brief"]) and attribute["stability"] in STABILITIES


def test_the_registry_has_every_item() -> None:
    """Families, events and kinds of span are there by their names, units in the words of UCUM."""
    groups = _groups(CONTRACTS)
    assert CONTRACTS.logs is not None
    assert CONTRACTS.spans is not None

    by_type = {kind: [group for group in groups if group["type"] == kind] for kind in NEEDED}
    assert [group["metric_name"] for group in by_type["metric"]] == [one.name for one in CONTRACTS.metrics.families]
    assert [group["name"] for group in by_type["event"]] == [event.name for event in CONTRACTS.logs.events]
    assert [group["id"] for group in by_type["span"]] == [f"span.{span.key}" for span in CONTRACTS.spans.spans]
    units = {group["metric_name"]: group["unit"] for group in by_type["metric"]}
    assert (units["http_request_duration_seconds"], units["http_requests_total"]) == ("s", "1")


def test_an_attribute_with_several_types_has_the_one_that_holds_all() -> None:
    """Lists are joined, a list and a text are a text, a number and a text are anything."""
    text = """\
# CONTRACT spans 1.0.0
SPAN one kind=internal scope=a
  NAME a
  a enum x|y
  b enum x
  c int
  d string required-if=error # its meaning
SPAN two kind=internal scope=b
  NAME b
  a enum y|_Y
  b string
  c string
  d string
"""
    spans = parse_spans(text, source="spans.txt")
    groups = _groups(Contracts(ROOT, CONTRACTS.metrics, spans=spans))
    defined = {one["id"]: one for one in groups[0]["attributes"]}
    one = next(group for group in groups if group["id"] == "span.one")

    assert [member["value"] for member in defined["a"]["type"]["members"]] == ["x", "y", "_Y"]
    assert [member["id"] for member in defined["a"]["type"]["members"]] == ["x", "y", "y_2"]
    assert (defined["b"]["type"], defined["c"]["type"]) == ("string", "any")
    assert one["attributes"][3]["requirement_level"] == {"conditionally_required": "if error"}
    assert defined["d"]["brief"] == "its meaning"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.from_regex(r"[a-z_]{1,5}", fullmatch=True), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(["groups", "other_key"]), JSON))
def test_any_data_is_read_back_from_yaml(document: dict[str, Any]) -> None:
    """A reader of YAML gets what was written, whatever texts hold; a list within a list is in one line."""
    text = dumped_yaml(document, comment="made")

    assert text.startswith("# made\n")
    assert (yaml.safe_load(text) or {}) == document


def test_documents_for_programs_are_json_and_yaml() -> None:
    """Every file that is no page can be read as what its name says."""
    for name, text in render_reference(CONTRACTS).items():
        if name.endswith(".json"):
            assert isinstance(json.loads(text), dict)
        if name.endswith(".yaml"):
            assert set(yaml.safe_load(text)) == {"groups"}
