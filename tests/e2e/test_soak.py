"""Step 6: 200 requests a second for a minute, ten in the nightly form, and nothing that grows."""

from __future__ import annotations

import itertools

from tests.e2e.form import is_nightly
from tests.e2e.load import Load, known_items, plan
from tests.e2e.load_results import described, failures, summary
from tests.e2e.plots import Chart, Line, load_charts
from tests.e2e.report import Step
from tests.e2e.soak_samples import MEBI, Sample, SoakWatch, slope_per_minute
from tests.e2e.stack import Stack
from tests.support.waiting import wait_for

SEED = 6
SECONDS, NIGHTLY_SECONDS = 60.0, 600.0
GRACE_SECONDS = 60.0
ROTATIONS = 4
# What a replica may gain in a minute, after the warm-up, arbitrary. A kilobyte a request would be 4 MiB a minute in
# each of three: the nightly form finds that, and the short one what is three times as large.
MEMORY_MIB, NIGHTLY_MEMORY_MIB = 12.0, 1.5
# The same for threads and open files. Pools grow to their bounds under a burst: 40 threads for what would block the
# event loop, 64 connections that nginx keeps for each of its workers. One a request would be 4,000 a minute.
THREADS, NIGHTLY_THREADS = 24.0, 1.0
DESCRIPTORS, NIGHTLY_DESCRIPTORS = 60.0, 4.0
TEMPORARY_BYTES = MEBI
READINGS_SHARE = 0.5


def test_a_soak_leaves_memory_threads_and_files_flat(stack: Stack, step: Step) -> None:
    """The slopes of memory, threads and open files stay within their bounds, and no file outgrows its rotation."""
    seconds = NIGHTLY_SECONDS if is_nightly() else SECONDS
    requests = plan(SEED, items=known_items(stack.url), seconds=seconds)
    with (
        SoakWatch(stack.replicas, rotate_seconds=seconds / (ROTATIONS + 1)) as watch,
        Load(stack.url, requests) as load,
    ):
        wait_for(lambda: not load.is_running, seconds + GRACE_SECONDS, what="the end of the soak")
        answers = load.answers

    stack.say(f"soak: {summary(answers)}")
    step.charts += [*load_charts(answers, load.started_at), *_charts(watch.samples)]
    assert not failures(answers), described(failures(answers))
    for name, samples in watch.samples.items():
        assert len(samples) > seconds * READINGS_SHARE, f"{name} was read {len(samples)} times only"
        _assert_flat(stack, name, samples)
        _assert_rotated(stack, name, samples)
    assert watch.rotations >= ROTATIONS
    assert all(replica.log_file.stat().st_size for replica in stack.replicas)


def _assert_flat(stack: Stack, name: str, samples: list[Sample]) -> None:
    memory = slope_per_minute(samples, lambda sample: sample.memory_mib)
    threads = slope_per_minute(samples, lambda sample: sample.threads)
    descriptors = slope_per_minute(samples, lambda sample: sample.descriptors)
    last = samples[-1]
    stack.say(
        f"{name}: {last.memory_mib:.0f} MiB and {memory:+.2f} a minute, {last.threads} threads and {threads:+.2f}, "
        f"{last.descriptors} open files and {descriptors:+.2f}"
    )
    assert memory <= (NIGHTLY_MEMORY_MIB if is_nightly() else MEMORY_MIB)
    assert threads <= (NIGHTLY_THREADS if is_nightly() else THREADS)
    assert descriptors <= (NIGHTLY_DESCRIPTORS if is_nightly() else DESCRIPTORS)


def _assert_rotated(stack: Stack, name: str, samples: list[Sample]) -> None:
    """Assert that the logs stay within what two of them may have, and that nothing else has grown on the disk."""
    most, total = max(sample.log_bytes for sample in samples), _written(samples)
    gained = max(sample.temporary_bytes for sample in samples) - samples[0].temporary_bytes
    stack.say(f"{name}: {total / MEBI:.1f} MiB of log, {most / MEBI:.1f} at most at a time; {gained} bytes else")
    assert most < total + samples[0].log_bytes
    assert samples[-1].log_bytes < total
    assert gained <= TEMPORARY_BYTES


def _written(samples: list[Sample]) -> int:
    """Return how many bytes of log were written, from the growth between rotations."""
    sizes = [sample.log_bytes for sample in samples]
    return sum(max(0, later - earlier) for earlier, later in itertools.pairwise(sizes))


def _charts(samples: dict[str, list[Sample]]) -> list[Chart]:
    return [
        Chart("memory", "MiB", _lines(samples, "memory_mib")),
        Chart("threads", "", _lines(samples, "threads")),
        Chart("log files", "bytes", _lines(samples, "log_bytes")),
    ]


def _lines(samples: dict[str, list[Sample]], name: str) -> tuple[Line, ...]:
    return tuple(
        Line(replica, tuple((one.at_seconds, float(getattr(one, name))) for one in taken))
        for replica, taken in samples.items()
    )
