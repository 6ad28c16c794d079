"""Small edits of the real contracts, and the findings of the comparison for each."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.support.contract_edits import (
    CONTRACTS,
    Edit,
    append,
    both,
    drop_block,
    drop_family,
    findings_of,
    raise_version,
    rename,
    swap,
    with_version,
    within,
)

from prethrift_backend.contracts import load_metrics
from prethrift_backend.verify.diff.baseline import ContractTexts, read_folder
from prethrift_backend.verify.diff.comparison import diff_contracts
from prethrift_backend.verify.diff.consumers import read_consumers
from prethrift_backend.verify.rules import RULES

M, L, S, C = "metrics.txt", "logs.txt", "spans.txt", "settings.txt"
H = "health.schema.json"
COST = "overhead.txt"
PICTURE_SPAN = """SPAN thumbnail kind=internal scope=prethrift_backend.catalogue.pictures stability=beta
  NAME make thumbnail
  STATUS unset | error"""
NEW_FAMILY = """# HELP cats_total Cats.
# TYPE cats_total counter
# META cats_total stability=stable since=1.2.0
# SERIES cats_total max=1 presence=always
cats_total 1"""


class Case(NamedTuple):
    """One edit, and each rule with the level that it gives."""

    name: str
    file: str
    edit: Edit
    expected: str


BREAKING = [
    Case("family removed", M, drop_family("build_info"), "M001 error"),
    Case("beta family removed", M, drop_family("event_loop_stalls_total"), "M001 warning"),
    Case("family renamed", M, rename("http_requests_total", "http_request_total"), "M002 error"),
    Case("beta family renamed", M, rename("log_events_dropped_total", "log_events_lost_total"), "M002 warning"),
    Case("unit in name", M, rename("db_pool_wait_seconds", "db_pool_wait_milliseconds"), "M002 warning, M004 warning"),
    Case("type", M, swap("TYPE build_info gauge", "TYPE build_info untyped"), "M003 error"),
    Case("unit in META", M, within("META  http_request_duration_seconds", "unit=seconds", "unit=ms"), "M004 error"),
    Case("workers added up no longer", M, within("META  http_requests_in_progress", "=sum", "=max"), "M006 warning"),
    Case(
        "label removed",
        M,
        both(swap("# LABEL build_info python_version open max=1\n", ""), swap(',python_version="3.11.2"', "")),
        "M010 error",
    ),
    Case("label renamed", M, rename("python_version", "python"), "M010 error"),
    Case(
        "label added",
        M,
        both(
            append("# LABEL build_info host open max=1"),
            swap('{version="0.1.0",python', '{host="a",version="0.1.0",python'),
        ),
        "M011 error",
    ),
    Case("value removed", M, within("LABEL http_requests_total method", "PATCH|", ""), "M012 warning"),
    Case(
        "value renamed", M, within("LABEL http_requests_total method", "PATCH", "PATCHED"), "M012 warning, M013 warning"
    ),
    Case(
        "const value",
        M,
        both(swap("contract const metrics", "contract const all"), swap('contract="metrics"', 'contract="all"')),
        "M012 warning, M013 warning",
    ),
    Case("label closed", M, within("LABEL http_requests_total endpoint", "open", "match /.*"), "M012 warning"),
    Case("value added", M, within("LABEL http_requests_total method", "GET|", "GET|TRACE|"), "M013 warning"),
    Case("list opened", M, within("LABEL http_requests_total method", " enum ", " enum+ "), "M014 warning"),
    Case("pattern", M, within("LABEL http_requests_total status_code", "[1-5]", "[1-9]"), "M014 warning"),
    Case(
        "pattern dropped",
        M,
        within("LABEL contract_info version", " match [0-9]+\\.[0-9]+\\.[0-9]+", " open"),
        "M014 warning",
    ),
    Case("overflow renamed", M, within("LABEL http_requests_total endpoint", "__overflow__", "other"), "M015 warning"),
    Case(
        "overflow dropped",
        M,
        within("LABEL http_requests_total endpoint", " overflow=__overflow__", ""),
        "M015 warning",
    ),
    Case("bucket removed", M, within("BUCKETS http_request_duration_seconds", " 0.25", ""), "M020 warning"),
    Case("bucket moved", M, within("BUCKETS http_request_duration_seconds", " 2.5", " 2"), "M020 warning"),
    Case("series raised", M, within("SERIES http_requests_total", "max=1500", "max=1501"), "M030 warning"),
    Case("series over budget", M, within("SERIES http_requests_total", "max=1500", "max=9000"), "M030 error"),
    Case("series without bound", M, within("SERIES http_requests_total", "max=1500 ", ""), "M030 warning"),
    Case("more values", M, within("LABEL http_requests_total endpoint", "max=150", "max=200"), "M030 warning"),
    Case("budget raised", M, swap("BUDGET    series=10000", "BUDGET    series=20000"), "M030 warning"),
    Case("presence", M, within("SERIES search_operations_total", "always", "after-traffic"), "M031 warning"),
    Case("presence of another feature", M, within("SERIES health_up", "if=health", "if=database"), "M031 warning"),
    Case("init dropped", M, within("SERIES search_operations_total", " init=all", ""), "M031 warning"),
    Case("init of fewer", M, within("SERIES search_operations_total", "init=all", "init=status:error"), "M031 warning"),
    Case("job", M, swap("job=prethrift-backend", "job=backend"), "M040 error"),
    Case("path", M, swap("path=/metrics", "path=/internal/metrics"), "M040 error"),
    Case("interval", M, swap("interval=15s", "interval=60s"), "M041 warning"),
    Case("stability", M, within("META  http_requests_total", "stable", "beta"), "M060 error"),
    Case("stability of beta", M, within("META  health_up", "beta", "development"), "M060 warning"),
    Case("since", M, within("META  db_pool_wait_seconds", "since=1.1.0", "since=1.0.0"), "M060 warning"),
    Case("no successor", M, append("# DEPRECATED build_info since=2.0.0 remove=3.0.0"), "M005 info, V003 error"),
    Case(
        "short window",
        M,
        append("# DEPRECATED build_info since=2.0.0 remove=2.1.0 replaced-by=contract_info"),
        "M005 info, V003 error",
    ),
    Case("event removed", L, drop_block("EVENT request_failed"), "L001 error"),
    Case("beta event removed", L, drop_block("EVENT item_deleted"), "L001 warning"),
    Case("event renamed", L, rename("request_completed", "request_finished"), "L001 error"),
    Case(
        "field removed", L, within("EVENT request_completed", "  duration_ms          number >=0", "  # "), "L002 error"
    ),
    Case(
        "optional field removed",
        L,
        within("EVENT request_completed", "  query                object", "  # "),
        "L002 warning",
    ),
    Case("field renamed", L, within("EVENT request_completed", "ttfb_ms    ", "first_ms   "), "L002 error, L003 info"),
    Case("field optional", L, within("endpoint             string max=200   ", "required", ""), "L002 error"),
    Case("field type", L, within("EVENT request_completed", "int 100..599", "string      "), "L002 error"),
    Case(
        "whole numbers no longer",
        L,
        within("EVENT request_completed", "response_bytes       int", "response_bytes       number"),
        "L002 error",
    ),
    Case("null", L, within("EVENT request_completed", "number >=0 ", "number >=0 or-null "), "L002 error"),
    Case("common field removed", L, drop_block("FIELD *  logger"), "L002 error"),
    Case("level", L, within("EVENT request_failed", "level=error", "level=warning"), "L004 warning"),
    Case(
        "level below production", L, within("EVENT request_completed", "level=info|debug", "level=debug"), "L004 error"
    ),
    Case("secret key", L, swap("password|passwd", "passwd"), "L005 error"),
    Case("secret value", L, swap("jwt|pem", "pem"), "L005 error"),
    Case("count", L, within("EVENT request_failed", "count<=1/request", "count<=2/request"), "L006 warning"),
    Case("count no longer exact", L, within("EVENT request_completed", "count=1", "count<=1"), "L006 warning"),
    Case("longer lines", L, swap("max-bytes=16384", "max-bytes=32768"), "L006 warning"),
    Case("longer field", L, within("EVENT request_failed", "string max=200", "string max=400"), "L006 warning"),
    Case("trace", L, swap("[0-9a-f]{32}   required-if=span", "[0-9a-f]{32}"), "L007 error"),
    Case("request id on more conditions", L, swap("required-if=request", "required-if=request&span"), "L007 error"),
    Case(
        "value added",
        L,
        swap("enum development|staging|production", "enum development|staging|production|test"),
        "L010 warning",
    ),
    Case(
        "value removed", L, swap("enum development|staging|production", "enum development|production"), "L010 warning"
    ),
    Case("range", L, within("EVENT request_completed", "100..599", "100..999"), "L010 warning"),
    Case(
        "logger",
        L,
        within("EVENT request_failed", "logger=prethrift_backend.observability", "logger=prethrift"),
        "L011 warning",
    ),
    Case("several lines", L, swap(" one-per-line", ""), "L012 error"),
    Case("stability of an event", L, within("EVENT request_failed", "stable", "beta"), "M060 error"),
    Case("span removed", S, drop_block("SPAN picture"), "S001 warning"),
    Case("stable name removed", S, swap(" | HTTP {http.route} | HTTP\n", "\n"), "S001 error"),
    Case("name changed", S, swap("NAME read picture", "NAME open picture"), "S001 warning"),
    Case("name added", S, swap("NAME read picture", "NAME read picture | open picture"), "S001 warning, S005 warning"),
    Case("kind", S, swap("SPAN server kind=server", "SPAN server kind=internal"), "S002 error"),
    Case("scope", S, within("SPAN server", "scope=prethrift_backend.observability", "scope=asgi"), "S002 error"),
    Case("parent", S, swap(" parent=server", ""), "S002 warning"),
    Case("status", S, within("SPAN server", "STATUS unset | error", "STATUS unset | ok | error"), "S002 error"),
    Case("attribute removed", S, within("SPAN server", "  http.response.status_code  ", "  # "), "S003 error"),
    Case("attribute optional", S, within("prethrift.request_id  ", "required", ""), "S003 error"),
    Case("attribute type", S, within("SPAN server", "int 100..599", "string      "), "S003 error"),
    Case("optional attribute removed", S, within("SPAN server", "  url.scheme  ", "  # "), "S003 warning"),
    Case("resource", S, drop_block("RESOURCE service.instance.id"), "S003 error"),
    Case(
        "names without end",
        S,
        swap("NAME background\n", "NAME background | background {http.route}\n"),
        "S001 warning, S005 warning",
    ),
    Case("private key", S, swap("url.path|", ""), "S006 error"),
    Case("secret in a value", S, swap("jwt|pem", "pem"), "S006 error"),
    Case("more attributes", S, swap("max-attributes=64", "max-attributes=128"), "S009 warning"),
    Case("more links", S, within("SPAN server", "LINK caller count<=1", "LINK caller count<=9"), "S009 warning"),
    Case("more spans", S, within("SPAN server", "count<=1/request", "count<=2/request"), "S009 warning"),
    Case("scheme added", S, within("SPAN server", "enum http|https", "enum http|https|ws"), "S010 warning"),
    Case("exception event", S, drop_block("  EVENT exception"), "S011 error"),
    Case("setting removed", C, drop_block("SETTING TRACE_CONSOLE"), "C001 error"),
    Case("setting renamed", C, rename("TRACE_CONSOLE", "TRACE_STDOUT"), "C001 error, C006 info"),
    Case("setting type", C, swap("PORT                    int", "PORT                    str"), "C002 error"),
    Case("value no longer taken", C, swap("enum cumulative|delta", "enum cumulative"), "C002 error"),
    Case("default", C, swap("default=8000", "default=8080"), "C003 warning"),
    Case("default of one environment", C, swap("production:0.1 ", "production:1.0 "), "C003 warning"),
    Case("secret", C, within("SETTING METRICS_TOKEN", " secret", ""), "C004 error"),
    Case("required", C, within("SETTING OTLP_HEADERS", " secret", " secret required=production"), "C005 error"),
    Case(
        "new and required",
        C,
        append("SETTING CAT str default=unset group=models required=production"),
        "C005 error, C006 info",
    ),
    Case("endpoint", H, swap(", /health/checks/{name}", ""), "H001 error"),
    Case("status code", H, swap("unhealthy comes with 503", "unhealthy and degraded come with 503"), "H002 error"),
    Case("other status code", H, swap("comes with 503", "comes with 500"), "H002 error"),
    Case("field optional", H, swap('"uptime_seconds", "checks"]', '"checks"]'), "H003 error"),
    Case(
        "field removed",
        H,
        both(
            swap('    "version": { "type": "string", "minLength": 1 },\n', ""),
            swap('"version", "environment"', '"environment"'),
        ),
        "H003 error",
    ),
    Case(
        "type",
        H,
        swap('"uptime_seconds": { "type": "number"', '"uptime_seconds": { "type": ["number", "null"]'),
        "H003 error",
    ),
    Case("time no longer a time", H, swap('"format": "date-time", ', ""), "H003 error"),
    Case(
        "detail of another type",
        H,
        swap('"critical": { "type": "boolean" }', '"critical": { "type": "string" }'),
        "H003 error",
    ),
    Case(
        "other forms of detail",
        H,
        swap('{ "type": "number" },', '{ "type": "number" }, { "type": "null" },'),
        "H003 error",
    ),
    Case(
        "status added",
        H,
        swap('"healthy", "degraded", "unhealthy"', '"healthy", "degraded", "unhealthy", "dead"'),
        "H004 error",
    ),
    Case("code added", H, swap('"ok", "timeout"', '"ok", "slow", "timeout"'), "H004 error"),
    Case(
        "list opened",
        H,
        swap('{ "enum": ["development", "staging", "production"] }', '{ "type": "string" }'),
        "H004 error",
    ),
    Case(
        "field added to a closed object",
        H,
        swap('"version": {', '"colour": { "type": "string" }, "version": {'),
        "H005 error",
    ),
    Case("object opened", H, within('"check": {', '"additionalProperties": false,', ""), "H005 error"),
    Case("bound", H, swap('"maxLength": 200', '"maxLength": 2000'), "H009 warning"),
    Case(
        "bound dropped",
        H,
        swap('"age_seconds": { "type": "number", "minimum": 0 }', '"age_seconds": { "type": "number" }'),
        "H009 warning",
    ),
    Case("pattern", H, swap("[a-z0-9_]{0,63}$", "[a-z0-9_-]{0,63}$"), "H009 warning"),
    Case(
        "names of details",
        H,
        swap('"propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_.-]{0,63}$" },', ""),
        "H009 warning",
    ),
    Case("rule between fields", H, swap('"const": "unhealthy"', '"enum": ["unhealthy", "degraded"]'), "H011 error"),
    Case(
        "optional field removed",
        H,
        within('"history": {', ',\n              "code": { "$ref": "#/$defs/code" }', ""),
        "H013 warning",
    ),
    Case("case removed", COST, drop_block("BUDGET probe lines"), "O001 error"),
    Case("version of Python removed", COST, drop_block("BUDGET request py=3.11"), "O001 error"),
    Case("figure removed", COST, within("BUDGET request ", " label_lookups=0", ""), "O001 error"),
    Case(
        "figure raised", COST, within("BUDGET request ", "metric_operations=2", "metric_operations=3"), "O002 warning"
    ),
    Case("most raised", COST, within("BUDGET failed_request", "c_calls<=1100", "c_calls<=1200"), "O002 warning"),
]

HARMLESS = [
    Case("help", M, swap("Searches, by text or by picture", "Searches, by words or by picture"), "M050 info"),
    Case("owner", M, within("META  build_info", "owner=backend", "owner=sre"), "M050 info"),
    Case("comment", M, append("# some more words"), ""),
    Case("empty lines", M, append("\n"), ""),
    Case("columns", M, swap("LABEL http_requests_total method      enum", "LABEL http_requests_total method enum"), ""),
    Case("order of values", M, within("LABEL http_requests_total method", "GET|HEAD", "HEAD|GET"), ""),
    Case("sample", M, swap('version="0.1.0",python', 'version="0.2.0",python'), ""),
    Case("new family", M, append(NEW_FAMILY), "M005 info"),
    Case("new bucket", M, within("BUCKETS http_request_duration_seconds", " 5 10", " 5 7.5 10"), "M021 info"),
    Case("fewer series", M, within("SERIES http_requests_total", "max=1500", "max=1400"), "M030 info"),
    Case("smaller budget", M, swap("bytes=2097152", "bytes=1048576"), "M050 info"),
    Case("sooner there", M, within("SERIES http_requests_total", "after-traffic", "always"), "M031 info"),
    Case("more often", M, swap("interval=15s", "interval=10s"), "M041 info"),
    Case("firmer", M, within("META  health_up", "beta", "stable"), "M050 info"),
    Case(
        "deprecated in time",
        M,
        append("# DEPRECATED build_info since=1.2.0 remove=2.0.0 replaced-by=contract_info"),
        "M005 info",
    ),
    Case("one more library", M, append("# EXTERNAL cats_*"), ""),
    Case(
        "constant label",
        M,
        both(
            append("# LABEL build_info flavour const plain"),
            swap('{version="0.1.0",python', '{flavour="plain",version="0.1.0",python'),
        ),
        "M011 info",
    ),
    Case("event", L, append("EVENT cat_seen level=info logger=cats stability=beta"), "L008 info"),
    Case("field", L, within("EVENT request_failed", "\n", "\n  cat string max=10\n"), "L003 info"),
    Case(
        "required field",
        L,
        within(
            "EVENT request_completed",
            "error_type           string max=200",
            "error_type           string max=200 required",
        ),
        "L009 info",
    ),
    Case(
        "whole numbers",
        L,
        within("EVENT request_completed", "duration_ms          number", "duration_ms          int"),
        "L009 info",
    ),
    Case("shorter", L, within("EVENT request_failed", "max=200", "max=100"), "L009 info"),
    Case("one more secret", L, swap("password|passwd", "password|pin|passwd"), "L009 info"),
    Case("words", L, swap("# The life of the process.", "# From its start to its end."), ""),
    Case("attribute", S, within("SPAN server", "  url.scheme ", "  cat string max=10\n  url.scheme "), "S004 info"),
    Case("span", S, append(PICTURE_SPAN), "S007 info"),
    Case("key of a span", S, swap("SPAN picture kind", "SPAN photo kind"), ""),
    Case("shorter text", S, swap("max-text=4096", "max-text=2048"), "S008 info"),
    Case("one more private key", S, swap("url.path|", "url.path|url.fragment|"), "S008 info"),
    Case("setting", C, append("SETTING CAT str default=unset group=models"), "C006 info"),
    Case("value of a setting", C, swap("enum http|grpc", "enum http|grpc|json"), "C006 info"),
    Case("secret now", C, within("SETTING LOG_FILE", "group=observability", "group=observability secret"), "C007 info"),
    Case("not required", C, within("SETTING OTLP_ENDPOINT", " required=production", ""), "C007 info"),
    Case("group", C, within("SETTING PORT", "group=application", "group=server"), "C007 info"),
    Case("figure lowered", COST, within("BUDGET probe lines", "clock_calls=6", "clock_calls=5"), "O003 info"),
    Case("at most", COST, within("BUDGET probe lines", "clock_calls=6", "clock_calls<=6"), "O003 info"),
    Case("case", COST, append("BUDGET idle lines=0"), "O004 info"),
    Case("figure", COST, within("BUDGET probe lines", "clock_calls=6", "clock_calls=6 locks=1"), "O004 info"),
    Case("title", H, swap('"title": "Health"', '"title": "The health"'), "H010 info"),
    Case("description", H, swap("When the answer was made", "When it was made"), "H010 info"),
    Case("reason removed", H, swap('"starting", "draining"', '"draining"'), "H012 info"),
    Case("tighter bound", H, swap('"maxLength": 200', '"maxLength": 100'), "H012 info"),
    Case("now required", H, swap('"uptime_seconds", "checks"]', '"uptime_seconds", "checks", "reason"]'), "H012 info"),
    Case(
        "integers",
        H,
        swap('"uptime_seconds": { "type": "number"', '"uptime_seconds": { "type": "integer"'),
        "H012 info",
    ),
    Case(
        "order of keywords",
        H,
        swap('"type": "number", "minimum": 0 },\n    "reason"', '"minimum": 0, "type": "number" },\n    "reason"'),
        "",
    ),
    Case(
        "detail within the open ones",
        H,
        swap('"critical": { "type": "boolean" }', '"critical": { "type": "boolean" }, "cats": { "type": "integer" }'),
        "H014 info",
    ),
]


def _named(cases: list[Case]) -> list[object]:
    return [pytest.param(case, id=f"{case.file.partition('.')[0]}: {case.name}") for case in cases]


def _seen(case: Case, *, part: str) -> str:
    findings = findings_of(case.file, case.edit, part=part)
    return ", ".join(sorted({f"{finding.rule} {finding.level}" for finding in findings}))


@pytest.mark.parametrize("case", _named(BREAKING))
def test_an_edit_that_hurts_is_found(case: Case) -> None:
    """Exactly the expected rules speak, at the expected levels, when the major version is raised as it should be."""
    assert _seen(case, part="major") == case.expected


@pytest.mark.parametrize("case", _named(HARMLESS))
def test_a_harmless_edit_is_at_most_mentioned(case: Case) -> None:
    """Nothing above info is said when the minor version is raised, and no word is missing."""
    assert _seen(case, part="minor") == case.expected


def test_every_rule_is_in_the_table() -> None:
    """No rule is dead: each of the comparison is expected of some edit here."""
    expected = {word.split()[0] for case in BREAKING + HARMLESS for word in case.expected.split(", ") if word}

    assert expected | {"V001", "V002"} == {rule for rule in RULES if re.fullmatch(r"[MHLSCO]\d{3}|V00[123]", rule)}


def test_nothing_is_said_where_nothing_changed() -> None:
    """The same texts on both sides make no finding."""
    assert diff_contracts(read_folder(CONTRACTS), read_folder(CONTRACTS)) == ()


VERSIONS = [
    pytest.param(M, drop_family("build_info"), "minor", {"M001", "V001"}, id="breaks in a minor version"),
    pytest.param(M, drop_family("build_info"), None, {"M001", "V001", "V002"}, id="breaks in place"),
    pytest.param(M, drop_family("health_up"), "minor", {"M001"}, id="beta breaks in a minor version"),
    pytest.param(M, append(NEW_FAMILY), "patch", {"M005", "V001"}, id="adds in a patch version"),
    pytest.param(M, append("# words"), "patch", set(), id="words in a patch version"),
    pytest.param(M, append("# words"), None, {"V002"}, id="words in place"),
    pytest.param(M, with_version("0.9.0"), None, {"V002"}, id="down"),
    pytest.param(L, drop_block("EVENT request_failed"), "minor", {"L001", "V001"}, id="logs"),
    pytest.param(S, swap(" | HTTP {http.route} | HTTP\n", "\n"), "minor", {"S001", "V001"}, id="spans"),
    pytest.param(C, swap("default=8000", "default=8080"), "minor", {"C003", "V001"}, id="settings"),
    pytest.param(C, append("# words"), None, {"V002"}, id="settings in place"),
    pytest.param(H, swap('"ok", "timeout"', '"ok", "slow", "timeout"'), None, {"H004", "V001"}, id="health"),
    pytest.param(H, swap("contracts:health:1", "contracts:health:0"), None, {"V002"}, id="health down"),
    pytest.param(COST, drop_block("BUDGET probe lines"), "minor", {"O001", "V001"}, id="overhead"),
    pytest.param(COST, within("BUDGET probe lines", "=6", "=7"), "patch", {"O002", "V001"}, id="overhead raised"),
    pytest.param(COST, within("BUDGET probe lines", "=6", "=5"), "patch", {"O003"}, id="overhead lowered"),
    pytest.param(COST, append("# words"), None, {"V002"}, id="overhead in place"),
]


@pytest.mark.parametrize(("file", "edit", "part", "expected"), VERSIONS)
def test_the_version_has_to_follow(file: str, edit: Edit, part: str | None, expected: set[str]) -> None:
    """A change that breaks needs a major version, an addition a minor one, any other text at least a patch."""
    assert {finding.rule for finding in findings_of(file, edit, part=part)} == expected


def test_the_needed_version_is_named() -> None:
    """The fix is the line to write."""
    findings = findings_of(M, drop_family("build_info"), part="minor")

    major = int(load_metrics(CONTRACTS).version.partition(".")[0])
    fixes = [finding.fix for finding in findings if finding.rule == "V001"]
    assert fixes == [f"write '# CONTRACT metrics {major + 1}.0.0'"]


def test_a_family_that_was_announced_may_go() -> None:
    """A family goes in peace with the version that its DEPRECATED line named, and not before."""
    announced = append("# DEPRECATED build_info since=1.1.0 remove=9.0.0 replaced-by=contract_info")
    texts = read_folder(CONTRACTS).texts
    old = ContractTexts("old/", {M: announced(texts[M])})
    gone = drop_family("build_info")(texts[M])

    def levels(version: str) -> list[str]:
        new = ContractTexts("new/", {M: with_version(version)(gone)})
        return [finding.level for finding in diff_contracts(old, new) if finding.rule == "M001"]

    assert levels("9.0.0") == ["info"]
    assert levels("8.9.0") == ["error"]


def test_an_end_that_comes_earlier_is_an_error() -> None:
    """The version of a removal that was announced does not move to an earlier one."""
    line = "# DEPRECATED build_info since=1.1.0 remove={}.0.0 replaced-by=contract_info"
    texts = read_folder(CONTRACTS).texts
    old = ContractTexts("old/", {M: append(line.format(9))(texts[M])})
    new = ContractTexts("new/", {M: with_version("8.0.0")(append(line.format(8))(texts[M]))})

    assert [(finding.rule, finding.level) for finding in diff_contracts(old, new)] == [("M060", "error")]


def test_buckets_over_budget_are_a_warning() -> None:
    """New buckets for which the series of the budget no longer suffice are more than a piece of news."""
    edit = both(
        within("BUCKETS http_request_duration_seconds", " 5 10", " 5 7.5 10"),
        within("SERIES http_request_duration_seconds", "max=2800", "max=8000"),
    )

    seen = {(finding.rule, finding.level) for finding in findings_of(M, edit)}

    assert seen == {("M021", "warning"), ("M030", "error")}


def test_a_family_in_development_may_do_as_it_likes() -> None:
    """What is in development makes nothing above info and needs no more than a patch version."""
    texts = read_folder(CONTRACTS).texts
    early = within("META  build_info", "stable", "development")(texts[M])
    late = raise_version(drop_family("build_info")(early), "patch")

    findings = diff_contracts(ContractTexts("old/", {M: early}), ContractTexts("new/", {M: late}))

    assert [(finding.rule, finding.level) for finding in findings] == [("M001", "info")]


def test_a_contract_that_is_gone_is_an_error() -> None:
    """A file that the older side has does not just disappear; one that is new is welcome."""
    texts = read_folder(CONTRACTS).texts
    whole, part = ContractTexts("a/", texts), ContractTexts("b/", {M: texts[M]})

    assert {(f.rule, f.name) for f in diff_contracts(whole, part)} == {("V002", name) for name in (L, S, C, COST, H)}
    assert diff_contracts(part, whole) == ()


def test_a_bare_list_has_no_version_to_raise() -> None:
    """Names and labels without a CONTRACT line are compared as far as they go."""
    old, new = "cats_total{colour}\ndogs_total\n", "cats_total{colour,size}\n"

    findings = diff_contracts(ContractTexts("a/", {M: old}), ContractTexts("b/", {M: new}))

    assert {finding.rule for finding in findings} == {"M001", "M011"}
    assert {finding.level for finding in findings} == {"info"}


CONSUMERS = [
    pytest.param(M, drop_family("health_up"), "- alert: Down\n  expr: health_up == 0\n", "M001 error", id="alert"),
    pytest.param(
        M,
        within("LABEL http_requests_total method", "PATCH|", ""),
        '- alert: A\n  expr: http_requests_total{method="PATCH"} > 1\n',
        "M012 error",
        id="value",
    ),
    pytest.param(
        M,
        within("LABEL http_requests_total method", "PATCH|", ""),
        '- alert: A\n  expr: http_requests_total{method="GET"} > 1\n',
        "M012 warning",
        id="other value",
    ),
    pytest.param(
        M,
        within("BUCKETS http_request_duration_seconds", " 0.25", ""),
        '- record: a\n  expr: http_request_duration_seconds_bucket{le="0.25"}\n',
        "M020 error",
        id="le",
    ),
    pytest.param(
        M,
        within("BUCKETS http_request_duration_seconds", " 0.25", ""),
        '- record: a\n  expr: http_request_duration_seconds_bucket{le="0.5"}\n',
        "M020 warning",
        id="other le",
    ),
    pytest.param(
        M,
        swap("interval=15s", "interval=60s"),
        "- record: a\n  expr: rate(b_total[3m])\n",
        "M041 error",
        id="range",
    ),
    pytest.param(
        M,
        swap("interval=15s", "interval=60s"),
        "- record: a\n  expr: rate(b_total[4m])\n",
        "M041 warning",
        id="long range",
    ),
    pytest.param(
        M,
        within("SERIES search_operations_total", " init=all", ""),
        "- record: a\n  expr: absent(search_operations_total)\n",
        "M031 error",
        id="absent",
    ),
    pytest.param(
        L,
        within("EVENT request_failed", "level=error", "level=warning"),
        '- alert: A\n  expr: count_over_time({app="a"} |= `request_failed`[5m])\n',
        "L004 error",
        id="event",
    ),
    pytest.param(C, swap("default=8000", "default=8080"), "- name: PORT\n  value: x\n", "C003 error", id="setting"),
    pytest.param(
        S,
        within("SPAN server", "enum http|https", "enum http|https|ws"),
        "- name: a\n  query: url.scheme\n",
        "S010 error",
        id="attribute",
    ),
]


@pytest.mark.parametrize(("file", "edit", "consumer", "expected"), CONSUMERS)
def test_a_consumer_makes_a_warning_an_error(
    file: str, edit: Edit, consumer: str, expected: str, tmp_path: Path
) -> None:
    """What may break is an error where a rule uses it, and the finding says where."""
    path = tmp_path / "rules.yml"
    path.write_text(f"groups:\n{consumer}", encoding="utf-8")

    findings = findings_of(file, edit, consumers=read_consumers([tmp_path]))

    found = {f"{finding.rule} {finding.level}": finding for finding in findings}
    assert expected in found
    assert {place.path for place in found[expected].consumers} == ({str(path)} if "error" in expected else set())


def test_a_finding_names_its_place() -> None:
    """The place is the line of the new file."""
    finding = findings_of(M, within("META  http_requests_total", "stable", "beta"))[0]

    assert finding.place is not None
    assert finding.place.path == "new/metrics.txt"
    lines = read_folder(CONTRACTS).texts[M].splitlines()
    assert lines[(finding.place.line or 0) - 1].startswith("# HELP http_requests_total ")
