"""What the tests of this package share."""

from collections.abc import Iterator

import pytest
from tests.support.asgi import Recorder


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """Record what a strict telemetry at DEBUG writes, and close it."""
    made = Recorder(log_level="DEBUG")
    yield made
    made.telemetry.close()
