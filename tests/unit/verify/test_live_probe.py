"""The probe: known requests against what the metrics make of them."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from tests.support.counting_service import KNOWN, CountingService, Labels
from tests.support.recorded_service import RecordedService, Reply

from prethrift_backend.verify.live.run import LiveOptions, LiveRun
from prethrift_backend.verify.rules.live import READING_RULES, RULES


def _probe(service: RecordedService) -> LiveRun:
    return service.verify(LiveOptions(probe=True))


def test_a_service_that_counts_right_is_verified() -> None:
    """Each request is counted and timed once, unknown paths and odd methods under one value."""
    run = _probe(CountingService())

    assert run.outcome.findings == ()
    assert run.outcome.inconclusive == ()


class _CountsTwice(CountingService):
    def label(self, request: httpx.Request) -> list[Labels]:
        return 2 * super().label(request)


class _CountsNothing(CountingService):
    def label(self, request: httpx.Request) -> list[Labels]:
        return super().label(request)[:0]


class _TimesNothing(CountingService):
    def time(self, request: httpx.Request) -> list[Labels]:
        return super().time(request)[:0]


class _RawPaths(CountingService):
    def label(self, request: httpx.Request) -> list[Labels]:
        return [(request.method if request.method in KNOWN else "_OTHER", request.url.path)]


class _AnyMethod(CountingService):
    def label(self, request: httpx.Request) -> list[Labels]:
        return [(request.method, "__unmatched__")]


class _NeverDone(CountingService):
    def _count(self, request: httpx.Request, reply: Reply) -> None:
        super()._count(request, reply)
        done = sum(self.counted.values())
        reply.body = reply.body.replace(b"http_requests_in_progress 0.0", f"http_requests_in_progress {done}".encode())


class _FailsOnBadTrace(CountingService):
    def _count(self, request: httpx.Request, reply: Reply) -> None:
        super()._count(request, reply)
        if "traceparent" in request.headers:
            reply.status = 500


FAULTS: dict[str, tuple[str, Callable[[], CountingService]]] = {
    "each request counts twice": ("LV120", _CountsTwice),
    "no request counts": ("LV120", _CountsNothing),
    "no request is timed": ("LV121", _TimesNothing),
    "raw paths": ("LV122", _RawPaths),
    "any method": ("LV123", _AnyMethod),
    "requests in progress stay": ("LV124", _NeverDone),
    "a bad traceparent fails": ("LV125", _FailsOnBadTrace),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_counting_is_reported_under_its_rule(fault: str) -> None:
    """One way to count wrong gives a finding of the rule that it breaks."""
    rule, make = FAULTS[fault]

    run = _probe(make())

    assert rule in {finding.rule for finding in run.outcome.findings}


def test_every_rule_of_the_probe_has_a_fault() -> None:
    """No rule of the probe stands in the table without something that breaks it."""
    assert {rule.id for rule in RULES} - {rule.id for rule in READING_RULES} == {rule for rule, _ in FAULTS.values()}
