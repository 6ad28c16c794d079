"""The dashboards of ops/grafana: made from the contract, whole, and of a form that Grafana knows."""

from __future__ import annotations

import itertools
import json
import re
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from tests.support.dashboard_schema import DASHBOARD_SCHEMA
from tests.support.dashboards import DashboardQuery, Looking, chosen_at_first, put_in_place, queries_of

from prethrift_backend.contracts import Budget, MetricsContract, load_metrics
from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.dashboards.catalogue import LEFT_OUT, make_pages
from prethrift_backend.verify.dashboards.families import Families, describe, heading
from prethrift_backend.verify.dashboards.pages.overview import BUDGETS
from prethrift_backend.verify.dashboards.rendering import render_dashboards
from prethrift_backend.verify.promql.checks import Known, Query, lint_query
from prethrift_backend.verify.promql.command import sort_paths
from prethrift_backend.verify.promql.dashboards import lint_dashboards
from prethrift_backend.verify.promql.rule_files import know_rules, read_rule_file
from prethrift_backend.verify.promql.scrape_configs import scrape_jobs, scrape_labels
from prethrift_backend.verify.promql.shapes import TARGET_LABELS
from prethrift_backend.verify.promql.variables import substitute

ROOT = Path(__file__).parents[3]
OPS = ROOT / "ops"
CONTRACT = load_metrics()
TEXTS = render_dashboards(CONTRACT)
MODELS = {name: json.loads(text) for name, text in TEXTS.items()}
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "write_dashboards"))

each_dashboard = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def _panels(model: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in model["panels"] if panel["type"] != "row"]


def test_the_files_are_what_the_contract_makes() -> None:
    """Whoever changes the contract or a page runs `make docs`."""
    assert SCRIPT["differing"](TEXTS, OPS / "grafana" / "dashboards") == []


def test_what_differs_is_named_and_written_anew(tmp_path: Path) -> None:
    """A file that was changed, is missing, or is made no more."""
    SCRIPT["write"](TEXTS, tmp_path)
    (tmp_path / "health.json").write_text("{}\n")
    (tmp_path / "search.json").unlink()
    (tmp_path / "old.json").write_text("{}\n")
    assert SCRIPT["differing"](TEXTS, tmp_path) == ["health.json", "old.json", "search.json"]

    SCRIPT["write"](TEXTS, tmp_path)

    assert SCRIPT["differing"](TEXTS, tmp_path) == []


@each_dashboard
def test_a_dashboard_is_of_grafanas_form(model: dict[str, Any]) -> None:
    """Every key, and every value of those that have a list of values."""
    validator = Draft202012Validator(DASHBOARD_SCHEMA)

    assert [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(model)] == []


@each_dashboard
def test_panels_have_ids_of_their_own_and_do_not_overlap(model: dict[str, Any]) -> None:
    """No field of the grid is covered twice, and none is outside."""
    places = [panel["gridPos"] for panel in model["panels"]]
    ids = [panel["id"] for panel in model["panels"]]
    covered = [
        field
        for at in places
        for field in itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"]))
    ]

    assert len(ids) == len(set(ids))
    assert len(covered) == len(set(covered))
    assert max(x for x, _ in covered) < 24


@each_dashboard
def test_titles_are_of_one_panel_each(model: dict[str, Any]) -> None:
    """A title names a panel."""
    titles = [panel["title"] for panel in _panels(model)]

    assert len(titles) == len(set(titles))


@each_dashboard
def test_every_variable_is_declared_before_it_is_used(model: dict[str, Any]) -> None:
    """In panels, in annotations, and in the variables behind it."""
    declared: set[str] = set()
    for variable in model["templating"]["list"]:
        assert _used(variable.get("query")) | _used(variable.get("datasource")) <= declared
        declared.add(variable["name"])

    used = _used(model["panels"]) | _used(model["annotations"])
    assert used - {"__rate_interval"} <= declared


def _used(value: object) -> set[str]:
    return set(re.findall(r"\$\{?(\w+)", json.dumps(value)))


