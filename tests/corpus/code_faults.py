"""Code that says something else of itself than it promised; and code that is written otherwise and says the same."""

from __future__ import annotations

from typing import Final

from tests.corpus.change import Change, Edit, File

_SRC: Final = "src/prethrift_backend"
NAMES: Final = File(f"{_SRC}/observability/_names.py")
EXCHANGE: Final = File(f"{_SRC}/observability/_exchange.py")
HTTP_EXCHANGE: Final = File(f"{_SRC}/observability/_http_exchange.py")
PIPELINE: Final = File(f"{_SRC}/observability/_pipeline.py")
RENDERING: Final = File(f"{_SRC}/observability/_rendering.py")
REDACTION: Final = File(f"{_SRC}/observability/redaction.py")
TRACING: Final = File(f"{_SRC}/observability/tracing.py")
SETUP: Final = File(f"{_SRC}/observability/setup.py")
REQUEST_METRICS: Final = File(f"{_SRC}/observability/_request_metrics.py")
ENDPOINTS: Final = File(f"{_SRC}/observability/_endpoints.py")
EXPOSITION: Final = File(f"{_SRC}/observability/exposition.py")
EXPOSITION_TEXT: Final = File(f"{_SRC}/observability/_exposition_text.py")
METRICS: Final = File(f"{_SRC}/observability/metrics.py")
HEALTH_HTTP: Final = File(f"{_SRC}/health/http.py")
HEALTH_BODIES: Final = File(f"{_SRC}/health/_bodies.py")
HEALTH_GROUPS: Final = File(f"{_SRC}/health/groups.py")
HEALTH_STATUS: Final = File(f"{_SRC}/health/status.py")
HEALTH_FAMILIES: Final = File(f"{_SRC}/health/families.py")
SERVICE: Final = File(f"{_SRC}/catalogue/service.py")
PICTURES: Final = File(f"{_SRC}/catalogue/pictures.py")
SETTINGS: Final = File(f"{_SRC}/config/settings.py")
MAIN: Final = File(f"{_SRC}/main.py")


def _breaks(rule: str, name: str, *edits: Edit, command: str = "verify (backend)") -> Change:
    return Change(name, "code", command, rule, edits)


def _fits(name: str, *edits: Edit, command: str = "verify (backend)") -> Change:
    return Change(name, "code", command, None, edits)


_COUNTED: Final = "counts.count_request(outcome.method, outcome.endpoint,"

_OF_REQUESTS: Final = (
    _breaks("LV120", "a family that is fed is renamed", NAMES.swap('"http_requests_total"', '"http_request_total"')),
    _breaks("LV120", "the class of a status in its place", REQUEST_METRICS.swap("str(status)", 'f"{status // 100}xx"')),
    _breaks(
        "LV121",
        "durations are counted of errors alone",
        REQUEST_METRICS.swap("if self._durations is not None:", "if self._durations is not None and status >= 500:"),
    ),
    _breaks(
        "LV122", "the raw path as endpoint", HTTP_EXCHANGE.within(_COUNTED, "outcome.endpoint", 'self.scope["path"]')
    ),
    _breaks(
        "LV120",
        "probes are counted as requests",
        HTTP_EXCHANGE.swap("        if not is_quiet:\n", "        if self is not None:\n"),
    ),
    _breaks("LV124", "what is in progress never ends", EXCHANGE.cut("        self._open.discard(self)\n")),
)

_OF_SCRAPES: Final = (
    _breaks("LV062", "the scrape says no charset", EXPOSITION.swap("{self.version}; charset=utf-8", "{self.version}")),
    _breaks(
        "LV061",
        "the scrape has the type of a page",
        EXPOSITION.swap('_Offer("text/plain", "0.0.4"', '_Offer("text/html", "0.0.4"'),
    ),
    _breaks(
        "LV063",
        "OpenMetrics is not served",
        EXPOSITION.swap("_OFFERS: Final = (_TEXT, _OPENMETRICS)", "_OFFERS: Final = (_TEXT,)"),
    ),
    _breaks(
        "LV064",
        "OpenMetrics has no end",
        EXPOSITION_TEXT.cut("    if openmetrics:\n        yield END_OF_OPENMETRICS\n"),
    ),
    _breaks(
        "LV065",
        "gzip is not ended",
        EXPOSITION.swap(
            "[*filter(None, map(compressor.compress, pieces)), compressor.flush()]",
            "[*filter(None, map(compressor.compress, pieces))]",
        ),
    ),
    _breaks("LV021", "another version of the contract", METRICS.swap("version=contract.version,", 'version="0.9.0",')),
    _breaks(
        "LV022",
        "another digest of the contract",
        METRICS.swap("sha256=contract.sha256)", "sha256=contract.sha256[::-1])"),
    ),
    _breaks(
        "LV081",
        "nothing begins at 0",
        METRICS.swap(
            "in family.initial_label_sets() if family.labels else ((),):", "in () if family.labels else ((),):"
        ),
    ),
    _breaks(
        "LV085",
        "families have no help",
        METRICS.swap(
            'self.family.name.removesuffix("_total"), self.family.help,',
            'self.family.name.removesuffix("_total"), "Help.",',
        ),
    ),
    _breaks(
        "LV084",
        "a counter is called a gauge",
        EXPOSITION_TEXT.swap('        name += "_total"\n', '        name, kind = name + "_total", "gauge"\n'),
    ),
)

