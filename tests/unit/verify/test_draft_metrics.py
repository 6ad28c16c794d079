"""A draft of metrics.txt: what is guessed from scrapes, what is told, and that the scrapes obey it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from prethrift_backend.contracts import MetricsContract, find_contracts, load_metrics, parse_metrics
from prethrift_backend.contracts.formatting import format_contract
from prethrift_backend.verify.live import scrape_checks
from prethrift_backend.verify.live.items import Ledger
from prethrift_backend.verify.live.scrape import Scrape, read_scrape
from prethrift_backend.verify.recording.labels import room
from prethrift_backend.verify.recording.metrics import Collection, Draft, draft_metrics

TAKEN = Collection("shop", "/metrics", 1000, 0.01)


def _draft(*texts: str) -> tuple[Draft, MetricsContract]:
    draft = draft_metrics([read_scrape(text) for text in texts], TAKEN)
    return draft, parse_metrics(draft.text, source="metrics.txt")


def _errors(scrape: Scrape, contract: MetricsContract) -> list[str]:
    ledger = Ledger()
    scrape_checks.check_families(ledger, scrape, contract)
    scrape_checks.check_cost(ledger, scrape, contract, size_bytes=TAKEN.size_bytes, seconds=TAKEN.seconds)
    return [f"{one.rule}: {one.message}" for one in ledger.findings if one.level == "error"]


def _family(name: str, kind: str, *lines: str) -> str:
    return "\n".join([f"# HELP {name} Words.", f"# TYPE {name} {kind}", *(f"{name}{line}" for line in lines)]) + "\n"


def _label_line(kind: str, *values: str) -> str:
    """Return the LABEL line of a gauge whose one label has these values, from its kind on."""
    text = _family("stock", "gauge", *(f'{{place="{value}"}} 1' for value in values))
    return next(line for line in _draft(text)[0].text.splitlines() if "LABEL" in line).partition("place ")[2]


# Labels.


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (("card", "invoice"), "enum+ card|invoice max=10"),
        (("false", "true"), "enum false|true"),
        (("200", "404"), "match [1-5][0-9][0-9] max=30"),
        (("2xx", "5xx"), "match [1-5]xx max=5"),
        (("/items/{id}",), "open max=10"),
        (("two words",), "open max=10"),
        (("a|b",), "open max=10"),
        (tuple(f"place-{chr(97 + n)}" for n in range(13)), "open max=50"),
    ],
)
def test_values_say_what_kind_of_label_it_is(values: tuple[str, ...], line: str) -> None:
    """Few words are a list that others may join, codes match, and what is none of these is open with a bound."""
    assert _label_line("gauge", *values) == line


@pytest.mark.parametrize(
    ("values", "example"),
    [
        (("0b9d6c5e-8c4f-4f5e-9d2a-1f2e3d4c5b6a",), "'0b9d6c5e-8c4f-4f5e-9d2a-1f2e3d4c5b6a', a UUID"),
        (("0af7651916cd43dd",), "'0af7651916cd43dd', hexadecimal digits"),
        (("10001", "10002", "10003"), "'10001', a number"),
        (("/items/17", "/items/18"), "'/items/17'"),
        (("ann@shop.example",), "an e-mail address"),
    ],
)
def test_a_label_without_an_end_is_told(values: tuple[str, ...], example: str) -> None:
    """Somebody has to look at it before it costs; what names a person is not shown."""
    text = _family("stock", "gauge", *(f'{{place="{value}"}} 1' for value in values))

    draft, contract = _draft(text)

    count = "1 value" if len(values) == 1 else f"{len(values)} values"
    told = f"this label looks unbounded: {count} such as {example}"
    assert f"# guessed: {told}\n" in draft.text
    assert draft.warnings == (f"stock: label 'place': {told}",)
    assert contract.family("stock").labels[0].kind == "open"
    assert "ann@" not in draft.text


def test_a_secret_in_a_label_is_hidden() -> None:
    """Neither the draft nor the warning has the value."""
    text = _family("stock", "gauge", '{place="AKIAABCDEFGHIJKLMNOP"} 1', '{place="x"} 1')

    draft, contract = _draft(text)

    assert "AKIA" not in draft.text + "".join(draft.warnings)
    assert "look like secrets" in draft.warnings[0]
    assert _errors(read_scrape(text), contract) == []


def test_values_that_come_while_it_is_recorded_leave_a_label_open() -> None:
    """A label that grows has more values than were seen."""
    first, last = (
        _family("stock", "gauge", *(f'{{place="p{chr(97 + n)}"}} 1' for n in range(count))) for count in (2, 4)
    )

    draft, _ = _draft(first, last)

    assert "# guessed: values came while this was recorded: 2, then 4" in draft.text


def test_series_that_stand_at_zero_are_there_from_the_start() -> None:
    """Somebody made every combination before it was used: the lists are closed, and the series begin at 0."""
    text = _family("sent_total", "counter", '{how="card",ok="no"} 0', '{how="card",ok="yes"} 3')

    _, contract = _draft(text)

    family = contract.family("sent_total")
    assert (family.presence, family.init, family.max_series) == ("always", "all", 2)
    assert [label.kind for label in family.labels] == ["enum", "enum"]


def test_a_family_without_labels_is_always_there() -> None:
    """Its one series was on the first scrape; the unit is the end of its name."""
    _, contract = _draft(_family("waited_seconds_total", "counter", " 3"))

    family = contract.family("waited_seconds_total")
    assert (family.presence, family.max_series, family.unit, family.stability) == (
        "always",
        1,
        "seconds",
        "development",
    )


# What cannot be promised.


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("# TYPE gone gauge\n", "declared, and without a series"),
        (_family("x_count", "gauge", " 1"), "a name that ends in"),
        (_family("x", "gauge", '{a="1"} 1', '{b="1"} 1'), "its series have different labels"),
        (_family("x", "summary", '{quantile="0.5"} 1', "_sum 1", "_count 1"), "its series have different labels"),
        (_family("x", "gauge", '{quantile="1"} 1'), "a contract has no label quantile"),
        (_family("x", "histogram", '_bucket{le="1"} 1', "_sum 1", "_count 1"), "without the bucket +Inf"),
        (_family("x", "histogram", '_bucket{le="+Inf"} 1', "_sum 1", "_count 1"), "its buckets are no rising numbers"),
        (_family("x", "histogram", '_bucket{le="b"} 1', '_bucket{le="+Inf"} 1'), "its buckets are no rising numbers"),
        (
            _family(
                "x", "histogram", *(f'_bucket{{a="{b}",le="{b}"}} 1\nx_bucket{{a="{b}",le="+Inf"}} 1' for b in "12")
            ),
            "its series have different buckets",
        ),
        (_family("x", "gauge", " 1") + _family("x_total", "counter", " 1"), "in OpenMetrics it is one family with x"),
        (_family("contract_info", "gauge", '{version="1.0.0"} 1'), "it names the contract"),
    ],
)
def test_what_no_contract_can_promise_is_allowed_and_told(text: str, reason: str) -> None:
    """The draft is one that the service obeys, and it says what is left out and why."""
    draft, contract = _draft(_family("up", "gauge", " 1") + text)

    assert reason in draft.warnings[0]
    assert (
        f"# guessed: {draft.warnings[0].partition('not promised: ')[2]}\n# EXTERNAL {contract.external[0]}\n"
        in draft.text
    )
    assert _errors(read_scrape(text + _family("up", "gauge", " 1")), contract) == []


def test_families_of_libraries_stand_under_their_patterns() -> None:
    """One line for all of a library's families."""
    text = _family("process_open_fds", "gauge", " 1") + _family("process_max_fds", "gauge", " 1")

    assert _draft(text)[1].external == ("process_*",)


