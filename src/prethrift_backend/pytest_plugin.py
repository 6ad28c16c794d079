"""Fixtures for pytest, in every test run of an environment that has this package: what an application says of itself.

`captured_telemetry` is the capture; the others are functions that ask it, so that what they return is always of now.
Override `telemetry_settings` for other settings, or `captured_telemetry` for another capture.

It stands outside of ``observability``, and imports within the fixtures, because pytest loads it in every run, for tests
of anything: the telemetry with all that it is made of would be a third of a second of each start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from prethrift_backend.config import Settings
    from prethrift_backend.observability.testing import Capture, CapturedSpan, OtlpRequest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of contracts as tests; their names are this package's, since other plugins have theirs."""
    group = parser.getgroup("prethrift", "contracts of telemetry as tests")
    group.addoption("--prethrift-contracts", metavar="DIR", help="test the contracts of a folder")
    group.addoption("--prethrift-app", metavar="MODULE:ATTRIBUTE", help="hold an application against them")
    for name, path in (("live", "/health/live"), ("ready", "/health/ready"), ("health", "/health")):
        group.addoption(
            f"--prethrift-{name}-path", metavar="PATH", default=path, help="default: %(default)s; '' for none"
        )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers, which stand whether or not anybody counts, and add contracts as tests where asked."""
    for marker in (
        "contract_unobserved(reason): 'contracts coverage' does not look at it: it breaks a contract on purpose",
        "prethrift_contract: a check of a contract, from --prethrift-contracts or --prethrift-app",
    ):
        config.addinivalue_line("markers", marker)
    if config.getoption("--prethrift-contracts") or config.getoption("--prethrift-app"):
        config.pluginmanager.register(_contract_tests(config), "prethrift_contract_tests")


def _contract_tests(config: pytest.Config) -> object:
    try:
        from prethrift_backend.verify.contract_tests import ContractTests  # noqa: PLC0415 - see the module's docstring
    except ModuleNotFoundError as error:
        fix = "pip install 'prethrift-backend[contracts]'"
        raise pytest.UsageError(f"contracts as tests need the module {error.name!r}: {fix}") from error
    return ContractTests(config)


@pytest.fixture
def telemetry_settings() -> Settings | None:
    """Return the settings of `captured_telemetry`; None for every level and every trace."""
    return None


@pytest.fixture
def captured_telemetry(telemetry_settings: Settings | None) -> Iterator[Capture]:
    """Configure a telemetry whose output stays in memory, with a clock that stands still and ids that count."""
    from prethrift_backend.observability.testing import capture_telemetry  # noqa: PLC0415 - see the module's docstring

    with capture_telemetry(telemetry_settings) as capture:
        yield capture


@pytest.fixture
def captured_logs(captured_telemetry: Capture) -> Callable[..., list[dict[str, Any]]]:
    """Return the function that finds lines: ``captured_logs("user_login", user_id="7")``, all of them without."""
    return captured_telemetry.find_lines


@pytest.fixture
def captured_spans(captured_telemetry: Capture) -> Callable[..., list[CapturedSpan]]:
    """Return the function that finds finished spans: ``captured_spans("GET /items")``, all of them without."""
    return captured_telemetry.find_spans


@pytest.fixture
def metric_deltas(captured_telemetry: Capture) -> Callable[..., dict[str, float]]:
    """Return the function that tells by how much each series changed since the start, or since a mark."""
    return captured_telemetry.deltas


@pytest.fixture
def captured_errors(captured_telemetry: Capture) -> Callable[[], list[dict[str, Any]]]:
    """Return the function that returns the error events which Sentry would have got."""
    return lambda: captured_telemetry.error_events


@pytest.fixture
def captured_otlp(captured_telemetry: Capture) -> Callable[[], list[OtlpRequest]]:
    """Return the function that returns the OTLP requests, decoded."""
    return lambda: captured_telemetry.otlp_requests
