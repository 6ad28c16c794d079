"""Step 3: a new release is rolled out, one replica after the other, while 200 requests a second come."""

from __future__ import annotations

import os
import time

from tests.e2e.counters import CounterWatch, falls
from tests.e2e.form import is_nightly
from tests.e2e.load import RATE, Load, known_items, plan
from tests.e2e.load_results import described, failures, rate, summary
from tests.e2e.plots import Mark, load_charts
from tests.e2e.replicas import Replica
from tests.e2e.report import Step
from tests.e2e.spans_count import Books, access_lines, server_spans
from tests.e2e.stack import Stack
from tests.support.waiting import wait_for

SEED = 3
ARRIVAL_SECONDS = 30.0
ROUNDS, NIGHTLY_ROUNDS = 1, 3
# Of the rate that is meant, over the whole of the load: a machine that cannot send it has not shown anything.
RATE_SHARE = 0.95


def test_a_rolling_restart_under_load_loses_no_request_no_span_and_no_count(stack: Stack, step: Step) -> None:
    """Each replica drains, ends and comes back: all requests are answered, all spans arrive, no counter falls."""
    items = known_items(stack.url)
    rounds = NIGHTLY_ROUNDS if is_nightly(os.environ) else ROUNDS
    marks: list[Mark] = []
    with CounterWatch(stack.replicas) as watch, Load(stack.url, plan(SEED, items=items)) as load:
        before = {replica.pid for replica in stack.replicas}
        for replica in stack.replicas * rounds:
            _restart(stack, replica, marks, load)
        answers = load.stop()

    ids = [answer.request_id for answer in answers]
    stack.say(summary(answers))
    step.charts += load_charts(answers, load.started_at, marks)
    failed = failures(answers)
    assert not failed, described(failed)
    assert rate(answers) > RATE_SHARE * RATE, f"the load was not {RATE} requests a second: {summary(answers)}"
    assert not before & {replica.pid for replica in stack.replicas}

    lines = [line for replica in stack.replicas for line in access_lines(replica, ids)]
    books = _balanced(stack, Books(answers, lines, []))
    stack.say(books.summary())
    assert (books.answers_without_line(), books.repeated_lines()) == ([], [])
    assert (books.lines_without_span(), books.spans_without_line(), books.repeated_spans()) == ([], [], [])

    readings = watch.readings
    stack.say(
        f"{len(readings)} readings of the counters of {len(watch.runs())} processes, {len(falls(readings))} falls"
    )
    assert len(watch.runs()) == len(stack.replicas) * (1 + rounds)
    assert not falls(readings), falls(readings)[:5]


def _restart(stack: Stack, replica: Replica, marks: list[Mark], load: Load) -> None:
    begun = time.monotonic()
    marks.append(Mark(begun - load.started_at, f"{replica.name} ends"))
    status = replica.stop()
    assert status == 0, f"{replica.name} ended with status {status}, and not in order"
    ended = time.monotonic()
    replica.start()
    stack.wait_until_routed()
    marks.append(Mark(time.monotonic() - load.started_at, f"{replica.name} is back"))
    stack.say(
        f"{replica.name} drained and ended in {ended - begun:.1f} s, "
        f"and got requests again {time.monotonic() - ended:.1f} s later"
    )


def _balanced(stack: Stack, books: Books) -> Books:
    """Wait for the spans that are still on their way, and return the books with all that came."""
    found = books

    def is_balanced() -> bool:
        nonlocal found
        found = Books(books.answers, books.lines, server_spans(stack.collector, books.lines, books.answers))
        return not found.lines_without_span()

    try:
        wait_for(is_balanced, ARRIVAL_SECONDS)
    except AssertionError:
        stack.say("spans are missing")  # which ones the assertions say
    return found
