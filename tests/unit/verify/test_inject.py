"""`--inject`: what bad clients do to a service, what an outage shows, and who may do that to whom."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from tests.support.counting_service import CountingService
from tests.support.recorded_service import URL, RecordedService, Reply

from prethrift_backend.verify.inject import outage as inject_outage
from prethrift_backend.verify.inject.stage import check_allowed
from prethrift_backend.verify.inject.wire import WireAnswer, WireRequest
from prethrift_backend.verify.live.client import LiveUsageError
from prethrift_backend.verify.live.options import InjectOptions, LiveOptions, LiveRun
from prethrift_backend.verify.rules import inject as _rules_inject
from prethrift_backend.verify.verdict import INCONCLUSIVE, VERIFIED, VIOLATED, exit_status

CHECKS = 'health_checks_total{check="database",result="healthy"}'


class BadlyTreated(CountingService):
    """A counting service behind a wire of memory; it refuses what is too long as a server does."""

    def __init__(self) -> None:
        super().__init__()
        self.limit_characters = 8000
        self.spoilt: Callable[[WireRequest, WireAnswer], WireAnswer] = lambda _request, answer: answer
        self.abandoned: list[WireRequest] = []

    # The wire.

    def exchange(self, request: WireRequest) -> WireAnswer:
        """Answer as the service does."""
        if len(request.encoded("service.test")) > self.limit_characters:
            return self.spoilt(request, WireAnswer(431))
        headers = [(b"accept", b"*/*"), (b"accept-encoding", b"identity"), *request.headers]
        asked = httpx.Request(request.method, f"{URL}{request.path}", headers=headers)
        reply = self.answer(asked)
        head = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
        return self.spoilt(request, WireAnswer(reply.status_code, head, reply.read()))

    def burst(self, requests: Sequence[WireRequest]) -> list[WireAnswer]:
        """Answer one after the other: what counts here is what is made of the answers."""
        return [self.exchange(request) for request in requests]

    def slowly(self, requests: Sequence[WireRequest], meanwhile: Callable[[], None]) -> list[WireAnswer]:
        """Answer as usual."""
        meanwhile()
        return self.burst(requests)

    def abandon(self, request: WireRequest) -> None:
        """Note who went."""
        self.abandoned.append(request)


def _inject(service: BadlyTreated, **changes: str | float) -> LiveRun:
    options = InjectOptions(is_asked=True, owns=True, make_wire=lambda _url, _seconds: service, timeout_seconds=1.0)
    return service.verify(LiveOptions(inject=replace(options, **changes)))  # type: ignore[arg-type]  # fields by name


def _rules(run: LiveRun) -> set[str]:
    return {finding.rule for finding in run.outcome.findings}


def test_a_service_that_stands_it_is_verified() -> None:
    """Everything is refused or counted, and what there is to look at was looked at."""
    service = BadlyTreated()

    run = _inject(service)

    assert _rules(run) == set()
    assert exit_status(run.outcome, "error") == VERIFIED
    assert len(service.abandoned) == 10
    assert next(item for item in run.outcome.items if item.name == "bad clients").not_observed is None
    assert next(stage.note for stage in run.stages if stage.name == "inject").endswith(" requests of strangers")


def _where(is_meant: Callable[[WireRequest], bool], answer: WireAnswer) -> Callable[[BadlyTreated], None]:
    def change(service: BadlyTreated) -> None:
        service.spoilt = lambda request, usual: answer if is_meant(request) else usual

    return change


def _names(request: WireRequest) -> set[bytes]:
    return {name for name, _ in request.headers}


def _echoes(service: BadlyTreated) -> None:
    def echo(request: WireRequest, usual: WireAnswer) -> WireAnswer:
        told = [value.decode("latin-1") for name, value in request.headers if name == b"x-request-id"]
        return replace(usual, head="".join(f"X-Request-ID: {value}\r\n" for value in told))

    service.spoilt = echo


def _runs_checks(service: BadlyTreated) -> None:
    asked = itertools.count()

    def run(request: httpx.Request, reply: Reply) -> None:
        if request.url.path == "/health/ready":
            next(asked)
        if request.url.path == "/metrics" and b"# EOF" not in reply.body and "content-encoding" not in reply.headers:
            assert CHECKS.encode() in reply.body
            count = int(repr(asked)[6:-1])
            reply.body = reply.body.replace(CHECKS.encode(), CHECKS.encode() + f" {count}00\n#".encode())

    service.spoilers.append(run)


def _leaks_files(service: BadlyTreated) -> None:
    def leak(request: httpx.Request, reply: Reply) -> None:
        if request.url.path == "/metrics" and service.abandoned:
            reply.body = reply.body.replace(b"\nprocess_open_fds ", b"\nprocess_open_fds 9")

    service.spoilers.append(leak)


def _dies(service: BadlyTreated) -> None:
    service.spoilt = lambda _request, usual: WireAnswer(None) if service.abandoned else usual


class _RawPaths(BadlyTreated):
    def label(self, request: httpx.Request) -> list[tuple[str, str]]:
        return [(method, request.url.path) for method, _ in super().label(request)]


class _AnyMethod(BadlyTreated):
    def label(self, request: httpx.Request) -> list[tuple[str, str]]:
        return [(request.method, "__unmatched__")]


class _CountsTwice(BadlyTreated):
    def label(self, request: httpx.Request) -> list[tuple[str, str]]:
        return 2 * super().label(request)


def _spoilt(change: Callable[[BadlyTreated], object]) -> Callable[[], BadlyTreated]:
    def make() -> BadlyTreated:
        service = BadlyTreated()
        change(service)
        return service

    return make


FAULTS: dict[str, tuple[str, Callable[[], BadlyTreated]]] = {
    "a queue before the probes": (
        "LV140",
        _spoilt(_where(lambda r: r.path == "/health/ready", WireAnswer(429))),
    ),
    "each probe runs its checks": ("LV141", _spoilt(_runs_checks)),
    "slow clients hold all up": (
        "LV142",
        _spoilt(_where(lambda r: r.path == "/health/live", WireAnswer(200, seconds=4.0))),
    ),
    "a long header breaks it": ("LV143", _spoilt(_where(lambda r: b"x-verify" in _names(r), WireAnswer(500)))),
    "identifiers are repeated": ("LV144", _spoilt(_echoes)),
    "a bad trace changes the answer": (
        "LV144",
        _spoilt(_where(lambda r: b"traceparent" in _names(r), WireAnswer(500))),
    ),
    "raw paths": ("LV145", _RawPaths),
    "odd methods make series": ("LV146", _AnyMethod),
    "odd methods are served": ("LV146", _spoilt(_where(lambda r: r.method == "BREW", WireAnswer(200)))),
    "half a scrape": (
        "LV147",
        _spoilt(
            _where(lambda r: r.path == "/metrics" and not r.headers, WireAnswer(200, body=b"http_requests_total{"))
        ),
    ),
    "requests count twice": ("LV148", _CountsTwice),
    "files stay open": ("LV149", _spoilt(_leaks_files)),
    "it dies": ("LV150", _spoilt(_dies)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_under_pressure_is_reported_under_its_rule(fault: str) -> None:
    """One way to fail gives a finding of the rule that it breaks."""
    rule, make = FAULTS[fault]

    run = _inject(make())

    assert rule in _rules(run)
    assert exit_status(run.outcome, "error") == VIOLATED


def test_every_rule_of_traffic_has_a_fault() -> None:
    """No rule stands in the table without something that breaks it."""
    assert {rule.id for rule in _rules_inject.TRAFFIC_RULES} == {rule for rule, _ in FAULTS.values()}


# An outage: the commands make and remove a file, and the service looks at it.


class Dependent(BadlyTreated):
    """A service whose dependency is away while a file is there; the attributes say what it makes of that."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.ready, self.live, self.up, self.stays = 503, 200, b"0.0", False
        self.was_away = False
        self.spoilers.append(self._look)

    def _look(self, request: httpx.Request, reply: Reply) -> None:
        is_away = self._path.exists() or (self.stays and self.was_away)
        self.was_away = self.was_away or is_away
        if not is_away:
            return
        if request.url.path == "/health/ready":
            reply.status = self.ready
        if request.url.path == "/health/live":
            reply.status = self.live
        if request.url.path == "/metrics":
            reply.body = reply.body.replace(b"\nhealth_up 1.0", b"\nhealth_up " + self.up)


