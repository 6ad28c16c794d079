"""The whole out of its checks, as properties."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from prethrift_backend.health import CheckReport, HealthCheck, HealthStatus, aggregate

STATUS = st.sampled_from(list(HealthStatus))


def _report(last: HealthStatus, settled: HealthStatus, critical: bool) -> CheckReport:
    return CheckReport(HealthCheck("x", last), critical, settled, None, "words", 0.0, 0)


REPORTS = st.lists(st.builds(_report, STATUS, STATUS, st.booleans()), max_size=6)


def test_nothing_to_check_is_healthy() -> None:
    """An application without checks is healthy when it can answer."""
    assert aggregate([]) is HealthStatus.HEALTHY


@given(REPORTS)
def test_whole_follows_the_rule(reports: list[CheckReport]) -> None:
    """Unhealthy exactly by a fallen critical check, healthy exactly when everything is, degraded in between."""
    whole = aggregate(reports)

    has_fallen = any(report.critical and report.settled == "unhealthy" for report in reports)
    is_clean = all(report.settled == report.check.status == "healthy" for report in reports)
    assert (whole is HealthStatus.UNHEALTHY) == has_fallen
    assert (whole is HealthStatus.HEALTHY) == is_clean


@given(REPORTS, st.randoms(use_true_random=False))
def test_order_does_not_matter(reports: list[CheckReport], random: Random) -> None:
    """The whole is the same in whatever order the checks come."""
    shuffled = random.sample(reports, len(reports))

    assert aggregate(shuffled) is aggregate(reports)


@given(REPORTS.filter(bool), st.data())
def test_worse_check_never_improves_the_whole(reports: list[CheckReport], data: st.DataObject) -> None:
    """Worsening one check, in either of its statuses, leaves the whole as it was or makes it worse."""
    index = data.draw(st.integers(0, len(reports) - 1))
    before = reports[index]
    last = max(before.check.status, data.draw(STATUS))
    settled = max(before.settled, data.draw(STATUS))

    worse = [*reports]
    worse[index] = replace(before, check=replace(before.check, status=last), settled=settled)

    assert aggregate(worse) >= aggregate(reports)


@given(REPORTS)
def test_uncritical_checks_alone_never_make_it_unhealthy(reports: list[CheckReport]) -> None:
    """What is not critical degrades at most."""
    assert aggregate([replace(report, critical=False) for report in reports]) <= HealthStatus.DEGRADED
