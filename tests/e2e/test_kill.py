"""Step 4: a replica of two workers is killed under load: first one worker of it, then all of it at once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
from tests.e2e.counters import CounterWatch, counters, falls, requests_counted
from tests.e2e.load import Load, known_items, plan
from tests.e2e.load_results import Answer, described, failures, summary
from tests.e2e.plots import Mark, load_charts
from tests.e2e.replicas import READY_SECONDS, Replica
from tests.e2e.report import Step
from tests.e2e.spans_count import upstreams
from tests.e2e.stack import Stack
from tests.support.waiting import wait_for

SEED, SECOND_SEED = 41, 42
# Requests between the beginning, the kill and the end of a load: two seconds of it each, arbitrary.
SOME_REQUESTS = 400
SOME_SECONDS = 60.0
# What was under way at the kill, or had been answered and not yet written to the log, arbitrary: ten for each worker.
# Counting a file twice would be several hundred.
MOST_UNDER_WAY = 20
READY_IN_A_ROW = 12


def test_a_killed_worker_and_a_killed_replica_fail_what_they_had_and_nothing_is_counted_twice(
    stack: Stack, step: Step
) -> None:
    """Only what was under way on it may fail; the counters fit the access lines, before and after the restart."""
    items, replica = known_items(stack.url), stack.replicas[-1]
    replica.stop()
    written_before = _lines(replica)
    replica.settings["WORKERS"] = "2"
    replica.start()
    _wait_until_both_are_ready(replica)
    stack.wait_until_routed()

    with CounterWatch([replica]) as watch, Load(stack.url, plan(SEED, items=items)) as load:
        _wait_for_answers(load)
        killed_at = _kill_worker(stack, replica)
        _wait_for_answers(load)
        answers = load.stop()
    stack.say(f"load with a killed worker: {summary(answers)}")
    # The worker that comes in its place answers before its models are loaded: searches there may fail until then.
    _assert_asked_of(stack, replica, failures(answers))
    _assert_counted(stack, replica, _lines(replica) - written_before, most_apart=MOST_UNDER_WAY)
    assert not falls(watch.readings), falls(watch.readings)[:5]

    with Load(stack.url, plan(SECOND_SEED, items=items)) as load:
        _wait_for_answers(load)
        killed_at = time.monotonic()
        replica.kill()
        stack.say(f"{replica.name} was killed with both of its workers")
        _wait_for_answers(load)
        written_before = _lines(replica)
        replica.start()
        _wait_until_both_are_ready(replica)
        stack.wait_until_routed()
        back_at = time.monotonic()
        _wait_for_answers(load)
        answers = load.stop()
    marks = [Mark(killed_at - load.started_at, "killed"), Mark(back_at - load.started_at, "back")]
    step.charts += load_charts(answers, load.started_at, marks)
    stack.say(f"load with a killed replica: {summary(answers)}")
    _assert_asked_of(stack, replica, failures(answers))
    late = [answer for answer in failures(answers) if not answer.sent_at <= killed_at <= answer.ended_at]
    assert not late, f"not under way at the kill: {described(late)}"
    _assert_counted(stack, replica, _lines(replica) - written_before, most_apart=0)


def _kill_worker(stack: Stack, replica: Replica) -> float:
    """Kill one of the two, and return when."""
    [first, *_] = pids = _workers(replica)
    assert len(pids) == 2
    killed_at = time.monotonic()
    os.kill(first, signal.SIGKILL)
    stack.say(f"worker {first} of {replica.name} was killed")
    return killed_at


def _workers(replica: Replica) -> list[int]:
    """Return the workers' ids: the children of the supervisor that have files among those of the metrics."""
    files = Path(replica.settings["TMPDIR"]).glob("*/notes_[0-9]*.json")
    noted = {int(path.stem.rpartition("_")[2]) for path in files}
    return sorted(child.pid for child in psutil.Process(replica.pid).children() if child.pid in noted)


def _wait_for_answers(load: Load) -> None:
    wanted = len(load.answers) + SOME_REQUESTS
    wait_for(lambda: len(load.answers) >= wanted, SOME_SECONDS, what=f"{SOME_REQUESTS} answers more")


def _wait_until_both_are_ready(replica: Replica) -> None:
    """Wait until readiness is 200 many times in a row: each question may be answered by the other worker."""
    wait_for(
        lambda: all(replica.is_ready() for _ in range(READY_IN_A_ROW)), READY_SECONDS, what="both workers' readiness"
    )


def _assert_asked_of(stack: Stack, replica: Replica, failed: list[Answer]) -> None:
    """Assert that nginx had asked this replica for all that failed."""
    stack.say(f"{len(failed)} requests failed: {described(failed) or 'nginx asked another replica for the rest'}")
    asked = upstreams(stack.nginx.access_log, [answer.request_id for answer in failed])
    elsewhere = [answer for answer in failed if replica.address not in asked[answer.request_id]]
    assert not elsewhere, f"failed on another replica: {described(elsewhere)}"


def _assert_counted(stack: Stack, replica: Replica, lines: int, *, most_apart: int) -> None:
    """Assert that the replica has counted as many requests as it has written lines of since its start."""
    counted = requests_counted(counters(replica.metrics()))
    stack.say(f"{replica.name} has counted {counted:.0f} requests, and written {lines} access lines")
    assert lines >= SOME_REQUESTS / len(stack.replicas) / 2  # its share, with room for chance
    assert abs(counted - lines) <= most_apart


def _lines(replica: Replica) -> int:
    return sum(record.get("event") == "request_completed" for record in replica.log_lines())