def test_addresses_and_titles_of_dashboards_differ() -> None:
    """Grafana keeps one dashboard an address."""
    assert len({model["uid"] for model in MODELS.values()}) == len(MODELS)
    assert len({model["title"] for model in MODELS.values()}) == len(MODELS)


def test_the_lint_is_content_with_every_panel() -> None:
    """Not even a hint, and every panel was looked at."""
    findings, items = lint_dashboards([OPS / "grafana" / "dashboards" / name for name in TEXTS], _known())

    assert findings == []
    assert len(items) == sum(len(_panels(model)) for model in MODELS.values())


@each_dashboard
def test_the_lint_is_content_with_annotations(model: dict[str, Any]) -> None:
    """They are queries, too."""
    declared = dict.fromkeys(chosen_at_first(model), "")
    (annotation,) = model["annotations"]["list"]
    written = substitute(annotation["expr"], declared, interval_seconds=15)

    assert written.unknown == ()
    assert [found.message for found in lint_query(Query(written.text), _known())] == []


def _known() -> Known:
    paths = [OPS / "prometheus"]
    known = Known(CONTRACT, jobs=scrape_jobs(paths), target_labels=TARGET_LABELS | scrape_labels(paths))
    return know_rules([read_rule_file(path) for path in sort_paths(paths)[0]], known)


def test_every_family_is_on_a_dashboard_or_left_out_with_a_reason() -> None:
    """What the contract gains has to be shown, or to be explained in LEFT_OUT, which names nothing else."""
    names = {family.name for family in CONTRACT.families}
    text = "\n".join(query.expression for model in MODELS.values() for query in queries_of(model))
    shown = {name for name in names if re.search(rf"\b{name}(_bucket|_count|_sum)?\b", text)}

    assert shown | set(LEFT_OUT) == names
    assert shown & set(LEFT_OUT) == set()
    assert all(LEFT_OUT.values())


def test_every_histogram_has_a_panel_with_exemplars() -> None:
    """Or nothing leads from a slow request to its trace."""
    text = "\n".join(q.expression for model in MODELS.values() for q in queries_of(model) if q.has_exemplars)
    histograms = {family.name for family in CONTRACT.families if family.kind == "histogram"}
    counted_only = {"http_background_duration_seconds"}

    assert {name for name in histograms if f"{name}_bucket" in text} == histograms - set(LEFT_OUT) - counted_only


def test_a_panel_tells_what_the_contract_tells() -> None:
    """Title, unit and description are of the family, its buckets among them."""
    family = CONTRACT.family("db_pool_wait_seconds")
    panel = Families(CONTRACT).quantiles(family.name)

    assert panel.title == "Database pool wait, percentiles"
    assert panel.unit == "s"
    assert panel.description == describe(family)
    assert family.help in panel.description
    assert "from 0.0005 to 5 seconds" in panel.description


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("http_requests_total", "HTTP requests"),
        ("http_request_duration_seconds", "HTTP request duration"),
        ("health_check_last_success_timestamp_seconds", "Health check last success"),
        ("build_info", "Build"),
        ("embedding_batch_size", "Embedding batch size"),
    ],
)
def test_headings_are_names_in_words(name: str, words: str) -> None:
    """Without what the name says of type and unit."""
    assert heading(CONTRACT.family(name)) == words


def test_gauges_are_put_together_as_those_of_workers_are() -> None:
    """One that is unhealthy is not hidden by the others."""
    families = Families(CONTRACT, 'job="a"')

    assert families.gauge("health_up").queries[0].expression == 'min(health_up{job="a"})'
    assert families.gauge("db_pool_connections", "state").queries[0].expression == (
        'sum by (state) (db_pool_connections{job="a"})'
    )


@pytest.mark.parametrize(
    ("panel", "complaint"),
    [
        (lambda families: families.rate("nothing_total"), "'nothing_total' is not in"),
        (lambda families: families.rate("http_requests_total", "route"), "no label 'route'"),
        (lambda families: families.within("http_request_duration_seconds", 0.4), "no bucket 0.4"),
    ],
)
def test_what_the_contract_has_not_is_refused(panel: Any, complaint: str) -> None:
    """A family, a label, a bucket."""
    with pytest.raises(ContractError, match=complaint):
        panel(Families(CONTRACT))


