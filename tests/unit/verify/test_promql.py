"""Queries held against a contract: each mistake is named, and nothing is said of what is well."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.promql_cases import RIGHT, WRONG, make_contract

from prethrift_backend.contracts import MetricsContract, load_metrics
from prethrift_backend.verify.findings import Finding, Place
from prethrift_backend.verify.promql.checks import Context, Known, Query, Shape, lint_query, result_shape

_CONTEXTS = {name: name for name in get_args(Context)}


@pytest.fixture(scope="module")
def known() -> Known:
    """Know the contract of the cases, and one job more."""
    return Known(make_contract(), jobs=frozenset({"other"}))


def _lint(known: Known, context: str, text: str) -> list[Finding]:
    return lint_query(Query(text, _CONTEXTS[context], "it"), known)


def test_the_table_is_large_enough() -> None:
    """Every rule on expressions has cases, 80 or more in all, and 30 or more expressions are well."""
    rules = {rule for _, _, rule in WRONG}

    assert len(set(WRONG)) >= 80
    assert len(set(RIGHT)) >= 30
    assert rules == {f"PQ{number:03}" for number in range(16)} - {"PQ014"}


@pytest.mark.parametrize(("context", "text", "rule"), WRONG, ids=lambda value: str(value)[:60])
def test_mistake_is_found(context: str, text: str, rule: str, known: Known) -> None:
    """The rule that an expression breaks is among the findings."""
    assert rule in {finding.rule for finding in _lint(known, context, text)}


@pytest.mark.parametrize(("context", "text"), RIGHT, ids=lambda value: str(value)[:60])
def test_nothing_is_said_of_what_is_well(context: str, text: str, known: Known) -> None:
    """An expression without a mistake has no finding, not even one of level info."""
    assert _lint(known, context, text) == []


def test_mistake_is_said_once(known: Known) -> None:
    """A metric that both sides of a ratio name wrongly is one finding."""
    found = _lint(known, "panel", "sum(rate(http_request_total[5m])) / sum(rate(http_request_total[5m] offset 1d))")

    assert [finding.rule for finding in found] == ["PQ002"]
    assert found[0].fix == "did you mean 'http_requests_total'?"


def test_two_mistakes_of_a_kind_are_told_apart(known: Known) -> None:
    """An expression that names two unknown metrics has two findings, also for who knows them by their fingerprints."""
    found = _lint(known, "alert", "one_total > 1 or another_total > 1")

    assert [finding.rule for finding in found].count("PQ002") == 2
    assert len({finding.fingerprint for finding in found}) == len(found)


def test_finding_says_where_and_what(known: Known) -> None:
    """A finding has the query's name and place, its signal, and what was expected and seen."""
    place = Place("rules.yml", 7)

    (found,) = lint_query(Query('queue_length{zone="a"} > 5', "alert", "QueueLong", place), known)

    assert (found.rule, found.level, found.signal, found.name) == ("PQ003", "error", "alerts", "QueueLong")
    assert (found.place, found.observed, found.expected) == (place, "zone", "instance, job")
    assert found.category == "QUERY"


def test_levels_follow_how_sure_it_is(known: Known) -> None:
    """What can never work is an error, what is risky a warning, what could be better an info."""
    levels = {
        text: [finding.level for finding in _lint(known, "panel", text)]
        for text in (
            "rate(http_requests_total[20s])",
            "rate(http_requests_total[45s])",
            'rate(faults_total{kind="memory"}[5m])',
            'rate(faults_total{kind=~"disk"}[5m])',
        )
    }

    assert list(levels.values()) == [["error"], ["warning"], ["warning"], ["info"]]


def test_side_of_a_comparison_counts(known: Known) -> None:
    """PQ007: 10 is never below a quantile whose highest bucket is 10, and may be equal to it."""
    quantile = "histogram_quantile(0.9, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))"

    assert [finding.rule for finding in _lint(known, "alert", f"10 < {quantile}")] == ["PQ007"]
    assert _lint(known, "alert", f"10 <= {quantile}") == []


