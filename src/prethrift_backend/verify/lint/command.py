"""``prethrift-backend contracts lint``: contracts against themselves, code, queries and docs; no server is asked."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prethrift_backend.contracts import Contracts, find_contracts, load_contracts
from prethrift_backend.verify.command_line import add_contracts_option, add_report_options, conclude, near
from prethrift_backend.verify.findings import Item
from prethrift_backend.verify.lint.outcome import Part, as_outcome, code_rules, contracts_part, docs_part
from prethrift_backend.verify.lint.queries import queries_part

if TYPE_CHECKING:
    from prethrift_backend.verify.commands import Subparsers

_EPILOG: Final = (
    "Exit status: 0 well, 1 findings, 2 wrong usage, or contracts or an application that cannot be read. What cannot "
    "be judged without a running process is told as not observed, with the reason."
)


def add_command(subparsers: Subparsers) -> None:
    """Add ``lint``."""
    summary = "hold the contracts against themselves, the code, the queries and the docs"
    parser = subparsers.add_parser(
        "lint", help=summary, description=f"{summary.capitalize()}.", epilog=_EPILOG, allow_abbrev=False
    )
    add_contracts_option(parser)
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--app",
        metavar="MODULE:ATTRIBUTE",
        help="an ASGI application, or a function that makes one (default, with the package's contracts: its own)",
    )
    which.add_argument("--no-app", action="store_true", help="look at no code")
    parser.add_argument(
        "--queries",
        type=Path,
        nargs="+",
        metavar="PATH",
        help="rule files, their tests and dashboards (default: ops beside the contracts, if there)",
    )
    parser.add_argument(
        "--docs",
        type=Path,
        metavar="DIR",
        help="the reference (default: docs/reference beside the contracts, if there)",
    )
    add_report_options(parser)
    parser.set_defaults(command=lint)


def lint(arguments: argparse.Namespace) -> None:
    """Report the findings and end with the status that they mean.

    Raises ContractError where contracts, application, queries or docs cannot be read.
    """
    folder = find_contracts(arguments.contracts)
    contracts = load_contracts(folder)
    reason = _why_no_code(arguments)
    with _uncollected():
        parts = [contracts_part(contracts, why_no_code=reason)]
        if reason is None:
            parts.append(_code_part(contracts, arguments.app))
        parts += _around(contracts, arguments)
    conclude(as_outcome(parts, target=_target(arguments, folder, reason)), arguments)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Leave garbage alone for a second: what is read makes hundreds of thousands of nodes, and all of them are kept."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _why_no_code(arguments: argparse.Namespace) -> str | None:
    if arguments.no_app:
        return "no code was looked at (--no-app)"
    if arguments.app is None and find_contracts(arguments.contracts).resolve() != find_contracts().resolve():
        return "no application was named (--app)"
    return None


def _target(arguments: argparse.Namespace, folder: Path, reason: str | None) -> str:
    return str(folder) if reason is not None else (arguments.app or "prethrift_backend")


def _code_part(contracts: Contracts, reference: str | None) -> Part:
    # They load the application, and no other command waits for that.
    from prethrift_backend.verify.application import load_application  # noqa: PLC0415
    from prethrift_backend.verify.lint.code import CodeChecks  # noqa: PLC0415

    with redirect_stdout(sys.stderr):  # what an application prints is no part of a report
        application = load_application(reference)
    try:
        checks = CodeChecks(contracts, application)
        unread = (
            Item("code", text.partition(": ")[0], None, text.partition(": ")[2]) for text in checks.own.unreadable
        )
        return Part(tuple(checks.findings()), (*checks.items(), *unread), code_rules())
    finally:
        application.close()


def _around(contracts: Contracts, arguments: argparse.Namespace) -> Iterator[Part]:
    """Give what stands around the contracts: where it is named, and else where it is found beside them."""
    beside = contracts.directory.resolve().parent
    queries = arguments.queries or [path for path in (beside / "ops",) if path.is_dir()]
    if queries:
        yield queries_part(contracts, [near(path) for path in queries])
    docs = arguments.docs or beside / "docs" / "reference"
    if arguments.docs is not None or docs.is_dir():
        yield docs_part(contracts, near(docs))
