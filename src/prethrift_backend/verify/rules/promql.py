"""The rules over alert rules, recording rules and dashboards (PQ, DB, A, D)."""

from __future__ import annotations

from typing import Final

from prethrift_backend.verify._rule import Rule

RULES: Final[tuple[Rule, ...]] = (
    Rule(
        "PQ000",
        "a query, a rule file or a dashboard can be read",
        "error",
        "WIRE",
        "Prometheus refuses a whole rule file for one wrong expression, and none of its alerts are evaluated.",
    ),
    Rule(
        "PQ001",
        "a vector is not divided by itself",
        "error",
        "QUERY",
        "rate(x{code=~'5..'}[5m]) / rate(x[5m]) pairs each series with itself: the result is 1 for every error rate. "
        "Aggregate both sides without the label that tells them apart.",
    ),
    Rule(
        "PQ002",
        "a query names metrics of the contract",
        "error",
        "QUERY",
        "A query for a metric that nobody exports finds nothing; an alert on nothing never fires.",
    ),
    Rule(
        "PQ003",
        "a query names labels that the series have",
        "error",
        "QUERY",
        "A matcher on a label that is not there selects nothing; grouping by one puts everything together.",
    ),
    Rule(
        "PQ004",
        "a matcher names values that occur",
        "error",
        "QUERY",
        "The contract lists the values of closed labels and the pattern of others. Patterns match the whole value.",
    ),
    Rule(
        "PQ005",
        "rates are taken of counters, and of every counter",
        "error",
        "QUERY",
        "A counter only rises until its process restarts, so that a threshold on it tells nothing; a rate of a gauge "
        "takes each fall for a restart.",
    ),
    Rule(
        "PQ006",
        "histogram_quantile gets buckets with le",
        "error",
        "QUERY",
        "An aggregation that drops le leaves no histogram; the quantile is empty.",
    ),
    Rule(
        "PQ007",
        "a quantile is compared with what it can reach",
        "error",
        "QUERY",
        "No quantile is above the highest finite bucket. Between two bounds it is interpolated, which is a guess.",
    ),
    Rule(
        "PQ008",
        "a range holds enough scrapes",
        "error",
        "QUERY",
        "A rate needs two samples; with a range of four scrapes it survives a missed one.",
    ),
    Rule(
        "PQ009",
        "the two sides of an operation fit together",
        "error",
        "QUERY",
        "Series are paired by all their labels unless on(…) or ignoring(…) says otherwise; without a partner they are "
        "dropped, and with two of them the query fails.",
    ),
    Rule("PQ010", "an alert compares", "error", "QUERY", "An alert fires for each series that its expression returns."),
    Rule(
        "PQ011",
        "jobs exist, and a target that is gone is noticed",
        "error",
        "QUERY",
        "up has no value once a target is gone from discovery: up == 0 stays silent then, and absent(up{job=…}) fires.",
    ),
    Rule(
        "PQ012",
        "a ratio has a floor of traffic, an error counter a start",
        "info",
        "QUERY",
        "With two requests an hour one failure is half of all. A counter that begins with its first error has no "
        "increase then.",
    ),
    Rule(
        "PQ013",
        "absence is asked of what is always there",
        "error",
        "QUERY",
        "A series that comes with the first request or error is absent after each restart.",
    ),
    Rule(
        "PQ014",
        "templates use labels that the result has",
        "error",
        "QUERY",
        "A label that was aggregated away is empty in the text of the alert; a value among its labels makes a new "
        "alert at each evaluation.",
    ),
    Rule(
        "PQ015",
        "habits that go wrong later",
        "warning",
        "QUERY",
        "Sums of divisions, averages of quantiles, topk in rules, ratios of two jobs without 'for', the same rule "
        "twice, groups evaluated less often than every 5 minutes, patterns without need, reaching back further than is "
        "kept.",
    ),
    Rule(
        "DB1",
        "the variables of a dashboard's queries are known",
        "error",
        "QUERY",
        "A variable that is neither declared nor Grafana's own stays in the query as text, and the panel shows "
        "an error.",
    ),
    Rule(
        "DB2",
        "a dashboard is whole",
        "warning",
        "QUERY",
        "A panel has a query and a unit; its data source is a variable; 'All' has a value; a variable's values come "
        "from series that are always there.",
    ),
)
