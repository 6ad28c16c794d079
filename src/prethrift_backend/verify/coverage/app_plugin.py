"""The part of the coverage plugin for an application whose metrics are not this package's: its registry is watched.

Apart from `coverage.plugin`, because it loads all that an application of this package is made of.
"""

from __future__ import annotations

import pytest

from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.application import load_application
from prethrift_backend.verify.coverage.plugin import running


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that the command gives."""
    group = parser.getgroup("contract coverage")
    group.addoption("--contract-coverage-app", metavar="MODULE:ATTRIBUTE", help="an application with its own registry")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Watch the registry of the application, from before the first test is imported."""
    observer, reference = running(config), config.getoption("--contract-coverage-app")
    if observer is None or reference is None:
        return
    try:
        observer.watch_registry(load_application(reference).registry)
    except ContractError as error:
        raise pytest.UsageError(f"contract coverage: {error}") from error
