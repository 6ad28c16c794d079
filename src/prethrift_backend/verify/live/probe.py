"""Synthetic traffic with a known result: requests for paths that do not exist, and what the metrics make of them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

from prethrift_backend.contracts import MetricFamily, MetricsContract
from prethrift_backend.verify.live.client import LiveClient
from prethrift_backend.verify.live.items import Ledger, listed
from prethrift_backend.verify.live.scrape import LiveSample, Scrape

ReadScrape: TypeAlias = Callable[[], Scrape | None]

REQUESTS: Final = 5
# One that parsers of HTTP know and services rarely have: a made-up one ends in the parser, before it is counted.
_ODD_METHOD: Final = "PROPFIND"
_BAD_TRACEPARENT: Final = "00-zz-zz-zz"
_PATH_LABELS: Final = frozenset({"endpoint", "route", "path", "handler"})
# A request may be counted a moment after its answer has come. Arbitrary; each look costs one request.
_LOOKS: Final = 4


def probe(client: LiveClient, ledger: Ledger, contract: MetricsContract, read: ReadScrape) -> None:
    """Send requests that no route takes, and hold the counters before and after against each other.

    Other traffic meanwhile raises the counters too, so this is for a service that has none.
    """
    family, before = request_counter(contract), read()
    if family is None or before is None:
        ledger.inconclusive.append("probe: no counter of requests with a method and a path, or no scrape to read")
        return
    marks = [f"verify-{secrets.token_hex(8)}" for _ in range(REQUESTS)]
    codes = [_send(client, mark) for mark in marks]
    bad_code = client.ask(f"/{marks[0]}", headers={"traceparent": _BAD_TRACEPARENT}).status_code
    client.ask(f"/{marks[1]}", method=_ODD_METHOD)
    sent = REQUESTS + 2
    after = _settled(read, family, before, sent) or before
    _check_counts(ledger, contract, family, before, after, sent=sent)
    _check_series(ledger, family, before, after, marks)
    if bad_code != codes[0]:
        message = f"a request with a bad traceparent was answered {bad_code}"
        ledger.find("LV125", "metrics", family.name, message, expected=str(codes[0]), observed=bad_code)


def _send(client: LiveClient, mark: str) -> int:
    return client.ask(f"/{mark}").status_code


def request_counter(contract: MetricsContract) -> MetricFamily | None:
    """Return the family that counts requests by their method and path."""
    return next(
        (
            family
            for family in contract.families
            if family.kind == "counter" and "method" in family.label_names and _PATH_LABELS & set(family.label_names)
        ),
        None,
    )


def _settled(read: ReadScrape, family: MetricFamily, before: Scrape, sent: int) -> Scrape | None:
    after = read()
    for _ in range(_LOOKS):
        if after is None or _total(after, family.name) - _total(before, family.name) >= sent:
            break
        after = read()
    return after


def _total(scrape: Scrape, name: str) -> float:
    return sum(sample.value for sample in scrape.samples.get(name, ()))


def _count(scrape: Scrape, name: str) -> float:
    return sum(sample.value for sample in scrape.samples.get(name, ()) if sample.name == f"{name}_count")


def _check_counts(
    ledger: Ledger, contract: MetricsContract, family: MetricFamily, before: Scrape, after: Scrape, *, sent: int
) -> None:
    counted = _total(after, family.name) - _total(before, family.name)
    if counted != sent:
        message = f"{sent} requests raised {family.name!r} by {counted:g}"
        ledger.find("LV120", "metrics", family.name, message, expected=str(sent), observed=counted)
    ledger.saw("metrics", family.name)
    for timed in _timers(contract, family):
        count = _count(after, timed.name) - _count(before, timed.name)
        if count != sent:
            message = f"{sent} requests raised the count of {timed.name!r} by {count:g}"
            ledger.find("LV121", "metrics", timed.name, message, expected=str(sent), observed=count)
        ledger.saw("metrics", timed.name)
    for gauge in _in_progress(contract):
        if _total(after, gauge.name) > _total(before, gauge.name):
            message = f"{gauge.name!r} did not go back"
            ledger.find("LV124", "metrics", gauge.name, message, observed=_total(after, gauge.name))


def _timers(contract: MetricsContract, family: MetricFamily) -> Iterable[MetricFamily]:
    """Yield the histograms of requests: those in seconds with the method and the path of the counter."""
    shared = {"method"} | (_PATH_LABELS & set(family.label_names))
    return (
        other
        for other in contract.families
        if other.kind == "histogram" and other.name.endswith("_seconds") and shared <= set(other.label_names)
    )


def _in_progress(contract: MetricsContract) -> Iterable[MetricFamily]:
    return (f for f in contract.families if f.kind == "gauge" and f.name.endswith(("_in_progress", "_in_flight")))


def _check_series(ledger: Ledger, family: MetricFamily, before: Scrape, after: Scrape, marks: Iterable[str]) -> None:
    old = {sample.key for sample in before.samples.get(family.name, ())}
    new = [sample for sample in after.samples.get(family.name, ()) if sample.key not in old]
    raw = [sample for sample in new if any(mark in value for mark in marks for value in sample.labels.values())]
    usual = [sample for sample in new if sample.labels.get("method") == "GET"]
    if raw or len(usual) > 1:
        message = f"{REQUESTS} unknown paths made {len(usual)} series of {family.name!r}"
        ledger.find("LV122", "metrics", family.name, message, expected="one for all", observed=_paths(raw or usual))
    odd = [sample for sample in new if sample.labels.get("method") == _ODD_METHOD]
    if odd:
        message = f"the method {_ODD_METHOD!r} made a series of {family.name!r}"
        ledger.find("LV123", "metrics", family.name, message, expected="the overflow value", observed=_ODD_METHOD)


def _paths(samples: Iterable[LiveSample]) -> str:
    return listed(sample.labels.get(name) for sample in samples for name in sorted(_PATH_LABELS & set(sample.labels)))
