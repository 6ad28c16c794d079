"""Changes made, commands run, and what became of each: the score."""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from traceback import format_exception
from typing import Final, Literal, TypeAlias

from tests.corpus.change import UNREADABLE, Change, MisfitError
from tests.corpus.commands import Report, run_command
from tests.corpus.tree import Tree, copy_tree, make_tree

Verdict: TypeAlias = Literal["reported", "missed", "quiet", "false alarm", "does not fit", "failed"]

GOOD: Final[frozenset[Verdict]] = frozenset({"reported", "quiet"})
# One change each; on a machine with more cores, more would fit, but the figure of the session is for two.
_PROCESSES: Final = 2
_VIOLATED: Final = 1
_UNUSABLE: Final = 2
_SHOWN_CHARACTERS: Final = 3000  # of what broke; arbitrary


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one change; ``words`` explain a verdict that is not good."""

    change: Change
    verdict: Verdict
    rules: tuple[str, ...] = ()
    words: str = ""
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        """Whether a fault was reported as it has to be, or a harmless change was not."""
        return self.verdict in GOOD


def judge(change: Change, tree: Tree, *, run: Callable[[Change, Tree], Report] = run_command) -> Result:
    """Make one change, run its command, and say whether it did its duty; nothing raises."""
    begun = time.monotonic()
    try:
        with tree.changed(change):
            report = run(change, tree)
    except MisfitError as misfit:
        return Result(change, "does not fit", words=str(misfit))
    except Exception as error:  # noqa: BLE001 - whatever a command raises on a changed tree is what became of the change
        return Result(change, "failed", words="".join(format_exception(error))[-_SHOWN_CHARACTERS:])
    verdict = _verdict_of_harmless(report) if change.is_harmless else _verdict_of_fault(change, report)
    seconds = time.monotonic() - begun
    return Result(change, verdict, tuple(sorted(report.rules)), "" if verdict in GOOD else _words(report), seconds)


def _verdict_of_fault(change: Change, report: Report) -> Verdict:
    if change.rule == UNREADABLE:
        places = [re.compile(rf"{re.escape(edit.path)}:\d+:\d+: ") for edit in change.edits]
        is_told = report.status == _UNUSABLE and all(place.search(report.words) for place in places)
    else:
        is_told = report.status == _VIOLATED and change.rule in report.rules
    return "reported" if is_told else "missed"


def _verdict_of_harmless(report: Report) -> Verdict:
    # A command that could not tell has not said that all is well.
    return "quiet" if report.status == 0 and not report.rules else "false alarm"


def _words(report: Report) -> str:
    return f"exit status {report.status}\n{report.words.strip()}"


# Many, two at a time.

_tree: Tree | None = None


def _set_up(original: Tree) -> None:
    """Give this process of the pool a tree of its own."""
    global _tree  # noqa: PLW0603 - what a pool's process keeps between its tasks has no other place
    folder = tempfile.mkdtemp(prefix="worker-", dir=original.root.parent)
    _tree = copy_tree(original, Path(folder))


def _judge_here(change: Change) -> Result:
    if _tree is None:
        raise RuntimeError("this process of the pool has no tree: _set_up comes first")
    return judge(change, _tree)


def judge_all(changes: Sequence[Change], *, processes: int = _PROCESSES) -> Iterator[Result]:
    """Judge all changes and give the results in their order, each as soon as it and those before it are there."""
    with tempfile.TemporaryDirectory(prefix="prethrift-corpus-") as folder:
        original = make_tree(Path(folder))
        context = get_context("spawn")
        with ProcessPoolExecutor(processes, mp_context=context, initializer=_set_up, initargs=(original,)) as pool:
            yield from pool.map(_judge_here, changes)


@dataclass(frozen=True, slots=True)
class Score:
    """How many of how many."""

    reported: int
    faults: int
    quiet: int
    harmless: int

    @property
    def is_full(self) -> bool:
        """Whether every fault was reported and nothing else was; a corpus of nothing shows nothing."""
        return self.faults > 0 and self.reported == self.faults and self.quiet == self.harmless

    def __str__(self) -> str:
        share = (self.reported + self.quiet) / max(self.faults + self.harmless, 1)
        return (
            f"{self.reported} of {self.faults} faults reported, "
            f"{self.harmless - self.quiet} of {self.harmless} harmless changes reported: {share:.1%}"
        )


def score(results: Sequence[Result]) -> Score:
    """Count what is good of faults and of harmless changes."""
    harmless = [result for result in results if result.change.is_harmless]
    faults = [result for result in results if not result.change.is_harmless]
    return Score(_good(faults), len(faults), _good(harmless), len(harmless))


def _good(results: Sequence[Result]) -> int:
    return sum(result.is_good for result in results)
