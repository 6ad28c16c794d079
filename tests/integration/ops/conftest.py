"""What the tests of ops/ need beside Python, and what is said where it is missing: kustomize and docker compose.

Files named test_kubernetes*.py and test_compose*.py need them; tests/support/deploy_tools.py decides, once.
"""

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.support.deploy_tools import DeployDecision, decide_deploy_tools
from tests.support.engine import in_ci
from tests.support.manifests import OVERLAYS, Manifests, build_overlay

DEPLOY = pytest.StashKey[DeployDecision]()
_PATTERNS = ("test_kubernetes*.py", "test_compose*.py")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the tests that need the two programs where they are not and nobody insists."""
    if any(collection_path.match(pattern) for pattern in _PATTERNS):
        return None if _deploy_decision(config).is_collected else True
    return None


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
    """Say after everything else what was left out."""
    yield
    decision = terminalreporter.config.stash.get(DEPLOY, None)
    if decision is not None and decision.note:
        terminalreporter.write_line(decision.note, yellow=True)


def _deploy_decision(config: pytest.Config) -> DeployDecision:
    if DEPLOY not in config.stash:
        config.stash[DEPLOY] = decide_deploy_tools(required=in_ci(os.environ))
    return config.stash[DEPLOY]


@pytest.fixture
def deploy_tools(request: pytest.FixtureRequest) -> None:
    """Make sure that kustomize and docker compose can be started, or fail with what to do."""
    decision = _deploy_decision(request.config)
    # A file that is named on the command line is collected in any case.
    problem = decision.failure or decision.note
    if problem:
        pytest.fail(problem, pytrace=False)


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest, deploy_tools: None) -> Manifests:
    """Build one overlay of ops/kubernetes after the other."""
    return build_overlay(request.param)
