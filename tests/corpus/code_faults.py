"""Code whose process says something else at its endpoints than it promised."""

from __future__ import annotations

from typing import Final

from tests.corpus.change import Change, Edit
from tests.corpus.code_files import (
    ENDPOINTS,
    EXCHANGE,
    EXPOSITION,
    EXPOSITION_TEXT,
    HEALTH_BODIES,
    HEALTH_FAMILIES,
    HEALTH_GROUPS,
    HEALTH_HTTP,
    HEALTH_STATUS,
    HTTP_EXCHANGE,
    METRICS,
    NAMES,
    REQUEST_METRICS,
)


def _breaks(rule: str, name: str, *edits: Edit, command: str = "verify (backend)") -> Change:
    return Change(name, "code", command, rule, edits)


_COUNTED: Final = "counts.count_request(outcome.method, outcome.endpoint,"

_METHOD: Final = "return method if method in METHODS else OTHER_METHOD\n"

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
    _breaks("LG007", "any word is a method", ENDPOINTS.swap(_METHOD, "return method\n")),
    _breaks(
        "LV123",
        "any word is a method, and is exported as it came",
        ENDPOINTS.swap(_METHOD, "return method\n"),
        METRICS.swap("admitted.append(value if fault is None else label.overflow)", "admitted.append(value)"),
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

CODE_FAULTS: Final = (*_OF_REQUESTS, *_OF_SCRAPES, *_OF_HEALTH)
