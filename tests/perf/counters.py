"""What a piece of work takes in the thread that does it, counted: instructions, calls, blocks and bytes of memory."""

from __future__ import annotations

import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Mapping
from types import BuiltinFunctionType, FrameType
from typing import Any, Final, TypeAlias

import prometheus_client.metrics

Work: TypeAlias = Callable[[], object]

_OPERATIONS: Final = frozenset({"inc", "dec", "set", "observe"})


def least(count: Callable[[], Mapping[str, int]], repeats: int) -> dict[str, int]:
    """Return the smallest of each of some counts: what comes on top now and then is left out."""
    runs = [count() for _ in range(repeats)]
    return {name: min(run[name] for run in runs) for name in runs[0]}


def count_opcodes(work: Work) -> int:
    """Count the instructions of the interpreter."""
    executed = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal executed
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        executed += event == "opcode"
        return trace

    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    return executed


def count_allocations(work: Work) -> int:
    """Count new blocks of memory, by how many there are from one instruction of the interpreter to the next.

    What an instruction takes and gives back is not seen: this is the least that was allocated, and always the same.
    """
    allocated = last = 0
    blocks = sys.getallocatedblocks

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal allocated, last
        frame.f_trace_lines, frame.f_trace_opcodes = False, True
        now = blocks()
        if now > last:
            allocated += now - last
        last = now
        return trace

    last = blocks()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(None)
    return allocated


def count_calls(work: Work) -> Mapping[str, int]:
    """Count calls of functions in C, those of clocks among them, and of metrics."""
    counts: Counter[str] = Counter({"c_calls": 0, "clock_calls": 0, "metric_operations": 0, "label_lookups": 0})

    def profile(frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call":
            counts["c_calls"] += 1
            counts["clock_calls"] += isinstance(called, BuiltinFunctionType) and called.__module__ == "time"
        elif event == "call" and frame.f_code.co_filename == prometheus_client.metrics.__file__:
            counts["metric_operations"] += frame.f_code.co_name in _OPERATIONS
            counts["label_lookups"] += frame.f_code.co_name == "labels"

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return counts


def peak_bytes(work: Work, repeats: int) -> int:
    """Return how much memory the work has at its largest, above what was there before it: the least of some runs."""
    tracemalloc.start()
    try:
        return min(_peak(work) for _ in range(repeats))
    finally:
        tracemalloc.stop()


def _peak(work: Work) -> int:
    before, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    work()
    return tracemalloc.get_traced_memory()[1] - before
