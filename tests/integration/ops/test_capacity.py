"""The page on capacity against what is measured now, and the limits that its settings keep."""

from __future__ import annotations

import pytest
from tests.support.capacity import (
    GRPC_BYTES,
    PAGE,
    REPLICAS,
    REQUESTS_PER_SECOND,
    Counts,
    differences,
    head_bytes_per_series,
    series_of_target,
    simulate,
    tables,
    with_tables,
)
from tests.support.capacity_inputs import Inputs, deployed, measure
from tests.support.capacity_probes import Reading, count_probes, intervals

from prethrift_backend.contracts import load_metrics
from prethrift_backend.verify.promql.rule_files import read_rule_file


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    """Measure once."""
    return measure()


@pytest.fixture(scope="module")
def counts() -> Counts:
    """Simulate all the replicas of the page once."""
    return simulate()


def test_the_page_has_the_figures_of_now(inputs: Inputs, counts: Counts) -> None:
    """What `python -m tests.support.capacity` would write stands in the page, but for what differs by chance."""
    page = PAGE.read_text()

    assert differences(page, with_tables(page, tables(inputs, counts))) == []


@pytest.mark.parametrize(
    ("line", "is_other"),
    [
        ("| a scrape | 39.5 KiB | text |", False),
        ("| a scrape | 40 KiB | text |", False),
        ("| a scrape | 49.5 KiB | text |", True),
        ("| a scrape | 39.5 MiB | text |", True),
        ("| a scrape | 39.5 KiB | compressed |", True),
    ],
)
def test_a_figure_that_has_changed_is_told(line: str, is_other: bool) -> None:
    """A figure may move by a little, its unit and the words not at all; a line more or less is told too."""
    fresh = "| a scrape | 39.5 KiB | text |"

    assert bool(differences(line, fresh)) is is_other
    assert differences(f"{line}\n", f"{fresh}\n{fresh}\n")


def test_a_table_without_a_place_is_refused() -> None:
    """A mark that somebody took away does not go unnoticed."""
    with pytest.raises(ValueError, match="has no place for the table 'logs'"):
        with_tables("# Capacity", {"logs": ""})


def test_the_series_of_a_process_are_within_its_budget(inputs: Inputs) -> None:
    """Every route answered, a process is well below the contract's bound, and that below what Prometheus refuses."""
    budget = load_metrics().budget.series
    assert budget is not None

    assert inputs.idle.series < inputs.busy.series < budget < deployed().sample_limit
    assert series_of_target(inputs.busy) == inputs.busy.series + inputs.busy.health_series + 10
    assert 1024 < head_bytes_per_series(inputs.busy) < 8 * 1024  # between one and eight KiB, as people find


def test_the_collectors_settings_hold_what_the_replicas_send(inputs: Inputs) -> None:
    """The traces that wait fit in each collector, and a batch in a message of gRPC, twice over."""
    files = deployed()
    collectors = -(-REPLICAS * REQUESTS_PER_SECOND // files.traces_per_second)

    waiting = REPLICAS * REQUESTS_PER_SECOND * files.decision_seconds / collectors
    assert waiting * 1.5 <= files.num_traces
    assert files.batch_spans * inputs.span_bytes * 2 <= GRPC_BYTES


def test_the_database_is_asked_as_often_as_the_formula_says(counts: Counts) -> None:
    """The schedule of all replicas together, simulated, has the mean of replicas by interval within 5 %."""
    for name, seconds in intervals().items():
        assert counts.at_once.per_second(name, 30, 90) == pytest.approx(REPLICAS / seconds, rel=0.05), name


def test_jitter_flattens_what_began_at_once(counts: Counts) -> None:
    """Every check runs once in the first second; a minute later no second has more than twice the mean."""
    assert counts.at_once.peak("database", 0, 1) == REPLICAS
    assert counts.at_once.peak("database", 60, 90) < 2 * REPLICAS / intervals()["database"]


def test_a_database_that_returns_is_not_stormed(counts: Counts) -> None:
    """In the busiest second after an outage the check asks at most three times as often as it does on average."""
    peak = counts.after_outage.peak("database", 60, 90)

    assert peak <= 3 * REPLICAS / intervals()["database"]
    assert counts.after_outage.runs["pgvector"][45] == 0  # what depends on it is not asked meanwhile


def test_what_is_recorded_does_not_grow_with_the_replicas() -> None:
    """Every recorded series is of a job as a whole: nothing in its rule keeps the instances apart."""
    rules = list(read_rule_file(PAGE.parents[1] / "ops/prometheus/rules/recording.yml").rules)

    assert rules
    assert [rule.name for rule in rules if not rule.name.startswith("job:") or "instance" in rule.text] == []


def test_who_asks_costs_the_database_nothing() -> None:
    """With and without readers, from the same start, the checks run equally often."""
    often = Reading((0.1, 1.0))

    asked, alone = (count_probes([0.0] * 20, until_seconds=31, reading=reading) for reading in (often, Reading()))

    assert asked.answers > 20 * 11 * 28
    for name in intervals():
        assert asked.runs[name].total() == pytest.approx(alone.runs[name].total(), rel=0.05), name
