"""The plugin of ``prethrift-backend contracts coverage`` for pytest: observes a run, and writes down what it exercised.

    pytest -p prethrift_backend.verify.coverage.plugin --contract-coverage=FILE

It is loaded by name only, since it loads all that a check is made of. It observes the process of the tests: servers
that tests start as processes of their own are not seen, and neither are workers of pytest-xdist, which it refuses.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from prethrift_backend.contracts import load_contracts
from prethrift_backend.exceptions import ContractError
from prethrift_backend.observability.observing import observed_by
from prethrift_backend.verify.coverage.items import HEALTH_ENDPOINTS
from prethrift_backend.verify.coverage.observer import CoverageObserver
from prethrift_backend.verify.coverage.record import write_record
from prethrift_backend.verify.coverage.taps import listening

_MARKER: Final = "contract_unobserved"
_RUN: Final = "contract_coverage_run"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that the command gives."""
    group = parser.getgroup("contract coverage")
    group.addoption("--contract-coverage", type=Path, metavar="FILE", help="write what the run exercised to FILE")
    group.addoption(
        "--contract-coverage-of", type=Path, metavar="DIR", help="the contracts; default: the package's own"
    )
    group.addoption(
        "--contract-coverage-health",
        action="append",
        metavar="PATH",
        help="a health endpoint, such as /checks/{name}; may stand several times",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin to observe where a file is named."""
    path: Path | None = config.getoption("--contract-coverage")
    if path is None:
        return
    _refuse_workers(config)
    try:
        config.pluginmanager.register(_make_run(config, path), _RUN)
    except ContractError as error:
        raise pytest.UsageError(f"contract coverage: {error}") from error


def _refuse_workers(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or getattr(config.option, "dist", "no") != "no":
        raise pytest.UsageError(
            "contract coverage observes one process, and pytest-xdist runs the tests in others: leave -n and --dist "
            "out, or merge the records of several runs"
        )


def _make_run(config: pytest.Config, path: Path) -> _Run:
    contracts = load_contracts(config.getoption("--contract-coverage-of"))
    endpoints = tuple(config.getoption("--contract-coverage-health") or HEALTH_ENDPOINTS)
    return _Run(CoverageObserver(contracts, health_endpoints=endpoints), endpoints, path.absolute())


def running(config: pytest.Config) -> CoverageObserver | None:
    """Return the observer of this run; None where nothing is counted."""
    run = config.pluginmanager.get_plugin(_RUN)
    return run.observer if isinstance(run, _Run) else None


class _Run:
    """One run of tests under observation, from its configuration to its end."""

    def __init__(self, observer: CoverageObserver, endpoints: tuple[str, ...], path: Path) -> None:
        self.observer = observer
        self._path = path
        self._exit_status = 0
        self._observing, self._listening = ExitStack(), ExitStack()
        self._observing.enter_context(observed_by(observer))
        self._listening.enter_context(listening(observer, endpoints))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Let what happens within count for the test, unless it is marked: then its telemetries have no observer."""
        is_excused = item.get_closest_marker(_MARKER) is not None
        self.observer.begin(item.nodeid, is_excused=is_excused)
        if is_excused:
            self._observing.close()
        try:
            return (yield)
        finally:
            self.observer.end()
            if is_excused:
                self._observing.enter_context(observed_by(self.observer))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count the tests that ran."""
        if report.when == "call" and not report.skipped:
            self.observer.count_test()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Note how the run ended."""
        self._exit_status = int(exitstatus)

    def pytest_unconfigure(self) -> None:
        """Write the record, when all fixtures are gone and all that they had to say is said."""
        self._observing.close()
        self._listening.close()
        write_record(self.observer.record(self._exit_status), self._path)
