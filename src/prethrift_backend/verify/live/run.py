"""A running service against its contracts: the stages of ``prethrift-backend contracts verify URL``.

Unless a probe or an injection is asked for, nothing but GET, HEAD and one PROPFIND (which RFC 4918 calls safe) is sent,
to one origin, a bounded number of times.
What the service shows ends as passed or failed; what it does not show ends as not observed, with the reason, and a run
that has seen too little is inconclusive and never a success.

A stage is a function of the `LiveContext` in a module of its own: put it into ``_STAGES``, what it looks at into
``_PROMISES``, and the ids of its rules into ``_judged_rules``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

import httpx

from prethrift_backend.contracts import find_contracts, load_health_schema, load_metrics
from prethrift_backend.verify.arrival import stage as arrival
from prethrift_backend.verify.findings import Outcome
from prethrift_backend.verify.inject import stage as inject
from prethrift_backend.verify.live import health as live_health
from prethrift_backend.verify.live import health_checks
from prethrift_backend.verify.live import metrics as live_metrics
from prethrift_backend.verify.live import probe as live_probe
from prethrift_backend.verify.live import records as live_records
from prethrift_backend.verify.live.client import LiveClient, LiveClock
from prethrift_backend.verify.live.context import LiveApplication, LiveContext
from prethrift_backend.verify.live.items import Ledger, Stage
from prethrift_backend.verify.live.options import LiveOptions, LiveRun, LiveTokens
from prethrift_backend.verify.live.scrape_checks import CONTRACT_ITEM
from prethrift_backend.verify.live.versions import check_released
from prethrift_backend.verify.records.sources import MemoryRecords, opened_sources
from prethrift_backend.verify.rules.arrival import NOTIFIER_RULES, PROMETHEUS_RULES
from prethrift_backend.verify.rules.inject import OUTAGE_RULES, TRAFFIC_RULES
from prethrift_backend.verify.rules.live import READING_RULES, RULES

_Step: TypeAlias = Callable[[LiveContext], None]


def _probe(run: LiveContext) -> None:
    if not run.options.probe:
        run.ledger.skip(10, "probe", "needs --probe: it leaves traces in the metrics")
        return
    with run.ledger.stage(10, "probe"):
        live_probe.probe(run.client, run.ledger, run.contract, lambda: live_metrics.fresh_scrape(run))


def _promise(run: LiveContext) -> None:
    for promise in _PROMISES:
        promise(run)


def _identify(run: LiveContext) -> None:
    live_metrics.identify(run)
    if run.is_adopted:  # the other contract has items of its own
        run.ledger.forget()
        _promise(run)


_PROMISES: Final[tuple[_Step, ...]] = (
    live_metrics.promise,
    live_health.promise,
    live_records.promise,
    arrival.promise,
    inject.promise,
)
_STAGES: Final[tuple[_Step, ...]] = (
    _identify,
    live_health.look,
    live_metrics.look,
    _probe,
    live_records.correlate,
    live_records.look,
    arrival.look,
    inject.look,
)


def _judged_rules(run: LiveContext) -> tuple[str, ...]:
    options = run.options
    rules = [*(RULES if options.probe else READING_RULES)]
    if options.arrival.prometheus:
        rules += PROMETHEUS_RULES
    if options.arrival.alertmanager:
        rules += NOTIFIER_RULES
    if options.inject.is_asked:
        rules += TRAFFIC_RULES
    if options.inject.down:
        rules += OUTAGE_RULES
    return (*(rule.id for rule in rules), *live_records.judged_rules(run))


def verify_live(
    url: str,
    contracts: Path | None = None,
    *,
    options: LiveOptions | None = None,
    transport: httpx.BaseTransport | None = None,
    clock: LiveClock | None = None,
    application: LiveApplication | None = None,
) -> LiveRun:
    """Ask the service at ``url`` and hold what it answers against the contracts of a folder.

    ``application`` is asked in place of the network where there is one.
    Raises ContractError and LiveUsageError where there is nothing to hold it against, or the address is none. A run
    that is interrupted returns what it has seen until then.
    """
    options, clock = options or LiveOptions(), clock or LiveClock()
    arrival.check_addresses(options.arrival)
    check_released(options.released)
    inject.check_allowed(options.inject, url, is_in_process=application is not None)
    folder = find_contracts(contracts)
    contract = load_metrics(folder)
    validator = None
    if (folder / "health.schema.json").is_file():
        validator = health_checks.make_validator(load_health_schema(folder))
    client = LiveClient(url, options.limits, clock, transport if application is None else application.transport)
    ledger = Ledger(options.tokens.all, shows_commands=application is None)
    run = LiveContext(client, ledger, folder, contract, validator, options, application)
    begun = clock.monotonic()
    memory = None
    if application is not None and application.records.is_told:
        memory = MemoryRecords(application.records.lines, application.records.spans)
    try:
        with opened_sources(options.records, memory) as sources:
            # In memory there is no span of anybody else's requests: without a probe there is none to wait for.
            is_quiet = memory is not None and not options.probe and not options.records.gives_spans
            run.sources = replace(sources, spans=None) if is_quiet else sources
            is_interrupted = _go(run)
    finally:
        client.close()
    return _judged(run, seconds=clock.monotonic() - begun, is_interrupted=is_interrupted)


def _go(run: LiveContext) -> bool:
    """Run the stages; say whether somebody has interrupted them."""
    _promise(run)
    run.ledger.stages.append(Stage(0, "offline", "pass", f"contract {run.contract.version}"))
    try:
        if live_metrics.reach(run):
            for stage in _STAGES:
                stage(run)
    except KeyboardInterrupt:
        run.ledger.inconclusive.append("the run was interrupted")
        return True
    return False


def _vacuity(ledger: Ledger) -> Stage:
    counted = f"{ledger.observed_count} of {len(ledger.items)} items observed, coverage {ledger.coverage:.0%}"
    return Stage(14, "vacuity", "pass" if ledger.observed_count else "fail", counted)


def _judged(run: LiveContext, *, seconds: float, is_interrupted: bool) -> LiveRun:
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
        rules=_judged_rules(run),
        inconclusive=tuple(inconclusive),
        target=run.client.base_url if run.application is None else run.application.reference,
    )
    return LiveRun(
        outcome,
        tuple(sorted((*ledger.stages, _vacuity(ledger)), key=lambda stage: stage.number)),
        ledger.coverage,
        ledger.observed_count,
        run.client.requests,
        seconds,
        is_interrupted,
    )


__all__ = ["CONTRACT_ITEM", "LiveOptions", "LiveRun", "LiveTokens", "verify_live"]
