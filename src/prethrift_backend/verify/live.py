"""A running service against its contracts: the stages of ``prethrift-backend contracts verify URL``.

Nothing but GET, HEAD and one PROPFIND (which RFC 4918 calls safe) is sent, to one origin, a bounded number of times.
What the service shows ends as passed or failed; what it does not show ends as not observed, with the reason, and a run
that has seen too little is inconclusive and never a success.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
from jsonschema import Draft202012Validator

from prethrift_backend.contracts import MetricsContract, find_contracts, load_health_schema, load_metrics
from prethrift_backend.verify import health_checks, live_probe, scrape_checks
from prethrift_backend.verify._rules_live import READING_RULES, RULES
from prethrift_backend.verify.findings import Outcome, Place
from prethrift_backend.verify.health_checks import DETAILS_ITEM, Body, HealthPaths
from prethrift_backend.verify.live_client import LiveAnswer, LiveClient, LiveClock, LiveLimits
from prethrift_backend.verify.live_items import Ledger, Stage
from prethrift_backend.verify.live_scrape import Scrape, read_scrape, samples_of
from prethrift_backend.verify.scrape_checks import BUDGET_ITEM, CONTRACT_ITEM, SCRAPE_ITEM

# Each connection may come to another worker; eight of them miss one of two workers in 1 of 128 runs.
SCRAPES: Final = 8
# Two give a pair to compare; a third tells a schedule that ran in between from a check that runs each time.
_REPEATS: Final = 3
_CERTIFICATE_DAYS_MIN: Final = 14  # arbitrary; renewal by machine comes a month before the end

_TEXT_ACCEPT: Final = "text/plain;version=0.0.4"
_OPENMETRICS_ACCEPT: Final = "application/openmetrics-text;version=1.0.0"


@dataclass(frozen=True, slots=True)
class LiveTokens:
    """The bearer tokens that the service asks for, or None."""

    health: str | None = None
    metrics: str | None = None


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """How a run is made and judged; ``probe`` allows requests that leave traces in the metrics."""

    limits: LiveLimits = field(default_factory=LiveLimits)
    tokens: LiveTokens = field(default_factory=LiveTokens)
    paths: HealthPaths = field(default_factory=HealthPaths)
    min_coverage: float = 0.9
    probe: bool = False


@dataclass(frozen=True, slots=True)
class LiveRun:
    """What one run found, and what it cost the service."""

    outcome: Outcome
    stages: tuple[Stage, ...]
    coverage: float
    observed_count: int
    requests: int
    seconds: float


def verify_live(
    url: str,
    contracts: Path | None = None,
    *,
    options: LiveOptions | None = None,
    transport: httpx.BaseTransport | None = None,
    clock: LiveClock | None = None,
) -> LiveRun:
    """Ask the service at ``url`` and hold what it answers against the contracts of a folder.

    Raises ContractError and LiveUsageError where there is nothing to hold it against, or the address is none.
    """
    options, clock = options or LiveOptions(), clock or LiveClock()
    folder = find_contracts(contracts)
    contract = load_metrics(folder)
    validator = None
    if (folder / "health.schema.json").is_file():
        validator = health_checks.make_validator(load_health_schema(folder))
    client = LiveClient(url, options.limits, clock, transport)
    tokens = tuple(token for token in (options.tokens.health, options.tokens.metrics) if token)
    run = _Run(client, Ledger(tokens), contract, validator, options)
    begun = clock.monotonic()
    try:
        run.go(str(folder / "health.schema.json"))
    finally:
        client.close()
    return _judged(run, seconds=clock.monotonic() - begun)


def _judged(run: _Run, *, seconds: float) -> LiveRun:
    ledger, options = run.ledger, run.options
    inconclusive = list(ledger.inconclusive)
    if ledger.observed_count == 0:
        inconclusive.append("nothing was observed")
    elif ledger.coverage < options.min_coverage:
        shares = f"{ledger.coverage:.0%} of the items were observed, and {options.min_coverage:.0%} are asked for"
        inconclusive.append(f"{shares}: see which are not, and why")
    outcome = Outcome(
        "verify",
        tuple(ledger.findings),
        items=ledger.items,
        rules=tuple(rule.id for rule in (RULES if options.probe else READING_RULES)),
        inconclusive=tuple(inconclusive),
        target=run.client.base_url,
    )
    requests = run.client.requests
    return LiveRun(outcome, tuple(ledger.stages), ledger.coverage, ledger.observed_count, requests, seconds)


@dataclass(slots=True)
class _Run:
    """One run: what it may use, and what it has seen so far."""

    client: LiveClient
    ledger: Ledger
    contract: MetricsContract
    validator: Draft202012Validator | None
    options: LiveOptions
    live: LiveAnswer | None = None
    ready: LiveAnswer | None = None
    health: tuple[LiveAnswer, Body] | None = None
    scrapes: list[tuple[LiveAnswer, Scrape]] = field(default_factory=list)

    def go(self, schema_path: str) -> None:
        self._promise(schema_path)
        self.ledger.stages.append(Stage(0, "offline", "pass", f"contract {self.contract.version}"))
        if not self._reach():
            return
        self._identity()
        self._health_stages()
        self._scrape_stages()
        if self.options.probe:
            self._probe()
        else:
            self.ledger.skip(10, "probe", "needs --probe: it leaves traces in the metrics")

    @property
    def _metrics_path(self) -> str:
        return self.contract.scrape.path if self.contract.scrape else "/metrics"

    def _promise(self, schema_path: str) -> None:
        source = self.contract.source
        for family in self.contract.families:
            self.ledger.promise("metrics", family.name, Place(source, family.line))
        self.ledger.promise("live", SCRAPE_ITEM, Place(source))
        if any((self.contract.budget.series, self.contract.budget.bytes, self.contract.budget.scrape_seconds)):
            self.ledger.promise("live", BUDGET_ITEM, Place(source))
        if self.validator is not None:
            for path in self._health_paths:
                self.ledger.promise("health", path, Place(schema_path))
            if self.options.paths.health:
                self.ledger.promise("health", DETAILS_ITEM, Place(schema_path))

    @property
    def _health_paths(self) -> list[str]:
        paths = self.options.paths
        return [path for path in (paths.live, paths.ready, paths.health) if path]

    def _reach(self) -> bool:
        """Ask for the first time; without an answer there is nothing to go on with."""
        before = len(self.ledger.inconclusive)
        with self.ledger.stage(1, "reach"):
            answer = self._scrape_answer(_TEXT_ACCEPT)
            if 300 <= answer.status_code < 400:
                target = answer.headers.get("location", "")
                message = f"the address answered {answer.status_code}; no redirect is followed"
                self.ledger.find("LV011", "live", SCRAPE_ITEM, message, observed=target.partition("?")[0])
            days = answer.certificate_days
            if days is not None and days < _CERTIFICATE_DAYS_MIN:
                self.ledger.find("LV010", "live", SCRAPE_ITEM, f"the certificate ends in {days:.0f} days")
            self._take_scrape(answer)
        return len(self.ledger.inconclusive) == before

    def _identity(self) -> None:
        if not self.scrapes:
            self.ledger.skip(2, "identity", "there is no scrape that could be read")
            return
        with self.ledger.stage(2, "identity"):
            scrape_checks.check_identity(self.ledger, self.scrapes[0][1], self.contract)

    # Health.

    def _health_stages(self) -> None:
        if self.validator is None:
            for number, name in ((3, "liveness"), (4, "readiness"), (5, "health detail")):
                self.ledger.skip(number, name, "the contracts have no health.schema.json")
            return
        with self.ledger.stage(3, "liveness"):
            self._liveness(self.validator)
        with self.ledger.stage(4, "readiness"):
            self._readiness(self.validator)
        with self.ledger.stage(5, "health detail"):
            self._detail(self.validator)

    def _liveness(self, validator: Draft202012Validator) -> None:
        path = self.options.paths.live
        if not path:
            return
        self.live = answer = self.client.ask(path)
        health_checks.read_body(self.ledger, path, answer, validator)
        health_checks.check_live(self.ledger, path, answer)
        health_checks.check_answer(self.ledger, path, answer, bytes_max=health_checks.LIVE_BYTES_MAX)
        health_checks.check_leaks(self.ledger, path, answer)
        health_checks.check_head(self.ledger, path, answer, self.client.ask(path, method="HEAD"))
        health_checks.check_refusal(self.ledger, path, self.client.ask(path, method="PROPFIND"))

    def _readiness(self, validator: Draft202012Validator) -> None:
        path = self.options.paths.ready
        if not path:
            return
        token = self.options.tokens.health
        self.ready = answer = self.client.ask(path, token=token)
        body = health_checks.read_body(self.ledger, path, answer, validator)
        if body is not None:
            health_checks.check_status(self.ledger, path, answer, body)
        health_checks.check_answer(self.ledger, path, answer, bytes_max=health_checks.HEALTH_BYTES_MAX)
        health_checks.check_leaks(self.ledger, path, answer)
        if self.live is not None:
            health_checks.check_liveness_alone(self.ledger, self.options.paths.live or path, self.live, answer)
        health_checks.check_head(self.ledger, path, answer, self.client.ask(path, method="HEAD", token=token))
        repeats = [self.client.ask(path, token=token) for _ in range(_REPEATS)]
        gap_seconds = 1 / self.options.limits.rate_per_second
        health_checks.check_repeats(self.ledger, path, repeats, gap_seconds=gap_seconds)

    def _detail(self, validator: Draft202012Validator) -> None:
        path, token = self.options.paths.health, self.options.tokens.health
        if not path:
            return
        answer = self.client.ask(path, token=token, headers={"Accept": "application/json"})
        now = self.client.clock.epoch()
        body = health_checks.read_body(self.ledger, path, answer, validator)
        health_checks.check_answer(self.ledger, path, answer, bytes_max=health_checks.HEALTH_BYTES_MAX)
        if body is None:
            return
        self.health = answer, body
        health_checks.check_status(self.ledger, path, answer, body)
        health_checks.check_detail(self.ledger, path, answer, body, now=now)
        if token is not None:
            stranger = self.client.ask(path, headers={"Accept": "application/json"})
            seen = health_checks.read_body(self.ledger, path, stranger, validator)
            health_checks.check_hidden(self.ledger, path, stranger, seen or {})

    # The scrape.

    def _scrape_answer(self, accept: str, encoding: str = "identity") -> LiveAnswer:
        headers = {"Accept": accept, "Accept-Encoding": encoding}
        return self.client.ask(self._metrics_path, headers=headers, token=self.options.tokens.metrics)

    def _take_scrape(self, answer: LiveAnswer) -> Scrape | None:
        """Read a scrape in the text format and keep it; None where it cannot be read."""
        if answer.status_code in (401, 403):
            reason = f"{self._metrics_path} answered {answer.status_code}: give its token"
            if reason not in self.ledger.inconclusive:
                self.ledger.inconclusive.append(reason)
            return None
        if answer.status_code != 200:
            message = f"{self._metrics_path} answered {answer.status_code}"
            self._scrape_finding("LV060", message, answer, expected="200")
            return None
        self.ledger.saw("live", SCRAPE_ITEM)
        if answer.fault is not None:
            self._scrape_finding("LV065", answer.fault, answer)
            return None
        try:
            text = answer.body.decode()
            scrape = self._scrape_of(answer.body) or read_scrape(text)
        except ValueError as error:  # UnicodeDecodeError is one as well
            rule = "LV062" if isinstance(error, UnicodeDecodeError) else "LV066"
            self._scrape_finding(rule, f"the scrape cannot be read: {error}", answer)
            return None
        if not text.endswith("\n"):
            self._scrape_finding("LV066", "the last line does not end", answer, expected="a line feed at the end")
        self.scrapes.append((answer, scrape))
        return scrape

    def _scrape_of(self, body: bytes) -> Scrape | None:
        """Return the last scrape where it was of the same bytes: to read one again takes as long as to fetch it."""
        last = self.scrapes[-1] if self.scrapes else None
        return last[1] if last is not None and last[0].body == body else None

    def _scrape_finding(
        self, rule: str, message: str, answer: LiveAnswer, *, expected: str | None = None, observed: object = None
    ) -> None:
        secret = ' -H "Authorization: Bearer $METRICS_TOKEN"' if self.options.tokens.metrics else ""
        command = f"curl -sSi{secret} '{answer.url}'"
        self.ledger.find(rule, "live", SCRAPE_ITEM, message, expected=expected, observed=observed, reproduce=command)

    def _scrape_stages(self) -> None:
        if not self.scrapes:
            for number, name in ((6, "scrape"), (7, "families"), (8, "cost"), (9, "consistency")):
                self.ledger.skip(number, name, "there is no scrape that could be read")
            return
        first, scrape = self.scrapes[0]
        with self.ledger.stage(6, "scrape"):
            self._check_text_form(first, scrape)
            self._check_openmetrics(scrape)
            self._take_scrape(self._scrape_answer(_TEXT_ACCEPT, "gzip"))
        with self.ledger.stage(7, "families"):
            scrape_checks.check_families(self.ledger, scrape, self.contract)
            self._check_health_metrics(scrape)
        with self.ledger.stage(9, "consistency"):
            while len(self.scrapes) < SCRAPES:
                if self._take_scrape(self._scrape_answer(_TEXT_ACCEPT)) is None:
                    break
            scrape_checks.check_consistency(self.ledger, [seen for _, seen in self.scrapes])
        with self.ledger.stage(8, "cost"):
            # The quickest: what is asked is what a scrape takes, not what else the machine had to do meanwhile.
            seconds = min(answer.seconds for answer, _ in self.scrapes)
            size = len(first.body)
            scrape_checks.check_cost(self.ledger, scrape, self.contract, size_bytes=size, seconds=seconds)
        self.ledger.stages.sort(key=lambda stage: stage.number)

    def _check_text_form(self, answer: LiveAnswer, scrape: Scrape) -> None:
        told = answer.headers.get("content-type", "no content type")
        if answer.media_type != "text/plain" or answer.parameters.get("version") != "0.0.4":
            message = "the scrape has another content type than the text format"
            self._scrape_finding("LV061", message, answer, expected="text/plain; version=0.0.4", observed=told)
        self._check_charset(answer)
        if answer.body.rstrip().endswith(b"# EOF"):
            self._scrape_finding("LV064", "the text format ends with # EOF, which is of OpenMetrics", answer)
        scrape_checks.check_form(self.ledger, scrape)

    def _check_charset(self, answer: LiveAnswer) -> None:
        charset = answer.parameters.get("charset", "")
        if charset.lower() != "utf-8":
            message = f"{answer.media_type} does not say charset=utf-8"
            self._scrape_finding("LV062", message, answer, expected="utf-8", observed=charset or "none")

    def _check_openmetrics(self, scrape: Scrape) -> None:
        answer = self._scrape_answer(_OPENMETRICS_ACCEPT)
        told = answer.headers.get("content-type", "no content type")
        if answer.media_type != "application/openmetrics-text":
            message = "OpenMetrics was asked for, and something else came"
            self._scrape_finding("LV063", message, answer, expected="application/openmetrics-text", observed=told)
            return
        if answer.parameters.get("version") not in ("1.0.0", "0.0.1"):
            message = "OpenMetrics has no version"
            self._scrape_finding("LV061", message, answer, expected="version=1.0.0", observed=told)
        self._check_charset(answer)
        if not answer.body.endswith(b"# EOF\n"):
            message = "OpenMetrics does not end with # EOF"
            self._scrape_finding("LV064", message, answer, observed=answer.body[-40:].decode(errors="replace"))
            return
        try:
            names = {sample.name for sample in samples_of(answer.body.decode(), openmetrics=True)}
        except ValueError as error:
            self._scrape_finding("LV067", f"OpenMetrics cannot be read: {error}", answer)
            return
        promised = [scrape.samples.get(family.name, ()) for family in self.contract.families]
        missing = {sample.name for samples in promised for sample in samples} - names
        if missing:
            message = f"OpenMetrics has no {', '.join(sorted(missing)[:5])}"
            self._scrape_finding("LV075", message, answer, observed=len(missing))

    def _check_health_metrics(self, scrape: Scrape) -> None:
        path = self.options.paths.health
        if self.health is not None and path:
            health_checks.check_against_metrics(self.ledger, path, *self.health, scrape, self.contract)

    def _probe(self) -> None:
        with self.ledger.stage(10, "probe"):
            live_probe.probe(self.client, self.ledger, self.contract, self._fresh_scrape)

    def _fresh_scrape(self) -> Scrape | None:
        return self._take_scrape(self._scrape_answer(_TEXT_ACCEPT))


__all__ = ["CONTRACT_ITEM", "LiveOptions", "LiveRun", "LiveTokens", "verify_live"]
