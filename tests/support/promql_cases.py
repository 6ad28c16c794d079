"""Expressions and what the lint has to say of each, over a small contract of their own."""

from __future__ import annotations

from typing import Final

from prethrift_backend.contracts import MetricsContract, parse_metrics

CONTRACT_TEXT: Final = """\
# CONTRACT metrics 1.0.0
# SCRAPE job=shop path=/metrics interval=15s timeout=10s

# HELP http_requests_total Requests.
# TYPE http_requests_total counter
# LABEL http_requests_total method enum GET|POST|_OTHER overflow=_OTHER
# LABEL http_requests_total endpoint open max=20 overflow=__overflow__
# LABEL http_requests_total status_code match [1-5][0-9][0-9] max=30
# SERIES http_requests_total max=900 presence=after-traffic

# HELP http_request_duration_seconds Time.
# TYPE http_request_duration_seconds histogram
# LABEL http_request_duration_seconds endpoint open max=20 overflow=__overflow__
# BUCKETS http_request_duration_seconds 0.1 0.5 1 2.5 10
# SERIES http_request_duration_seconds max=160 presence=after-traffic

# HELP search_operations_total Searches.
# TYPE search_operations_total counter
# LABEL search_operations_total search_type enum text|visual
# LABEL search_operations_total status enum success|error
# SERIES search_operations_total max=4 presence=always init=all

# HELP faults_total Faults.
# TYPE faults_total counter
# LABEL faults_total kind enum+ disk|net max=5
# SERIES faults_total max=5 presence=after-error

# HELP pool_connections Connections.
# TYPE pool_connections gauge
# LABEL pool_connections state enum idle|in_use
# SERIES pool_connections max=2 presence=always

# HELP queue_length Waiting.
# TYPE queue_length gauge
# SERIES queue_length max=1 presence=always

# HELP build_info 1.
# TYPE build_info gauge
# LABEL build_info version open max=1
# SERIES build_info max=1 presence=always
# DEPRECATED requests_total since=0.9.0 remove=2.0.0 replaced-by=http_requests_total
# EXTERNAL process_* python_*
"""

_REQUESTS: Final = "http_requests_total"
_FAILED: Final = 'http_requests_total{status_code=~"5.."}'
_BUCKETS: Final = "http_request_duration_seconds_bucket"


def make_contract() -> MetricsContract:
    """Parse the contract of the cases."""
    return parse_metrics(CONTRACT_TEXT, source="metrics.txt")


