"""promtool, the program of Prometheus that runs the unit tests of rules."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from prethrift_backend.exceptions import PrethriftError

# Arbitrary: a file of tests takes a second or two, and one that asks for a year of samples does not end.
_TIMEOUT_SECONDS: Final = 120.0
MISSING: Final = (
    "promtool is not in the PATH: it runs the tests of rules; install it (Debian: apt-get install prometheus)"
)


class PromtoolError(PrethriftError):
    """promtool cannot be run, or does not end."""


@dataclass(frozen=True, slots=True)
class TestRun:
    """How a run of tests ended, and what it printed."""

    __test__ = False  # not for pytest

    passed: bool
    output: str


@dataclass(frozen=True, slots=True)
class Promtool:
    """The program, where it was found."""

    program: str

    @classmethod
    def find(cls) -> Promtool:
        """Look for it in the PATH.

        Raises PromtoolError where it is not there.
        """
        program = shutil.which("promtool")
        if program is None:
            raise PromtoolError(MISSING)
        return cls(program)

    def test_rules(self, files: Sequence[Path]) -> TestRun:
        """Run the tests of these files.

        Raises PromtoolError where they do not end.
        """
        command = [self.program, "test", "rules", *map(str, files)]
        try:
            done = subprocess.run(  # noqa: S603 - the program was found in the PATH, its arguments are paths
                command, capture_output=True, check=False, timeout=_TIMEOUT_SECONDS
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PromtoolError(f"promtool test rules {files[0]}: {error}") from error
        return TestRun(done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace"))
