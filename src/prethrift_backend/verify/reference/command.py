"""``prethrift-backend contracts docs``: the reference, generated from the contracts."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prethrift_backend.contracts import Contracts, find_contracts, load_contracts
from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.command_line import add_contracts_option, add_report_options, conclude
from prethrift_backend.verify.findings import Item, Outcome, Place
from prethrift_backend.verify.reference.files import write_reference
from prethrift_backend.verify.reference.rendering import check_reference, render_reference, stale_files

if TYPE_CHECKING:
    from prethrift_backend.verify.commands import Subparsers

_DEFAULT: Final = Path("docs") / "reference"
_EPILOG: Final = (
    "Exit status: 0 up to date, or made so; 1 with --check, a file differs, is missing or left over; 2 wrong usage, a "
    "contract with faults, or a file in the way that was not generated."
)


def add_command(subparsers: Subparsers) -> None:
    """Add ``docs``."""
    parser = subparsers.add_parser(
        "docs",
        help="write the reference of metrics, events, spans, settings and health",
        description="Write the reference that the contracts make: pages, schemas, and a registry for OpenTelemetry "
        "Weaver. Only what changed is written.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    add_contracts_option(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"the folder; default: {_DEFAULT.as_posix()}, for the package's own contracts at the top of its source",
    )
    parser.add_argument("--check", action="store_true", help="write nothing, and report what is not up to date")
    add_report_options(parser)
    parser.set_defaults(command=write_docs)


def write_docs(arguments: argparse.Namespace) -> None:
    """Write the reference and say what was written; with ``--check``, report what is not up to date.

    Raises ContractError.
    """
    contracts = load_contracts(arguments.contracts)
    folder = arguments.out or _own_folder(arguments.contracts)
    if arguments.check:
        conclude(check_docs(contracts, folder), arguments)
    for line in write_reference(render_reference(contracts), folder):
        print(line)


def check_docs(contracts: Contracts, folder: Path) -> Outcome:
    """Return what is not up to date, with an item for each file of the reference.

    Raises ContractError where a file cannot be read.
    """
    wanted = render_reference(contracts)
    names = [*wanted, *stale_files(wanted, folder)]
    items = tuple(Item("docs", name, Place(str(folder / name))) for name in names)
    findings = tuple(check_reference(contracts, folder))
    return Outcome("docs", findings=findings, items=items, rules=("V005",), target=str(folder))


def _own_folder(directory: Path | None) -> Path:
    if directory is None and Path("contracts").resolve() == find_contracts().resolve():
        return _DEFAULT
    raise ContractError(
        "no folder for the reference: only the package's own contracts have one, at the top of its source tree; "
        "name one by --out"
    )