def test_two_scrapes_are_enough_for_a_warning_only(known: Known) -> None:
    """PQ008: a range of exactly two scrapes has a result, until one is missed."""
    found = _lint(known, "panel", "rate(http_requests_total[30s])")

    assert [(finding.rule, finding.level) for finding in found] == [("PQ008", "warning")]


@pytest.mark.parametrize(
    ("labels", "annotations", "levels"),
    [
        ({}, {"summary": "{{ $labels.state }} on {{ $labels.instance }}"}, []),
        ({}, {"summary": "{{ $labels.endpoint }}"}, ["error"]),
        ({}, {"summary": '{{ index $labels "endpoint" }}'}, ["error"]),
        ({"team": "{{ .Labels.endpoint }}"}, {}, ["error"]),
        ({"value": "{{ $value }}"}, {}, ["error"]),
        ({}, {"summary": "{{ $labels.state "}, ["error"]),
        ({}, {"summary": "{{ $lables.state }}"}, ["error"]),
        ({}, {"summary": "{{ $value | humanise }}"}, ["error"]),
        ({}, {"summary": '{{ printf "%.2f of $x, {{" $value }} $labels.endpoint'}, []),
        ({}, {"summary": '{{ with query "up" }}{{ . | first | value }}{{ end }}{{ /* why */ }}'}, []),
        ({}, {"summary": "{{ range $i, $s := query `up` }}{{ $i }}{{ $s.Labels.job }}{{ end }}"}, []),
    ],
)
def test_templates_use_what_is_there(
    labels: dict[str, str], annotations: dict[str, str], levels: list[str], known: Known
) -> None:
    """PQ014: a template's labels are those of the result, and an alert's labels hold no value."""
    query = Query("pool_connections > 5", "alert", "Pool", labels=labels, annotations=annotations)

    found = lint_query(query, known)

    assert [(finding.rule, finding.level) for finding in found] == [("PQ014", level) for level in levels]


def test_value_of_a_rate_is_to_be_written_short(known: Known) -> None:
    """PQ014 is an info where a rate is shown with all its digits, and silent where it is formatted."""
    text = "sum(rate(http_requests_total[5m])) > 5"

    bare = lint_query(Query(text, "alert", annotations={"d": "{{ $value }}"}), known)
    written = lint_query(Query(text, "alert", annotations={"d": "{{ $value | humanize }}"}), known)

    assert [(finding.rule, finding.level) for finding in bare] == [("PQ014", "info")]
    assert written == []


def test_labels_that_were_aggregated_away_are_gone() -> None:
    """The shape of a result has the labels that are left, and is open where a library makes the series."""
    known = Known(make_contract())

    assert result_shape("sum by (endpoint) (rate(http_requests_total[5m]))", known) == Shape(frozenset({"endpoint"}))
    assert result_shape("1 + time()", known) is None
    open_shape = result_shape("sum without (job) (process_open_fds)", known)
    assert open_shape is not None
    assert (open_shape.may_have("anything"), open_shape.may_have("job")) == (True, False)


def test_jobs_and_target_labels_can_be_named() -> None:
    """Another job and a label of service discovery are known once they were said."""
    text = 'sum by (pod) (rate(http_requests_total{job="edge"}[5m]))'

    before = lint_query(Query(text), Known(make_contract()))
    after = lint_query(
        Query(text),
        Known(make_contract(), jobs=frozenset({"edge"}), target_labels=frozenset({"job", "instance", "pod"})),
    )

    assert [finding.rule for finding in before] == ["PQ003", "PQ011"]
    assert after == []


def test_interval_is_the_contracts() -> None:
    """PQ008 measures a range by the interval of SCRAPE."""
    slow = make_contract()
    assert slow.scrape is not None
    text = "rate(http_requests_total[1m])"
    once_a_minute = MetricsContract(slow.version, slow.sha256, slow.source, slow.families)

    assert lint_query(Query(text), Known(slow)) == []
    assert [finding.rule for finding in lint_query(Query(text), Known(once_a_minute))] == ["PQ008"]


