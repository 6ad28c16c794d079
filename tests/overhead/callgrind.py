"""How many instructions of the processor a request takes, by callgrind: as good as the same number on every run.

A run under callgrind counts everything from the start of the process, imports included. So each arm runs twice, with
few requests and with many, and what the longer run has more is divided by how many more there are: the slope.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.overhead.race import ROOT

FEW, MANY = 50, 250
_RUN_SECONDS: Final = 600
_TOTAL: Final = re.compile(r"^(?:summary|totals): (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Slopes:
    """Instructions a request, of the application alone and of the observed one."""

    bare: float
    observed: float

    @property
    def added(self) -> float:
        """What the telemetry adds."""
        return self.observed - self.bare


def find_valgrind() -> str | None:
    """Return the path of valgrind, None where it is not installed."""
    return shutil.which("valgrind")


def total_of(profile: str) -> int:
    """Return the instructions that a file of callgrind's says were run; ValueError where it says none."""
    found = _TOTAL.search(profile)
    if found is None:
        raise ValueError("the file has no line 'summary:' or 'totals:': callgrind wrote it, or was it ended before?")
    return int(found[1])


def slope_of(few: int, many: int, *, requests: tuple[int, int] = (FEW, MANY)) -> float:
    """Return the instructions a request, from the totals of a short run and of a long one."""
    return (many - few) / (requests[1] - requests[0])


def count_slopes(folder: Path) -> Slopes:
    """Run both arms in both lengths, two at a time; the profiles stay in ``folder``, for callgrind_annotate."""
    runs = [(arm, requests) for arm in ("bare", "observed") for requests in (FEW, MANY)]
    with ThreadPoolExecutor(max_workers=2) as pool:
        totals: Sequence[int] = list(pool.map(lambda run: _count(folder, *run), runs))
    return Slopes(slope_of(*totals[:2]), slope_of(*totals[2:]))


def _count(folder: Path, arm: str, requests: int) -> int:
    profile = folder / f"callgrind.{arm}.{requests}"
    command = ["valgrind", "--tool=callgrind", "--quiet", f"--callgrind-out-file={profile}"]
    arguments = [sys.executable, "-m", "tests.overhead.callgrind_child", arm, str(requests)]
    environ = {**os.environ, "PYTHONHASHSEED": "0"}
    subprocess.run([*command, *arguments], cwd=ROOT, env=environ, check=True, capture_output=True, timeout=_RUN_SECONDS)
    return total_of(profile.read_text(encoding="utf-8"))