# Context, expression, and every rule that has to be among the findings.
WRONG: Final[tuple[tuple[str, str, str], ...]] = (
    # PQ000: no PromQL
    ("panel", "", "PQ000"),
    ("panel", "sum(queue_length", "PQ000"),
    ("panel", "rate(queue_length)", "PQ000"),
    ("panel", "nonsense(queue_length)", "PQ000"),
    ("panel", 'queue_length{a=~"["}', "PQ000"),
    ("panel", 'up{job="shop" or job="other"}', "PQ000"),
    ("panel", "rate(http_requests_total[$__rate_interval])", "PQ000"),
    ("panel", "limitk(1, queue_length)", "PQ000"),
    ("panel", 'pool_connections{state=~"in_.*+"}', "PQ000"),
    ("panel", '{"queue_length"}', "PQ000"),
    ("panel", 'queue_length{job="shop", "instance"="a"}', "PQ000"),
    ("panel", "queue_length > 5m", "PQ000"),
    ("panel", "rate(http_requests_total[300])", "PQ000"),
    ("panel", "queue_length offset 300", "PQ000"),
    ("panel", "max_over_time(queue_length[1h:30])", "PQ000"),
    ("panel", "queue_length + fill(0) queue_length", "PQ000"),
    ("panel", "first_over_time(queue_length[5m])", "PQ000"),
    ("panel", "(" * 5000 + "queue_length" + ")" * 5000, "PQ000"),
    ("panel", "+".join(["queue_length"] * 5000), "PQ000"),
    # PQ001: divided by itself
    ("panel", f"rate({_FAILED}[5m]) / rate({_REQUESTS}[5m])", "PQ001"),
    ("alert", f"rate({_FAILED}[5m]) / rate({_REQUESTS}[5m]) > 0.05", "PQ001"),
    ("alert", f"(rate({_FAILED}[5m])) / (rate({_REQUESTS}[5m])) > 0.05", "PQ001"),
    ("panel", f"100 * rate({_FAILED}[5m]) / rate({_REQUESTS}[5m])", "PQ001"),
    ("panel", f"(rate({_FAILED}[5m]) or vector(0)) / rate({_REQUESTS}[5m])", "PQ001"),
    ("panel", f"rate({_REQUESTS}[5m]) / rate({_FAILED}[5m])", "PQ001"),
    ("panel", f"sum(rate({_REQUESTS}[5m])) / sum(rate({_REQUESTS}[5m]))", "PQ001"),
    ("panel", f"sum by (status_code) (rate({_FAILED}[5m])) / sum by (status_code) (rate({_REQUESTS}[5m]))", "PQ001"),
    (
        "panel",
        f"sum without (instance) (rate({_FAILED}[5m])) / sum without (instance) (rate({_REQUESTS}[5m]))",
        "PQ001",
    ),
    (
        "panel",
        f"increase({_FAILED}[5m]) / on (method, endpoint, status_code, job, instance) increase({_REQUESTS}[5m])",
        "PQ001",
    ),
    ("panel", 'pool_connections{state="idle"} / pool_connections', "PQ001"),
    ("panel", 'process_open_fds{job="shop"} / process_open_fds', "PQ001"),
    # PQ002: unknown metric
    ("panel", "http_request_total", "PQ002"),
    ("panel", "rate(http_requests[5m])", "PQ002"),
    ("panel", "http_request_duration_seconds", "PQ002"),
    ("panel", "rate(queue_length_count[5m])", "PQ002"),
    ("panel", "requests_total", "PQ002"),
    ("panel", '{__name__="not_there"}', "PQ002"),
    ("panel", '{__name__=~"nothing_.+"}', "PQ002"),
    ("alert", "absent(not_there)", "PQ002"),
    # PQ003: unknown label
    ("panel", 'rate(http_requests_total{route="/x"}[5m])', "PQ003"),
    ("panel", 'rate(http_requests_total{status="500"}[5m])', "PQ003"),
    ("panel", 'queue_length{le="1"}', "PQ003"),
    ("panel", "sum by (route) (rate(http_requests_total[5m]))", "PQ003"),
    ("panel", "sum by (le) (rate(http_request_duration_seconds_count[5m]))", "PQ003"),
    ("panel", "sum without (route) (rate(http_requests_total[5m]))", "PQ003"),
    ("panel", "queue_length * on (instance, job) group_left (commit) build_info", "PQ003"),
    ("panel", f"sum by (le) (histogram_quantile(0.9, rate({_BUCKETS}[5m])))", "PQ003"),
    ("panel", "max by (state) (sum by (job) (pool_connections))", "PQ003"),
    # PQ004: value not allowed
    ("panel", 'rate(search_operations_total{search_type="image"}[5m])', "PQ004"),
    ("panel", 'rate(search_operations_total{status!="failed"}[5m])', "PQ004"),
    ("panel", 'rate(search_operations_total{search_type=~"image|picture"}[5m])', "PQ004"),
    ("panel", 'rate(search_operations_total{search_type=~"text|image"}[5m])', "PQ004"),
    ("panel", 'rate(http_requests_total{status_code=~"5xx"}[5m])', "PQ004"),
    ("panel", 'rate(http_requests_total{status_code=~"5"}[5m])', "PQ004"),
    ("panel", 'rate(http_requests_total{status_code="5xx"}[5m])', "PQ004"),
    ("panel", 'rate(http_requests_total{status_code!~"6.."}[5m])', "PQ004"),
    ("panel", 'rate(http_requests_total{status_code!~"[1-5].."}[5m])', "PQ004"),
    ("panel", 'rate(http_requests_total{method="get"}[5m])', "PQ004"),
    ("panel", 'rate(http_requests_total{method="PURGE"}[5m])', "PQ004"),
    ("panel", 'rate(http_requests_total{endpoint=""}[5m])', "PQ004"),
    ("panel", 'rate(faults_total{kind="memory"}[5m])', "PQ004"),
    ("panel", f'sum(rate({_BUCKETS}{{le="0.3"}}[5m]))', "PQ004"),
    ("panel", f'sum(rate({_BUCKETS}{{le="fast"}}[5m]))', "PQ004"),
    # PQ005: rates and counters
    ("panel", "rate(queue_length[5m])", "PQ005"),
    ("panel", 'increase(pool_connections{state="in_use"}[5m])', "PQ005"),
    ("panel", "rate(sum(http_requests_total)[5m:1m])", "PQ005"),
    ("panel", "deriv(http_requests_total[5m])", "PQ005"),
    ("panel", "delta(http_requests_total[5m])", "PQ005"),
    ("alert", "http_requests_total > 1000", "PQ005"),
    ("alert", "sum(faults_total) > 0", "PQ005"),
    ("alert", "5 < sum by (kind) (faults_total)", "PQ005"),
    ("alert", "sum(faults_total) / sum(http_requests_total) > 0.01", "PQ005"),
    ("alert", "http_request_duration_seconds_sum / http_request_duration_seconds_count > 1", "PQ005"),
    ("panel", f"histogram_quantile(0.9, sum by (le) ({_BUCKETS}))", "PQ005"),
    # PQ006: le lost
    ("panel", f"histogram_quantile(0.9, sum(rate({_BUCKETS}[5m])))", "PQ006"),
    ("panel", f"histogram_quantile(0.9, sum by (endpoint) (rate({_BUCKETS}[5m])))", "PQ006"),
    ("panel", f"histogram_quantile(0.9, sum without (le) (rate({_BUCKETS}[5m])))", "PQ006"),
    ("panel", "histogram_quantile(0.9, rate(http_request_duration_seconds_sum[5m]))", "PQ006"),
    # PQ007: thresholds
    ("alert", f"histogram_quantile(0.9, sum by (le) (rate({_BUCKETS}[5m]))) > 10", "PQ007"),
    ("alert", f"histogram_quantile(0.9, sum by (le) (rate({_BUCKETS}[5m]))) > 30", "PQ007"),
    ("alert", f"30 < histogram_quantile(0.9, sum by (le) (rate({_BUCKETS}[5m])))", "PQ007"),
    ("alert", f"histogram_quantile(0.9, sum by (le) (rate({_BUCKETS}[5m]))) >= 11", "PQ007"),
    ("alert", f"histogram_quantile(0.9, sum by (le) (rate({_BUCKETS}[5m]))) * 1000 > 12000", "PQ007"),
    ("alert", f"max(histogram_quantile(0.9, sum by (le, endpoint) (rate({_BUCKETS}[5m])))) > 2", "PQ007"),
    # PQ008: ranges
    ("panel", "rate(http_requests_total[20s])", "PQ008"),
    ("panel", "rate(http_requests_total[45s])", "PQ008"),
    ("panel", "irate(http_requests_total[15s])", "PQ008"),
    ("panel", "avg_over_time(queue_length[5s])", "PQ008"),
    # PQ009: matching
    ("panel", "queue_length / pool_connections", "PQ009"),
    ("panel", f"sum(rate({_FAILED}[5m])) / rate({_REQUESTS}[5m])", "PQ009"),
    ("panel", f"sum by (method) (rate({_FAILED}[5m])) / sum by (endpoint) (rate({_REQUESTS}[5m]))", "PQ009"),
    ("panel", f"rate({_FAILED}[5m]) / ignoring (status_code) rate({_REQUESTS}[5m])", "PQ009"),
    ("panel", "sum by (job) (queue_length) / on (instance) queue_length", "PQ009"),
    ("panel", "queue_length / on (job) pool_connections", "PQ009"),
    ("alert", "queue_length > 5 and sum(pool_connections) > 1", "PQ009"),
    ("alert", "queue_length > 5 unless on (state) queue_length", "PQ003"),
    ("alert", "queue_length > 5 unless on (state) pool_connections", "PQ009"),
    ("panel", "queue_length / vector(2)", "PQ009"),
    ("panel", 'pool_connections{state="in_use"} / pool_connections{state="idle"}', "PQ009"),
    ("panel", 'pool_connections{state="in_use"} unless pool_connections{state="idle"}', "PQ009"),
    (
        "panel",
        'sum by (state) (pool_connections{state="idle"}) + max by (state) (pool_connections{state="in_use"})',
        "PQ009",
    ),
    # PQ010: no comparison
    ("alert", "queue_length", "PQ010"),
    ("alert", f"sum(rate({_FAILED}[5m]))", "PQ010"),
    ("alert", "queue_length > bool 5", "PQ010"),
    ("alert", "queue_length > 5 or queue_length", "PQ010"),
    ("alert", "vector(1)", "PQ010"),
    # PQ011: jobs and up
    ("alert", 'up{job="prethrift-health"} == 0', "PQ011"),
    ("alert", 'up{job="shop"} == 0', "PQ011"),
    ("alert", "up == 0", "PQ011"),
    ("alert", 'up{job="shop"} < 1', "PQ011"),
    ("alert", 'up{job="shop"} == 0 or absent(up{job="shp"})', "PQ011"),
    ("panel", 'queue_length{job="shopp"}', "PQ011"),
    ("panel", 'queue_length{job=~"other-.*"}', "PQ011"),
    # PQ012: floors
    ("alert", f"sum(rate({_FAILED}[5m])) / sum(rate({_REQUESTS}[5m])) > 0.05", "PQ012"),
    ("panel", f"sum(rate({_FAILED}[5m])) / sum(rate({_REQUESTS}[5m]))", "PQ012"),
    ("alert", "increase(faults_total[5m]) > 0", "PQ012"),
    ("alert", "increase(faults_total[15m]) > 0 or (queue_length unless queue_length offset 15m)", "PQ012"),
    # PQ013: absence
    ("alert", "absent(http_requests_total)", "PQ013"),
    ("alert", 'absent(faults_total{kind="disk"})', "PQ013"),
    ("alert", "absent_over_time(http_requests_total[5m])", "PQ013"),
    # PQ015: habits
    ("panel", f"sum(rate({_FAILED}[5m]) / rate({_REQUESTS}[5m]))", "PQ015"),
    ("panel", f"avg(histogram_quantile(0.9, rate({_BUCKETS}[5m])))", "PQ015"),
    ("alert", "topk(3, queue_length) > 5", "PQ015"),
    ("record", "topk(3, queue_length)", "PQ015"),
    ("panel", 'queue_length{job=~"shop"}', "PQ015"),
    ("panel", 'pool_connections{state=~".*"}', "PQ015"),
    ("panel", "queue_length offset 30d", "PQ015"),
    ("panel", "max_over_time(queue_length[20d])", "PQ015"),
    ("panel", f"histogram_quantile(95, sum by (le) (rate({_BUCKETS}[5m])))", "PQ015"),
    ("alert", 'sum(rate(process_a_total{job="shop"}[5m])) / sum(rate(process_b_total{job="other"}[5m])) > 1', "PQ015"),
)

