"""What holds for every test: a sealed network, an environment of its own, one set of hypothesis profiles.

And a telemetry that traces everything, for whoever asks for it.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from tests.support.engine import in_ci
from tests.support.environment import DUMMY_AWS, leaking_names
from tests.support.seal import NetworkSeal
from tests.support.span_list import Traced, traced

from prethrift_backend.config import Settings

HERE = Path(__file__).parent

# The folders whose tests use real parts; everything else is sealed.
OPEN_FOLDERS = frozenset({"e2e", "fuzz", "integration", "perf"})

# No deadlines: the machine's load is not a property of the code. In CI the same examples every time: a failure there
# is a failure of the commit; nox's session `fuzz` and a developer's own runs look further.
hypothesis.settings.register_profile(
    "ci", derandomize=True, deadline=None, max_examples=100, print_blob=True, database=None
)
hypothesis.settings.register_profile("dev", deadline=None, max_examples=50, print_blob=True, database=None)
hypothesis.settings.register_profile("fuzz", deadline=None, max_examples=1_000, print_blob=True, database=None)
hypothesis.settings.load_profile("ci" if in_ci(os.environ) else "dev")

_SEAL = NetworkSeal()


def is_sealed(path: Path) -> bool:
    """Return whether the test in the file `path` may not touch the network."""
    return not OPEN_FOLDERS & set(path.relative_to(HERE).parts[:1])


@pytest.fixture(autouse=True)
def network(request: pytest.FixtureRequest) -> Iterator[NetworkSeal]:
    """Refuse sockets to unit tests, and fail a test that tried even where the error was swallowed."""
    if not is_sealed(request.path):
        yield _SEAL
        return
    with _SEAL.sealed():
        yield _SEAL
    if _SEAL.attempts:
        pytest.fail(f"the test touched the network, which is sealed for it: {'; '.join(_SEAL.attempts)}")


@pytest.fixture(scope="session")
def empty_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the folder that tests run in, so that no `.env` of the user's is found."""
    return tmp_path_factory.mktemp("working-directory")


@pytest.fixture(autouse=True)
def hermetic_environment(monkeypatch: pytest.MonkeyPatch, empty_directory: Path) -> None:
    """Take the user's own settings away; whatever a test sets itself is undone after it."""
    for name in leaking_names(os.environ, Settings.model_fields):
        monkeypatch.delenv(name)
    for name, value in DUMMY_AWS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(empty_directory)


@pytest.fixture
def traced_all() -> Iterator[Traced]:
    """Sample every trace."""
    with traced() as made:
        yield made
