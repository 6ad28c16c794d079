"""A walk through pages: what they start runs on side by side, as it does in a newcomer's terminals.

To what tests/support/documents.py knows, two kinds of block come. ```` ```console server:8000 ```` starts what will
listen on that port and waits until it does; ```` ```console stop:8000 ```` shows what ends it, and ends it. A comment
``<!-- not run: REASON -->`` in the line above a block leaves the block out.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.support.documents import Block, DocumentRun, blocks_of, commands_of
from tests.support.ports import LOOPBACK, free_port
from tests.support.processes import ServerProcess

_NOT_RUN = re.compile(r"^<!-- not run: (\S.*) -->$")
_START_SECONDS = 480
_STOP_SECONDS = 60
# `make run` sets up first, which is not the walk's to do again; a test holds that the command is what it runs. All of
# the catalogue is taken in by tests/integration/test_main_job.py.
_MAKE_RUN = ("make run", "prethrift-backend dev --garments 40")
# It listens at once, and is of use when it says so.
_READY = "Prethrift is ready"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A block that is not run, the line that it begins on, and why."""

    line: int
    reason: str


def left_out_of(page: str) -> list[LeftOut]:
    """Return the blocks of a page that say that they are not run."""
    lines = page.splitlines()
    marks = ((block.line, _NOT_RUN.match(lines[block.line - 3])) for block in blocks_of(page) if block.line > 2)
    return [LeftOut(line, found[1]) for line, found in marks if found]


def run_blocks_of(page: str) -> list[Block]:
    """Return the console blocks of a page that are run, in order."""
    left_out = {one.line for one in left_out_of(page)}
    return [block for block in blocks_of(page) if block.language == "console" and block.line not in left_out]


class Walk(DocumentRun):
    """Runs the console blocks of pages in one folder; ``shown_ports`` are those that the pages name."""

    def __init__(self, folder: Path, *, shown_ports: tuple[int, ...], environ: Mapping[str, str]) -> None:
        self.ports = {shown: free_port() for shown in shown_ports}
        super().__init__(folder, {**environ, "PORT": str(self.ports[8000])})
        self._servers: dict[int, ServerProcess] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as stack:
            for process in self._servers.values():
                stack.push(process)

    def run(self, block: Block) -> None:
        """Do what a block says; raises AssertionError where something else is printed than it shows."""
        what, _, port = block.word.partition(":")
        if what == "server":
            self._start(int(port), block)
        elif what == "stop":
            self._stop(int(port))
        else:
            super().run(block)

    def _start(self, shown: int, block: Block) -> None:
        (command,) = commands_of(block.text)
        text = self._with_port(command.text).replace(*_MAKE_RUN)
        process = ServerProcess(["bash", "-c", text], environ=self._environ, directory=self.folder)
        self._servers[shown] = process
        process.start()
        process.wait_for(lambda: self._listens(shown), _START_SECONDS, what=f"line {block.line}: a listener")
        if _MAKE_RUN[0] in command.text:
            process.wait_for_output(_READY, _START_SECONDS)

    def _stop(self, shown: int) -> None:
        with ExitStack() as stack:
            process = self._servers.pop(shown)
            stack.push(process)
            process.interrupt()
            process.wait_for_exit(_STOP_SECONDS)

    def _listens(self, shown: int) -> bool:
        try:
            socket.create_connection((LOOPBACK, self.ports[shown]), timeout=1).close()
        except OSError:
            return False
        return True

    def _with_port(self, text: str) -> str:
        for shown, port in self.ports.items():
            text = text.replace(f"{LOOPBACK}:{shown}", f"{LOOPBACK}:{port}")
        return text

    def _neutral(self, text: str) -> str:
        for shown, port in self.ports.items():
            text = text.replace(f"{LOOPBACK}:{port}", f"{LOOPBACK}:{shown}")
        return super()._neutral(text)
