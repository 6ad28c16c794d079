"""Receivers for telemetry: a real collector, one that misbehaves, and a server that sends to them."""

from collections.abc import Iterator

import pytest
from tests.support.http_receiver import FaultyReceiver
from tests.support.rotel import Rotel, running_rotel


@pytest.fixture(scope="module")
def rotel() -> Iterator[Rotel]:
    """Run rotel, an OTLP collector that nobody here wrote, for the tests of one file."""
    with running_rotel() as collector:
        yield collector


@pytest.fixture
def otlp_receiver() -> Iterator[FaultyReceiver]:
    """Run an OTLP receiver over HTTP that does as the test tells it."""
    with FaultyReceiver() as receiver:
        yield receiver
