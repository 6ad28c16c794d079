"""``prethrift-backend contracts lint-queries``: rule files and dashboards, held against the metrics contract."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prethrift_backend.contracts import load_metrics
from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.alerts.cases import is_test_file
from prethrift_backend.verify.command_line import add_contracts_option, add_report_options, conclude
from prethrift_backend.verify.findings import Outcome
from prethrift_backend.verify.promql.checks import Known
from prethrift_backend.verify.promql.dashboards import lint_dashboards
from prethrift_backend.verify.promql.rule_files import know_rules, lint_rule_files, read_rule_file
from prethrift_backend.verify.promql.scrape_configs import is_rule_file, scrape_jobs, scrape_labels
from prethrift_backend.verify.promql.shapes import TARGET_LABELS
from prethrift_backend.verify.promql.tree import QueryError, check_installed

if TYPE_CHECKING:
    from prethrift_backend.verify.commands import Subparsers

_RULES: Final = frozenset({".yml", ".yaml", ".rules"})
_DASHBOARDS: Final = frozenset({".json"})
_EPILOG: Final = (
    "Exit status: 0 well, 1 findings, 2 wrong usage or contract files, 3 no query was found. In folders, files of "
    "promtool's tests are left out (those in 'tests', or named …_test.yml); the jobs of Prometheus' configurations "
    "there are known, and the labels that they give to their targets."
)


def add_command(subparsers: Subparsers) -> None:
    """Add ``lint-queries``."""
    parser = subparsers.add_parser(
        "lint-queries",
        help="hold the queries of rule files and dashboards against metrics.txt",
        description="Hold the queries of rule files (.yml, .yaml, .rules) and dashboards (.json) against metrics.txt.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("paths", metavar="PATH", nargs="+", type=Path, help="a file, or a folder of them")
    add_contracts_option(parser)
    add_report_options(parser)
    parser.add_argument("--job", metavar="NAME", action="append", default=[], help="another job that is scraped")
    parser.add_argument(
        "--target-label", metavar="NAME", action="append", default=[], help="a label that service discovery adds"
    )
    parser.add_argument(
        "--retention-days", metavar="N", type=_days, default=15.0, help="how long samples are kept (default: 15)"
    )
    parser.set_defaults(command=lint_queries)


def _days(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days: give one above 0")
    return value


def lint_queries(arguments: argparse.Namespace) -> None:
    """Report the findings and end with the status that they mean.

    Raises ContractError where the contract or a path cannot be used.
    """
    try:
        check_installed()
    except QueryError as error:
        raise ContractError(str(error)) from error
    conclude(lint_paths(arguments.paths, make_known(arguments)), arguments)


def lint_paths(paths: Iterable[Path], known: Known) -> Outcome:
    """Lint rule files, loaded together, and dashboards.

    Raises ContractError where a path is neither, nor a folder of them.
    """
    rules, dashboards = sort_paths(paths)
    files = [read_rule_file(path) for path in rules]
    widened = know_rules(files, known)  # panels, too, may ask for what the rules record
    rule_findings, alerts = lint_rule_files(files, widened)
    panel_findings, panels = lint_dashboards(dashboards, widened)
    target = ", ".join(map(str, [*rules, *dashboards]))
    return Outcome("lint-queries", findings=(*rule_findings, *panel_findings), items=(*alerts, *panels), target=target)


def make_known(arguments: argparse.Namespace) -> Known:
    """Return what the queries may be about.

    Raises ContractError.
    """
    return Known(
        load_metrics(arguments.contracts),
        jobs=frozenset(arguments.job) | scrape_jobs(arguments.paths),
        target_labels=TARGET_LABELS | scrape_labels(arguments.paths) | frozenset(arguments.target_label),
        retention_seconds=arguments.retention_days * 86400,
    )


def sort_paths(paths: Iterable[Path]) -> tuple[list[Path], list[Path]]:
    """Return rule files and dashboards, those of folders included; rule tests and other YAML of folders are left out.

    Raises ContractError where a path is neither, nor a folder of them.
    """
    files: list[Path] = []
    for path in paths:
        found = list(_files(path))
        if not found:
            endings = ", ".join(sorted(_RULES | _DASHBOARDS))
            raise ContractError(
                f"{str(path)!r} holds no rule file and no dashboard: their names end in {endings}; name another"
            )
        files += found
    files = list(dict.fromkeys(files))
    return [file for file in files if file.suffix in _RULES], [file for file in files if file.suffix in _DASHBOARDS]


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        found = sorted(file for file in path.rglob("*") if file.suffix in _RULES | _DASHBOARDS)
        found = [file for file in found if not is_test_file(file.relative_to(path))]
        yield from (file for file in found if file.suffix in _DASHBOARDS or is_rule_file(file))
    elif path.is_file() and path.suffix in _RULES | _DASHBOARDS:
        yield path