@pytest.fixture
def away(tmp_path: Path) -> Path:
    """Name the file that stands for an outage."""
    return tmp_path / "away"


def _outage(service: Dependent, path: Path, *, down: str = "touch {}", up: str = "rm {}") -> LiveRun:
    return _inject(service, down=down.format(path), up=up.format(path))


def test_an_outage_that_is_shown_and_over_is_verified(away: Path) -> None:
    """Readiness falls, liveness stays, metrics follow, all comes back."""
    run = _outage(Dependent(away), away)

    assert _rules(run) == set()
    assert exit_status(run.outcome, "error") == VERIFIED
    assert not away.exists()


OUTAGES: dict[str, tuple[str, Callable[[Dependent], None]]] = {
    "readiness stays": ("LV151", lambda s: setattr(s, "ready", 200)),
    "liveness falls": ("LV152", lambda s: setattr(s, "live", 503)),
    "metrics stay": ("LV153", lambda s: setattr(s, "up", b"1.0")),
    "it does not come back": ("LV154", lambda s: setattr(s, "stays", True)),
}


@pytest.mark.parametrize("fault", OUTAGES)
def test_a_fault_in_an_outage_is_reported_under_its_rule(fault: str, away: Path) -> None:
    """What is taken away comes back in each case."""
    rule, change = OUTAGES[fault]
    service = Dependent(away)
    change(service)

    run = _outage(service, away)

    assert rule in _rules(run)
    assert not away.exists()


