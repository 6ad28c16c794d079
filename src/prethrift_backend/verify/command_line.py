"""What the sub-commands of ``contracts`` share: options, and how a run ends."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NoReturn, get_args

from prethrift_backend import __version__
from prethrift_backend.contracts import find_contracts
from prethrift_backend.verify.exceptions import apply_exceptions, load_exceptions
from prethrift_backend.verify.findings import Outcome
from prethrift_backend.verify.reports import RENDERERS, Request, parse_request, write_reports
from prethrift_backend.verify.verdict import UNUSABLE, FailOn, Run, exit_status, summary

# Annotations are lines of a log among others; the rest are documents.
_SHARES_OUTPUT: Final = frozenset({"github", "human"})


def add_contracts_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--contracts``."""
    parser.add_argument("--contracts", type=Path, metavar="DIR", help="the contract files; default: the package's own")


def add_report_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--report`` and ``--fail-on``, which `conclude` reads."""
    parser.add_argument(
        "--report",
        action="append",
        type=_request,
        metavar="KIND[=FILE]",
        help=f"one or several of {', '.join(RENDERERS)}; without FILE to standard output (default: human)",
    )
    parser.add_argument(
        "--fail-on",
        choices=get_args(FailOn),
        default="error",
        help="the mildest level that counts as a violation (default: %(default)s)",
    )


def conclude(outcome: Outcome, arguments: argparse.Namespace, *, secrets: Sequence[str] = ()) -> NoReturn:
    """Take exceptions into account, write the reports that the arguments ask for, and end with the exit status.

    The arguments are those of `add_contracts_option` and `add_report_options`. Raises ContractError where the
    exceptions cannot be read or a report cannot be written.
    """
    now = datetime.now(UTC)
    requests: list[Request] = arguments.report or [Request("human")]
    _check_output(requests)
    exceptions = load_exceptions(find_contracts(arguments.contracts))
    outcome = apply_exceptions(outcome, exceptions, today=now.date())
    run = Run(now, __version__, arguments.fail_on, str(Path.cwd()), _in_colour())
    try:
        write_reports(requests, outcome, run, output=sys.stdout, environ=os.environ, secrets=secrets)
    except BrokenPipeError:
        _drop_output()
    status = exit_status(outcome, run.fail_on)
    if status and all(request.path is not None for request in requests):
        sys.stderr.write(f"prethrift-backend: {summary(outcome, run)}\n")
    sys.exit(status)


def near(path: Path) -> Path:
    """Give a path from the working folder where it is below that: so people name it."""
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path


def say(lines: Iterable[str]) -> None:
    """Print lines; where nobody reads them any more (``… | head``), go on without."""
    try:
        print("\n".join(lines), flush=True)
    except BrokenPipeError:
        _drop_output()


def _drop_output() -> None:
    # The status is what scripts ask for, whether or not anybody reads the text.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _check_output(requests: Sequence[Request]) -> None:
    printed = [request.kind for request in requests if request.path is None]
    if len(printed) > 1 and not _SHARES_OUTPUT.issuperset(printed):
        listed = " and ".join(printed)
        sys.stderr.write(f"prethrift-backend: {listed} on standard output: it holds one; give the others a file\n")
        sys.exit(UNUSABLE)


def _request(text: str) -> Request:
    try:
        return parse_request(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _in_colour() -> bool:
    # https://no-color.org: any value but an empty one.
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
