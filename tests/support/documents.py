"""A document whose console blocks are run in a folder, in order, and compared with what is printed.

A block ```` ```console ```` holds commands behind ``$ `` and what they print; a line ``…`` stands for any lines that
are left out, and a line that ends in ``…`` for one that goes on. A command ends with 0, and each part of its last pipe,
unless ``$ echo $?`` comes next, which shows how the last part ended. ```` ```console server ```` starts a server, and
ends the one before; ```` ```console install ```` is left to the tests of the document. Any other block that names a
file behind its language writes that file, or adds to its end where a ``+`` stands behind the name.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.support.processes import ServerProcess, free_port

BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = "\x01"
# Behind it stands how a command ended that should have ended with 0, its parts in brackets.
_FAILED = "\x02"
# Runs before each command and behind it. Whoever writes into a pipe that is no longer read ends by SIGPIPE, and curl
# with 23, when the part behind it has seen enough.
_SCRIPT = f"""
status=0
judge() {{
  local wanted=$1 last=$2 part
  shift 2
  [ "$wanted" = any ] || [ "$last" = 0 ] || fail "$last" "$@"
  for part in "${{@:1:$#-1}}"; do case $part in 0 | 23 | 141) ;; *) fail "$last" "$@" ;; esac; done
}}
fail() {{
  printf '{_FAILED}%s (%s)\\n' "$1" "${{*:2}}"
  exit 99
}}
"""
_STATUS = "echo $?"
_LEFT_OUT = "…"
_SHOWN_PORT = "8000"
# What differs between two runs of one command.
_SECONDS = re.compile(r"\b\d+\.\d+ ?s\b")
_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")
_COMMAND_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Block:
    """One block: its language, the word behind it, its text, and the line of the document that it begins on."""

    language: str
    word: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a console block, and the lines that the document shows below it."""

    text: str
    shown: tuple[str, ...]


def blocks_of(page: str) -> list[Block]:
    """Return the blocks of a document in order."""
    return [
        Block(found[1], found[2] or "", found[3], page.count("\n", 0, found.start()) + 2)
        for found in BLOCK.finditer(page)
    ]


def commands_of(text: str) -> list[Command]:
    """Take a console block apart; a backslash at the end of a line goes on in the next."""
    commands: list[Command] = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        found = re.match(r"((?:.*\\\n)*.*)\n", part)
        assert found is not None
        commands.append(Command(found[1], tuple(part[found.end() :].splitlines())))
    return commands


class DocumentRun:
    """Writes the files of a document, runs its commands, and holds what they print against what it shows."""

    def __init__(self, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self._stack = ExitStack()
        bin_folder = Path(sys.executable).parent
        # As a newcomer's terminal has it: the environment's commands, no colours.
        self._environ = {
            **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "120",
            "NO_COLOR": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            # Of a plugin that the tests of this package need, and nobody else.
            "PYTHONWARNINGS": "ignore:The configuration option",
            "GIT_CONFIG_GLOBAL": os.devnull,
            **{
                f"GIT_{who}_{what}": "shop@shop.example"
                for who in ("AUTHOR", "COMMITTER")
                for what in ("NAME", "EMAIL")
            },
            **(environ or {}),
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, block: Block) -> None:
        """Do what a block says; raises AssertionError where something else is printed than it shows."""
        if block.language == "console" and block.word == "server":
            self._serve(block.text)
        elif block.language == "console" and not block.word:
            self._run_console(block)
        elif block.language != "console" and block.word:
            path = self.folder / block.word.removesuffix("+")
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a" if block.word.endswith("+") else "w") as file:
                file.write(self._with_port(block.text))

    def output_of(self, command: str) -> tuple[int, str]:
        """Run one command and return its exit status and what it printed, both streams."""
        done = self._bash(self._with_port(command))
        return done.returncode, self._neutral(done.stdout)

    def stop_server(self) -> None:
        """End the server that runs last, if there is one."""
        self._stack.close()

    def _serve(self, text: str) -> None:
        self.stop_server()
        (command,) = commands_of(text)
        words = shlex.split(self._with_port(command.text))
        process = self._stack.enter_context(ServerProcess(words, environ=self._environ, directory=self.folder))
        # Not asked over HTTP: it would be one request more than the document makes.
        process.wait_for(self._is_listening, 60, what=f"a listener for {command.text}")

    def _is_listening(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def _run_console(self, block: Block) -> None:
        commands = commands_of(block.text)
        done = self._bash(self._script_of(commands))
        printed = self._neutral(done.stdout)
        outputs = [part.partition("\n")[2] for part in printed.split(_MARK)[1:]]
        for number, command in enumerate(commands):
            where = f"line {block.line}: $ {command.text}"
            if number >= len(outputs):
                raise AssertionError(f"{where}\nwas not run: the one before it has ended the shell")
            self._compare(command, outputs[number], where)
        assert done.returncode == 0, f"line {block.line}: the last command has ended the shell with {done.returncode}"

    def _script_of(self, commands: list[Command]) -> str:
        """Return what bash does: the commands, and behind each whether it may go on."""
        script = _SCRIPT
        for number, command in enumerate(commands):
            is_shown = command.text == _STATUS or _STATUS in (one.text for one in commands[number + 1 : number + 2])
            script += f"printf '{_MARK}%s\\n' {number}\n(exit $status); {self._with_port(command.text)}\n"
            script += 'ended=($? "${PIPESTATUS[@]}")\nstatus=$ended\n'
            script += f'judge {"any" if is_shown else "0"} "${{ended[@]}}"\n'
        return script

    def _compare(self, command: Command, printed: str, where: str) -> None:
        output, _, status = printed.partition(_FAILED)
        if status:
            raise AssertionError(f"{where}\nended with {status.strip()}\n--- printed\n{output}")
        shown = [self._neutral(line) for line in command.shown]
        if not _is_shown(shown, output.splitlines()):
            raise AssertionError(f"{where}\n--- shown\n{chr(10).join(shown)}\n--- printed\n{output}")

    def _bash(self, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_COMMAND_SECONDS,
        )

    def _with_port(self, text: str) -> str:
        return text.replace(f"127.0.0.1:{_SHOWN_PORT}", f"127.0.0.1:{self.port}").replace(
            f"--port {_SHOWN_PORT}", f"--port {self.port}"
        )

    def _neutral(self, text: str) -> str:
        text = text.replace(f"127.0.0.1:{self.port}", f"127.0.0.1:{_SHOWN_PORT}").replace(f"{self.folder}/", "")
        return _DIGEST.sub("DIGEST", _SECONDS.sub("0.0 s", text))


def _is_shown(shown: list[str], printed: list[str]) -> bool:
    """Say whether the printed lines are those that are shown; a command below which nothing is shown prints nothing."""
    return re.fullmatch("".join(map(_pattern, shown)), "".join(f"{line}\n" for line in printed)) is not None


def _pattern(line: str) -> str:
    if line == _LEFT_OUT:
        return r"(?:.*\n)*?"
    if line.endswith(_LEFT_OUT):
        return re.escape(line.removesuffix(_LEFT_OUT)) + r".*\n"
    return re.escape(line) + r"\n"
