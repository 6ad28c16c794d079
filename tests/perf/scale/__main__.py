"""Measure every axis, then write docs/performance/scale.json, the plots beside it, and the figures in the page.

``python -m tests.perf.scale`` measures; with ``--draw`` it only draws and writes anew what is stored.
"""

from __future__ import annotations

import sys
import time

from tests.perf.scale.axes import AXES
from tests.perf.scale.page import write_all
from tests.perf.scale.results import Results, machine


def _measure() -> Results:
    taken = {}
    for axis in AXES.values():
        began = time.monotonic()
        taken[axis.name] = axis.measure(axis.sizes, True)
        print(f"{axis.name}: {time.monotonic() - began:.0f} s", flush=True)
    return Results(machine(), taken)


def main(arguments: list[str]) -> int:
    """Do it; return 1 where a count grows beyond its bound."""
    if "--draw" not in arguments:
        _measure().store()
    results = Results.load()
    write_all(results)
    faults = [fault for axis in AXES.values() for fault in axis.faults(results.axes[axis.name])]
    print("\n".join(faults) or "every count grows within its bound")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
