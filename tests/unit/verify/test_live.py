"""A run of ``verify``: what it asks and how often, what it makes of silence, and what it never shows."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import respx
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.recorded_service import CONTRACTS, URL, RecordedService, Reply

from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.live.client import LiveLimits, LiveUsageError, checked_url
from prethrift_backend.verify.live.health_checks import HealthPaths, make_validator
from prethrift_backend.verify.live.items import Ledger
from prethrift_backend.verify.live.run import LiveOptions, LiveTokens, verify_live
from prethrift_backend.verify.verdict import INCONCLUSIVE, VERIFIED, VIOLATED, exit_status

TOKEN = "s3cr3t-of-the-service"


def test_the_recorded_service_is_verified() -> None:
    """A real, healthy process gives no finding and a success."""
    run = RecordedService().verify()

    assert run.outcome.findings == ()
    assert exit_status(run.outcome, "error") == VERIFIED


def test_every_stage_is_told_in_order() -> None:
    """A reader sees each stage once, those that were not run with the reason."""
    run = RecordedService().verify()

    assert [stage.number for stage in run.stages] == [*range(16)]
    skipped = [stage.name for stage in run.stages if stage.state == "skipped"]
    assert skipped == ["probe", "correlate", "logs and spans", "arrival", "inject"]


def test_only_methods_that_change_nothing_are_sent() -> None:
    """Without --probe the service is only read."""
    service = RecordedService()

    service.verify()

    assert {request.method for request in service.requests} == {"GET", "HEAD", "PROPFIND"}


def test_requests_keep_to_the_rate() -> None:
    """No request follows another sooner than the rate allows."""
    service = RecordedService()

    run = service.verify(LiveOptions(limits=LiveLimits(rate_per_second=4)))

    assert sum(service.clock.slept) == pytest.approx((run.requests - 1) / 4)


def test_a_run_stops_when_its_requests_are_spent() -> None:
    """What could not be asked any more makes the run inconclusive, not successful."""
    service = RecordedService()

    run = service.verify(LiveOptions(limits=LiveLimits(max_requests=6)))

    assert len(service.requests) == 6
    assert "all 6 requests are made" in run.outcome.inconclusive[0]
    assert exit_status(run.outcome, "error") == INCONCLUSIVE


def test_a_service_that_does_not_answer_is_inconclusive() -> None:
    """Nothing can be said of a service that nobody reaches; the first request shows that."""
    with respx.mock(base_url=URL) as router:
        route = router.get("/metrics").mock(side_effect=httpx.ConnectError("refused"))
        run = verify_live(URL, CONTRACTS)

    assert route.call_count == 1
    assert run.observed_count == 0
    assert exit_status(run.outcome, "error") == INCONCLUSIVE


def test_a_redirect_is_not_followed() -> None:
    """No request leaves the origin, whatever it answers."""
    with respx.mock(assert_all_called=False) as router:
        elsewhere = router.route(host="elsewhere.test").respond(200)
        router.route(host="service.test").respond(302, headers={"location": "http://elsewhere.test/metrics"})
        run = verify_live(URL, CONTRACTS, options=LiveOptions(limits=LiveLimits(rate_per_second=1000)))

    assert not elsewhere.called
    assert exit_status(run.outcome, "error") == VIOLATED


def test_metrics_behind_a_token_are_inconclusive_without_it() -> None:
    """A refusal is no breach of the contract: it was not shown what is behind it."""
    service = RecordedService()
    service.status("/metrics", 401)

    run = service.verify()

    assert run.outcome.findings == ()
    assert run.outcome.inconclusive[0] == "/metrics answered 401: give its token"
    assert exit_status(run.outcome, "error") == INCONCLUSIVE


def test_a_token_is_sent_to_its_own_endpoints_alone() -> None:
    """The token of the metrics does not go to health, nor the other way round."""
    service = RecordedService()

    service.verify(LiveOptions(tokens=LiveTokens(metrics=TOKEN)))

    sent = {request.url.path for request in service.requests if "authorization" in request.headers}
    assert sent == {"/metrics"}


def test_no_cookie_is_sent_back() -> None:
    """A balancer that ties a client to one worker by a cookie would hide the others."""
    service = RecordedService()
    service.header("/metrics", "set-cookie", "worker=1; Path=/")

    service.verify()

    assert not any("cookie" in request.headers for request in service.requests)


def test_no_finding_shows_a_token_or_a_secret() -> None:
    """A report is read by more people than the endpoints are."""
    service = RecordedService()
    service.body("/health", version=f"{TOKEN} postgresql://app:hunter2hunter2@db/app", extra=1)
    service.append(f'oddity{{key="{TOKEN}"}} 1\n')

    run = service.verify(LiveOptions(tokens=LiveTokens(health=TOKEN, metrics=TOKEN)))

    assert {"LV050", "LV053", "LV080"} <= {finding.rule for finding in run.outcome.findings}
    assert TOKEN not in repr(run)
    assert "hunter2" not in repr(run)


def test_too_little_seen_is_inconclusive() -> None:
    """A floor that is not reached is never a success."""
    run = RecordedService().verify(LiveOptions(min_coverage=1.0))

    assert run.outcome.findings == ()
    assert "are asked for" in run.outcome.inconclusive[0]


def test_an_item_that_was_not_seen_says_why() -> None:
    """Each reason is one that a reader can act on."""
    run = RecordedService().verify()

    reasons = {item.name: item.not_observed for item in run.outcome.items if item.not_observed}
    assert reasons["websocket_messages_total"] == "no traffic has come yet that it counts"
    assert reasons["telemetry_queue_length"] == "the feature 'tracing' shows nothing of it"
    assert reasons["contract_violations_total"] == "no error has happened yet"


def test_contracts_without_a_health_schema_leave_health_out(tmp_path: Path) -> None:
    """A team that has only metrics in its contracts is not asked for health."""
    shutil.copy(CONTRACTS / "metrics.txt", tmp_path)
    service = RecordedService()

    run = service.verify(contracts=tmp_path)

    assert run.outcome.findings == ()
    assert {request.url.path for request in service.requests} == {"/metrics"}


def test_health_may_be_elsewhere() -> None:
    """A service whose paths are others names them; one that it does not have is left out."""
    service = RecordedService()
    service.bodies["/livez"] = service.bodies.pop("/health/live")
    del service.bodies["/health/ready"]

    run = service.verify(LiveOptions(paths=HealthPaths(live="/livez", ready=None)))

    assert run.outcome.findings == ()


def test_contracts_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    """Nothing is asked where there is nothing to hold the answers against."""
    (tmp_path / "metrics.txt").write_text("# CONTRACT nonsense\n")
    service = RecordedService()

    with pytest.raises(ContractError, match=r"metrics\.txt:1"):
        service.verify(contracts=tmp_path)
    assert service.requests == []


def test_a_schema_that_is_none_is_refused() -> None:
    """A schema with a typo would let every body pass."""
    with pytest.raises(LiveUsageError, match="no JSON Schema"):
        make_validator({"type": "objekt"})


def test_formats_are_checked() -> None:
    """A time is a time: jsonschema alone lets every text pass."""
    validator = make_validator({"type": "string", "format": "date-time"})

    assert validator.is_valid("2026-11-25T00:00:00Z")
    assert not validator.is_valid("yesterday")


@pytest.mark.parametrize("token", ["two words", "caf\u00e9", "line\nfeed"])
def test_a_token_that_cannot_be_sent_is_refused(token: str) -> None:
    """The text names no token."""
    with pytest.raises(LiveUsageError, match="visible ASCII") as caught:
        RecordedService().verify(LiveOptions(tokens=LiveTokens(metrics=token)))
    assert token not in str(caught.value)


def test_details_that_are_hidden_are_told_as_not_seen() -> None:
    """What the service shows to its owner alone is named, and does not count against the coverage."""
    service = RecordedService()
    for check in service.bodies["/health"]["checks"]:
        check["details"] = {}

    run = service.verify()

    reasons = {item.name: item.not_observed for item in run.outcome.items}
    assert reasons["health details"] == "the service shows none: give its token in --token"
    assert exit_status(run.outcome, "error") == VERIFIED


@settings(max_examples=25)
@given(body=st.binary(max_size=300) | st.text(alphabet='abc_{}="#\\\n 0123TYPEHL+Infle', max_size=300).map(str.encode))
def test_no_answer_breaks_the_run(body: bytes) -> None:
    """Whatever a service answers everywhere, the run ends with a verdict, and not with a success."""
    service = RecordedService()

    def spoil(_request: httpx.Request, reply: Reply) -> None:
        reply.body = body

    service.spoilers.append(spoil)

    run = service.verify()

    assert exit_status(run.outcome, "error") in (VIOLATED, INCONCLUSIVE)


@pytest.mark.parametrize(
    "url",
    ["ftp://a", "service.test", "http://", "http://a:0", "http://u:p@a", "http://a?b=c", "http://a#b", "http://a:b"],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    """An address is that of an origin, with a path before the endpoints at most, and holds no secret."""
    with pytest.raises(LiveUsageError, match="URL"):
        checked_url(url)


def test_a_body_without_end_is_cut_off() -> None:
    """A server that sends for ever holds nobody for ever."""
    service = RecordedService()

    def flood(_request: httpx.Request, reply: Reply) -> None:
        reply.body = b"x" * (9 * 1024 * 1024)

    service.spoilers.append(flood)

    run = service.verify()

    assert "more than 8388608 bytes" in run.outcome.inconclusive[0]
    assert [finding.rule for finding in run.outcome.findings] == ["LV101"]


def test_a_scrape_of_many_families_that_nobody_knows_is_told_in_short() -> None:
    """The first hundred are named, the rest is counted, and other findings keep their place."""
    service = RecordedService()
    service.append("".join(f"oddity_{number} 1\n" for number in range(5000)))

    run = service.verify()

    unknown = [finding for finding in run.outcome.findings if finding.rule == "LV080"]
    assert len(unknown) == 101
    assert unknown[-1].message == "4900 more families are in no contract"


def test_findings_without_end_are_cut_off() -> None:
    """Nobody reads more than a thousand; that there are more is said, and is no success."""
    ledger = Ledger()
    for number in range(1100):
        ledger.find("LV080", "metrics", f"oddity_{number}", "it is in no contract")

    assert len(ledger.findings) == 1000
    assert ledger.inconclusive == ["there are more than 1000 findings: the rest is left out"]


def test_a_health_body_of_megabytes_is_not_looked_through() -> None:
    """It is too long for any probe, which is said; its million faults are not."""
    service = RecordedService()

    def bulk(request: httpx.Request, reply: Reply) -> None:
        if "health" in request.url.path:
            reply.body = b'{"checks":[' + b",".join([b"{}"] * 1_000_000) + b"]}"

    service.spoilers.append(bulk)

    run = service.verify()

    assert {"LV033"} <= {finding.rule for finding in run.outcome.findings}
    assert "LV050" not in {finding.rule for finding in run.outcome.findings}


def test_what_a_service_calls_its_contract_is_told_without_secrets() -> None:
    """The lines of the stages are as careful as the findings."""
    service = RecordedService()
    service.replace('version="1.1.0"', f'version="{TOKEN}"')

    run = service.verify(LiveOptions(tokens=LiveTokens(metrics=TOKEN)))

    assert not [stage for stage in run.stages if TOKEN in stage.note]


def test_a_body_that_is_cut_off_is_a_violation() -> None:
    """A scrape that ends before its length is lost, and is so every time."""

    def cut(request: httpx.Request) -> Iterator[bytes]:
        yield b"# HELP a"
        raise httpx.RemoteProtocolError("peer closed connection", request=request)

    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=cut(request)))

    run = verify_live(URL, CONTRACTS, transport=transport)

    assert "ended before the body did" in run.outcome.inconclusive[0]
    assert [finding.rule for finding in run.outcome.findings] == ["LV066"]


def _contract_with(folder: Path, old: str, new: str, *, text: str | None = None) -> Path:
    text = text or (CONTRACTS / "metrics.txt").read_text()
    assert old in text
    (folder / "metrics.txt").write_text(text.replace(old, new))
    return folder


def test_a_new_value_of_an_open_list_is_a_warning(tmp_path: Path) -> None:
    """An open list may gain values; somebody should write them down."""
    contracts = _contract_with(
        tmp_path,
        "LABEL http_requests_total method      enum GET|HEAD|POST",
        "LABEL http_requests_total method enum+ HEAD|POST",
    )

    run = RecordedService().verify(contracts=contracts)

    assert "LV090" in {finding.rule for finding in run.outcome.findings}


def test_a_deprecated_family_says_so(tmp_path: Path) -> None:
    """Who sees a family in a query has to learn that it goes."""
    gone = "# DEPRECATED health_up since=1.1.0 remove=2.0.0 replaced-by=health_check_up\n"
    contracts = _contract_with(tmp_path, "# SERIES health_up ", f"{gone}# SERIES health_up ")

    run = RecordedService().verify(contracts=contracts)

    assert "LV091" in {finding.rule for finding in run.outcome.findings}


def test_checks_outside_of_a_closed_list_are_reported(tmp_path: Path) -> None:
    """Where the contract lists the checks, another is a finding."""
    shutil.copy(CONTRACTS / "health.schema.json", tmp_path)
    listed = "database|pgvector|embedding_model|memory"
    contracts = _contract_with(
        tmp_path, "health_check_up check open max=20 overflow=__overflow__", f"health_check_up check enum {listed}"
    )
    _contract_with(
        tmp_path,
        "# SERIES health_check_up max=21",
        "# SERIES health_check_up max=4",
        text=(tmp_path / "metrics.txt").read_text(),
    )

    run = RecordedService().verify(contracts=contracts)

    assert {"LV051", "LV087"} <= {finding.rule for finding in run.outcome.findings}


def test_an_interrupted_run_has_what_was_seen() -> None:
    """Ctrl-C is no verdict, and what was found until then is not lost."""
    service = RecordedService()

    def interrupt(request: httpx.Request, _reply: Reply) -> None:
        if request.url.path == "/health/ready":
            raise KeyboardInterrupt

    service.spoilers.append(interrupt)

    run = service.verify()

    assert run.is_interrupted
    assert [stage.name for stage in run.stages] == ["offline", "reach", "identity", "liveness", "readiness", "vacuity"]
    assert run.stages[-2].note == "interrupted"
    assert "the run was interrupted" in run.outcome.inconclusive
