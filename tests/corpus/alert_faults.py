"""Rules that never fire, always fire, or fire for something else than they say; and what may be said otherwise.

They are small changes of the rules in ``ops/prometheus/rules``.
"""

from __future__ import annotations

from typing import Final

from tests.corpus.change import Change, Edit, File

_ALERTS: Final = File("ops/prometheus/rules/alerts.yml")
_RECORDING: Final = File("ops/prometheus/rules/recording.yml")

_TESTS: Final = File("ops/prometheus/tests/saturation_test.yml")

_RATIO: Final = """          sum by (job, environment) (rate(http_requests_total{status_code=~"5.."}[5m]))
            / sum by (job, environment) (rate(http_requests_total[5m]))
            > 0.05
"""
_SEED: Final = """          rate(http_requests_total{status_code=~"5.."}[5m])
            / rate(http_requests_total[5m])
            > 0.05
"""
_RATIO_LABELS: Final = (
    "http_requests_total[5m])) > 0.1\n        for: 5m\n        labels: {severity: critical, team: backend,"
)
_QUANTILE: Final = (
    "histogram_quantile(0.95, sum by (le, job, environment) (rate(http_request_duration_seconds_bucket[5m]))) > 1\n"
)
_LATE_LOOP: Final = "sum by (le, job, environment, instance) (rate(event_loop_lag_seconds_bucket[5m]))"
_SEARCHES: Final = '(rate(search_operations_total{status="error"}[5m]))'
_SEARCH_SUMMARY: Final = "of the {{ $labels.search_type }} searches fail"
_HEALTH_GONE: Final = '          or absent(up{job="prethrift-health"})\n'
_DATABASE: Final = 'health_check_up{job="prethrift-backend",check="database"} == 0'
_TWO_MATCHERS: Final = 'job="prethrift-backend",check="database"'
_TURNED_MATCHERS: Final = 'check="database",job="prethrift-backend"'
_POOL: Final = 'db_pool_connections{state="in_use"}\n            / ignoring (state) '
_QUEUE: Final = "embedding_queue_length > 200"
_STALLS: Final = "increase(event_loop_stalls_total[10m]) > 0"
_FIRES: Final = "- eval_time: 15m\n        alertname: EventLoopStalled"
_DOWN_LABELS: Final = f"{_DATABASE}\n        for: 1m\n        labels: {{severity: critical, team: backend, "
_LATE: Final = """> 0.1
        for: 5m
        labels: {severity: warning, team: backend, service: prethrift}
        annotations:
          summary: 'The event loop on"""
_SLOW_5M: Final = 'http_request_duration_seconds_bucket{le="0.5"}[5m]'
_TRAFFIC: Final = "name: prethrift-traffic\n    interval: 30s"
_TWICE: Final = """      - record: job:http_requests:rate1h
        expr: sum by (job, environment) (rate(http_requests_total[1h]))"""


def _breaks(rule: str, name: str, edit: Edit, *, command: str = "lint-queries") -> Change:
    return Change(name, "alerts", command, rule, (edit,))


def _fits(name: str, edit: Edit) -> Change:
    return Change(name, "alerts", "lint-queries", None, (edit,))