_OF_HEALTH: Final = (
    _breaks(
        "LV040", "a probe answers 200 while down", HEALTH_GROUPS.swap("return self.statuses[status]", "return 200")
    ),
    _breaks(
        "LV031",
        "liveness depends on the database",
        HEALTH_HTTP.swap('answers = {"live": self._live,', 'answers = {"live": self._ready_answer,'),
    ),
    _breaks(
        "LV041",
        "a 503 without Retry-After",
        HEALTH_HTTP.swap("if status_code == 503 else ()\n    length", "if status_code == 500 else ()\n    length"),
    ),
    _breaks("LV034", "health may be cached", HEALTH_HTTP.swap('(("cache-control", "no-store"), (', "((")),
    _breaks(
        "LV055",
        "details are shown to strangers",
        HEALTH_HTTP.swap(
            'return is_equal and scheme.lower() == "bearer" and self._token != b""', 'return self._token != b""'
        ),
    ),
    _breaks("LV050", "a word that is no status", HEALTH_STATUS.swap('UNHEALTHY = "unhealthy"', 'UNHEALTHY = "down"')),
    _breaks("LV050", "a time without its zone", HEALTH_BODIES.cut('.replace("+00:00", "Z")')),
    _breaks(
        "LV052",
        "a time of when the process started",
        HEALTH_HTTP.swap("timestamp=self._utc_now(),", "timestamp=datetime(2026, 1, 1, tzinfo=UTC),"),
    ),
    _breaks("LV042", "what is told is always new", HEALTH_BODIES.swap("round(report.age_seconds, 3)", "0.0")),
    _breaks(
        "LV035",
        "HEAD is answered otherwise than GET",
        HEALTH_HTTP.swap(
            "response = await answer(asked)\n",
            'response = await answer(asked) if method == "GET" else _response(404, (), b"")\n',
        ),
    ),
    _breaks(
        "LV059",
        "a service that is down is up in its metrics",
        HEALTH_FAMILIES.swap("float(moment.overall.status is not HealthStatus.UNHEALTHY)", "1.0"),
    ),
    _breaks(
        "LV059",
        "a check has another name in its metrics",
        HEALTH_FAMILIES.swap(
            "yield (report.check.name,), float(report.settled",
            'yield (f"check_{report.check.name}",), float(report.settled',
        ),
    ),
)

_LOG_CALL: Final = 'self._telemetry.log("debug" if is_quiet else "info", REQUEST_COMPLETED, line, self.context)'
_OWN_TRACE_HEADER: Final = '        others.append((TRACE_ID_HEADER, self._span.trace_id.encode("ascii")))\n'
_ROUTE: Final = '            "endpoint": endpoint,\n            "status_code": status,\n'
_METHOD: Final = '            attributes["http.request.method"] = outcome.method\n'
_NAME: Final = 'return method if endpoint == UNMATCHED else f"{method} {endpoint}"'
_ATTRIBUTES: Final = 'attributes: dict[str, str | bool | int | float] = {"prethrift.request_id": request.request_id}\n'
_RECORDED: Final = "            kind=SpanKind.SERVER,\n            status=self._status,\n"
_EXEMPLAR: Final = '{"trace_id": self.trace_id, "span_id": self.span_id}'
_CLIENT: Final = '            "client_disconnected": status == CLIENT_CLOSED_REQUEST,\n'

