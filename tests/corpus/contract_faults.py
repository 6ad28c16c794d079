"""Contracts that change so that a consumer is hurt, or that are none; and changes that nobody can hold against them.

Unless a change is about versions, its author has raised the version as far as it has to be.
"""

from __future__ import annotations

from typing import Final

from tests.corpus.change import UNREADABLE, Change, Edit, File, Part

METRICS: Final = File("contracts/metrics.txt", in_columns=True)
LOGS: Final = File("contracts/logs.txt", in_columns=True)
SPANS: Final = File("contracts/spans.txt", in_columns=True)
SETTINGS: Final = File("contracts/settings.txt", in_columns=True)
COSTS: Final = File("contracts/overhead.txt", in_columns=True)
EXCEPTIONS: Final = File("contracts/exceptions.txt")
HEALTH: Final = File("contracts/health.schema.json")

NEW_FAMILY: Final = """# HELP cats_total Cats.
# TYPE cats_total counter
# META cats_total stability=beta since=1.2.0
# SERIES cats_total max=1 presence=always
cats_total 1"""
_STALLS: Final = """# HELP event_loop_stalls_total Times that the event loop was held for a second or more.
# TYPE event_loop_stalls_total counter
# META event_loop_stalls_total stability=beta since=1.1.0 owner=backend
# SERIES event_loop_stalls_total max=1 presence=always
event_loop_stalls_total 1
"""
_METHODS: Final = "http_requests_total method enum GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|_OTHER"
_BUCKETS: Final = "BUCKETS http_request_duration_seconds 0.005 0.01 0.025 0.05 0.1 0.25"
_ENDPOINT: Final = "LABEL http_requests_total endpoint open max=150"
_PYTHON: Final = "# LABEL build_info python_version open max=1\n"
_COMPLETED: Final = "EVENT request_completed level=info|debug"
_FAILED: Final = "EVENT request_failed level=error logger=prethrift_backend.observability stability=stable count<="
DELETED_EVENT: Final = "EVENT item_deleted level=info logger=prethrift_backend.catalogue.service stability=beta\n"
_PICTURE: Final = "NAME read picture\n"
_WHY: Final = "  error.type string max=200 required-if=error\n"
_SENT: Final = f"# as it was sent\n{_WHY}"
_TRACE_ID: Final = "FIELD * trace_id match [0-9a-f]{32}"
_METRICS_TOKEN: Final = "SETTING METRICS_TOKEN str default=unset group=observability"
_BUCKET: Final = "SETTING IMAGES_BUCKET str default=prethrift-images group=AWS"
_REQUEST: Final = "BUDGET request lines=1 spans=0 metric_operations=2 label_lookups=0 clock_calls=7"
_STATUSES: Final = '"enum": ["healthy", "degraded", "unhealthy"] },\n    "time"'


def _breaks(rule: str, name: str, *edits: Edit, raises: Part | None = "major") -> Change:
    return Change(name, "contracts", "diff", rule, edits, raises=raises)


def _lint(rule: str, name: str, *edits: Edit) -> Change:
    return Change(name, "contracts", "lint", rule, edits)


def _fits(name: str, *edits: Edit, raises: Part | None = "minor") -> Change:
    return Change(name, "contracts", "diff", None, edits, raises=raises)


_OF_METRICS: Final = (
    _breaks("M001", "a family is gone", METRICS.cut(_STALLS)),
    _breaks("M002", "a family is renamed", METRICS.swap(_STALLS, _STALLS.replace("loop_stalls", "loop_holds"))),
    _breaks("M003", "a family has another type", METRICS.swap("TYPE build_info gauge", "TYPE build_info untyped")),
    _breaks(
        "M004",
        "a family has another unit",
        METRICS.swap(
            "META http_request_duration_seconds stability=stable since=1.0.0 owner=backend unit=seconds",
            "META http_request_duration_seconds stability=stable since=1.0.0 owner=backend unit=ms",
        ),
    ),
    _breaks(
        "M010",
        "a label is dropped",
        METRICS.cut(_PYTHON),
        METRICS.cut(',python_version="3.11.2"'),
    ),
    _breaks(
        "M011",
        "a label is added",
        METRICS.after(_PYTHON, "# LABEL build_info host open max=1\n"),
        METRICS.after('python_version="3.11.2"', ',host="a"'),
    ),
    _breaks("M012", "an allowed value is gone", METRICS.swap(_METHODS, _METHODS.replace("|PATCH", ""))),
    _breaks("M013", "a closed list grows", METRICS.swap(_METHODS, _METHODS.replace("|PATCH", "|PATCH|TRACE"))),
    _breaks(
        "M014",
        "a pattern takes more",
        METRICS.swap("http_requests_total status_code match [1-5]", "http_requests_total status_code match [1-9]"),
    ),
    _breaks(
        "M015",
        "an overflow value is renamed",
        METRICS.swap(f"{_ENDPOINT} overflow=__overflow__", f"{_ENDPOINT} overflow=other"),
    ),
    _breaks("M020", "a bucket is taken away", METRICS.swap(_BUCKETS, _BUCKETS.removesuffix(" 0.25"))),
    _breaks(
        "M030",
        "a family may have more series",
        METRICS.swap("http_requests_total max=1500", "http_requests_total max=2500"),
    ),
    _breaks(
        "M031",
        "a series comes later",
        METRICS.swap(
            "search_operations_total max=6 presence=always init=all",
            "search_operations_total max=6 presence=after-traffic",
        ),
    ),
    _breaks("M040", "the job is renamed", METRICS.swap("job=prethrift-backend", "job=backend")),
    _breaks("M041", "the scrape comes seldom", METRICS.swap("interval=15s", "interval=60s")),
    _breaks(
        "M060",
        "a promise is softened",
        METRICS.swap("http_requests_total stability=stable", "http_requests_total stability=beta"),
    ),
    _breaks(
        "V003", "a deprecation names no successor", METRICS.append("# DEPRECATED build_info since=2.0.0 remove=3.0.0")
    ),
)

