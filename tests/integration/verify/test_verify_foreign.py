"""`contracts verify` on a service of another team, with contracts of its own."""

from __future__ import annotations

import httpx
import pytest
from tests.support.alternating import alternating
from tests.support.verify_targets import SHOP_OPTIONS, shop, verdict, verify


def _verify(address: str, *options: str) -> tuple[int, set[str]]:
    """Return the exit status and the rules that were broken."""
    status, findings, _ = verdict(address, *SHOP_OPTIONS, *options)
    return status, set(findings)


def test_a_shop_that_keeps_its_contracts_is_verified() -> None:
    """Nothing of this package is in the service: its contracts are enough."""
    with shop() as address:
        assert _verify(address, "--min-coverage", "0.8") == (0, set())


def test_a_shop_is_probed() -> None:
    """What the probe sends is counted by any service that counts right."""
    with shop() as address:
        assert _verify(address, "--probe") == (0, set())


def test_an_outage_is_no_breach_of_contract() -> None:
    """A service that is down and says so keeps its word."""
    with shop("database-away") as address:
        assert _verify(address) == (0, {"LV056"})


@pytest.mark.parametrize(
    ("fault", "rules"),
    [
        ("lying-probe", {"LV040", "LV056"}),
        ("renamed", {"LV080", "LV081"}),
        ("raw-paths", {"LV122"}),
    ],
)
def test_a_fault_of_the_shop_is_a_violation(fault: str, rules: set[str]) -> None:
    """A service of another team is held to its word as ours is."""
    with shop(fault) as address:
        assert _verify(address, "--probe") == (1, rules)


def test_workers_that_share_no_registry_are_a_violation() -> None:
    """Two processes behind one address, each with its own counts, are found by connections of their own."""
    with shop() as one, shop() as other:
        for _ in range(3):
            httpx.get(f"{one}/unknown", trust_env=False)
        httpx.get(f"{other}/unknown", trust_env=False)

        with alternating([int(address.rpartition(":")[2]) for address in (one, other)]) as port:
            status, rules = _verify(f"http://127.0.0.1:{port}")

    assert status == 1
    assert {"LV110", "LV112"} <= rules


def test_contracts_of_another_service_are_a_violation() -> None:
    """The shop is not this application."""
    with shop() as address:
        done = verify(address, *SHOP_OPTIONS[2:])

    assert done.returncode == 1
    assert "LV060" in done.stdout
