"""One stack for all steps of the session, started by the first and whole again after each.

Where there is no Prometheus or no nginx the steps are left out with a note, and in CI they fail.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from tests.e2e.form import is_nightly
from tests.e2e.report import PATH, Ended, Report, Step
from tests.e2e.stack import Stack
from tests.support.engine import in_ci
from tests.support.nginx import decide_nginx
from tests.support.prometheus import PrometheusDecision, decide_prometheus

HERE = Path(__file__).parent
# As a day goes: first what is well, then what goes wrong, and the long one last. Any other stands behind them.
ORDER = ("test_nginx", "test_traffic", "test_database", "test_rolling", "test_kill", "test_versions", "test_soak")

DECISIONS = pytest.StashKey[list[PrometheusDecision]]()
REPORT = pytest.StashKey[Report]()
# The first step pays for the start of everything; the last ones may be long in the nightly form.
STEP_SECONDS, NIGHTLY_STEP_SECONDS = 300, 1800


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the steps out where a part is missing and nobody insists."""
    if collection_path.match("test_*.py") and not all(one.is_collected for one in _decisions(config)):
        return True
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the steps in their order, which none of them needs, and give each the time of the form."""
    steps = [item for item in items if item.path.parent == HERE]
    for item in steps:
        item.add_marker(pytest.mark.timeout(_step_seconds()))
    others = [item for item in items if item.path.parent != HERE]
    items[:] = [*others, *sorted(steps, key=lambda item: _place(item.path.stem))]


def _step_seconds() -> int:
    try:
        return NIGHTLY_STEP_SECONDS if is_nightly() else STEP_SECONDS
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error


def _place(module: str) -> int:
    return ORDER.index(module) if module in ORDER else len(ORDER)


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
    """Say after everything else what was left out."""
    yield
    for decision in terminalreporter.config.stash.get(DECISIONS, []):
        if decision.note:
            terminalreporter.write_line(decision.note, yellow=True)
    if report := terminalreporter.config.stash.get(REPORT, None):
        path = report.write(PATH, heading=_heading(), ended=_ended(terminalreporter))
        terminalreporter.write_line(f"report: {path}")


def _heading() -> str:
    return f"End to end, {'nightly' if is_nightly(os.environ) else 'short'} form"


def _ended(reporter: pytest.TerminalReporter) -> dict[str, Ended]:
    """Return how each step ended, by its name."""
    ended: dict[str, Ended] = {}
    for outcome in ("passed", "failed", "error"):
        for done in reporter.stats.get(outcome, []):
            ended[done.location[2]] = Ended(outcome, done.duration, done.longreprtext)
    return ended


def _decisions(config: pytest.Config) -> list[PrometheusDecision]:
    if DECISIONS not in config.stash:
        required = in_ci(os.environ)
        config.stash[DECISIONS] = [decide_prometheus(required=required), decide_nginx(required=required)]
    return config.stash[DECISIONS]


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run everything, or fail with what to do."""
    # A file that is named on the command line is collected in any case.
    for decision in _decisions(request.config):
        if problem := decision.failure or decision.note:
            pytest.fail(problem, pytrace=False)
    with Stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(autouse=True)
def step(request: pytest.FixtureRequest, stack: Stack) -> Iterator[Step]:
    """Begin each step with everything in place, and leave it so; what it says, and its charts, go into the report."""
    said = len(stack.said)
    report = request.config.stash.setdefault(REPORT, Report())
    mine = report.begin(request.node.name, (request.function.__doc__ or "").strip())
    stack.mend()
    stack.say(f"--- {request.node.name}")
    yield mine
    try:
        stack.mend()
    finally:
        mine.said += stack.said[said:]