_OF_LOGS_AND_SPANS: Final = (
    _breaks("L001", "an event is renamed", LOGS.swap("EVENT item_ingested", "EVENT item_added")),
    _breaks(
        "L002", "a field need not be there", LOGS.swap("response_bytes int >=0 required", "response_bytes int >=0")
    ),
    _breaks("L004", "an event is not written in production", LOGS.swap(_COMPLETED, _COMPLETED.replace("info|", ""))),
    _breaks("L005", "a secret may be logged", LOGS.swap("NEVER-KEY password|passwd", "NEVER-KEY passwd")),
    _breaks("L006", "an event comes twice a request", LOGS.swap(f"{_FAILED}1", f"{_FAILED}2")),
    _breaks("L007", "a line needs no trace id", LOGS.swap(f"{_TRACE_ID} required-if=span", _TRACE_ID)),
    _breaks("S001", "a span has another name", SPANS.swap(_PICTURE, "NAME load picture\n")),
    _breaks("S002", "a span has another kind", SPANS.swap("SPAN database kind=client", "SPAN database kind=internal")),
    _breaks(
        "S003", "an attribute need not be there", SPANS.swap("picture.bytes int >=0 required", "picture.bytes int >=0")
    ),
    _breaks("S006", "an address may be in a span", SPANS.cut("client.address|")),
    _breaks(
        "S011",
        "a span loses its link",
        SPANS.cut(
            "  LINK caller count<=1                                                               # TRACE_TRUST=link\n"
        ),
    ),
)

_OF_SETTINGS_AND_HEALTH: Final = (
    _breaks("C001", "a setting is renamed", SETTINGS.swap("SETTING LOG_FILE", "SETTING LOG_PATH")),
    _breaks("C002", "a setting has another type", SETTINGS.swap("SETTING PORT int", "SETTING PORT str")),
    _breaks("C003", "a default changes", SETTINGS.swap("default=8000", "default=8080")),
    _breaks("C004", "a secret is none any more", SETTINGS.swap(f"{_METRICS_TOKEN} secret", _METRICS_TOKEN)),
    _breaks("C005", "a setting becomes required", SETTINGS.after(_BUCKET, " required=production")),
    _breaks(
        "O001",
        "a case has no budget",
        COSTS.cut("BUDGET silent_request          py=3.11 opcodes=1658 c_calls=41 allocations<=140 peak_bytes<=5000\n"),
    ),
    _breaks("O002", "a request may cost more", COSTS.within(_REQUEST, "clock_calls=7", "clock_calls=8")),
    _breaks("H003", "a field of health may be missing", HEALTH.swap('"uptime_seconds", "checks"]', '"checks"]')),
    _breaks(
        "H004", "health has a new word", HEALTH.swap(_STATUSES, _STATUSES.replace('"unhealthy"', '"unhealthy", "gone"'))
    ),
)

_OF_VERSIONS: Final = (
    _breaks(
        "V001",
        "what breaks has a minor version",
        METRICS.swap("TYPE build_info gauge", "TYPE build_info untyped"),
        raises="minor",
    ),
    _breaks("V001", "what is new has a patch version", METRICS.append(NEW_FAMILY), raises="patch"),
    _breaks(
        "V002",
        "words change under one version",
        METRICS.swap("Searches, by text or", "Searches, by words or"),
        raises=None,
    ),
    _breaks(
        "V001",
        "health changes under one version",
        HEALTH.swap('"ok", "timeout"', '"ok", "slow", "timeout"'),
        raises=None,
    ),
)

