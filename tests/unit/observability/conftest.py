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


@pytest.fixture(autouse=True)
def no_telemetry_is_left() -> Iterator[None]:
    """Close what a test left open: the next one would have it as the default of the process."""
    yield
    while Recorder.made:
        Recorder.made.pop().telemetry.close()
