"""A contract of somebody else's that has families which the telemetry feeds."""

from __future__ import annotations

import pytest

from prethrift_backend.config import Settings
from prethrift_backend.contracts import load_metrics, parse_metrics
from prethrift_backend.exceptions import ContractError
from prethrift_backend.observability import configure
from prethrift_backend.observability._fed_families import check_fed_families

HEADER = "# CONTRACT metrics 1.0.0\n"
OTHER_LABELS = """
# HELP http_requests_total Requests.
# TYPE http_requests_total counter
# LABEL http_requests_total method enum GET|POST
# LABEL http_requests_total status match [1-5][0-9][0-9] max=20
http_requests_total{method="GET",status="200"} 1
"""
OTHER_TYPE = """
# HELP event_loop_lag_seconds Lag.
# TYPE event_loop_lag_seconds gauge
event_loop_lag_seconds 1
"""
OTHER_VALUES = """
# HELP http_requests_total Requests.
# TYPE http_requests_total counter
# LABEL http_requests_total status_code match [1-5][0-9][0-9] max=20
# LABEL http_requests_total method enum GET|POST overflow=POST
# LABEL http_requests_total endpoint open max=3 overflow=other
http_requests_total{status_code="200",method="GET",endpoint="/"} 1

# HELP visits_total A family of their own.
# TYPE visits_total counter
visits_total 1
"""


def test_a_family_with_other_labels_is_refused_at_the_start() -> None:
    """It would stay empty without a word; the text says which labels it is fed with."""
    contract = parse_metrics(HEADER + OTHER_LABELS, source="shop.txt")

    with pytest.raises(ContractError) as caught:
        configure(Settings(), contract=contract)
    assert str(caught.value) == (
        "shop.txt:3: family 'http_requests_total' is fed by the telemetry as a counter with the labels method, "
        "endpoint, status_code: declare it so, or give yours another name"
    )


def test_every_fault_is_told_at_once() -> None:
    """Labels and types of all families are looked at."""
    contract = parse_metrics(HEADER + OTHER_LABELS + OTHER_TYPE, source="shop.txt")

    with pytest.raises(ContractError) as caught:
        check_fed_families(contract)
    assert [line.partition(" is ")[0] for line in str(caught.value).splitlines()] == [
        "shop.txt:3: family 'http_requests_total'",
        "shop.txt:9: family 'event_loop_lag_seconds'",
    ]
    assert "a histogram with no label" in str(caught.value)


def test_values_and_bounds_are_the_contracts_to_choose() -> None:
    """Other values, another order of the labels and families of one's own are fine, and so is the packaged contract."""
    check_fed_families(parse_metrics(HEADER + OTHER_VALUES, source="shop.txt"))
    check_fed_families(load_metrics())