def test_every_rule_of_an_outage_has_a_fault() -> None:
    """No rule stands in the table without something that breaks it."""
    assert {rule.id for rule in _rules_inject.OUTAGE_RULES} == {rule for rule, _ in OUTAGES.values()}


def test_what_is_taken_away_comes_back_where_the_command_fails(away: Path) -> None:
    """A command that failed may have done half of its work."""
    away.touch()
    service = Dependent(away.with_name("other"))

    run = _outage(service, away, down="false {}")

    assert "the command of --down ended with status 1" in run.outcome.inconclusive[-1]
    assert exit_status(run.outcome, "error") == INCONCLUSIVE
    assert not away.exists()


def test_what_is_taken_away_comes_back_after_an_interruption(away: Path) -> None:
    """Ctrl-C in the middle of an outage does not leave it behind."""

    class Interrupted(Dependent):
        def _look(self, request: httpx.Request, reply: Reply) -> None:
            if away.exists():
                raise KeyboardInterrupt
            super()._look(request, reply)

    run = _outage(Interrupted(away), away)

    assert run.is_interrupted
    assert not away.exists()


def test_nothing_is_taken_from_a_service_that_is_down(away: Path) -> None:
    """There would be nothing to see."""
    service = Dependent(away)
    service.status("/health/ready", 503)

    run = _outage(service, away)

    assert "not ready before anything is taken away" in run.outcome.inconclusive[-1]
    assert not service.was_away


# Who may.


def _options(**changes: object) -> InjectOptions:
    return replace(InjectOptions(is_asked=True), **changes)  # type: ignore[arg-type]  # fields by name


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://127.9.9.9"])
def test_this_machine_may_be_treated_badly(url: str) -> None:
    """Its addresses are those of loopback."""
    check_allowed(_options(), url, is_in_process=False)


@pytest.mark.parametrize("url", ["http://192.0.2.1", "http://example.org", "http://localhost.example.org"])
def test_another_machine_may_not_without_a_word(url: str) -> None:
    """The word is an option of its own."""
    with pytest.raises(LiveUsageError, match="--i-own-this"):
        check_allowed(_options(), url, is_in_process=False)

    check_allowed(_options(owns=True), url, is_in_process=False)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (_options(down="true"), "belong together"),
        (_options(up="true"), "belong together"),
        (InjectOptions(down="true", up="true"), "are for --inject"),
        (_options(down="no-such-program-here", up="true"), "no program here"),
        (_options(down="'", up="true"), "cannot be read"),
        (_options(down=" ", up="true"), "begins with nothing"),
    ],
)
def test_commands_that_cannot_be_meant_are_refused(options: InjectOptions, told: str) -> None:
    """Before anything is asked or taken away."""
    with pytest.raises(LiveUsageError, match=told):
        check_allowed(options, "http://127.0.0.1", is_in_process=False)


def test_an_application_in_this_process_has_no_wire() -> None:
    """Half a request needs a socket."""
    with pytest.raises(LiveUsageError, match="--app"):
        check_allowed(_options(), "http://localhost", is_in_process=True)


def test_a_command_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch, away: Path) -> None:
    """Nobody waits for it for ever."""
    monkeypatch.setattr(inject_outage, "_COMMAND_SECONDS", 0.05)

    run = _outage(Dependent(away), away, down="sleep 60", up="true")

    assert any("--down did not end in time" in reason for reason in run.outcome.inconclusive)


def test_a_command_that_is_no_program_brings_back_what_it_may_have_taken(away: Path, tmp_path: Path) -> None:
    """A file that may be run is not always one that can."""
    away.touch()
    broken = tmp_path / "broken"
    broken.write_bytes(b"\x7fELF")
    broken.chmod(0o755)

    run = _outage(Dependent(away.with_name("other")), away, down=f"{broken}", up="rm {}")

    assert any("--down cannot be run" in reason for reason in run.outcome.inconclusive)
    assert not away.exists()


def test_without_the_option_nothing_is_sent() -> None:
    """The stage says what it needs."""
    run = RecordedService().verify()

    assert next(stage.state for stage in run.stages if stage.name == "inject") == "skipped"
