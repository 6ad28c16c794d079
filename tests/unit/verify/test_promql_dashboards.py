"""Dashboards: the queries of all their panels with the variables in place, and what else a dashboard needs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.promql_cases import make_contract

from prethrift_backend.verify.findings import Finding
from prethrift_backend.verify.promql.checks import Known
from prethrift_backend.verify.promql.dashboards import Dashboard, lint_dashboard, lint_dashboards
from prethrift_backend.verify.promql.tree import parse
from prethrift_backend.verify.promql.variables import substitute

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_KNOWN = Known(make_contract())


def _panel(expression: str, **other: Any) -> dict[str, Any]:
    panel = {
        "type": "timeseries",
        "title": "Requests",
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": "reqps"}},
        "targets": [{"expr": expression, "datasource": SOURCE}],
    }
    return {key: value for key, value in {**panel, **other}.items() if value is not None}


def _variable(name: str, **other: Any) -> dict[str, Any]:
    return {"name": name, "type": "custom", **other}


def _lint(*panels: dict[str, Any], variables: tuple[dict[str, Any], ...] = (), **other: Any) -> list[Finding]:
    declared = [_variable("datasource", type="datasource", query="prometheus"), *variables]
    model = {"title": "Shop", "panels": list(panels), "templating": {"list": declared}, **other}
    return lint_dashboard(Dashboard("shop.json", model, json.dumps(model, indent=1)), _KNOWN)


def _rules(findings: list[Finding]) -> list[str]:
    return [finding.rule for finding in findings]


def test_good_dashboard_has_no_findings() -> None:
    """Grafana's own variables and those of the dashboard are understood."""
    text = 'sum by ($by) (rate(http_requests_total{endpoint=~"$endpoint", method="$method"}[$__rate_interval]))'
    variables = (
        _variable("by", query="endpoint,method"),
        _variable("endpoint", includeAll=True, allValue=".*"),
        _variable("method"),
    )

    assert _lint(_panel(text), variables=variables) == []


@pytest.mark.parametrize(
    "text",
    [
        "rate(http_requests_total[$__rate_interval])",
        "rate(http_requests_total[${__rate_interval}])",
        "rate(http_requests_total[[[__rate_interval]]])",
        "rate(http_requests_total[$__interval])",
        "increase(http_requests_total[$__range])",
        "max_over_time(rate(http_requests_total[$a])[1h:$b])",
        "rate(http_requests_total[5m] offset $a)",
        "max_over_time(queue_length[$a:$b])",
        "sum by ($g) (rate(http_requests_total[5m]))",
        "sum by (job, $g) (rate(http_requests_total[5m]))",
        "sum without ($g) (rate(http_requests_total[5m]))",
        'rate(http_requests_total{method="$m"}[5m])',
        'rate(http_requests_total{method=~"$m"}[5m])',
        'rate(http_requests_total{method=~"${m:regex}"}[5m])',
        'rate(http_requests_total{method=~"[[m]]"}[5m])',
        'rate(http_requests_total{method!="$m", status_code=~"$c.."}[5m])',
        "rate(http_requests_total{method=~'$m'}[5m])",
        "topk($n, sum by (endpoint) (rate(http_requests_total[5m])))",
        "queue_length > $n",
        'queue_length{job="$job"}',
        'label_replace(queue_length, "a", "$1", "instance", "(.*)")',
    ],
)
def test_variables_are_put_in_place(text: str) -> None:
    """DB1: a query with variables can be read, and none of its findings is about a value that nobody wrote."""
    names = ("a", "b", "g", "m", "c", "n", "job")

    parse(substitute(text, dict.fromkeys(names, ""), interval_seconds=15).text)
    assert _lint(_panel(text), variables=tuple(_variable(name) for name in names)) == []


def test_rate_interval_is_four_scrapes() -> None:
    """Grafana makes of $__rate_interval at least four scrapes; known values stand for themselves."""
    declared = {"window": "10m"}

    written = substitute("rate(a[$__rate_interval]) + rate(a[$window])", declared, interval_seconds=15)

    assert written.text == "rate(a[60s]) + rate(a[10m])"
    assert written.unknown == ()


def test_unknown_variable_is_found() -> None:
    """DB1: a variable that is neither declared nor Grafana's own is an error."""
    (found,) = _lint(_panel('rate(http_requests_total{method="$verb"}[5m])'))

    assert (found.rule, found.level, found.signal, found.observed) == ("DB1", "error", "dashboards", "verb")


def test_constants_are_held_against_the_contract() -> None:
    """A constant is what will stand there, so that its value is checked."""
    panel = _panel('rate(http_requests_total{method="$verb"}[5m])')

    assert _rules(_lint(panel, variables=(_variable("verb", type="constant", query="GRAB"),))) == ["PQ004"]
    assert _lint(panel, variables=(_variable("verb", type="constant", query="GET"),)) == []
    window = _variable("window", type="interval", query="20s,5m")
    assert _rules(_lint(_panel("rate(http_requests_total[$window])"), variables=(window,))) == ["PQ008"]


