"""An older release of the backend, as a deployment that has stopped half-way leaves it: another version of a contract.

It is the code of this tree with an older `metrics.txt`, in a folder of its own, started from there: the process reads
the contract that its release brings, as an older image does.
"""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
OLDER = "1.0.0"
_VERSION = re.compile(r"^# CONTRACT +metrics \S+$", re.MULTILINE)
_START = "from prethrift_backend.cli import main; main()"


@dataclass(frozen=True)
class Release:
    """What is run, and what its environment adds."""

    command: tuple[str, ...]
    settings: dict[str, str]
    contract_version: str


def older_release(folder: Path) -> Release:
    """Make the release in a folder and return how to run it."""
    shutil.copytree(ROOT / "src", folder / "src")  # with what is compiled already, so that it starts as fast
    shutil.copytree(ROOT / "contracts", folder / "contracts")
    contract = folder / "contracts" / "metrics.txt"
    text, count = _VERSION.subn(f"# CONTRACT  metrics {OLDER}", contract.read_text())
    assert count == 1, "metrics.txt has one line that names its version"
    contract.write_text(text)
    # In front of the installed package: the child process of the models finds the same release by it.
    settings = {"PYTHONPATH": str(folder / "src"), "SERVICE_VERSION": OLDER}
    return Release((sys.executable, "-c", _START, "serve"), settings, OLDER)
