"""The sub-commands of ``prethrift-backend contracts``.

A command is a module of this package with a function ``add_command(subparsers)``, which adds a parser and sets its
default ``command`` to a function of the parsed arguments, as the commands of ``cli`` have it. To add one, import its
module here and put it in the table; the order is the one of the help.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Final, TypeAlias

from prethrift_backend.verify import format_command, rules_command
from prethrift_backend.verify.alerts import command as alert_command
from prethrift_backend.verify.coverage import command as coverage_command
from prethrift_backend.verify.diff import command as diff_command
from prethrift_backend.verify.lint import command as lint_command
from prethrift_backend.verify.live import command as live_command
from prethrift_backend.verify.promql import command as promql_command
from prethrift_backend.verify.recording import command as record_command
from prethrift_backend.verify.reference import command as docs_command

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

COMMANDS: Final[tuple[Callable[[Subparsers], None], ...]] = (
    alert_command.add_command,
    coverage_command.add_command,
    diff_command.add_command,
    docs_command.add_command,
    format_command.add_command,
    lint_command.add_command,
    live_command.add_command,
    promql_command.add_command,
    record_command.add_command,
    rules_command.add_command,
)


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add all sub-commands to the parser of ``contracts``."""
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for add_command in COMMANDS:
        add_command(subparsers)
