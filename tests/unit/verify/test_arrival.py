"""Arrival: whether what a service shows comes to Prometheus, and its alerts to somebody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import respx
from tests.support.recorded_prometheus import (
    ALERTMANAGER,
    INSTANCE,
    PROMETHEUS,
    RULES,
    RecordedPrometheus,
    rule,
    write_rules,
)
from tests.support.recorded_service import RecordedService

from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.arrival.routes import parse_matchers, ways
from prethrift_backend.verify.arrival.rules import read_rules
from prethrift_backend.verify.live.client import LiveLimits, LiveUsageError
from prethrift_backend.verify.live.options import ArrivalOptions, LiveOptions, LiveRun, LiveTokens
from prethrift_backend.verify.live.scrape import read_scrape
from prethrift_backend.verify.live.versions import parse_range
from prethrift_backend.verify.rules import arrival as _rules_arrival
from prethrift_backend.verify.verdict import INCONCLUSIVE, VERIFIED, VIOLATED, exit_status

Change = Callable[[RecordedPrometheus], object]
TOKEN = "a-token-of-prometheus"


@pytest.fixture
def prometheus() -> Iterator[RecordedPrometheus]:
    """Answer at both addresses, in place of the network."""
    recorded = RecordedPrometheus(RecordedService())
    with respx.mock(assert_all_called=False) as router:
        recorded.mock(router)
        yield recorded


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """Write the rule file of the repository."""
    return write_rules(tmp_path)


def _verify(prometheus: RecordedPrometheus, rules: Path | None, options: LiveOptions | None = None) -> LiveRun:
    files = read_rules([rules]) if rules else ()
    arrival = ArrivalOptions(PROMETHEUS, ALERTMANAGER, files, timeout_seconds=8.0)
    limits = LiveLimits(rate_per_second=1000)
    return prometheus.service.verify(replace(options or LiveOptions(), arrival=arrival, limits=limits))


def test_what_has_arrived_is_verified_at_the_first_look(prometheus: RecordedPrometheus, rules: Path) -> None:
    """Where all is well nobody waits."""
    run = _verify(prometheus, rules)

    assert run.outcome.findings == ()
    assert exit_status(run.outcome, "error") == VERIFIED
    assert {item.name for item in run.outcome.items} >= {"arrival", "alertmanager", "ServiceDown", "ServiceSlow"}
    assert prometheus.looks == 2  # the one that found nothing wrong, and the one for the intervals


def _target(**changes: object) -> Change:
    return lambda p: p.targets[0].update(changes)


def _rule(number: int, **changes: object) -> Change:
    return lambda p: p.rules[number].update(changes)


def _routes(old: str, new: str) -> Change:
    def change(prometheus: RecordedPrometheus) -> None:
        assert old in prometheus.configuration
        prometheus.configuration = prometheus.configuration.replace(old, new)

    return change


def _foreign_answer(prometheus: RecordedPrometheus) -> None:
    prometheus.configuration = "what: else"


FAULTS: dict[str, tuple[str, Change]] = {
    "another program": ("LV130", _foreign_answer),
    "a target is down": ("LV131", _target(health="down", lastError="connection refused")),
    "a target was never scraped": ("LV131", _target(health="unknown")),
    "up is not stored": ("LV131", lambda p: setattr(p, "age_seconds", -1.0)),
    "no target": ("LV132", lambda p: p.targets.clear()),
    "another job": ("LV132", _target(labels={"job": "backend", "instance": INSTANCE})),
    "few samples": ("LV133", lambda p: setattr(p, "scraped", 3)),
    "an old scrape": ("LV134", lambda p: setattr(p, "age_seconds", 31.0)),
    "a family is dropped": ("LV135", lambda p: setattr(p, "dropped", frozenset({"build_info"}))),
    "a family with traffic is dropped": ("LV135", lambda p: setattr(p, "dropped", frozenset({"http_requests_total"}))),
    "a label is renamed": ("LV136", lambda p: setattr(p, "relabelled", {"endpoint": "path"})),
    "values change their label": (
        "LV136",
        lambda p: setattr(p, "relabelled", {"method": "endpoint", "endpoint": "method"}),
    ),
    "an alert is not loaded": ("LV137", lambda p: p.rules.pop()),
    "a rule fails": ("LV138", _rule(1, health="err", lastError="many-to-many matching")),
    "a rule was never evaluated": ("LV138", _rule(0, health="unknown")),
    "another threshold": ("LV139", _rule(2, query="job:http_requests:rate5m > 1000")),
    "another duration": ("LV139", _rule(1, duration=60)),
    "another severity": ("LV139", _rule(1, labels={"severity": "ticket"})),
    "two contracts": ("LV300", lambda p: p.versions.update({"1.0.0": 2})),
    "no alertmanager": ("LV301", lambda p: p.alertmanagers.clear()),
    "another alertmanager": ("LV302", lambda p: setattr(p, "alertmanagers", ["http://other.test:9093/api/v2/alerts"])),
    "a receiver without a way": (
        "LV303",
        _routes("- name: pager\n  webhook_configs: [{url: http://pager.test/}]", "- name: pager"),
    ),
    "no route of its own": ("LV304", _routes('severity="page"', 'severity="critical"')),
    "a rule more": ("LV305", lambda p: p.rules.append(rule("alerting", "Extra", "vector(1)"))),
    "another interval": ("LV306", _target(scrapeInterval="1m")),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_arrival_is_reported_under_its_rule(fault: str, prometheus: RecordedPrometheus, rules: Path) -> None:
    """One thing that does not arrive gives findings of the rule that it breaks, and no others."""
    expected, change = FAULTS[fault]
    change(prometheus)

    run = _verify(prometheus, rules)

    assert {finding.rule for finding in run.outcome.findings} == {expected}


def test_every_rule_of_arrival_has_a_fault() -> None:
    """No rule of arrival stands in the table without something that breaks it."""
    known = (*_rules_arrival.PROMETHEUS_RULES, *_rules_arrival.NOTIFIER_RULES)

    assert {known_rule.id for known_rule in known} == {fault for fault, _ in FAULTS.values()}


HARMLESS: dict[str, Change] = {
    "a second target": lambda p: p.targets.append({**p.targets[0], "labels": {"job": "other", "instance": "x"}}),
    "traffic between the scrapes": lambda p: setattr(p, "scraped", read_scrape(p.service.text).series_count + 15),
    "an alert with spaces": _rule(2, query="( job:http_requests:rate5m )   > 1e2"),
    "a route by expression": _routes('severity="page"', 'severity=~"page|critical"'),
    "a route by what is not severity": _routes('severity="page"', "alertname=ServiceDown"),
    "a route deeper in the tree": _routes(
        '    matchers:\n    - severity="page"', "    routes:\n    - matchers: ['{severity=\"page\"}']"
    ),
}


@pytest.mark.parametrize("change", HARMLESS)
def test_what_arrives_in_another_form_is_no_fault(change: str, prometheus: RecordedPrometheus, rules: Path) -> None:
    """What means the same, or happens to a healthy service, gives no finding."""
    HARMLESS[change](prometheus)

    run = _verify(prometheus, rules)

    assert run.outcome.findings == ()


def test_what_comes_late_is_waited_for(prometheus: RecordedPrometheus, rules: Path) -> None:
    """A target that is scraped at the third look is well: nobody knows beforehand when that is."""
    prometheus.targets[0]["health"] = "unknown"

    def late(request: httpx.Request) -> httpx.Response:
        if prometheus.looks == 3:
            prometheus.targets[0]["health"] = "up"
        return prometheus.usual(request)

    prometheus.instead = late

    run = _verify(prometheus, rules)

    assert run.outcome.findings == ()
    assert prometheus.looks == 4


def test_waiting_ends_at_its_deadline(prometheus: RecordedPrometheus, rules: Path) -> None:
    """What never arrives is reported after the time that was given, with bounded requests."""
    prometheus.targets[0].update(health="down", lastError="refused")
    before = prometheus.service.clock.now

    run = _verify(prometheus, rules)

    assert prometheus.service.clock.now - before == pytest.approx(8.0, abs=1.0)
    assert "refused" in run.outcome.findings[0].message
    assert exit_status(run.outcome, "error") == VIOLATED


def test_a_prometheus_that_does_not_answer_is_inconclusive(prometheus: RecordedPrometheus, rules: Path) -> None:
    """Whether it arrives cannot be said; what the service itself shows is judged all the same."""

    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    prometheus.instead = refuse

    run = _verify(prometheus, rules)

    assert run.outcome.findings == ()
    assert exit_status(run.outcome, "error") == INCONCLUSIVE
    assert f"GET {PROMETHEUS}/api/v1/targets" in run.outcome.inconclusive[0]


def test_a_token_goes_to_its_program_alone(prometheus: RecordedPrometheus, rules: Path) -> None:
    """The token of Prometheus is sent to Prometheus, and shown nowhere."""
    prometheus.targets[0].update(health="down", lastError=f"bad token {TOKEN}")

    run = _verify(prometheus, rules, LiveOptions(tokens=LiveTokens(prometheus=TOKEN)))

    with_token = {request.url.host for request in prometheus.requests if "authorization" in request.headers}
    assert with_token == {"prometheus.test"}
    assert TOKEN not in repr(run)


def test_a_refused_token_is_inconclusive(prometheus: RecordedPrometheus, rules: Path) -> None:
    """A refusal says nothing of what is behind it."""
    prometheus.instead = lambda _request: httpx.Response(401)

    run = _verify(prometheus, rules)

    assert "answered 401: give its token in PROMETHEUS_TOKEN" in run.outcome.inconclusive[0]


def test_a_redirect_of_prometheus_is_not_followed(prometheus: RecordedPrometheus, rules: Path) -> None:
    """No request leaves the origin that was named."""
    elsewhere = f"{ALERTMANAGER}/elsewhere"
    prometheus.instead = lambda _request: httpx.Response(302, headers={"location": elsewhere})

    run = _verify(prometheus, rules)

    assert elsewhere not in {str(request.url) for request in prometheus.requests}
    assert {finding.rule for finding in run.outcome.findings} == {"LV130"}


@pytest.mark.parametrize("url", ["prometheus:9090", "http://user:secret@host", "http://host/?a=b"])
def test_an_address_that_is_none_is_refused_by_its_option(url: str) -> None:
    """The text says which option is wrong, and nothing is asked."""
    service = RecordedService()

    with pytest.raises(LiveUsageError, match=r"^--prometheus: the URL") as refused:
        service.verify(LiveOptions(arrival=ArrivalOptions(prometheus=url)))

    assert "secret" not in str(refused.value)
    assert service.requests == []


def test_without_rule_files_nothing_can_be_said_of_routes(prometheus: RecordedPrometheus) -> None:
    """Nothing looked at is not a success."""
    run = _verify(prometheus, None)

    assert exit_status(run.outcome, "error") == INCONCLUSIVE
    assert "no alerts to look for routes of" in run.outcome.inconclusive[-1]


def test_allowed_versions_may_stand_side_by_side(prometheus: RecordedPrometheus, rules: Path) -> None:
    """While a deployment rolls two versions are what is wanted."""
    prometheus.versions["1.0.2"] = 1

    run = _verify(prometheus, rules, LiveOptions(versions=parse_range("1.0..1.1")))

    assert run.outcome.findings == ()


def test_a_rule_file_that_cannot_be_loaded_is_refused(tmp_path: Path) -> None:
    """What Prometheus would not load cannot be loaded there."""
    path = write_rules(tmp_path, RULES.replace("expr: sum", "exprs: sum"))

    with pytest.raises((ContractError, LiveUsageError), match=r"service\.yml:5"):
        read_rules([path])


def test_a_folder_without_rules_gives_none() -> None:
    """Without rule files and without the usual folder there is nothing to look for."""
    assert read_rules([]) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('severity="page"', [("severity", "=", "page")]),
        ("severity = page", [("severity", "=", "page")]),
        ('{severity=~"a|b,c", team!="x"}', [("severity", "=~", "a|b,c"), ("team", "!=", "x")]),
        (r'name="a\"b"', [("name", "=", 'a"b')]),
    ],
)
def test_matchers_are_read_as_alertmanager_writes_them(text: str, expected: list[tuple[str, str, str]]) -> None:
    """Quotes, braces and commas are all in use."""
    assert [(m.name, m.operator, m.value) for m in parse_matchers(text)] == expected


def test_a_route_on_an_unknown_label_leaves_both_ways_open() -> None:
    """Which series fires is not known beforehand."""
    tree = {"receiver": "a", "routes": [{"receiver": "b", "matchers": ['team="x"']}]}

    assert {way.receiver for way in ways(tree, {"severity": "page"})[0]} == {"a", "b"}


def test_a_route_that_goes_on_reaches_its_sibling_too() -> None:
    """continue: true hands the alert on."""
    first = {"receiver": "b", "match": {"severity": "page"}, "continue": "true"}
    tree = {"receiver": "a", "routes": [first, {"matchers": ['severity=~"p.*"']}]}

    assert [way.receiver for way in ways(tree, {"severity": "page"})[0]] == ["b", "a"]
