"""Stage 13: whether what the service shows arrives where people look at it, in Prometheus, and calls somebody.

Nothing here is at once: a scrape, an evaluation, a discovery come in their own time. So it is asked again until all is
well or the deadline is over, and only then reported. What does not change by waiting is asked once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

from prethrift_backend.verify.arrival.api import ARRIVAL_ITEM, Api, ArrivalFault, ForeignAnswerError, dictionaries
from prethrift_backend.verify.arrival.routes import read_configuration, route_faults, route_item, severities
from prethrift_backend.verify.arrival.rules import loaded_rules, rule_faults, unevaluated
from prethrift_backend.verify.arrival.targets import (
    fleet_versions,
    interval_faults,
    job_of,
    read_targets,
    target_faults,
)
from prethrift_backend.verify.findings import Place
from prethrift_backend.verify.live.client import LiveClient, LiveUsageError, SpentError, UnreachableError, checked_url
from prethrift_backend.verify.live.context import LiveContext
from prethrift_backend.verify.live.options import ArrivalOptions
from prethrift_backend.verify.live.versions import is_allowed

NUMBER: Final = 13
_NAME: Final = "arrival"
KNOWN_ITEM: Final = "alertmanager"
# "A few": one to come, one that was under way, and as much again for what runs late. Arbitrary.
_TIMEOUT_INTERVALS: Final = 4
_DEFAULT_INTERVAL_SECONDS: Final = 15.0
# With at most five requests a look and a few besides, all looks stay within the requests of a run.
_LOOKS: Final = 8
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def check_addresses(options: ArrivalOptions) -> None:
    """Look at the addresses before anything is asked; raises LiveUsageError, which names the option."""
    for name, url in (("prometheus", options.prometheus), ("alertmanager", options.alertmanager)):
        if url is not None:
            try:
                checked_url(url)
            except LiveUsageError as error:
                raise LiveUsageError(f"--{name}: {error}") from None


def promise(run: LiveContext) -> None:
    """Enter what is to arrive: the scrapes, the rules, the routes."""
    options, ledger = run.options.arrival, run.ledger
    if options.prometheus:
        ledger.promise("live", ARRIVAL_ITEM, Place(run.contract.source))
        for rule in (rule for file in options.rule_files for rule in file.rules):
            ledger.promise("alerts", rule.name, rule.place)
    if options.prometheus and _wants_alertmanager(options):
        ledger.promise("live", KNOWN_ITEM)
    if options.alertmanager:
        for severity, rules in severities(options.rule_files).items():
            ledger.promise("live", route_item(severity), rules[0].place)


def look(run: LiveContext) -> None:
    """Run the stage."""
    options = run.options.arrival
    if not options.prometheus and not options.alertmanager:
        run.ledger.skip(NUMBER, _NAME, "needs --prometheus URL or --alertmanager URL")
        return
    errors: list[Exception] = []
    with run.ledger.stage(NUMBER, _NAME):
        for url, step in ((options.prometheus, _prometheus), (options.alertmanager, _alertmanager)):
            try:
                if url:
                    step(run, url)
            except (UnreachableError, SpentError) as error:
                errors.append(error)
            except ForeignAnswerError as error:
                run.ledger.find("LV130", "live", ARRIVAL_ITEM, str(error))
        run.ledger.inconclusive += [run.ledger.clean(str(error)) for error in errors[1:]]
        if errors:
            raise errors[0]


@contextmanager
def _api(run: LiveContext, program: str, url: str) -> Iterator[Api]:
    tokens = {"Prometheus": run.options.tokens.prometheus, "Alertmanager": run.options.tokens.alertmanager}
    client = LiveClient(url, run.options.limits, run.client.clock)
    try:
        yield Api(program, client, f"{program.upper()}_TOKEN", tokens[program])
    finally:
        client.close()


# Prometheus.


def _prometheus(run: LiveContext, url: str) -> None:
    job = job_of(run.contract)
    if job is None:
        run.ledger.missed("live", ARRIVAL_ITEM, "the contract has no SCRAPE line, which names the job")
        run.ledger.inconclusive.append("arrival: the contract has no SCRAPE line, which names the job")
        return
    with _api(run, "Prometheus", url) as api:
        faults = _settled(run, lambda: [*target_faults(run, api, job), *_late_faults(run, api, job)])
        run.ledger.saw("live", ARRIVAL_ITEM)
        _enter(run, [*faults, *interval_faults(run, read_targets(api, job)), *_final_rule_faults(run, api)])


def _late_faults(run: LiveContext, api: Api, job: str) -> Iterator[ArrivalFault]:
    """Yield what else may come right by waiting."""
    yield from _version_faults(run, api, job)
    options = run.options.arrival
    if options.rule_files:
        yield from unevaluated(options.rule_files, loaded_rules(api))
    if _wants_alertmanager(options):
        run.ledger.saw("live", KNOWN_ITEM)
        yield from _notifier_faults(options, api)


def _version_faults(run: LiveContext, api: Api, job: str) -> Iterator[ArrivalFault]:
    found = fleet_versions(api, job)
    own = run.contract.version
    odd = [version for version in found if version != own and not is_allowed(version, run.options.versions)]
    if odd:
        seen = ", ".join(f"{count} with {version}" for version, count in sorted(found.items()))
        message = f"the targets of {job!r} have other contracts than {own}: {seen}"
        yield ArrivalFault("LV300", message, signal="metrics", name="contract_info", expected=own, observed=seen)


def _final_rule_faults(run: LiveContext, api: Api) -> list[ArrivalFault]:
    files = run.options.arrival.rule_files
    if not files:
        return []
    loaded = loaded_rules(api)
    for rule in (rule for file in files for rule in file.rules):
        run.ledger.saw("alerts", rule.name)
    return list(rule_faults(files, loaded, command=api.curl("/api/v1/rules")))


def _wants_alertmanager(options: ArrivalOptions) -> bool:
    return options.alertmanager is not None or bool(severities(options.rule_files))


def _notifier_faults(options: ArrivalOptions, api: Api) -> Iterator[ArrivalFault]:
    active = dictionaries(api.data("/api/v1/alertmanagers").get("activeAlertmanagers"))
    urls = [str(found.get("url", "")) for found in active]
    command = api.curl("/api/v1/alertmanagers")
    if not urls:
        yield ArrivalFault("LV301", "Prometheus knows no Alertmanager", name=KNOWN_ITEM, reproduce=command)
    elif options.alertmanager and _origin(options.alertmanager) not in map(_origin, urls):
        message = f"Prometheus sends its alerts to others than {options.alertmanager}"
        seen = ", ".join(sorted(urls))
        yield ArrivalFault(
            "LV302", message, name=KNOWN_ITEM, expected=options.alertmanager, observed=seen, reproduce=command
        )


def _origin(url: str) -> tuple[str, int | None]:
    """Return host and port; the names of this machine for itself are one."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return "localhost" if host in _LOOPBACK else host, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _settled(run: LiveContext, observe: Callable[[], list[ArrivalFault]]) -> list[ArrivalFault]:
    """Look until there is no fault, or the deadline is over; return what the last look has found."""
    clock = run.client.clock
    timeout = run.options.arrival.timeout_seconds or _TIMEOUT_INTERVALS * _interval_seconds(run)
    end = clock.monotonic() + timeout
    faults = observe()
    while faults and clock.monotonic() < end:
        clock.sleep(min(timeout / _LOOKS, max(0.0, end - clock.monotonic())))
        faults = observe()
    return faults


def _interval_seconds(run: LiveContext) -> float:
    return run.contract.scrape.interval_seconds if run.contract.scrape else _DEFAULT_INTERVAL_SECONDS


def _enter(run: LiveContext, faults: Iterable[ArrivalFault]) -> None:
    for fault in faults:
        run.ledger.find(
            fault.rule,
            fault.signal,
            fault.name,
            fault.message,
            expected=fault.expected,
            observed=fault.observed,
            reproduce=fault.reproduce,
        )


# Alertmanager.


def _alertmanager(run: LiveContext, url: str) -> None:
    alerts = severities(run.options.arrival.rule_files)
    with _api(run, "Alertmanager", url) as api:
        configuration = read_configuration(api)
        for severity in alerts:
            run.ledger.saw("live", route_item(severity))
        _enter(run, route_faults(configuration, alerts, command=api.curl("/api/v2/status")))
    if not alerts:
        run.ledger.inconclusive.append("arrival: no alerts to look for routes of: give rule files with --rules")
