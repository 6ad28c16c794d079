"""Stage 15: a service that is treated badly, by clients and by its dependencies, and what it shows of that.

Only for a service of one's own: on this machine, or where somebody says so. What is sent finds no route, so that no
work is done for it; how much of it there is, is fixed.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from prethrift_backend.verify.findings import Place
from prethrift_backend.verify.inject import outage as inject_outage
from prethrift_backend.verify.inject.scrapes import check_runs, new_series, parsed, scrape_fault, total
from prethrift_backend.verify.inject.wire import SocketWire, Wire, WireAnswer, WireRequest
from prethrift_backend.verify.live import scrape_checks
from prethrift_backend.verify.live.client import LiveUsageError
from prethrift_backend.verify.live.context import LiveContext
from prethrift_backend.verify.live.health_checks import PROBE_SECONDS_MAX
from prethrift_backend.verify.live.items import listed
from prethrift_backend.verify.live.options import InjectOptions
from prethrift_backend.verify.live.probe import request_counter
from prethrift_backend.verify.live.scrape import Scrape

NUMBER: Final = 15
_NAME: Final = "inject"
INJECT_ITEM: Final = "bad clients"

# All arbitrary: a multiple of what a service keeps ready, and small against what any service stands.
_BURST: Final = 40
_PATHS: Final = 40
_SLOW: Final = 6
_LEFT: Final = 10
_SCRAPES: Final = 8
_LONG_CHARACTERS: Final = 70_000
# A schedule may run a check by itself meanwhile, and one that fails again soon.
_RUNS_MAX: Final = 3
_FILES_SLACK: Final = 20
_SETTLE_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.2

_METHODS: Final = ("BREW", "VERIFY", "get", "X" * 64)
_REFUSALS: Final = frozenset({400, 404, 405, 414, 431, 501})
_IDENTIFIERS: Final[tuple[tuple[bytes, bytes], ...]] = (
    (b"traceparent", b"00-00000000000000000000000000000000-0000000000000000-01"),
    (b"traceparent", b"00-" + b"f" * 4000),
    (b"tracestate", b"=,=,=" * 200),
    (b"x-request-id", b'"><script>verify()</script>'),
    (b"x-request-id", b"${jndi:ldap://127.0.0.1/verify}"),
    (b"x-request-id", b"verify" * 800),
    (b"x-trace-id", b"../../verify\xff\xfe"),
)


def check_allowed(options: InjectOptions, url: str, *, is_in_process: bool) -> None:
    """Refuse what must not be done; raises LiveUsageError."""
    if bool(options.down) != bool(options.up):
        raise LiveUsageError("--down and --up belong together: what is taken away has to come back; give both")
    for option, command in (("--down", options.down), ("--up", options.up)):
        if command:
            inject_outage.check_command(option, command)
    if not options.is_asked:
        if options.down:
            raise LiveUsageError("--down and --up are for --inject: give that too")
        return
    if is_in_process:
        raise LiveUsageError("--inject needs a service with a socket: give its URL in place of --app")
    host = urlsplit(url).hostname or ""
    if not options.owns and not _is_loopback(host):
        raise LiveUsageError(f"--inject treats a service badly, and {host!r} is not this machine: add --i-own-this")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def promise(run: LiveContext) -> None:
    """Enter what is tried."""
    if run.options.inject.is_asked:
        run.ledger.promise("live", INJECT_ITEM, Place(run.contract.source))
        if run.options.inject.down:
            run.ledger.promise("live", inject_outage.OUTAGE_ITEM, Place(run.contract.source))


def look(run: LiveContext) -> None:
    """Run the stage."""
    options = run.options.inject
    if not options.is_asked:
        run.ledger.skip(NUMBER, _NAME, "needs --inject: it treats the service badly")
        return
    make = options.make_wire or SocketWire
    wire = make(run.client.base_url, run.options.limits.timeout_seconds)
    with run.ledger.stage(NUMBER, _NAME) as notes:
        injection = _Injection(run, wire)
        injection.go()
        notes.append(f"{injection.sent} requests of strangers")
        if options.down and options.up:
            inject_outage.take_away(run, injection.ask, down=options.down, up=options.up)


@dataclass(slots=True)
class _Injection:
    """What is sent, and how much of it must have been counted: ``certain`` at least, ``sent`` at most."""

    run: LiveContext
    wire: Wire
    sent: int = 0
    certain: int = 0
    marks: list[str] = field(default_factory=list)

    def go(self) -> None:
        """Send everything, and hold the scrapes before and after against each other."""
        before = self._scrape()
        if before is None or self._status(self._alive_path) is None:
            self.run.ledger.inconclusive.append("inject: there is no scrape and no answer to begin with")
            return
        self.run.ledger.saw("live", INJECT_ITEM)
        usual = self._strange([WireRequest(self._path())])[0].status
        steps: Sequence[tuple[str, Callable[[], None]]] = (
            ("a burst of probes", self._burst),
            ("slow clients", self._slow),
            ("half requests", self._abandon),
            ("what is too long", self._long),
            ("hostile identifiers", lambda: self._identify(usual)),
            ("unknown paths", self._paths),
            ("odd methods", self._methods),
            ("scrapes at once", self._scrapes),
        )
        for what, step in steps:
            step()
            if self._status(self._alive_path) is None:
                self._find("LV150", f"no answer to a request after {what}", expected="an answer")
                return
        self._compare(before)

    # What is sent.

    def ask(self, path: str) -> WireAnswer:
        """Ask for a path of the service's own, with the token that it is for."""
        tokens = self.run.options.tokens
        token = tokens.metrics if path == self.run.metrics_path else tokens.health
        secret = ((b"authorization", f"Bearer {token}".encode()),) if token else ()
        return self.wire.exchange(WireRequest(path, headers=((b"accept", b"*/*"), *secret)))

    @property
    def _alive_path(self) -> str:
        return self.run.options.paths.live or self.run.metrics_path

    def _path(self) -> str:
        mark = f"verify-{secrets.token_hex(8)}"
        self.marks.append(mark)
        return f"/{mark}"

    def _status(self, path: str) -> int | None:
        return self.ask(path).status

    def _strange(self, requests: Sequence[WireRequest], *, is_certain: bool = True) -> list[WireAnswer]:
        """Send requests that no route takes, at once; those are certain that the application itself has answered."""
        answers = self.wire.burst(requests)
        self._count(answers, is_certain=is_certain)
        return answers

    def _count(self, answers: Sequence[WireAnswer], *, is_certain: bool = True) -> None:
        self.sent += len(answers)
        if is_certain:  # 400 may be the server's, before there is a request
            self.certain += sum(answer.status not in (None, 400, 431) for answer in answers)

    def _burst(self) -> None:
        path = self.run.options.paths.ready
        if not path or self.run.validator is None:
            return
        before = self._scrape()
        answers = self.wire.burst([WireRequest(path)] * _BURST)
        after = self._scrape()
        odd = [answer.status for answer in answers if answer.status not in (200, 503)]
        if odd:
            message = f"{len(odd)} of {_BURST} requests for {path} at once had no proper answer"
            self._find("LV140", message, expected="200 or 503", observed=listed(set(odd)))
        runs = check_runs(before, after)
        busy = sorted(name for name, count in runs.items() if count > _RUNS_MAX)
        if busy:
            message = f"{_BURST} requests for {path} ran {listed(busy)} up to {max(runs.values()):g} times"
            self._find("LV141", message, expected=f"at most {_RUNS_MAX}", observed=max(runs.values()))

    def _slow(self) -> None:
        seen: list[WireAnswer] = []
        requests = [WireRequest(self._path()) for _ in range(_SLOW)]
        answers = self.wire.slowly(requests, lambda: seen.append(self.ask(self._alive_path)))
        self._count(answers)
        if not seen or seen[0].status != 200 or seen[0].seconds > PROBE_SECONDS_MAX:
            took = f"{seen[0].status} after {seen[0].seconds:.2f} s" if seen else "nothing"
            message = f"{self._alive_path} was not answered in time while {_SLOW} clients sent byte by byte"
            self._find("LV142", message, expected=f"200 within {PROBE_SECONDS_MAX:g} s", observed=took)
        failed = [answer.status for answer in answers if (answer.status or 0) >= 500]
        if failed:
            message = "a request that came byte by byte was answered with an error of the server's"
            self._find("LV142", message, observed=listed(set(failed)))

    def _abandon(self) -> None:
        body = ((b"content-length", b"1000000"), (b"content-type", b"application/octet-stream"))
        for number in range(_LEFT):
            path = self._path()
            self.wire.abandon(WireRequest(path, "POST", body) if number % 2 else WireRequest(path))
        self.sent += _LEFT

    def _long(self) -> None:
        long = "v" * _LONG_CHARACTERS
        requests = {
            "a path": WireRequest(f"{self._path()}-{long}"),
            "a header": WireRequest(self._path(), headers=((b"x-verify", long.encode()),)),
            "a row of headers": WireRequest(self._path(), headers=((b"x-verify", b"v"),) * 1000),
        }
        answers = self._strange(list(requests.values()), is_certain=False)
        for what, answer in zip(requests, answers, strict=True):
            if (answer.status or 0) >= 500 and answer.status != 505:
                message = f"{what} of {_LONG_CHARACTERS if 'row' not in what else 1000} was answered {answer.status}"
                self._find("LV143", message, expected="400, 404, 414 or 431", observed=answer.status)

    def _identify(self, usual: int | None) -> None:
        answers = self._strange([WireRequest(self._path(), headers=(header,)) for header in _IDENTIFIERS])
        for (name, value), answer in zip(_IDENTIFIERS, answers, strict=True):
            told = f"{answer.head}\n{answer.body.decode(errors='replace')}"
            if value.decode("latin-1") in told or value.decode(errors="replace") in told:
                message = f"the answer repeats a {name.decode()} of {len(value)} bytes that is no identifier"
                self._find("LV144", message, expected="one of the service's own", observed=repr(value[:40]))
            elif answer.status not in (usual, 400, 431):
                message = f"a {name.decode()} that is no identifier changes the answer"
                self._find("LV144", message, expected=str(usual), observed=answer.status)

    def _paths(self) -> None:
        self._strange([WireRequest(self._path()) for _ in range(_PATHS)])

    def _methods(self) -> None:
        answers = self._strange([WireRequest(self._path(), method) for method in _METHODS], is_certain=False)
        for method, answer in zip(_METHODS, answers, strict=True):
            if answer.status is not None and answer.status not in _REFUSALS:
                message = f"the method {method!r} was answered {answer.status}"
                self._find("LV146", message, expected="405 or 501", observed=answer.status)

    def _scrapes(self) -> None:
        tokens = self.run.options.tokens
        secret = ((b"authorization", f"Bearer {tokens.metrics}".encode()),) if tokens.metrics else ()
        answers = self.wire.burst([WireRequest(self.run.metrics_path, headers=secret)] * _SCRAPES)
        broken = [fault for fault in map(scrape_fault, answers) if fault]
        if broken:
            message = f"{len(broken)} of {_SCRAPES} scrapes at once were not whole: {broken[0]}"
            self._find("LV147", message, expected="a whole scrape each")

    # What it comes to.

    def _scrape(self) -> Scrape | None:
        return parsed(self.ask(self.run.metrics_path))

    def _compare(self, before: Scrape) -> None:
        after = self._settled(before)
        if after is None:
            self._find("LV150", "no scrape could be read after everything", expected="a scrape")
            return
        self._check_count(before, after)
        self._check_series(before, after)
        for name, was, now in self._risen(before, after):
            self._find("LV149", f"{name} went from {was:g} to {now:g} and stayed", expected=f"{was:g}", observed=now)
        scrape_checks.check_families(self.run.ledger, after, self.run.contract)
        size = len(self.ask(self.run.metrics_path).body)
        scrape_checks.check_cost(self.run.ledger, after, self.run.contract, size_bytes=size, seconds=0.0)
        scrape_checks.check_consistency(self.run.ledger, [before, after], versions=self.run.options.versions)

    def _settled(self, before: Scrape) -> Scrape | None:
        """Scrape until all is counted and has come down, or the time is over."""
        clock = self.run.client.clock
        end = clock.monotonic() + _SETTLE_SECONDS
        after = self._scrape()
        while clock.monotonic() < end:
            if after is not None and self._counted(before, after) >= self.certain and not self._risen(before, after):
                break
            clock.sleep(_PAUSE_SECONDS)
            after = self._scrape()
        return after

    def _counted(self, before: Scrape, after: Scrape) -> float:
        family = request_counter(self.run.contract)
        return self.certain if family is None else total(after, family.name) - total(before, family.name)

    def _check_count(self, before: Scrape, after: Scrape) -> None:
        counted = self._counted(before, after)
        if not self.certain <= counted <= self.sent:
            message = f"{self.sent} requests, of which {self.certain} had an answer, were counted as {counted:g}"
            self._find("LV148", message, expected=f"{self.certain} to {self.sent}", observed=counted)

    def _check_series(self, before: Scrape, after: Scrape) -> None:
        new = new_series(before, after)
        raw = [sample for sample in new if any(m in value for m in self.marks for value in sample.labels.values())]
        if raw:
            message = f"{len(self.marks)} unknown paths made {len(raw)} series, such as one of {raw[0].name!r}"
            self._find("LV145", message, expected="one value for all of them", observed=len(raw))
        odd = {sample.labels.get("method", "") for sample in new} & set(_METHODS)
        if odd:
            self._find("LV146", f"odd methods made series of their own: {listed(sorted(odd))}", expected="one for all")

    def _risen(self, before: Scrape, after: Scrape) -> list[tuple[str, float, float]]:
        names = [
            n for n in before.samples if n.endswith(("_in_progress", "_in_flight")) and before.types.get(n) == "gauge"
        ]
        levels = [(name, total(before, name), total(after, name), 0) for name in names]
        files = "process_open_fds"
        levels.append((files, total(before, files), total(after, files), _FILES_SLACK))
        return [(name, was, now) for name, was, now, slack in levels if now > was + slack]

    def _find(self, rule: str, message: str, *, expected: str | None = None, observed: object = None) -> None:
        self.run.ledger.find(rule, "live", INJECT_ITEM, message, expected=expected, observed=observed)