_OF_LINES: Final = (
    _breaks("LG020", "a second line of each request", HTTP_EXCHANGE.after(_LOG_CALL, f"\n            {_LOG_CALL}")),
    _breaks(
        "LG020",
        "no line of what failed",
        HTTP_EXCHANGE.swap(
            "self._log(outcome, is_quiet=is_quiet)", "outcome.status < 400 and self._log(outcome, is_quiet=is_quiet)"
        ),
    ),
    _breaks(
        "LG006", "a required field is left out", HTTP_EXCHANGE.within(_ROUTE, '            "endpoint": endpoint,\n', "")
    ),
    _breaks(
        "LG007",
        "a status code as a text",
        HTTP_EXCHANGE.within(_ROUTE, '"status_code": status', '"status_code": str(status)'),
    ),
    _breaks(
        "LG008",
        "a field that nobody promised",
        HTTP_EXCHANGE.after(_CLIENT, '            "path": self.scope["path"],\n'),
    ),
    _breaks("LG009", "an event that nobody promised", NAMES.swap('"request_completed"', '"request_done"')),
    _breaks("LG011", "an event at another level", HTTP_EXCHANGE.within(_LOG_CALL, '"info"', '"warning"')),
    _breaks(
        "LG014", "bearer tokens are not hidden", REDACTION.swap('_SCHEME.sub(rf"\1\2{REDACTED}", cleaned))', "cleaned)")
    ),
    _breaks(
        "LG003",
        "what ends a line for some is not escaped",
        RENDERING.swap(
            '(rendered if rendered.isascii() and b"\\x7f" not in rendered else _UNSAFE.sub(_escape, rendered)) + b"\\n"',
            'rendered + b"\\n"',
        ),
    ),
    _breaks(
        "CR002",
        "the answer names another trace than the line",
        EXCHANGE.within(_OWN_TRACE_HEADER, "self._span.trace_id", "self._span.trace_id[::-1]"),
    ),
    _breaks("CR001", "an answer without its trace", EXCHANGE.cut(_OWN_TRACE_HEADER)),
    _breaks(
        "CR002",
        "a line without its trace",
        PIPELINE.swap(
            "        if ids is None:\n            return\n        line[",
            "        if request is not None:\n            return\n        line[",
        ),
    ),
)

_OF_SPANS: Final = (
    _breaks(
        "SP001",
        "a status as the name of a span",
        HTTP_EXCHANGE.swap("self._span.end(name, attributes,", "self._span.end(str(outcome.status), attributes,"),
    ),
    _breaks("SP002", "a server's span of another kind", TRACING.within(_RECORDED, "SERVER", "INTERNAL")),
    _breaks("SP004", "a required attribute is left out", HTTP_EXCHANGE.cut(_METHOD)),
    _breaks(
        "SP005",
        "an attribute of another type",
        HTTP_EXCHANGE.swap(
            '["http.response.status_code"] = outcome.status', '["http.response.status_code"] = str(outcome.status)'
        ),
    ),
    _breaks(
        "SP012",
        "the raw path in a span",
        HTTP_EXCHANGE.after(_METHOD, '            attributes["url.path"] = self.scope["path"]\n'),
    ),
    _breaks(
        "SP010", "a resource without its service", SETUP.cut('            "service.name": settings.service_name,\n')
    ),
    _breaks(
        "CR005",
        "the trace of a caller is not continued",
        TRACING.swap("if caller is not None and is_trusted:", "if caller is None and is_trusted:"),
    ),
    _breaks(
        "CR004",
        "exemplars name another trace",
        TRACING.within(_EXEMPLAR, '"trace_id": self.trace_id', '"trace_id": self.trace_id[::-1]'),
    ),
)

_INGESTED: Final = '_log.info("item_ingested", item_id=str(item.id), picture_bytes=stored.size_bytes)'
_DELETED: Final = '_log.info("item_deleted", item_id=str(item_id))'
_COUNT: Final = "self._requests.labels(method=method, endpoint=endpoint, status_code=str(status))"
_CONNECTION: Final = "self._connections.labels(endpoint=endpoint, close_code=str(close_code))"
_BACKGROUND: Final = "self._background.labels(status=status)"
_PICTURE_SPAN: Final = 'kind=SpanKind.INTERNAL, attributes={"picture.bytes": len(data)}'
_SLOW: Final = "trace_slow_seconds: _SecondsOrNone = _observability(\n        1.0,"
_METRICS_TOKEN: Final = "metrics_token: Annotated[SecretStr, _Token] | None"
_POOL: Final = '    metrics.observe("db_pool_connections", partial(_pool_readings, parts.postgres))\n'
_IMPORTS: Final = "from uuid import UUID, uuid4\n"


