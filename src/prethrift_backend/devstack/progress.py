"""What the development stack tells the person in front of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Narrator:
    """Says on standard output what is being done while it is done."""

    def __init__(self) -> None:
        self._console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
        self._started = time.monotonic()

    @property
    def elapsed_seconds(self) -> float:
        """How long ago the narration began."""
        return time.monotonic() - self._started

    @contextmanager
    def step(self, sentence: str) -> Iterator[None]:
        """Say what begins, and when it is done how long it took."""
        self._console.print(f"==> {sentence}", markup=False)
        started = time.monotonic()
        yield
        self._console.print(f"    done in {time.monotonic() - started:.1f} s", markup=False, style="dim")

    def say(self, text: str) -> None:
        """Print a text as it stands."""
        self._console.print(text, markup=False)

    @contextmanager
    def bar(self, sentence: str, total: int) -> Iterator[Callable[[], None]]:
        """Show a bar, and give the function that moves it by one; no terminal gets its last state alone."""
        columns = (TextColumn("    {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=self._console) as progress:
            task = progress.add_task(sentence, total=total)
            yield lambda: progress.advance(task)
