"""The processor's instructions a request, counted by callgrind where the session is asked for it: `-- --callgrind`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from tests.overhead.callgrind import count_slopes, find_valgrind
from tests.perf.conftest import Figures

PROFILES = Path(__file__).parents[2] / "build" / "callgrind"


@pytest.fixture
def profiles(pytestconfig: pytest.Config) -> Path:
    """Give the folder of the profiles, where callgrind was asked for; a machine without it then fails."""
    if not pytestconfig.getoption("--callgrind", default=False):
        pytest.skip("two minutes of callgrind: on request, by --callgrind")
    if find_valgrind() is None:
        pytest.fail("--callgrind needs valgrind, and it is not installed: apt-get install valgrind")
    PROFILES.mkdir(parents=True, exist_ok=True)
    return PROFILES


@pytest.mark.timeout(900)
def test_instructions_of_the_processor_are_counted(
    profiles: Path, figures: Figures, benchmark: BenchmarkFixture, keep: Callable[..., None]
) -> None:
    """The slope over two lengths says what a request takes; the profiles stay in build/callgrind."""
    slopes = benchmark.pedantic(count_slopes, (profiles,))  # type: ignore[no-untyped-call] # the plugin has no annotation

    keep(**asdict(slopes), added=slopes.added)
    figures.take("callgrind: a bare request", slopes.bare, "instr")
    figures.take("callgrind: added by the telemetry", slopes.added, "instr")
    assert 0 < slopes.bare < slopes.observed