def _lint(rule: str, name: str, *edits: Edit) -> Change:
    return _breaks(rule, name, *edits, command="lint (code)")


_OF_SOURCE: Final = (
    _lint("V006", "an event that is called otherwise", SERVICE.within(_INGESTED, "item_ingested", "item_added")),
    _lint("CD008", "an event at another level than promised", SERVICE.within(_DELETED, "info", "error")),
    _lint(
        "CD008", "an event without a required field", SERVICE.within(_INGESTED, ", picture_bytes=stored.size_bytes", "")
    ),
    _lint("CD008", "an event with a field that is not promised", SERVICE.within(_DELETED, "))", "), by=1)")),
    _lint(
        "CD007",
        "the name of an event is put together",
        SERVICE.within(_DELETED, '"item_deleted"', 'f"item_deleted_{item_id}"'),
    ),
    _lint("CD010", "a secret in a field of a line", SERVICE.within(_DELETED, "))", '), password="x")')),
    _lint("CD003", "a label is dropped", REQUEST_METRICS.within(_COUNT, ", status_code=str(status)", "")),
    _lint("CD003", "a label is added", REQUEST_METRICS.within(_CONNECTION, "(endpoint", '(host="a", endpoint')),
    _lint(
        "CD009",
        "a label with a value that is not allowed",
        REQUEST_METRICS.swap('direction="received"', 'direction="in"'),
    ),
    _lint(
        "CD006",
        "a raw path as the value of a label",
        HTTP_EXCHANGE.within(_COUNTED, "outcome.endpoint", 'self.scope["path"]'),
    ),
    _lint(
        "CD005",
        "a metric is made past the contract",
        SERVICE.after(_IMPORTS, '\nfrom prometheus_client import Counter\n\nCATS = Counter("cats_total", "Cats.")\n'),
    ),
    _lint(
        "CD001",
        "a gauge is made where a counter is promised",
        METRICS.swap("_PARENTS.get(family.kind)", '_PARENTS.get({"counter": "gauge"}.get(family.kind, family.kind))'),
    ),
    _lint(
        "CD004", "a bucket is left out", METRICS.swap('{"buckets": family.buckets}', '{"buckets": family.buckets[1:]}')
    ),
    _lint(
        "CD016",
        "a series is not there at the start",
        METRICS.swap("in family.initial_label_sets() if", "in family.initial_label_sets()[1:] if"),
    ),
    _lint("V006", "a family that nobody feeds", MAIN.cut(_POOL)),
    _lint("V006", "a setting is renamed", SETTINGS.swap("    aws_region: Annotated", "    s3_region: Annotated")),
    _lint("CD013", "another default of a setting", SETTINGS.swap("_application(8000,", "_application(8080,")),
    _lint("CD013", "a secret that is none any more", SETTINGS.within(_METRICS_TOKEN, "SecretStr", "str")),
    _lint(
        "CD014",
        "the environment is read past the settings",
        MAIN.after(
            "def _require_database(settings: Settings) -> None:\n",
            '    if os.environ.get("NO_DATABASE"):\n        return\n',
        ),
    ),
    _lint("V006", "a promised endpoint is elsewhere", MAIN.swap('Route("/metrics"', 'Route("/internal/metrics"')),
    _lint(
        "CD015",
        "a promised endpoint does not answer GET",
        MAIN.swap("mark_quiet(metrics)))", 'mark_quiet(metrics), methods=["POST"]))'),
    ),
    _lint(
        "CD011",
        "an id in the name of a span",
        PICTURES.swap("ChildSpan(__name__, READING_SPAN,", 'ChildSpan(__name__, f"read picture {len(data)}",'),
    ),
    _lint(
        "V006",
        "a span that is called otherwise",
        PICTURES.swap("READING_SPAN: Final = ", 'READING_SPAN: Final = "open picture"  # '),
    ),
    _lint("CD012", "an attribute that nothing sets", PICTURES.within(_PICTURE_SPAN, "picture.bytes", "picture.size")),
)

CODE_FAULTS: Final = (*_OF_REQUESTS, *_OF_SCRAPES, *_OF_HEALTH, *_OF_LINES, *_OF_SPANS, *_OF_SOURCE)

CODE_HARMLESS: Final = (
    _fits(
        "a comment more",
        HTTP_EXCHANGE.swap(
            "        counts = self._telemetry.requests\n        try:",
            "        counts = self._telemetry.requests  # as they are\n        try:",
        ),
    ),
)
