"""``prethrift-backend contracts coverage``: run tests, and say which promises they exercised."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prethrift_backend.contracts import find_contracts, load_contracts
from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.command_line import add_contracts_option, add_report_options, conclude, say
from prethrift_backend.verify.coverage.items import HEALTH_ENDPOINTS, coverage_items
from prethrift_backend.verify.coverage.judgement import outcome_of, select, summary_lines, table_lines
from prethrift_backend.verify.coverage.record import CoverageRecord, digests_of, merge_records, read_record
from prethrift_backend.verify.exceptions import load_exceptions
from prethrift_backend.verify.option_numbers import share
from prethrift_backend.verify.reports import Request

if TYPE_CHECKING:
    from prethrift_backend.verify.commands import Subparsers

_PLUGIN: Final = "prethrift_backend.verify.coverage.plugin"
_APP_PLUGIN: Final = "prethrift_backend.verify.coverage.app_plugin"
_INTERRUPTED: Final = 130
_USAGE_STATUS: Final = 4  # of pytest
_EPILOG: Final = (
    "What stands after -- goes to pytest. Exit status: 0 the floor is reached, 1 it is not, or a test failed, or a "
    "test has shown a breach of contract, 2 wrong usage or contract files, 3 no test ran. Servers that tests start as "
    "processes of their own are not observed, and neither are workers of pytest-xdist: leave -n out."
)


def add_command(subparsers: Subparsers) -> None:
    """Add ``coverage``."""
    parser = subparsers.add_parser(
        "coverage",
        help="run tests, and say which promises they exercised",
        description="Run pytest under an observer and say which promises of the contracts the tests exercised.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    add_contracts_option(parser)
    add_report_options(parser)
    parser.add_argument("--floor", type=share, default=1.0, metavar="SHARE", help="from 0 to 1 (default: %(default)g)")
    parser.add_argument(
        "--stability",
        choices=("stable", "beta", "all"),
        default="stable",
        help="the least firm promises that count (default: %(default)s)",
    )
    parser.add_argument("--app", metavar="MODULE:ATTRIBUTE", help="an application whose registry is its own")
    parser.add_argument(
        "--health-endpoint",
        action="append",
        metavar="PATH",
        help=f"may stand several times (default: {' '.join(HEALTH_ENDPOINTS)})",
    )
    parser.add_argument("--table", action="store_true", help="print every item with the first test that exercised it")
    parser.add_argument("--record", type=Path, metavar="FILE", help="keep the record of this run")
    parser.add_argument(
        "--merge",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="count records of earlier runs as well; without arguments for pytest, nothing else",
    )
    parser.add_argument("pytest_arguments", nargs="*", metavar="-- PYTEST ARGUMENT", help="such as tests/unit")
    parser.set_defaults(command=cover)


def cover(arguments: argparse.Namespace) -> None:
    """Run the tests, print what they exercised, and end with the status that it means.

    Raises ContractError where contracts, exceptions or a record cannot be used.
    """
    directory = find_contracts(arguments.contracts).absolute()
    load_exceptions(directory)  # before the tests run, not when the report is written
    endpoints = arguments.health_endpoint or HEALTH_ENDPOINTS
    items = coverage_items(load_contracts(directory), health_endpoints=endpoints)
    earlier = [read_record(path) for path in arguments.merge]
    records = [*earlier, *_own_record(arguments, directory)]
    record = merge_records(records, contracts=digests_of(directory))
    coverage = select(items, record, stability=arguments.stability)
    reports = arguments.report or [Request("human")]
    if any(report.kind == "human" and report.path is None for report in reports):
        say([*(table_lines(coverage) if arguments.table else ()), *summary_lines(coverage), ""])
    conclude(outcome_of(coverage, floor=arguments.floor, target=str(directory)), arguments)


def _own_record(arguments: argparse.Namespace, directory: Path) -> Iterator[CoverageRecord]:
    """Yield the record of this run; of none where there are only records to merge."""
    if arguments.merge and not arguments.pytest_arguments:
        return
    if importlib.util.find_spec("pytest") is None:
        raise ContractError("coverage runs the tests with pytest, which is not installed: pip install pytest")
    with tempfile.TemporaryDirectory(prefix="prethrift-coverage-") as folder:
        path = (arguments.record or Path(folder) / "record.json").absolute()
        path.unlink(missing_ok=True)
        status = _run_pytest([*_plugin_options(arguments, directory, path), *arguments.pytest_arguments])
        if status == _USAGE_STATUS or not path.is_file():
            raise ContractError(
                f"pytest ended with {status} and without a run: its arguments are right, and it ends by itself; mend "
                f"what it says above"
            )
        record = read_record(path)
        # A run that fails while it ends has written its record before.
        yield replace(record, exit_status=record.exit_status or status)


def _plugin_options(arguments: argparse.Namespace, directory: Path, record: Path) -> Iterator[str]:
    yield from ("-p", _PLUGIN, f"--contract-coverage={record}", f"--contract-coverage-of={directory}")
    if arguments.app is not None:
        yield from ("-p", _APP_PLUGIN)
        yield f"--contract-coverage-app={arguments.app}"
    yield from (f"--contract-coverage-health={path}" for path in arguments.health_endpoint or ())


def _run_pytest(options: Sequence[str]) -> int:
    """Run pytest with its output on standard error, since standard output is the report's."""
    try:
        done = subprocess.run([sys.executable, "-m", "pytest", *options], stdout=sys.stderr, check=False)  # noqa: S603
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    return done.returncode
