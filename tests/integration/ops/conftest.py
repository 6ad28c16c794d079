"""What the tests of ops/ need beside Python, and what is said where it is missing.

Files named test_kubernetes*.py and test_compose*.py need kustomize and docker compose: tests/support/deploy_tools.py
decides, once. Files named test_image*.py need the engine and an image to build on: tests/support/images.py decides.
"""

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.support.containers import probe_engine
from tests.support.deploy_tools import DeployDecision, decide_deploy_tools
from tests.support.engine import container_required, in_ci
from tests.support.images import ImageDecision, base_image, decide_image
from tests.support.manifests import OVERLAYS, Manifests, build_overlay

DEPLOY = pytest.StashKey[DeployDecision]()
IMAGE = pytest.StashKey[ImageDecision]()
IMAGE_LINES = pytest.StashKey[list[str]]()
_PATTERNS = ("test_kubernetes*.py", "test_compose*.py")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out the tests that need what is not here, where nobody insists."""
    if any(collection_path.match(pattern) for pattern in _PATTERNS):
        return None if _deploy_decision(config).is_collected else True
    if collection_path.match("test_image*.py"):
        return None if _image_decision(config).is_collected else True
    return None


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Generator[None, None, None]:
    """Say after everything else what was left out, and how large the image is."""
    yield
    stash = terminalreporter.config.stash
    for decision in (stash.get(DEPLOY, None), stash.get(IMAGE, None)):
        if decision is not None and decision.note:
            terminalreporter.write_line(decision.note, yellow=True)
    for line in stash.get(IMAGE_LINES, []):
        terminalreporter.write_line(line)


def _deploy_decision(config: pytest.Config) -> DeployDecision:
    if DEPLOY not in config.stash:
        config.stash[DEPLOY] = decide_deploy_tools(required=in_ci(os.environ))
    return config.stash[DEPLOY]


def _image_decision(config: pytest.Config) -> ImageDecision:
    if IMAGE not in config.stash:
        report = probe_engine(base_image(os.environ))
        config.stash[IMAGE] = decide_image(report, required=container_required(os.environ))
    return config.stash[IMAGE]


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def image_tools(request: pytest.FixtureRequest) -> None:
    """Make sure that the engine answers and has an image to build on, or fail with what to do."""
    decision = _image_decision(request.config)
    # A file that is named on the command line is collected in any case.
    problem = decision.failure or decision.note
    if problem:
        pytest.fail(problem, pytrace=False)


@pytest.fixture(scope="session")
def record_image(request: pytest.FixtureRequest) -> list[str]:
    """Give the list of lines that are printed at the end of the run."""
    lines: list[str] = []
    request.config.stash[IMAGE_LINES] = lines
    return lines
