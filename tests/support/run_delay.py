"""How long a process stood ready to run while others had the cores: what is theirs in a wall time, not its own."""

from __future__ import annotations

from pathlib import Path


def run_delay_seconds(pid: int) -> float:
    """Return for how long the main thread of a process has waited for a core, as Linux counts it; 0 where it does not.

    A wall time less this is what the process would have taken on a machine of its own: what it slept or waited for
    something else is still in it.
    """
    try:
        _running, waiting, _slices = Path(f"/proc/{pid}/schedstat").read_text().split()
    except (OSError, ValueError):  # another system, or a kernel without the count
        return 0.0
    return int(waiting) / 1e9