_SOURCES = st.sampled_from(sorted({text for _, text, _ in WRONG if len(text) < 500} | {text for _, text in RIGHT}))


@given(text=st.text(max_size=200) | _SOURCES, context=st.sampled_from(sorted(_CONTEXTS)))
def test_no_text_crashes_the_lint(text: str, context: str) -> None:
    """Whatever stands there, findings come back."""
    assert isinstance(_lint(_KNOWN, context, text), list)


@given(
    source=_SOURCES, start=st.integers(0, 300), length=st.integers(0, 40), put=st.sampled_from(list("(){}[]\"'=~,*-$"))
)
def test_no_mutilated_query_crashes_the_lint(source: str, start: int, length: int, put: str) -> None:
    """A query with a piece cut out or a character put in is linted, or refused as one that cannot be read."""
    text = source[:start] + put + source[start + length :]

    assert isinstance(_lint(_KNOWN, "alert", text), list)


@given(label=st.text("ab|.*+?()[]{}^$\\d-", max_size=12))
def test_no_pattern_crashes_the_lint(label: str) -> None:
    """Patterns that Python reads otherwise than Prometheus, or not at all, are left alone."""
    quoted = label.replace("\\", "\\\\")

    assert isinstance(_lint(_KNOWN, "panel", f'search_operations_total{{status=~"{quoted}"}}'), list)


_KNOWN = Known(make_contract())


# The project's first queries and alerts, as they were written down, and as they mean what was meant.
_SEED = (
    (
        "panel",
        'rate(http_requests_total{status_code=~"5.."}[5m]) / rate(http_requests_total[5m])',
        {"PQ001"},
        '(sum(rate(http_requests_total{status_code=~"5.."}[5m])) or vector(0)) / sum(rate(http_requests_total[5m]))',
    ),
    (
        "panel",
        "histogram_quantile(0.95, sum(rate(http_request_duration_seconds_bucket[5m])))",
        {"PQ006"},
        "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))",
    ),
    (
        "panel",
        'rate(search_operations_total{search_type="text_search"}[5m])',
        {"PQ004"},
        'sum by (status) (rate(search_operations_total{search_type="text"}[5m]))',
    ),
    (
        "panel",
        'rate(embedding_operations_total{status="success"}[5m]) / rate(embedding_operations_total[5m])',
        {"PQ001"},
        (
            'sum by (operation_type) (rate(embedding_operations_total{status="success"}[5m])) '
            "/ sum by (operation_type) (rate(embedding_operations_total[5m]))"
        ),
    ),
    (
        "alert",
        'rate(http_requests_total{status_code=~"5.."}[5m]) / rate(http_requests_total[5m]) > 0.05',
        {"PQ001"},
        (
            'sum(rate(http_requests_total{status_code=~"5.."}[5m])) / sum(rate(http_requests_total[5m])) > 0.05 '
            "and sum(rate(http_requests_total[5m])) > 0.1"
        ),
    ),
    (
        "alert",
        'up{job="prethrift-health"} == 0',
        {"PQ011"},
        'up{job="prethrift-backend"} == 0 or absent(up{job="prethrift-backend"})',
    ),
    (
        "alert",
        "histogram_quantile(0.95, rate(http_request_duration_seconds_bucket[5m])) > 2",
        {"PQ007"},
        "histogram_quantile(0.95, sum by (le) (rate(http_request_duration_seconds_bucket[5m]))) > 2.5",
    ),
)


@pytest.mark.parametrize(("context", "wrong", "rules", "right"), _SEED)
def test_first_queries_are_found_wrong_and_their_correction_right(
    context: str, wrong: str, rules: set[str], right: str
) -> None:
    """The first four queries and three alerts break the rules that say why; corrected, they break none."""
    known = Known(load_metrics())

    worst = {finding.rule for finding in _lint(known, context, wrong) if finding.level != "info"}

    assert worst == rules
    assert _lint(known, context, right) == []
