"""``prethrift-backend contracts rules``: every rule, or all about some."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from prethrift_backend.verify.rules import RULES, Rule

if TYPE_CHECKING:
    from prethrift_backend.verify.commands import Subparsers


def add_command(subparsers: Subparsers) -> None:
    """Add ``rules``."""
    parser = subparsers.add_parser(
        "rules",
        help="list the rules, or explain some",
        description="List the rules, or explain some.",
        allow_abbrev=False,
    )
    parser.add_argument("ids", metavar="RULE", nargs="*", help="an id such as V004; without any, all in one line each")
    parser.set_defaults(command=show_rules)


def show_rules(arguments: argparse.Namespace) -> None:
    """Print the rules; end with 2 where an id is unknown."""
    unknown = [name for name in arguments.ids if name not in RULES]
    if unknown:
        print(f"prethrift-backend: no rule is called {unknown[0]!r}: see 'contracts rules'", file=sys.stderr)
        sys.exit(2)
    chosen = [RULES[name] for name in arguments.ids]
    lines = [_explained(rule) for rule in chosen] or [_line(rule) for rule in RULES.values()]
    print("\n".join(lines))


def _line(rule: Rule) -> str:
    return f"{rule.id}  {rule.level:7}  {rule.title}"


def _explained(rule: Rule) -> str:
    breaks = f", breaks {rule.category}" if rule.category else ""
    return f"{rule.id}: {rule.title} ({rule.level}{breaks})\n{rule.help}\n".rstrip("\n") + "\n"