def test_a_counter_with_another_name_is_allowed_and_told() -> None:
    """Parsers of the format give it the ending that it lacks, so that it has two names and no promise."""
    text = _family("up", "gauge", " 1") + _family("hits", "counter", " 3")

    draft, contract = _draft(text)

    assert contract.external == ("hits", "hits_total")
    assert draft.warnings[0] == "hits: not promised: a counter's name ends in _total: rename it"
    assert _errors(read_scrape(text), contract) == []


def test_a_type_that_no_contract_has_is_left_out() -> None:
    """Names and labels of a summary are promised, its type is not."""
    draft, contract = _draft(_family("took_seconds", "summary", '_sum{how="card"} 1', '_count{how="card"} 1'))

    assert contract.family("took_seconds").kind == "untyped"
    assert "# guessed: the service says summary; a contract has no such type" in draft.text


def test_a_name_that_no_contract_has_is_told() -> None:
    """A name in quotes is one of Prometheus 3; the draft goes on without it."""
    draft, contract = _draft(_family("up", "gauge", " 1") + '{"shop.orders"} 1\n')

    assert draft.warnings == ("'shop.orders' is no name that a contract can have: rename it",)
    assert [family.name for family in contract.families] == ["up"]


# Hostile words, and every word.


def test_words_of_others_stay_words() -> None:
    """Line feeds, quotation marks and directives in a help or a value change no line of the draft."""
    value, told = 'a\\"b\\\\c\\nSERIES x', "One\\nTWO # TYPE x counter \\\\ end"
    text = f'# HELP stock {told}\n# TYPE stock gauge\nstock{{place="{value}"}} 1\n'

    draft, contract = _draft(text)

    assert contract.family("stock").help == "One\nTWO # TYPE x counter \\ end"
    assert dict(contract.family("stock").samples[0].labels) == {"place": 'a"b\\c\nSERIES x'}
    assert format_contract(draft.text, source="metrics.txt") == draft.text


