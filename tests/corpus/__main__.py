"""Spoil a copy of the tree in small ways and see each reported, and only that: ``nox -s corpus``."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType

from tests.corpus.change import KINDS, Change
from tests.corpus.changes import CHANGES, shortcomings, unchanged
from tests.corpus.judging import judge_all, score
from tests.corpus.report import as_failures, as_table, write_json
from tests.corpus.tree import ROOT


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge every change, print the table, keep it in build/; 1 below the full score."""
    options = _options(arguments)
    changes = [change for change in CHANGES if _is_chosen(change, options)]
    begun = time.monotonic()
    results = list(judge_all([*unchanged(changes), *changes]))
    print(as_table(results))
    print(f"{time.monotonic() - begun:.0f} s; every result: build/corpus.json")
    write_json(results, ROOT / "build" / "corpus.json")
    is_part = bool(options.kind or options.only or options.by)
    lacks = [] if is_part else list(shortcomings(CHANGES))
    failures = as_failures(results)
    print("\n".join(filter(None, ["", failures, *lacks])), file=sys.stderr)
    return 0 if score(results).is_full and not lacks else 1


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    parser.add_argument("--kind", choices=KINDS, action="append", default=[], help="only changes of this kind")
    parser.add_argument("--by", metavar="COMMAND", help="only changes that this command has to report")
    parser.add_argument("--only", metavar="TEXT", help="only changes with this text in their name")
    return parser.parse_args(arguments)


def _is_chosen(change: Change, options: argparse.Namespace) -> bool:
    is_kind = not options.kind or change.kind in options.kind
    is_command = options.by is None or options.by == change.command
    return is_kind and is_command and (options.only is None or options.only in change.name)


def _end(number: int, _frame: FrameType | None) -> None:
    """End as after Ctrl-C: the two changes under way are finished, and nothing is left behind."""
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    sys.exit(main())
