"""``prethrift-backend contracts test-rules``: the unit tests of alerts, and whether they notice a change."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.alerts.cases import TestFile, is_test_file, read_test_file
from prethrift_backend.verify.alerts.promtool import Promtool, PromtoolError
from prethrift_backend.verify.alerts.tests import check_alerts, make_finding
from prethrift_backend.verify.alerts.trials import Trial, try_alerts
from prethrift_backend.verify.command_line import add_contracts_option, add_report_options, conclude
from prethrift_backend.verify.findings import Finding, Item, Outcome, Place
from prethrift_backend.verify.promql.command import sort_paths
from prethrift_backend.verify.promql.query import Query
from prethrift_backend.verify.promql.rule_files import RuleFile, read_rule_file
from prethrift_backend.verify.promql.tree import QueryError, check_installed

if TYPE_CHECKING:
    from prethrift_backend.verify.commands import Subparsers

DEFAULT_FOLDER: Final = Path("ops/prometheus")
_SUFFIXES: Final = (".yml", ".yaml")
_RULES: Final = ("A004", "A005")
_OUTPUT_SHOWN: Final = 2000  # characters; arbitrary
_EPILOG: Final = (
    "Each alert is changed in one thing at a time: the threshold doubled and halved, the comparison turned round, "
    "'for' dropped, a matcher, a condition or 'or absent(…)' removed, 'by' dropped. A change that no test of the alert "
    "notices is A005. Exit status: 0 well, 1 findings, 2 wrong usage, 3 promtool is missing or no alert was found."
)


def add_command(subparsers: Subparsers) -> None:
    """Add ``test-rules``."""
    parser = subparsers.add_parser(
        "test-rules",
        help="run promtool's tests of rule files, and see whether they notice a change of an alert",
        description="Run promtool's tests of rule files, then see whether they notice a change of an alert.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument(
        "path",
        metavar="PATH",
        nargs="?",
        type=Path,
        default=DEFAULT_FOLDER,
        help="a folder of rule files and of their tests, in 'tests' or named …_test.yml, or one file beside "
        "its tests (default: %(default)s)",
    )
    add_contracts_option(parser)
    add_report_options(parser)
    parser.set_defaults(command=test_rules)


def test_rules(arguments: argparse.Namespace) -> None:
    """Report what the tests do not notice, print the score, and end with the status that it means.

    Raises ContractError where there is no rule file.
    """
    try:
        check_installed()
    except QueryError as error:
        raise ContractError(str(error)) from error
    files, tests = read_rules_and_tests(arguments.path)
    outcome, trials = judge_tests(files, tests, target=str(arguments.path))
    if trials:
        sys.stderr.write(f"{score(trials)}\n")
    conclude(outcome, arguments)


def read_rules_and_tests(path: Path) -> tuple[list[RuleFile], list[TestFile]]:
    """Read the rule files of a folder and promtool's tests in it.

    Raises ContractError where there is no rule file.
    """
    rules, _ = sort_paths([path])
    return [read_rule_file(file) for file in rules], [read_test_file(file) for file in test_files(path)]


def test_files(path: Path) -> list[Path]:
    """Return promtool's tests in a folder, or in that of a rule file."""
    folder = path if path.is_dir() else path.parent
    found = sorted(file for file in folder.rglob("*") if file.suffix in _SUFFIXES)
    return [file for file in found if is_test_file(file.relative_to(folder))]


def judge_tests(
    files: Sequence[RuleFile], tests: Sequence[TestFile], *, target: str
) -> tuple[Outcome, Sequence[Trial]]:
    """Run the tests as they are, and then on every change of an alert."""
    alerts = [rule for file in files for rule in file.rules if rule.context == "alert"]
    try:
        promtool = Promtool.find()
        findings = [*check_alerts(files, tests=[Path(test.path) for test in tests]), *_failing(tests, promtool)]
    except PromtoolError as error:
        items = tuple(Item("alerts", alert.name, alert.place, not_observed=str(error)) for alert in alerts)
        return Outcome("test-rules", items=items, inconclusive=(str(error),), target=target), ()
    trials = try_alerts(files, tests, promtool)
    findings += [trial.finding for trial in trials if trial.finding is not None]
    items = tuple(Item("alerts", alert.name, alert.place) for alert in alerts)
    troubles = tuple(trial.trouble for trial in trials if trial.trouble is not None)
    outcome = Outcome("test-rules", tuple(findings), items=items, rules=_RULES, inconclusive=troubles, target=target)
    return outcome, trials


def score(trials: Sequence[Trial]) -> str:
    """Return the one line that says how many changes were noticed."""
    tried = sum(trial.tried for trial in trials)
    noticed = tried - sum(len(trial.survivors) for trial in trials)
    share = f" ({100 * noticed / tried:.1f} %)" if tried else ""
    return f"score: {noticed} of {tried} changes to {len(trials)} alerts were noticed{share}"


def _failing(tests: Sequence[TestFile], promtool: Promtool) -> list[Finding]:
    return [_failure(test, run.output) for test in tests if not (run := promtool.test_rules([Path(test.path)])).passed]


def _failure(test: TestFile, output: str) -> Finding:
    query = Query("", "alert", test.path, Place(test.path))
    return make_finding(
        "A005",
        query,
        "promtool's tests fail",
        observed=" ".join(output.split())[:_OUTPUT_SHOWN],
        fix="correct the rule, or the test that asks for what it does not do",
    )
