"""Contracts by themselves: for each rule one edit of the real files that breaks it, and one like it that does not."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.contract_edits import CONTRACTS, Edit, append, both, swap, within

from prethrift_backend.contracts import load_contracts
from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.findings import Finding
from prethrift_backend.verify.lint.contracts import lint_contracts
from prethrift_backend.verify.rules.lint import RULES

METRICS, LOGS, SPANS, SETTINGS = "metrics.txt", "logs.txt", "spans.txt", "settings.txt"
HEALTH = "health.schema.json"
OVERHEAD = "overhead.txt"


@dataclass(frozen=True)
class Case:
    """An edit of one file that breaks a rule, and one that keeps it."""

    rule: str
    file: str
    bad: Edit
    good: Edit


def _family(name: str, *lines: str, kind: str = "gauge", words: str = "Parcels on their way to a customer.") -> Edit:
    head = (f"# HELP {name} {words}", f"# TYPE {name} {kind}")
    return append("\n".join((*head, *(f"# {line}" for line in lines))))


def _labelled(label: str, *, kind: str = "gauge", name: str = "parcels", series: str = "max=2") -> Edit:
    return _family(name, f"LABEL {name} {label}", f"SERIES {name} {series}", kind=kind)


def _event(name: str, options: str, *fields: str) -> Edit:
    return append("\n".join((f"EVENT {name} {options}", *(f"  {one}" for one in fields))))


def _span(key: str, *lines: str, options: str = "kind=internal scope=shop") -> Edit:
    return append("\n".join((f"SPAN {key} {options}", *(f"  {line}" for line in lines))))


def _setting(line: str) -> Edit:
    return append(f"SETTING {line} group=shop")


_HISTOGRAM = (
    'parcel_seconds_bucket{le="1"} 3\nparcel_seconds_bucket{le="+Inf"} %s\nparcel_seconds_sum 2\nparcel_seconds_count 3'
)
_BUCKETS = "# HELP parcel_seconds Way of a parcel.\n# TYPE parcel_seconds histogram\n# BUCKETS parcel_seconds 1\n"

CASES = [
    Case(
        "FM001",
        METRICS,
        _family("parcels", "META parcels unit=bytes"),
        _family("parcel_bytes", "META parcel_bytes unit=bytes"),
    ),
    Case("FM002", METRICS, _family("parcel_age_ms"), _family("parcel_age_seconds")),
    Case("FM003", METRICS, _family("parcelsOnTheWay"), _family("parcels_on_the_way")),
    Case("FM003", METRICS, _family("parcel_gauge"), _family("parcel_gauges")),
    Case("FM003", METRICS, _family("shop:parcels"), _family("shop_parcels")),
    Case("FM003", METRICS, _labelled("ofKind enum a|b"), _labelled("of_kind enum a|b")),
    Case("FM004", METRICS, _family("parcels", words="The number of parcels."), _family("parcels", words="Sent ones.")),
    Case("FM004", METRICS, _family("parcels", words="TODO"), _family("parcels", words="What is to be sent.")),
    Case("FM005", METRICS, append("health_up 1"), append('db_pool_connections{state="size"} 1')),
    Case("FM005", METRICS, append(_BUCKETS + _HISTOGRAM % 2), append(_BUCKETS + _HISTOGRAM % 3)),
    Case("FM005", METRICS, append(_BUCKETS + _HISTOGRAM % 4), append(_BUCKETS + _HISTOGRAM % 3)),
    Case(
        "FM005",
        METRICS,
        append('embedding_operations_total{operation_type="text",status="error"} -1'),
        append('embedding_operations_total{operation_type="text",status="error"} 0'),
    ),
    Case("FM006", METRICS, swap("series=10000", "series=1000"), swap("series=10000", "series=11000")),
    Case("FM006", METRICS, swap("bytes=2097152", "bytes=100000"), swap("bytes=2097152", "bytes=2097153")),
    Case(
        "FM007",
        METRICS,
        _labelled("kind open", series="presence=after-traffic"),
        _labelled("kind open", series="max=3 presence=after-traffic"),
    ),
    Case("FM007", METRICS, _labelled("kind enum a|b", series="presence=always"), _labelled("kind enum a|b")),
    Case(
        "FM008",
        METRICS,
        _labelled("kind enum a|b", name="parcels_total", kind="counter", series="max=2 presence=always"),
        _labelled("kind enum a|b", name="parcels_total", kind="counter", series="max=2 presence=always init=all"),
    ),
    Case(
        "FM008",
        METRICS,
        _labelled("kind enum a|b", series="max=2 presence=after-traffic init=all"),
        _labelled("kind enum a|b", series="max=2 presence=if=shop init=all"),
    ),
    Case(
        "FM009",
        METRICS,
        _family("parcels", "META parcels expires=1.0.0"),
        _family("parcels", "META parcels expires=9.0.0"),
    ),
    Case(
        "FM009",
        METRICS,
        append("# DEPRECATED old_total since=1.0.0 remove=2.0.0 replaced-by=health_up"),
        append("# DEPRECATED old_total since=0.1.0 remove=1.0.0 replaced-by=health_up"),
    ),
    Case("FM010", METRICS, swap("timeout=10s", "timeout=16s"), swap("timeout=10s", "timeout=15s")),
    Case("FM010", METRICS, swap("path=/metrics", "path=metrics"), swap("path=/metrics", "path=/all-metrics")),
    Case("FM010", METRICS, swap("scrape_seconds=0.5", "scrape_seconds=10"), swap("scrape_seconds=0.5", "")),
    Case(
        "FM011",
        METRICS,
        _family("parcels", "META parcels stability=stable since=1.0.0"),
        _family("parcels", "META parcels stability=beta since=1.0.0"),
    ),
    Case(
        "FM011",
        METRICS,
        _family("parcels", "META parcels since=9.0.0"),
        _family("parcels", "META parcels since=1.1.0"),
    ),
    Case("FM012", METRICS, append("# EXTERNAL health_*"), append("# EXTERNAL healthy_*")),
    Case("FM013", METRICS, _labelled("user_id open max=3"), _labelled("user_kind open max=3")),
    Case("FM013", METRICS, _labelled("id open max=3"), _labelled("id enum a|b")),
    Case("FM014", METRICS, _labelled("instance open max=3"), _labelled("instances open max=3")),
    Case("FM015", METRICS, _labelled("kind match [a-z]* max=3"), _labelled("kind match [a-z]+ max=3")),
    Case("FM015", METRICS, _labelled("kind match .+ max=3"), _labelled("kind match [^/]+ max=3")),
    Case(
        "V003",
        METRICS,
        append("# DEPRECATED health_up since=1.0.0 remove=2.0.0"),
        append("# DEPRECATED health_up since=1.0.0 remove=2.0.0 replaced-by=health_check_up"),
    ),
    Case(
        "V003",
        METRICS,
        append("# DEPRECATED health_up since=1.0.0 remove=1.9.0 replaced-by=health_check_up"),
        append("# DEPRECATED health_up since=1.9.0 remove=2.0.0 replaced-by=health_check_up"),
    ),
    Case(
        "FL001",
        LOGS,
        _event("parcel_sent", "level=info", "status_code string"),
        _event("parcel_sent", "level=info", "status_code int"),
    ),
    Case("FL002", LOGS, _event("parcel_lost", "level=info"), _event("parcel_lost", "level=info|warning")),
    Case("FL002", LOGS, swap("debug|info|warning|error|critical", "debug|info|warning|error"), swap("16384", "16385")),
    Case(
        "FL002",
        LOGS,
        _event("parcel_sent", "level=debug stability=stable"),
        _event("parcel_sent", "level=debug stability=beta"),
    ),
    Case(
        "FL003",
        LOGS,
        swap("FIELD * timestamp date-time required", "FIELD * timestamp date-time"),
        swap("FIELD * logger string max=200 required", "FIELD * logger string max=200"),
    ),
    Case("FL003", LOGS, swap("FIELD * trace_id match [0-9a-f]{32} required-if=span", ""), swap("max-bytes=16384 ", "")),
    Case(
        "FL004",
        LOGS,
        _event("parcel_sent", "level=info", "user_password string"),
        _event("parcel_sent", "level=info", "password_age int"),
    ),
    Case("FL004", SPANS, _span("parcel", "NAME parcel", "auth.token string"), _span("parcel", "NAME parcel", "x int")),
    Case("FL005", LOGS, swap("jwt|pem|bearer|basic|dsn-password|card-number", "jwt|pem"), swap("16384", "16385")),
    Case("FL005", SPANS, swap("|private_key|session_id", "|private_key"), swap("url.full|url.query", "url.query")),
    Case(
        "FL006",
        LOGS,
        _event("parcel_sent", "level=info", "way string max=16384"),
        _event("parcel_sent", "level=info", "way string max=16383"),
    ),
    Case("FL006", SPANS, swap("max-attributes=64", "max-attributes=3"), swap("max-attributes=64", "max-attributes=32")),
    Case("FL006", SPANS, swap("max-text=4096", "max-text=1000"), swap("max-text=4096", "max-text=5000")),
    Case(
        "FL007",
        LOGS,
        _event("parcel_sent", "level=info", "way string required-if=LOG_DATADOGS"),
        _event("parcel_sent", "level=info", "way string required-if=LOG_DATADOG"),
    ),
    Case(
        "FL007",
        LOGS,
        _event("parcel_sent", "level=info", "way string required-if=reqest"),
        _event("parcel_sent", "level=info", "way string required-if=checkout"),
    ),
    Case("FS001", SPANS, both(_span("one", "NAME a {x}", "x int"), _span("two", "NAME a {y}", "y int")), append("# x")),
    Case(
        "FS002",
        SPANS,
        _span("parcel", "NAME parcel {parcel.id}", "parcel.id string", "error.type string required-if=error"),
        _span("parcel", "NAME parcel {parcel.kind}", "parcel.kind string", "error.type string required-if=error"),
    ),
    Case(
        "FS003",
        SPANS,
        _span("parcel", "NAME parcel", "parcelKind string", "OPEN"),
        _span("parcel", "NAME parcel", "parcel.kind_of_2 string", "OPEN"),
    ),
    Case(
        "FS004",
        SPANS,
        _span("parcel", "NAME parcel", "server.port string", "OPEN"),
        _span("parcel", "NAME parcel", "server.port int", "OPEN"),
    ),
    Case(
        "FS005",
        SPANS,
        _span("parcel", "NAME parcel", "STATUS unset | error"),
        _span("parcel", "NAME parcel", "STATUS unset"),
    ),
    Case(
        "FS005",
        SPANS,
        _span("parcel", "NAME parcel", "error.type string required"),
        _span("parcel", "NAME parcel", "error.type string required-if=error"),
    ),
    Case(
        "FS006",
        SPANS,
        _span("parcel", "NAME parcel", "OPEN", options="kind=internal scope=shop parent=parcel"),
        _span("parcel", "NAME parcel", "OPEN", options="kind=internal scope=shop parent=server"),
    ),
    Case(
        "FS007",
        SPANS,
        swap("RESOURCE service.name string required # SERVICE_NAME", "RESOURCE service.name string"),
        swap("RESOURCE telemetry.sdk.version string required", "RESOURCE telemetry.sdk.version string"),
    ),
    Case("FE001", SETTINGS, _setting("SHOP_TOKEN str default=unset"), _setting("SHOP_TOKEN str default=unset secret")),
    Case("FE002", SETTINGS, _setting("SHOP_KEYRING str default=abc secret"), _setting("SHOP_KEYRING str default=abc")),
    Case(
        "FE003",
        SETTINGS,
        _setting("SHOP_NAME str default=abc required=production"),
        _setting("SHOP_NAME str default=development:abc,staging:unset,production:unset required=production"),
    ),
    Case("FE004", SETTINGS, _setting("SHOP_TIMEOUT float default=1"), _setting("SHOP_TIMEOUT_SECONDS float default=1")),
    Case(
        "FH001",
        HEALTH,
        swap('"type": "number", "minimum": 0 },\n    "reason"', '"type": "numbr" },\n    "reason"'),
        str,
    ),
    Case("FH002", HEALTH, swap('"format": "date-time"', '"format": "datetime"'), swap('"date-time"', '"date"')),
    Case(
        "FH003",
        HEALTH,
        swap('"status": { "enum": ["healthy", "degraded", "unhealthy"] }', '"status": { "type": "string" }'),
        swap('"enum": ["healthy", "degraded", "unhealthy"]', '"enum": ["unhealthy", "healthy", "degraded"]'),
    ),
    Case(
        "FH004",
        HEALTH,
        within('"type": "object"', '"additionalProperties": false', '"additionalProperties": true'),
        within('"check": {', '"additionalProperties": false', '"additionalProperties": true'),
    ),
    Case(
        "FH005",
        HEALTH,
        swap('"required": ["at", "status"]', '"required": ["at", "state"]'),
        swap('"required": ["at", "status"]', '"required": ["at"]'),
    ),
    Case(
        "FH005",
        HEALTH,
        swap('"enum": ["healthy", "degraded", "unhealthy"]', '"enum": ["healthy", "degraded", "unhealthy", "healthy"]'),
        swap('"required": ["at", "status"]', '"required": ["at"]'),
    ),
    Case("FO001", OVERHEAD, append("BUDGET idle lines=-1"), append("BUDGET idle lines=0")),
    Case("FO001", OVERHEAD, append("BUDGET idle lines=1.5"), append("BUDGET idle ratio<=1.5")),
    Case("FO001", OVERHEAD, append("BUDGET idle peak_bytes=900"), append("BUDGET idle peak_bytes<=900")),
    Case(
        "FO002",
        OVERHEAD,
        within("BUDGET probe py=3.11", "c_calls=36", "c_calls=36 lines=1"),
        within("BUDGET probe py=3.11", "c_calls=36", "c_calls=36 locks=1"),
    ),
    Case(
        "FO003",
        OVERHEAD,
        append("BUDGET idle py=3.11 opcodes=9"),
        append("BUDGET idle lines=0\nBUDGET idle py=3.11 opcodes=9"),
    ),
    Case(
        "FX001",
        LOGS,
        within("EVENT request_failed", "PATCH|DELETE|OPTIONS", "PATCH|DELETE"),
        _event("parcel_sent", "level=info", "method enum post|courier"),
    ),
    Case(
        "FX001",
        METRICS,
        lambda text: text.replace("POST|PUT|PATCH", "POST|PUT"),
        _labelled("status enum open|closed", series="max=2"),
    ),
    Case("FX001", HEALTH, swap('"development", "staging", "production"', '"development", "production"'), str),
]


def _findings(folder: Path, case: Case, edit: Edit) -> list[Finding]:
    shutil.copytree(CONTRACTS, folder, dirs_exist_ok=True)
    path = folder / case.file
    path.write_text(edit(path.read_text(encoding="utf-8")), encoding="utf-8")
    return lint_contracts(load_contracts(folder))


def _ids() -> list[str]:
    return [f"{case.rule}-{at}" for at, case in enumerate(CASES)]


@pytest.mark.parametrize("case", CASES, ids=_ids())
def test_a_broken_rule_is_found_with_its_place(tmp_path: Path, case: Case) -> None:
    """The edit that breaks the rule makes a finding of that rule in that folder."""
    found = [finding for finding in _findings(tmp_path, case, case.bad) if finding.rule == case.rule]

    assert found
    assert all(finding.place is not None and finding.place.path.startswith(str(tmp_path)) for finding in found)
    assert all(finding.fix and finding.message for finding in found)


@pytest.mark.parametrize("case", CASES, ids=_ids())
def test_what_is_like_it_and_allowed_is_no_finding(tmp_path: Path, case: Case) -> None:
    """The edit that keeps the rule makes no finding of that rule."""
    found = [finding for finding in _findings(tmp_path, case, case.good) if finding.rule == case.rule]

    assert found == []


def test_every_rule_over_contracts_has_both_fixtures() -> None:
    """No rule is without an edit that breaks it and one that keeps it."""
    assert {case.rule for case in CASES} == {rule.id for rule in RULES if rule.id.startswith("F")} | {"V003"}


def test_the_own_contracts_are_clean() -> None:
    """The files of this project break none of the rules."""
    assert lint_contracts(load_contracts(CONTRACTS)) == []


def test_a_folder_of_metrics_alone_is_linted(tmp_path: Path) -> None:
    """What is not there is not demanded."""
    shutil.copy(CONTRACTS / METRICS, tmp_path)

    assert lint_contracts(load_contracts(tmp_path)) == []


def test_a_format_that_cannot_be_checked_here_is_no_fault_of_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the health schema cannot be judged: that is said as such, with the line that installs it."""
    monkeypatch.setattr("prethrift_backend.verify.lint.health.find_spec", lambda _module: None)

    with pytest.raises(ContractError, match=r"rfc3339_validator.*pip install 'prethrift-backend\[contracts\]'"):
        list(lint_contracts(load_contracts(CONTRACTS)))