_BY_THEMSELVES: Final = (
    _lint(
        "FM001",
        "a name says one unit, META another",
        METRICS.swap(
            "since=1.1.0 owner=backend unit=seconds\n# BUCKETS db_pool_wait_seconds",
            "since=1.1.0 owner=backend unit=bytes\n# BUCKETS db_pool_wait_seconds",
        ),
    ),
    _lint(
        "FM004",
        "help that repeats the name",
        METRICS.swap("HELP build_info 1, labelled with what is running.", "HELP build_info Build info."),
    ),
    _lint("FM006", "all families together above the budget", METRICS.swap("BUDGET series=10000", "BUDGET series=5000")),
    _lint(
        "FM007",
        "nothing bounds a label",
        METRICS.swap("LABEL build_info version open max=1", "LABEL build_info version open"),
        METRICS.swap("SERIES build_info max=1 presence", "SERIES build_info presence"),
    ),
    _lint(
        "FM010", "a time-out above the interval", METRICS.swap("interval=15s timeout=10s", "interval=15s timeout=20s")
    ),
    _lint("FM012", "a library's name takes a promised family", METRICS.append("# EXTERNAL build_*")),
    _lint(
        "FM014",
        "a label that Prometheus sets itself",
        METRICS.swap("LABEL embedding_cache_requests_total result", "LABEL embedding_cache_requests_total job"),
        METRICS.swap('embedding_cache_requests_total{result="hit"}', 'embedding_cache_requests_total{job="hit"}'),
    ),
    _lint("FL001", "one field with two types", LOGS.after(DELETED_EVENT, "  picture_bytes string max=20\n")),
    _lint(
        "FL002",
        "a failure that is told at info",
        LOGS.swap("EVENT warm_up_failed level=warning", "EVENT warm_up_failed level=info"),
    ),
    _lint("FS005", "a span that can fail does not say why", SPANS.within(_SENT, _WHY, "")),
    _lint("FO002", "a figure has two limits", COSTS.after("BUDGET probe py=3.11", " lines=1")),
    _lint("FE001", "a secret that is not marked", SETTINGS.swap(f"{_METRICS_TOKEN} secret", _METRICS_TOKEN)),
    _lint("FE004", "a setting without its unit", SETTINGS.swap("SETTING DRAIN_SECONDS", "SETTING DRAIN_TIMEOUT")),
    _lint("FX001", "one name with two lists of values", METRICS.swap(_METHODS, _METHODS.replace("|PATCH", ""))),
    _lint(
        "V004", "an exception that nothing needs", EXCEPTIONS.append('FM001 build_info until=2099-01-01 reason="none"')
    ),
    _lint("V004", "an exception that ran out", EXCEPTIONS.append('FM001 build_info until=2026-01-01 reason="none"')),
)

_UNREADABLE: Final = (
    _lint(UNREADABLE, "a directive that does not exist", METRICS.append("# LABLE build_info host open max=1")),
    _lint(
        UNREADABLE,
        "a bound below what is promised",
        METRICS.swap("search_operations_total max=6", "search_operations_total max=5"),
    ),
    _lint(UNREADABLE, "a family twice", METRICS.append(f"{_STALLS}")),
    _lint(UNREADABLE, "a type that does not exist", LOGS.swap("response_bytes int >=0", "response_bytes integer >=0")),
    _lint(
        UNREADABLE,
        "a kind of span that does not exist",
        SPANS.swap("SPAN database kind=client", "SPAN database kind=outgoing"),
    ),
    _lint(
        UNREADABLE,
        "a default that is none of its values",
        SETTINGS.swap("enum http|grpc default=http", "enum http|grpc default=json"),
    ),
)

CONTRACT_FAULTS: Final = (
    *_BY_THEMSELVES,
    *_UNREADABLE,
    *_OF_METRICS,
    *_OF_LOGS_AND_SPANS,
    *_OF_SETTINGS_AND_HEALTH,
    *_OF_VERSIONS,
)

CONTRACT_HARMLESS: Final = (
    Change("a comment on an exception", "contracts", "lint", None, (EXCEPTIONS.append("# none so far"),)),
    _fits("help is reworded", METRICS.swap("Searches, by text or", "Searches, by words or"), raises="patch"),
    _fits("a comment more", METRICS.append("# what else there is to say"), raises="patch"),
    _fits("an empty line more", METRICS.append("\n\n"), raises="patch"),
    _fits("values in another order", METRICS.swap(_METHODS, _METHODS.replace("GET|HEAD", "HEAD|GET")), raises="patch"),
    _fits("another sample", METRICS.swap('build_info{version="0.1.0"', 'build_info{version="0.2.0"'), raises="patch"),
    _fits("a family more", METRICS.append(NEW_FAMILY)),
    _fits("a bucket more", METRICS.after(_BUCKETS, " 0.3")),
    _fits("fewer series", METRICS.swap("http_requests_total max=1500", "http_requests_total max=1400")),
    _fits("an event more", LOGS.append("EVENT cat_seen level=info logger=cats stability=beta")),
    _fits("an optional field more", LOGS.after(DELETED_EVENT, "  reason string max=20\n")),
    _fits("another secret is never logged", LOGS.swap("NEVER-KEY password", "NEVER-KEY password|pin")),
    _fits("an attribute more", SPANS.after(_PICTURE, "  picture.format string max=10\n")),
    _fits("a setting more", SETTINGS.append("SETTING CAT str default=unset group=models")),
    _fits("health described in other words", HEALTH.swap("When the answer was made", "When it was made"), raises=None),
    _fits(
        "keywords in another order",
        HEALTH.swap(
            '{ "type": "number", "minimum": 0 },\n    "reason"', '{ "minimum": 0, "type": "number" },\n    "reason"'
        ),
        raises=None,
    ),
)
