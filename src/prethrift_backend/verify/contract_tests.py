"""The checks of contracts as tests of pytest: one for each item of a contract and each stage that looks at it.

    pytest --prethrift-contracts contracts --prethrift-app shop.main:app

Stages: ``lint`` holds the contracts against themselves; with an application ``code`` holds its code against them, and
``verify`` runs it in this process, asks it, and judges what it answers, logs and traces. They run while tests are
collected, since it is they who know what there is to be tested; a test then has what they found of one item. What a
stage could not see is skipped with the reason, and told at the end, so that nobody takes it for passed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pytest

from prethrift_backend import __version__
from prethrift_backend.contracts import Contracts, find_contracts, load_contracts
from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify._human import finding_lines
from prethrift_backend.verify.application import OWN_REFERENCE, load_application
from prethrift_backend.verify.exceptions import apply_exceptions, load_exceptions
from prethrift_backend.verify.findings import Excused, Finding, Item, Outcome, Signal
from prethrift_backend.verify.lint.code import CodeChecks
from prethrift_backend.verify.lint.outcome import Part, as_outcome, code_rules, contracts_part
from prethrift_backend.verify.live.application import verify_application
from prethrift_backend.verify.live.health_checks import HealthPaths
from prethrift_backend.verify.live.options import LiveOptions, LiveTokens
from prethrift_backend.verify.reports import presentable
from prethrift_backend.verify.verdict import Run, counts_as_failure

MARKER: Final = "prethrift_contract"

_FILES: Final[dict[Signal, str]] = {
    "logs": "logs.txt",
    "spans": "spans.txt",
    "settings": "settings.txt",
    "health": "health.schema.json",
}
_OTHERS: Final = "metrics.txt"
"""Where the items of all other signals stand; every folder of contracts has it."""

_Key = tuple[Signal, str]


class ContractViolationError(Exception):
    """An item is not as its contract says; the text is that of the findings."""


class ContractTests:
    """The plugin of a run that was given contracts or an application."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._reference: str | None = config.getoption("--prethrift-app")
        self._first_failed: Path | None = None
        given: str | None = config.getoption("--prethrift-contracts")
        try:
            self.directory = find_contracts(None if given is None else Path(given)).absolute()
        except ContractError as error:
            raise pytest.UsageError(str(error)) from error
        self._told: Counter[str] = Counter()
        self._add_argument(config.args)

    def _add_argument(self, arguments: list[str]) -> None:
        """Let the folder be collected besides what the run is to collect, unless a part of it was asked for."""
        asked = [Path(argument.partition("::")[0]).absolute() for argument in arguments]
        if not any(path.is_relative_to(self.directory) for path in asked):
            arguments.append(str(self.directory))

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
        """Take the files of the contracts for test files."""
        if file_path.name not in {*_FILES.values(), _OTHERS} or file_path.parent.resolve() != self.directory.resolve():
            return None
        return _ContractFile.from_parent(parent, path=file_path, tests=self)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Let a skipped test stand at the line of its contract, not at the line of this file that skips it."""
        report = yield
        if isinstance(item, _ContractTest) and report.skipped and isinstance(report.longrepr, tuple):
            path, line, _ = item.reportinfo()
            report.longrepr = (str(path), (line or 0) + 1, report.longrepr[2])
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count what became of the tests of contracts."""
        if MARKER in report.keywords and (report.when == "call" or report.skipped):
            is_excused = report.skipped and hasattr(report, "wasxfail")
            self._told["excused" if is_excused else "not observed" if report.skipped else report.outcome] += 1

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how many items passed, and how many were not observed, which is another thing."""
        if self._told:
            figures = ", ".join(f"{count} {what}" for what, count in sorted(self._told.items()))
            note = "; what was not observed has not passed: see it with -rs" if self._told["not observed"] else ""
            terminalreporter.write_line(f"contracts in {self.directory}: {figures}{note}")

    @cached_property
    def outcomes(self) -> dict[str, Outcome]:
        """What each stage found, exceptions taken into account, as reports show it.

        Raises ContractError where contracts or application cannot be used.
        """
        contracts = load_contracts(self.directory)
        exceptions, today = load_exceptions(self.directory), datetime.now(UTC).date()
        found: dict[str, Outcome] = {}
        for name, stage in self._stages(contracts):
            found[name] = presentable(apply_exceptions(stage(), exceptions, today=today))
        return found

    def explain(self, error: ContractError, path: Path) -> str:
        """Return the text for one file of what no file can be tested for; in full for the first of them."""
        self._first_failed = self._first_failed or path
        return str(error) if self._first_failed == path else f"see {self._first_failed.name}"

    @property
    def run(self) -> Run:
        """The circumstances, for texts."""
        return Run(datetime.now(UTC), __version__, root=str(self._config.rootpath))

    def _stages(self, contracts: Contracts) -> Iterator[tuple[str, Callable[[], Outcome]]]:
        yield "lint", lambda: as_outcome([contracts_part(contracts, why_no_code=None)], target=str(self.directory))
        if self._reference is not None:
            yield "code", lambda: _code_outcome(contracts, self._reference)
            yield "verify", lambda: verify_application(self._reference, self.directory, options=self._options()).outcome

    def _options(self) -> LiveOptions:
        """Probe, since nobody else reads the metrics of this process; what is not observed is told test by test."""
        paths = (self._config.getoption(f"--prethrift-{name}-path") or None for name in ("live", "ready", "health"))
        tokens = LiveTokens(os.environ.get("HEALTH_TOKEN") or None, os.environ.get("METRICS_TOKEN") or None)
        return LiveOptions(paths=HealthPaths(*paths), tokens=tokens, min_coverage=0.0, probe=True)


def _code_outcome(contracts: Contracts, reference: str | None) -> Outcome:
    application = load_application(None if reference == OWN_REFERENCE else reference)
    try:
        checks = CodeChecks(contracts, application)
        part = Part(tuple(checks.findings()), checks.items(), code_rules())
        return as_outcome([part], target=application.reference)
    finally:
        application.close()


class _ContractFile(pytest.File):
    """One file of the contracts."""

    def __init__(self, *, tests: ContractTests, **node: Any) -> None:
        super().__init__(**node)
        self._tests = tests

    def collect(self) -> Iterator[pytest.Item]:
        """Yield a test for each item of the file and each stage."""
        for stage, outcome in self._outcomes().items():
            for subject in _subjects(stage, outcome):
                if _FILES.get(subject.signal, _OTHERS) == self.path.name:
                    yield _ContractTest.from_parent(
                        self, name=f"{subject.name}[{stage}]", subject=subject, outcome=outcome, run=self._tests.run
                    )

    def _outcomes(self) -> dict[str, Outcome]:
        try:
            return self._tests.outcomes
        except ContractError as error:
            raise self.CollectError(self._tests.explain(error, self.path)) from error


def _subjects(stage: str, outcome: Outcome) -> Iterator[Item]:
    """Yield what a stage looked at, what it found besides, and whether it could tell."""
    subjects: dict[_Key, Item] = {(item.signal, item.name): item for item in outcome.items}
    found = (*outcome.findings, *(excused.finding for excused in outcome.excused))
    for finding in found:
        subjects.setdefault((finding.signal, finding.name), Item(finding.signal, finding.name, finding.place))
    yield from subjects.values()
    if outcome.inconclusive:
        yield Item("live", f"the stage {stage}")


class _ContractTest(pytest.Item):
    """What one stage found of one item."""

    def __init__(self, *, subject: Item, outcome: Outcome, run: Run, **node: Any) -> None:
        super().__init__(**node)
        self.add_marker(MARKER)
        self._subject = subject
        self._run = run
        self._findings = [one for one in outcome.findings if _is_about(one, subject)]
        self._excused = [one for one in outcome.excused if _is_about(one.finding, subject)]
        self._inconclusive = outcome.inconclusive if subject.name.startswith("the stage ") else ()

    def runtest(self) -> None:
        """Fail with what was found, or skip what was not observed.

        Raises ContractViolationError.
        """
        if self._inconclusive:
            raise ContractViolationError("inconclusive: " + "; ".join(self._inconclusive))
        if any(counts_as_failure(finding, self._run.fail_on) for finding in self._findings):
            raise ContractViolationError(_text(self._findings, self._run))
        if self._subject.not_observed is not None:
            pytest.skip(f"not observed: {self._subject.not_observed}")
        if self._excused:
            pytest.xfail(_excuse(self._excused))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the findings without the way that led here."""
        if isinstance(excinfo.value, ContractViolationError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return the line of the contract."""
        place = self._subject.place
        return self.path, None if place is None or place.line is None else place.line - 1, self.name


def _is_about(finding: Finding, subject: Item) -> bool:
    return (finding.signal, finding.name) == (subject.signal, subject.name)


def _text(findings: Iterable[Finding], run: Run) -> str:
    return "\n".join(line for finding in findings for line in finding_lines(finding, run))


def _excuse(excused: Iterable[Excused]) -> str:
    return "; ".join(f"{one.finding.rule} excused until {one.until}: {one.reason}" for one in excused)
