"""Code whose lines and spans are not those that it promised."""

from __future__ import annotations

from typing import Final

from tests.corpus.change import Change, Edit
from tests.corpus.code_files import (
    EXCHANGE,
    HEALTH_GROUPS,
    HTTP_EXCHANGE,
    NAMES,
    PIPELINE,
    REDACTION,
    RENDERING,
    SETUP,
    TRACING,
)


def _breaks(rule: str, name: str, *edits: Edit, command: str = "verify (backend)") -> Change:
    return Change(name, "code", command, rule, edits)


_LOG_CALL: Final = 'self._telemetry.log("debug" if is_quiet else "info", REQUEST_COMPLETED, line, self.context)'
_OWN_TRACE_HEADER: Final = '        others.append((TRACE_ID_HEADER, self._span.trace_id.encode("ascii")))\n'
_ROUTE: Final = '            "endpoint": endpoint,\n            "status_code": status,\n'
_METHOD: Final = '            attributes["http.request.method"] = outcome.method\n'
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
        "LG014",
        "bearer tokens are not hidden",
        REDACTION.swap(r'_SCHEME.sub(rf"\1\2{REDACTED}", cleaned))', "cleaned)"),
    ),
    _breaks(
        "LG003",
        "what ends a line for some is not escaped",
        RENDERING.swap("_UNSAFE.sub(_escape, rendered)) +", "rendered) +"),
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

_IN_PROCESS: Final = (
    _breaks(
        "LV040",
        "readiness answers 200 while down",
        HEALTH_GROUPS.swap("return self.statuses[status]", "return 200"),
        command="verify --app",
    ),
    _breaks(
        "LG020",
        "no line of what no route took",
        HTTP_EXCHANGE.swap(
            "self._log(outcome, is_quiet=is_quiet)", "outcome.status < 400 and self._log(outcome, is_quiet=is_quiet)"
        ),
        command="verify --app",
    ),
    _breaks("SP004", "a span without its method", HTTP_EXCHANGE.cut(_METHOD), command="verify --app"),
)

RECORD_FAULTS: Final = (*_OF_LINES, *_OF_SPANS, *_IN_PROCESS)
