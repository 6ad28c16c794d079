"""``prethrift-backend contracts fmt``: write contract files in their canonical form."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from prethrift_backend.contracts import find_contracts
from prethrift_backend.contracts.formatting import format_contract  # a server that starts does without it
from prethrift_backend.exceptions import ContractError
from prethrift_backend.verify._files import replace_file
from prethrift_backend.verify.command_line import add_contracts_option, say
from prethrift_backend.verify.verdict import UNUSABLE, VIOLATED

if TYPE_CHECKING:
    from prethrift_backend.verify.commands import Subparsers

_NAMES = ("metrics.txt", "logs.txt", "spans.txt", "settings.txt", "overhead.txt")
_EPILOG = "Exit status: 0 canonical, or made so; 1 with --check, not canonical; 2 a file cannot be read or has faults."


def add_command(subparsers: Subparsers) -> None:
    """Add ``fmt``."""
    parser = subparsers.add_parser(
        "fmt",
        help="write contract files in their canonical form",
        description="Write contract files in their canonical form; comments and what they state stay as they are.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("files", metavar="FILE", nargs="*", type=Path, help="default: every text file of the contracts")
    parser.add_argument("--check", action="store_true", help="change nothing, and name the files that would change")
    add_contracts_option(parser)
    parser.set_defaults(command=format_files)


def format_files(arguments: argparse.Namespace) -> None:
    """Format the files, all or none; end with 1 where ``--check`` finds one that is not canonical, 2 after a fault."""
    changed, faults = _changes(arguments.files or _own_files(arguments.contracts))
    if faults:
        print("\n".join(f"prethrift-backend: {fault}" for fault in faults), file=sys.stderr)
        sys.exit(UNUSABLE)
    if not arguments.check:
        for path, text in changed.items():
            _replace(path, text)
            say([f"{path}: formatted"])
    elif changed:
        say(
            f"{path}: not canonical: run 'prethrift-backend contracts fmt {shlex.quote(str(path))}'" for path in changed
        )
        sys.exit(VIOLATED)


def _own_files(directory: Path | None) -> list[Path]:
    folder = find_contracts(directory)
    return [folder / name for name in _NAMES if (folder / name).is_file()]


def _changes(paths: list[Path]) -> tuple[dict[Path, str], list[str]]:
    """Return the new text of each file that changes, and what is wrong with the others."""
    changed: dict[Path, str] = {}
    faults: list[str] = []
    for path in paths:
        try:
            text = path.read_bytes().decode()
            formatted = format_contract(text, source=str(path))
        except ContractError as error:
            faults.append(str(error))
        except UnicodeDecodeError:
            faults.append(f"{path}: not UTF-8: contracts are UTF-8; save the file so")
        except OSError as error:
            faults.append(f"{path}: {error.strerror}: a contract is a file that can be read; correct the name")
        else:
            if formatted != text:
                changed[path] = formatted
    return changed, faults


def _replace(path: Path, text: str) -> None:
    """Write the file as a whole or not at all; raises ContractError where the folder or the disk refuses."""
    try:
        replace_file(path, text)
    except OSError as error:
        raise ContractError(f"{path}: {error.strerror}: formatting writes the file anew; mend its mode") from error
