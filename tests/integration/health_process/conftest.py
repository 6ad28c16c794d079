"""Whether there is a Prometheus to test with: decided once, told at the end; see tests/support/prometheus.py."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.support.engine import in_ci
from tests.support.prometheus import PrometheusDecision, decide_prometheus

DECISION = pytest.StashKey[PrometheusDecision]()
FILE = "test_prometheus.py"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the tests that need a Prometheus where there is none and nobody insists."""
    if collection_path != Path(__file__).with_name(FILE):
        return None
    return None if _decision(config).is_collected else True


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
    """Say after everything else that they were left out."""
    yield
    decision = terminalreporter.config.stash.get(DECISION, None)
    if decision is not None and decision.note:
        terminalreporter.write_line(decision.note, yellow=True)


def _decision(config: pytest.Config) -> PrometheusDecision:
    if DECISION not in config.stash:
        config.stash[DECISION] = decide_prometheus(required=in_ci(os.environ))
    return config.stash[DECISION]


@pytest.fixture
def prometheus_tools(request: pytest.FixtureRequest) -> None:
    """Make sure that `prometheus` and `promtool` can be started, or fail with what to do."""
    decision = _decision(request.config)
    # A file that is named on the command line is collected in any case.
    problem = decision.failure or decision.note
    if problem:
        pytest.fail(problem, pytrace=False)
