"""The shipped metrics.txt: a valid exposition whose examples obey it and whose bounds fit its budget."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from prethrift_backend.contracts import MetricFamily, load_metrics

CONTRACT = load_metrics()
TEXT = Path(CONTRACT.source).read_text(encoding="utf-8")


@pytest.fixture(params=CONTRACT.families, ids=lambda family: family.name)
def family(request: pytest.FixtureRequest) -> MetricFamily:
    """Return each family of the file in turn."""
    found: MetricFamily = request.param
    return found


def test_classic_parser_reads_the_same_families() -> None:
    """prometheus_client reads every family with the type and help that our parser reads."""
    read = {metric.name: (metric.type, metric.documentation) for metric in text_string_to_metric_families(TEXT)}

    assert read == {family.name.removesuffix("_total"): (family.kind, family.help) for family in CONTRACT.families}


def test_classic_parser_reads_the_same_samples() -> None:
    """Names, labels and values of the sample lines are those that our parser reads."""
    samples = [sample for metric in text_string_to_metric_families(TEXT) for sample in metric.samples]

    assert [(sample.name, sample.labels, sample.value) for sample in samples] == [
        (sample.name, dict(sample.labels), sample.value) for family in CONTRACT.families for sample in family.samples
    ]


def test_each_family_has_a_sample_that_obeys_it(family: MetricFamily) -> None:
    """A family shows at least one series, with its own labels and allowed values."""
    assert family.samples
    for sample in family.samples:
        values = dict(sample.labels)
        values.pop("le", None)
        assert set(values) == set(family.label_names)
        assert all(label.allows(values[label.name]) for label in family.labels)


def test_each_family_has_a_bound_an_owner_and_a_stability(family: MetricFamily) -> None:
    """No family is without SERIES max, META owner, since and stability."""
    assert family.max_series is not None
    assert family.owner == "backend"
    assert family.since in ("1.0.0", CONTRACT.version)
    assert family.stability in ("stable", "beta")


def test_each_gauge_says_how_workers_share_it(family: MetricFamily) -> None:
    """What several workers make of a gauge is a decision, and never the default by accident."""
    (meta,) = [line for line in TEXT.splitlines() if line.split()[:3] == ["#", "META", family.name]]

    assert ("across=" in meta) == (family.kind == "gauge")


def test_each_open_label_has_a_bound(family: MetricFamily) -> None:
    """What can be any text can be only so many of them."""
    assert all(label.most_values is not None for label in family.labels)


def test_bounds_together_fit_the_budget() -> None:
    """With every family full, a scrape still keeps to BUDGET series, with room for process and gc."""
    assert CONTRACT.budget.series is not None
    assert sum(family.max_series or 0 for family in CONTRACT.families) <= CONTRACT.budget.series - 50


def test_no_family_is_external() -> None:
    """What is promised is not at the same time only allowed."""
    assert not [family.name for family in CONTRACT.families if CONTRACT.is_external(family.name)]


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("http_requests_total", ("method", "endpoint", "status_code")),
        ("http_request_duration_seconds", ("method", "endpoint")),
        ("search_operations_total", ("search_type", "status")),
        ("embedding_operations_total", ("operation_type", "status")),
    ],
)
def test_families_of_the_first_hour_keep_their_labels(name: str, labels: tuple[str, ...]) -> None:
    """Dashboards rest on these four names and their labels."""
    assert CONTRACT.family(name).label_names == labels