def test_another_contract_makes_other_panels() -> None:
    """A bucket less, and the page that tells a share at it is refused."""
    assert len(make_pages(CONTRACT)) == len(TEXTS)
    with pytest.raises(ContractError, match=r"no bucket 0\.5"):
        make_pages(_without_bucket(CONTRACT, "http_request_duration_seconds", 0.5))


def _without_bucket(contract: MetricsContract, name: str, bound: float) -> MetricsContract:
    families = tuple(
        replace(family, buckets=tuple(each for each in family.buckets if each != bound))
        if family.name == name
        else family
        for family in contract.families
    )
    return replace(contract, families=families)


def test_a_contract_without_a_budget_has_no_panels_of_it() -> None:
    """The page that draws it as a line says what is missing."""
    with pytest.raises(ContractError, match="no line BUDGET"):
        make_pages(replace(CONTRACT, budget=Budget()))


def test_the_budgets_are_those_of_the_recording_rules() -> None:
    """What recording.yml says in words is what the burn rates are divided by."""
    said = dict(
        re.findall(r"^# +(\w+) +([\d.]+) %", (OPS / "prometheus" / "rules" / "recording.yml").read_text(), re.MULTILINE)
    )
    budgets = {kind: round(1 - float(share) / 100, 6) for kind, share in said.items()}

    assert budgets == {"availability": BUDGETS["http_errors"], "latency": BUDGETS["http_slow"]}


def _provisioned(name: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((OPS / "grafana" / "provisioning" / name).read_text())
    return read


def test_the_data_source_has_the_interval_of_the_contract_and_leads_to_sources_that_exist() -> None:
    """$__rate_interval is made of the interval; an exemplar's link names a receiver of traces."""
    sources = {source["uid"]: source for source in _provisioned("datasources/datasources.yml")["datasources"]}
    options = sources["prometheus"]["jsonData"]
    assert CONTRACT.scrape is not None

    assert options["timeInterval"] == f"{CONTRACT.scrape.interval_seconds:g}s"
    assert {sources[link["datasourceUid"]]["type"] for link in options["exemplarTraceIdDestinations"]} == {
        "tempo",
        "jaeger",
    }
    assert [uid for uid, source in sources.items() if source.get("isDefault")] == ["prometheus"]


def test_the_provider_reads_a_folder_of_files() -> None:
    """One that Grafana may not write to."""
    (provider,) = _provisioned("dashboards/dashboards.yml")["providers"]

    assert provider["type"] == "file"
    assert provider["options"]["path"].startswith("/")
    assert provider["allowUiUpdates"] is False


def test_variables_are_put_in_place_as_grafana_does() -> None:
    """The rate's interval is four scrapes, or a step and a scrape where that is more; "All" is every value."""
    query = DashboardQuery("", "", 'rate(x{a=~"$a"}[$__rate_interval])', variables={"a": ".*"})

    assert put_in_place(query, Looking(15, 3600)) == 'rate(x{a=~".*"}[60000ms])'
    assert put_in_place(query, Looking(15, 86400, variables={"a": "b"})) == 'rate(x{a=~"b"}[123000ms])'
    with pytest.raises(KeyError, match="elsewhere"):
        put_in_place(DashboardQuery("", "", "$elsewhere"), Looking(15, 3600))


def test_what_is_chosen_at_first_is_the_job_of_the_contract_and_everything_else() -> None:
    """A dashboard shows something before anybody chooses."""
    assert chosen_at_first(MODELS["endpoint.json"]) == {
        "job": "prethrift-backend",
        "environment": ".*",
        "instance": ".*",
        "route": ".*",
    }


def test_the_page_names_every_dashboard_and_every_family_that_is_left_out() -> None:
    """With the reasons that stand in the code, and no other."""
    page = (OPS / "grafana" / "README.md").read_text()
    told = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", page, re.MULTILINE))

    assert told == LEFT_OUT
    assert set(re.findall(r"\(dashboards/(\w+\.json)\)", page)) == set(TEXTS)
