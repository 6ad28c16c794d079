"""What may be registered."""

from __future__ import annotations

import math

import pytest
from tests.unit.health._parts import ScriptedCheck

from prethrift_backend.health import HealthEngine, HealthRegistry


def test_taken_name_is_refused() -> None:
    """Two checks of one name would hide each other."""
    registry = HealthRegistry()
    registry.register("database", ScriptedCheck())

    with pytest.raises(ValueError, match="'database' is taken"):
        registry.register("database", ScriptedCheck())


@pytest.mark.parametrize("name", ["", "Database", "9lives", "a b", 'x"}', "x" * 65, "x\n"])
def test_name_that_cannot_be_a_label_is_refused(name: str) -> None:
    """Names go into labels and keys unescaped, so they are plain."""
    with pytest.raises(ValueError, match="cannot be used"):
        HealthRegistry().register(name, ScriptedCheck())


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf])
def test_time_that_is_none_is_refused(seconds: float) -> None:
    """A limit of 0, which some drivers read as "no limit", cannot be given."""
    with pytest.raises(ValueError, match="timeout_seconds"):
        HealthRegistry().register("x", ScriptedCheck(), timeout_seconds=seconds)
    with pytest.raises(ValueError, match="interval_seconds"):
        HealthRegistry().register("x", ScriptedCheck(), interval_seconds=seconds)


async def test_registration_after_the_start_is_refused() -> None:
    """A check that would never be scheduled is not accepted silently."""
    registry = HealthRegistry()
    engine = HealthEngine(registry)
    engine.start()

    with pytest.raises(RuntimeError, match="'late' comes too late"):
        registry.register("late", ScriptedCheck())
    await engine.aclose()


def test_order_of_registration_is_kept() -> None:
    """Checks are listed as they were registered."""
    registry = HealthRegistry()
    for name in ("zebra", "ape"):
        registry.register(name, ScriptedCheck())

    assert [registration.name for registration in registry] == ["zebra", "ape"]
    assert len(registry) == 2
    assert "ape" in registry