def test_label_of_a_variable_matcher_is_checked() -> None:
    """The value is chosen later, the label is not."""
    found = _lint(_panel('rate(http_requests_total{route=~"$route"}[5m])'), variables=(_variable("route"),))

    assert _rules(found) == ["PQ003"]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda panel: [{"type": "row", "title": "Row", "panels": [panel]}],
        lambda panel: [{"type": "row", "panels": [{"type": "row", "panels": [panel]}]}],
        lambda panel: [{"type": "row"}, panel],
    ],
)
def test_panels_of_rows_are_found(wrap: Any) -> None:
    """A query is linted however deep its panel is."""
    assert _rules(_lint(*wrap(_panel("not_there")))) == ["PQ002"]


def test_panels_of_the_older_form_are_found() -> None:
    """Rows at the top, with panels in them, are read as well."""
    assert _rules(_lint(rows=[{"title": "Row", "panels": [_panel("not_there")]}])) == ["PQ002"]


@pytest.mark.parametrize(
    ("panel", "message"),
    [
        (_panel("queue_length", targets=[]), "no query"),
        (_panel("queue_length", targets=None), "no query"),
        (_panel("queue_length", fieldConfig=None), "no unit"),
        (_panel("queue_length", datasource={"type": "prometheus", "uid": "P1809F7CD0C75ACF3"}), "one Grafana only"),
    ],
)
def test_dashboard_is_whole(panel: dict[str, Any], message: str) -> None:
    """DB2: a panel has a query, a unit, and a data source that exists elsewhere too."""
    (found,) = _lint(panel)

    assert (found.rule, found.level) == ("DB2", "warning")
    assert message in found.message


@pytest.mark.parametrize("panel", [{"type": "text", "title": "Note"}, {"libraryPanel": {"uid": "x"}, "type": "stat"}])
def test_panels_without_queries_are_well(panel: dict[str, Any]) -> None:
    """Text, rows and panels that are kept elsewhere need no query here."""
    assert _lint(panel) == []


def test_queries_of_other_languages_are_left_alone() -> None:
    """A target of another data source is no PromQL."""
    loki = {"type": "loki", "uid": "${logs}"}
    panel = _panel("queue_length", datasource=loki, targets=[{"expr": '{app="x"} |= "y"', "datasource": loki}])

    assert _lint(panel) == []


@pytest.mark.parametrize(
    ("variable", "rules"),
    [
        (_variable("m", includeAll=True), ["DB2"]),
        (_variable("m", includeAll=True, allValue=".*"), []),
        (_variable("m", type="query", query="label_values(http_requests_total, endpoint)"), ["DB2"]),
        (_variable("m", type="query", query={"query": "label_values(build_info, version)"}), []),
        (_variable("m", type="query", query="label_values(pool_connections, zone)"), ["PQ003"]),
        (_variable("m", type="query", query="label_values(not_there, zone)"), ["PQ002"]),
        (_variable("m", type="query", query="label_values(zone)"), []),
        (_variable("m", type="query", query="query_result(topk(3, queue_length))"), []),
        (_variable("m", type="query", query="label_values(up, job)", datasource={"uid": "P1809"}), ["DB2"]),
    ],
)
def test_variables_are_linted(variable: dict[str, Any], rules: list[str]) -> None:
    """DB2 and the rules on names hold for the queries of variables."""
    assert _rules(_lint(variables=(variable,))) == rules


def test_finding_names_the_line(tmp_path: Path) -> None:
    """The place is the line of the expression in the file, envelope or not."""
    model = {"dashboard": {"title": "Shop", "panels": [_panel('queue_length{zone="a"}')]}}
    path = tmp_path / "shop.json"
    text = json.dumps(model, indent=1)
    path.write_text(text)

    findings, items = lint_dashboards([path], _KNOWN)

    line = next(number for number, line in enumerate(text.splitlines(), 1) if "queue_length" in line)
    assert [(f.rule, f.name, f.place.line if f.place else 0) for f in findings] == [("PQ003", "Shop: Requests", line)]
    assert [item.name for item in items] == ["Shop: Requests"]


@pytest.mark.parametrize("content", [b"{", b"[]", b"5", b"\xff", b"[" * 100_000, b'{"panels": 5, "templating": []}'])
def test_files_that_are_no_dashboard(content: bytes, tmp_path: Path) -> None:
    """What is no JSON object is a finding, and what has an odd form has no panels."""
    path = tmp_path / "x.json"
    path.write_bytes(content)

    findings, items = lint_dashboards([path, tmp_path / "none.json"], _KNOWN)

    assert {finding.rule for finding in findings} == {"PQ000"}
    assert items == []


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["panels", "rows", "targets", "expr", "type", "title", "templating", "list", "name", "query",
                 "datasource", "uid", "fieldConfig", "defaults", "unit", "includeAll", "allValue"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)  # fmt: skip


@given(model=st.dictionaries(st.sampled_from(["panels", "rows", "templating", "title"]), _JSON, max_size=4))
def test_no_model_crashes_the_lint(model: dict[str, Any]) -> None:
    """Whatever a dashboard's JSON holds, findings come back."""
    assert isinstance(lint_dashboard(Dashboard("x.json", model, json.dumps(model)), _KNOWN), list)


@given(text=st.text("ab $[]{}:\"'=~()by,_1", max_size=60))
def test_no_text_crashes_the_substitution(text: str) -> None:
    """Any text comes back with its variables in place."""
    assert isinstance(substitute(text, {"a": "", "b": "5m"}, interval_seconds=15).text, str)