# Nothing at all is to be said of these, not even that they could be better.
RIGHT: Final[tuple[tuple[str, str], ...]] = (
    ("panel", "queue_length"),
    ("panel", "1 + 1"),
    ("panel", "time() - process_start_time_seconds"),
    ("panel", "sum(rate(http_requests_total[5m]))"),
    ("panel", "sum by (endpoint) (rate(http_requests_total[5m]))"),
    ("panel", "sum without (instance, job) (rate(http_requests_total[5m]))"),
    ("panel", 'rate(http_requests_total{method=~"GET|POST"}[1m])'),
    ("panel", 'rate(http_requests_total{method!="_OTHER"}[1m])'),
    ("panel", 'rate(http_requests_total{status_code="404"}[1m])'),
    ("panel", 'rate(http_requests_total{status_code!~"2.."}[1m])'),
    ("panel", 'rate(http_requests_total{status_code=~"4..|5.."}[1m])'),
    ("panel", 'rate(http_requests_total{endpoint=~"/api/.+"}[1m])'),
    ("panel", 'rate(http_requests_total{endpoint="__overflow__"}[1m])'),
    ("panel", 'sum(rate(faults_total{kind="disk"}[5m]))'),
    ("panel", f"(sum(rate({_FAILED}[5m])) or vector(0)) / sum(rate({_REQUESTS}[5m]))"),
    ("panel", "rate(http_request_duration_seconds_sum[5m]) / rate(http_request_duration_seconds_count[5m])"),
    (
        "panel",
        (
            'sum by (search_type) (rate(search_operations_total{status="error"}[5m])) '
            "/ sum by (search_type) (rate(search_operations_total[5m]))"
        ),
    ),
    ("panel", f"histogram_quantile(0.95, sum by (le) (rate({_BUCKETS}[5m])))"),
    ("panel", f"histogram_quantile(0.95, rate({_BUCKETS}[5m]))"),
    ("panel", f'sum(rate({_BUCKETS}{{le="0.5"}}[5m])) / sum(rate(http_request_duration_seconds_count[5m]))'),
    ("panel", 'pool_connections{state="in_use"} / ignoring (state) sum without (state) (pool_connections)'),
    ("panel", "pool_connections / on (instance, job) group_left () queue_length"),
    ("panel", 'pool_connections{state="in_use"} / ignoring (state) pool_connections{state="idle"}'),
    ("panel", 'sum by (job) (pool_connections{state="in_use"}) / sum by (job) (pool_connections{state="idle"})'),
    (
        "panel",
        'pool_connections{state="idle"} + label_replace(pool_connections{state="in_use"}, "state", "idle", "", "")',
    ),
    ("panel", "queue_length * on (instance, job) group_left (version) build_info"),
    ("panel", "process_resident_memory_bytes * on (instance, job) group_left (version) build_info"),
    ("panel", "count by (version) (build_info)"),
    ("panel", "deriv(queue_length[5m])"),
    ("panel", "max_over_time(queue_length[1h])"),
    ("panel", "max_over_time(rate(search_operations_total[5m])[1h:1m])"),
    ("panel", "topk(3, sum by (endpoint) (rate(http_requests_total[5m])))"),
    ("panel", "queue_length offset 1d"),
    ("panel", 'label_replace(queue_length, "host", "$1", "instance", "(.*):.*")'),
    ("panel", '{__name__=~"pool_.*"}'),
    ("panel", '{__name__="queue_length"}'),
    ("panel", "resets(http_requests_total[1h])"),
    ("panel", "max_over_time(queue_length[5m]) / min_over_time(queue_length[5m])"),
    ("panel", 'rate(http_requests_total{endpoint!=""}[5m])'),
    ("panel", "sum by (instance) (topk(3, queue_length))"),
    ("panel", "sum by (version) (queue_length * on (instance, job) group_left (version) build_info)"),
    ("panel", "queue_length or vector(0)"),
    ("panel", "ALERTS"),
    ("record", "sum by (endpoint) (rate(http_requests_total[5m]))"),
    ("alert", "queue_length > 5"),
    ("alert", "5 < queue_length"),
    ("alert", "queue_length > 5 unless ALERTS"),
    ("alert", 'up{job="shop"} == 0 or absent(up{job="shop"})'),
    ("alert", "absent(queue_length)"),
    (
        "alert",
        f"sum(rate({_FAILED}[5m])) / sum(rate({_REQUESTS}[5m])) > 0.05 and sum(rate({_REQUESTS}[5m])) > 0.1",
    ),
    (
        "alert",
        (
            f"sum by (endpoint) (rate({_FAILED}[5m])) / sum by (endpoint) (rate({_REQUESTS}[5m])) > 0.05 "
            f"and sum by (endpoint) (rate({_REQUESTS}[5m])) > 0.1"
        ),
    ),
    ("alert", f"histogram_quantile(0.95, sum by (le) (rate({_BUCKETS}[5m]))) > 2.5"),
    ("alert", f"histogram_quantile(0.95, sum by (le) (rate({_BUCKETS}[5m]))) >= 10"),
    ("alert", f"1000 * histogram_quantile(0.95, sum by (le) (rate({_BUCKETS}[5m]))) > 500"),
    ("alert", 'increase(search_operations_total{status="error"}[5m]) > 0'),
    ("alert", "increase(faults_total[15m]) > 0 or (faults_total unless faults_total offset 15m)"),
    ("alert", "changes(process_start_time_seconds[15m]) > 3"),
    ("alert", "time() - process_start_time_seconds < 60"),
    ("alert", "predict_linear(queue_length[1h], 3600) > 100"),
)
