"""How long a process waited for a core: as Linux counts it, and nothing where nobody does."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.run_delay import run_delay_seconds

NOBODY = 2**22 + 1  # above the largest id of a process


def test_a_process_has_waited_at_least_nothing() -> None:
    """It is the second number of the kernel's three, in seconds."""
    kept = Path(f"/proc/{os.getpid()}/schedstat")

    least = int(kept.read_text().split()[1]) / 1e9 if kept.exists() else 0.0

    assert run_delay_seconds(os.getpid()) >= least


def test_where_nothing_is_counted_nothing_is_taken_off() -> None:
    """A wall time stays what it is."""
    assert run_delay_seconds(NOBODY) == 0.0