def test_our_own_metrics_are_recorded_close_to_our_contract() -> None:
    """Of each family that has series the draft finds the type, the help, the labels and the buckets."""
    text = (find_contracts() / "../tests/unit/verify/recorded/metrics.prom").read_text()
    ours = load_metrics(find_contracts() / "../tests/unit/verify/recorded/contracts")

    drafted = [family for family in _draft(text)[1].families if family.name in {own.name for own in ours.families}]

    assert len(drafted) > 20
    for family in drafted:
        own = ours.family(family.name)
        same = (own.kind, own.help, set(own.label_names), own.buckets, own.unit)
        assert (family.kind, family.help, set(family.label_names), family.buckets, family.unit) == same


@given(st.integers(0, 10**7))
def test_a_bound_has_room_and_is_round(count: int) -> None:
    """At least twice what was seen, of one digit and zeros."""
    bound = room(count)

    assert bound >= max(2 * count, 10)
    assert str(bound)[0] in "125"
    assert set(str(bound)[1:]) <= {"0"}


NAMES = st.from_regex(r"[a-z_:][a-z0-9_]{0,12}", fullmatch=True)
LABELS = st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True), max_size=3, unique=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.one_of(TEXTS, st.sampled_from(["200", "404", "true", "/a/17", "a b", "", "x" * 50, "GET", "POST"]))
NUMBERS = st.one_of(st.just(0.0), st.floats(0, 1e9))
BOUNDS = st.lists(st.floats(-1e6, 1e6), max_size=5, unique=True)


@dataclass(eq=False)
class _Made(Collector):
    families: list[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.families


@st.composite
def _metrics(draw: st.DrawFn) -> Metric:
    kind = draw(st.sampled_from([_counter, _gauge, _histogram, _info, _summary]))
    name, told, labels = draw(NAMES), draw(TEXTS), draw(LABELS)
    sets = draw(st.lists(st.lists(VALUES, min_size=len(labels), max_size=len(labels)), max_size=5, unique_by=tuple))
    return kind(draw, name, told, labels, sets)


def _counter(draw: st.DrawFn, name: str, told: str, labels: list[str], sets: list[list[str]]) -> Metric:
    family = CounterMetricFamily(name, told, labels=labels)
    for values in sets:
        family.add_metric(values, draw(NUMBERS), created=draw(st.none() | st.just(1.0)))
    return family


def _gauge(draw: st.DrawFn, name: str, told: str, labels: list[str], sets: list[list[str]]) -> Metric:
    family = GaugeMetricFamily(name, told, labels=labels)
    for values in sets:
        family.add_metric(values, draw(NUMBERS))
    return family


def _histogram(draw: st.DrawFn, name: str, told: str, labels: list[str], sets: list[list[str]]) -> Metric:
    family = HistogramMetricFamily(name, told, labels=labels)
    bounds = [*map(str, sorted(draw(BOUNDS))), "+Inf"]
    for values in sets:
        family.add_metric(values, [(bound, 1.0) for bound in bounds], sum_value=draw(NUMBERS))
    return family


def _summary(draw: st.DrawFn, name: str, told: str, labels: list[str], sets: list[list[str]]) -> Metric:
    family = SummaryMetricFamily(name, told, labels=labels)
    for values in sets:
        family.add_metric(values, count_value=1, sum_value=draw(NUMBERS))
    return family


def _info(draw: st.DrawFn, name: str, told: str, labels: list[str], sets: list[list[str]]) -> Metric:
    family = InfoMetricFamily(name, told, labels=[])
    for values in sets[:1]:
        family.add_metric([], dict(zip(labels, values, strict=True)))
    return family


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_metrics(), min_size=1, max_size=5, unique_by=lambda family: family.name))
def test_whatever_a_client_exposes_is_recorded_and_obeys_the_draft(families: list[Metric]) -> None:
    """The draft parses, is canonical, and the same scrape keeps every promise in it."""
    registry = CollectorRegistry()
    registry.register(_Made(families))
    scrape = read_scrape(generate_latest(registry).decode())

    draft = draft_metrics([scrape, scrape], TAKEN)

    contract = parse_metrics(draft.text, source="metrics.txt")
    assert format_contract(draft.text, source="metrics.txt") == draft.text
    assert _errors(scrape, contract) == []


def _lines() -> Iterator[str]:
    yield "# TYPE hits_total counter"
    yield from (f'hits_total{{user="u-{number}"}} 1' for number in range(30_000))


def test_very_many_series_end_in_a_bound() -> None:
    """A draft does not list what nobody reads; it says how many there are."""
    draft, contract = _draft("\n".join(_lines()) + "\n")

    assert len(draft.text) < 2000
    assert contract.family("hits_total").max_series == 100_000
    assert "30000 values, too many for a list" in draft.text
