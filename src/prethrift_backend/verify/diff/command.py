"""``prethrift-backend contracts diff``: the contracts of now against older ones."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prethrift_backend.contracts import find_contracts, load_contracts
from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify.command_line import add_contracts_option, add_report_options, conclude, near
from prethrift_backend.verify.diff.baseline import read_against, read_folder
from prethrift_backend.verify.diff.comparison import diff_contracts
from prethrift_backend.verify.diff.consumers import read_consumers
from prethrift_backend.verify.diff.files import read_files
from prethrift_backend.verify.findings import Outcome
from prethrift_backend.verify.items import items_of, overhead_items
from prethrift_backend.verify.verdict import UNUSABLE

if TYPE_CHECKING:
    from prethrift_backend.verify.commands import Subparsers

_DEFAULT_CONSUMERS: Final = ("ops", "docs")


def add_command(subparsers: Subparsers) -> None:
    """Add ``diff``."""
    summary = "compare the contracts with older ones: what breaks, whom, and which version it needs"
    parser = subparsers.add_parser("diff", help=summary, description=f"{summary.capitalize()}.", allow_abbrev=False)
    parser.add_argument(
        "--against",
        default="HEAD",
        metavar="REV|DIR",
        help="the older side: a folder, or a revision of git; git:REV is one for certain (default: %(default)s)",
    )
    parser.add_argument(
        "--consumers",
        nargs="+",
        type=Path,
        metavar="PATH",
        help="rules (.yml), dashboards (.json) and documents (.md), files or folders (default: ops and docs beside the "
        "contracts, if there)",
    )
    add_contracts_option(parser)
    add_report_options(parser)
    parser.set_defaults(command=compare)


def compare(arguments: argparse.Namespace) -> None:
    """Compare, report and end: 0 nothing breaks, 1 something does, 2 a side cannot be read."""
    try:
        folder = find_contracts(arguments.contracts)
        old = read_against(arguments.against, folder=folder)
        paths = _consumers(arguments.consumers, folder)
        consumers = read_consumers(paths)
        files = read_files(arguments.against, paths, folder=folder)
        findings = diff_contracts(old, read_folder(folder), consumers=consumers, files=files)
        contracts = load_contracts(folder)
        items = (*items_of(contracts), *overhead_items(contracts))
        conclude(Outcome("diff", findings, items=items, target=arguments.against), arguments)
    except ContractError as error:
        sys.stderr.write(f"prethrift-backend: {error}\n")
        sys.exit(UNUSABLE)


def _consumers(given: list[Path] | None, folder: Path) -> list[Path]:
    beside = [folder.resolve().parent / name for name in _DEFAULT_CONSUMERS]
    return given if given is not None else [near(path) for path in beside if path.is_dir()]