_ON_QUERIES: Final = (
    _breaks("PQ000", "an expression does not end", _ALERTS.within(_STALLS, ")", "")),
    _breaks("PQ000", "a key is mistyped", _ALERTS.within(f"{_DATABASE}\n        for", "for", "four")),
    _breaks("PQ001", "the seed's alert: each series by itself", _ALERTS.swap(_RATIO, _SEED)),
    _breaks("PQ002", "a name that is not exported", _ALERTS.within(_STALLS, "stalls", "stall")),
    _breaks("PQ002", "a recorded name is mistyped", _ALERTS.within("http_slow:ratio_rate3d", "rate3d", "rate3")),
    _breaks("PQ003", "a label that the family has not", _ALERTS.within(_DATABASE, "check=", "name=")),
    _breaks("PQ004", "a value that is not allowed", _ALERTS.within(_SEARCHES, "error", "failed")),
    _breaks("PQ004", "a bucket that is not there", _RECORDING.within(_SLOW_5M, "0.5", "0.4")),
    _breaks("PQ005", "a counter against a threshold", _ALERTS.swap(_STALLS, "event_loop_stalls_total > 0")),
    _breaks("PQ005", "the rate of a gauge", _ALERTS.swap(_QUEUE, "rate(embedding_queue_length[5m]) > 200")),
    _breaks("PQ006", "a quantile loses its buckets", _ALERTS.within(_QUANTILE, "le, job", "job")),
    _breaks("PQ007", "a threshold above the last bucket", _ALERTS.within(_QUANTILE, "> 1\n", "> 15\n")),
    _breaks("PQ008", "a range of two scrapes", _ALERTS.within(_LATE_LOOP, "[5m]", "[30s]")),
    _breaks("PQ009", "two sides with other labels", _ALERTS.within(_POOL, " ignoring (state)", "")),
    _breaks("PQ010", "an alert that compares with nothing", _ALERTS.within(_STALLS, " > 0", "")),
    _breaks("PQ011", "a target that is gone is not noticed", _ALERTS.cut(_HEALTH_GONE)),
    _breaks("PQ011", "a job that nobody scrapes", _ALERTS.within(_DATABASE, "prethrift-backend", "backend")),
    _breaks("PQ013", "absence of what comes with traffic", _ALERTS.swap(_QUEUE, "absent(http_requests_total)")),
    _breaks("PQ014", "a label that was added up", _ALERTS.within(_SEARCH_SUMMARY, "search_type", "instance")),
    _breaks("PQ014", "a value among the labels", _ALERTS.within(_RATIO_LABELS, "team", "ratio: '{{ $value }}', team")),
    _breaks("PQ015", "topk in an alert", _ALERTS.swap(_STALLS, f"topk(3, {_STALLS.replace(' > ', ') > ')}")),
    _breaks("PQ015", "one name is recorded twice", _RECORDING.append(_TWICE)),
    _breaks("PQ015", "a group that leaves gaps", _RECORDING.within(_TRAFFIC, "30s", "10m")),
    _breaks(
        "PQ001",
        "the seed's alert, by the command line",
        _ALERTS.swap(_RATIO, _SEED),
        command="lint-queries (command line)",
    ),
)

_WITH_TESTS: Final = (
    _breaks(
        "A004",
        "an alert without a runbook",
        _ALERTS.cut("          runbook_url: docs/runbooks/DatabaseDown.md\n"),
        command="lint",
    ),
    _breaks(
        "A004",
        "a runbook that is not there",
        _ALERTS.swap("runbooks/DatabaseDown.md", "runbooks/DatabaseGone.md"),
        command="lint",
    ),
    _breaks("A005", "an alert that no test makes fire", _TESTS.within(_FIRES, "Stalled", "Lag"), command="lint"),
    _breaks(
        "A001", "an alert is gone", _ALERTS.swap("alert: EventLoopStalled", "alert: EventLoopHeld"), command="diff"
    ),
    _breaks(
        "A001", "an alert calls nobody at night", _ALERTS.within(_DOWN_LABELS, "critical", "warning"), command="diff"
    ),
    _breaks(
        "A001",
        "an alert loses a label that leads it",
        _ALERTS.within(_DOWN_LABELS, "team: backend, ", ""),
        command="diff",
    ),
    _breaks("A002", "another expression and the old tests", _ALERTS.within(_STALLS, "[10m]", "[20m]"), command="diff"),
    _breaks("A003", "an alert waits longer", _ALERTS.within(_LATE, "for: 5m", "for: 30m"), command="diff"),
)

ALERT_FAULTS: Final = (*_ON_QUERIES, *_WITH_TESTS)

ALERT_HARMLESS: Final = (
    _fits(
        "a description in other words", _ALERTS.swap("Traces have gaps from here on", "From here on traces have gaps")
    ),
    _fits("a longer range", _ALERTS.within(_LATE_LOOP, "[5m]", "[10m]")),
    _fits("brackets that change nothing", _ALERTS.swap(_QUEUE, f"({_QUEUE})")),
    _fits("matchers in another order", _ALERTS.within(_DATABASE, _TWO_MATCHERS, _TURNED_MATCHERS)),
    _fits("an expression on two lines", _ALERTS.swap(f"expr: {_DATABASE}", f"expr: >-\n          {_DATABASE}")),
    _fits("a comment more", _RECORDING.append("# the end")),
    _fits("a group that is evaluated more often", _RECORDING.within(_TRAFFIC, "30s", "15s")),
    _fits(
        "labels in another order",
        _ALERTS.within(_RATIO_LABELS, "severity: critical, team: backend", "team: backend, severity: critical"),
    ),
)
