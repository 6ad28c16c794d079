"""The queue before a receiver: bounded in memory and in time, whatever the receiver does."""

import os
import threading
import time
from collections import deque
from functools import partial

import pytest
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.sdk.trace import Event, ReadableSpan
from tests.support.exporting import AWAY, SUCCESS, QueueUnderTest, ScriptedTransport, Watched, sample_span
from tests.support.waiting import wait_for

from prethrift_backend.observability._otlp_encoding import SpanEncoder
from prethrift_backend.observability._queue import Backoff, ExportQueue, Limits, close_together
from prethrift_backend.observability.export_protocols import Reply
from prethrift_backend.observability.redaction import STANDARD
from prethrift_backend.observability.spans import redacted_span

SOON_SECONDS = 10.0


def started(transport: ScriptedTransport, watched: Watched) -> ExportQueue:
    """Start a real queue, with its thread, that gathers for a moment only."""
    queue = ExportQueue(transport, watched, redact_span=lambda span: span, limits=Limits(gather_seconds=0.01))
    queue.start()
    return queue


def failed_span(*, stack: str) -> ReadableSpan:
    """Return a span with an exception."""
    template = sample_span()
    event = Event("exception", {"exception.type": "ValueError", "exception.stacktrace": stack})
    return ReadableSpan("failed", context=template.context, resource=template.resource, events=[event])


def deadline() -> float:
    """Return a real deadline, far enough for a machine that is busy."""
    return time.monotonic() + SOON_SECONDS


def export_threads() -> list[str]:
    """Return the names of the threads that export."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("prethrift-export")]


def in_future(under_test: QueueUnderTest, seconds: float) -> float:
    """Return a deadline on the simulated clock."""
    return under_test.time.now + seconds


# Gathering.


def test_spans_of_one_second_are_one_request() -> None:
    """What is finished within a second of the first span goes together."""
    test = QueueUnderTest()
    test.time.on_tick = lambda: test.put() if test.put_so_far < 5 else None

    test.queue.cycle()

    assert test.transport.names == [["0", "1", "2", "3", "4"]]
    assert test.time.waits == [None, 1.0]


def test_a_full_batch_does_not_wait() -> None:
    """512 spans go at once, and the rest stays for the next request."""
    test = QueueUnderTest()
    test.put(600)

    test.queue.cycle()

    assert [len(batch) for batch in test.transport.sent] == [512]
    assert len(test.queue) == 88
    assert test.time.waits == []


def test_a_batch_that_fills_while_it_is_gathered_ends_the_wait() -> None:
    """The second is not waited out when there are 512."""
    test = QueueUnderTest()
    test.time.on_tick = lambda: test.put(300)

    test.queue.cycle()

    assert [len(batch) for batch in test.transport.sent] == [512]
    assert test.time.now == pytest.approx(0.2)


def test_a_batch_of_long_spans_has_fewer_of_them() -> None:
    """A storm of failures with their stacks stays below the 4 MiB that a collector takes by gRPC."""
    transport = ScriptedTransport()
    test = QueueUnderTest()
    redact = partial(redacted_span, redactor=STANDARD)
    queue = ExportQueue(transport, Watched(), redact_span=redact, timing=test.time.timing())
    for _ in range(300):
        queue.put(failed_span(stack='  File "/app/shop/prices.py", line 7, in price\n' * 160))

    while len(queue):
        queue.cycle()

    assert sum(len(batch) for batch in transport.sent) == 300
    assert len(transport.sent) > 1
    assert max(len(SpanEncoder().encode(batch)) for batch in transport.sent) < 2_000_000


def test_every_span_goes_through_the_redactor() -> None:
    """What is sent is what the redactor made, not the span itself."""
    transport = ScriptedTransport()
    test = QueueUnderTest()
    queue = ExportQueue(
        transport, Watched(), redact_span=lambda span: sample_span(f"clean {span.name}"), timing=test.time.timing()
    )
    queue.put(sample_span("secret"))

    queue.cycle()

    assert transport.names == [["clean secret"]]


def test_a_request_has_two_seconds() -> None:
    """The transport is told its time limit."""
    test = QueueUnderTest()
    test.put()

    test.queue.cycle()

    assert test.transport.timeouts == [2.0]


# Full.


def test_a_full_queue_drops_and_counts() -> None:
    """Beyond 2,048 waiting spans the new ones are dropped, each counted."""
    test = QueueUnderTest()

    test.put(2_100)

    assert len(test.queue) == 2_048
    assert test.watched.drops == {"queue_full": 52}


# Answers.


def test_rejected_spans_are_counted() -> None:
    """Spans that a receiver refused of a request that it took are dropped ones, and the request is not repeated."""
    test = QueueUnderTest(Reply("partial", rejected=3, detail="too old"))
    test.put(10)

    test.queue.cycle()

    assert test.watched.outcomes == ["partial"]
    assert test.watched.details == ["too old"]
    assert test.watched.drops == {"rejected": 3}
    assert len(test.queue) == 0


def test_a_receiver_cannot_reject_more_than_it_got() -> None:
    """The count of rejected spans is the receiver's word, and bounded by what was sent."""
    test = QueueUnderTest(Reply("partial", rejected=10**12))
    test.put(10)

    test.queue.cycle()

    assert test.watched.drops == {"rejected": 10}


def test_a_refused_request_is_not_repeated() -> None:
    """A failure for good costs the spans of that request, and the next one is sent as usual."""
    test = QueueUnderTest(Reply("failure", detail="HTTP 400"))
    test.put(2)
    test.queue.cycle()
    test.put(1)
    test.queue.cycle()

    assert test.watched.outcomes == ["failure", "success"]
    assert test.watched.drops == {"failed": 2}


def test_a_transport_that_raises_is_a_failure() -> None:
    """The thread outlives a transport that breaks its promise."""
    test = QueueUnderTest()
    test.put()

    def explode() -> Reply:
        raise RuntimeError("secret text")

    test.transport.answer = explode
    test.queue.cycle()

    assert (test.watched.outcomes, test.watched.details) == (["failure"], ["RuntimeError"])


# Trying again.


def test_pauses_double_up_to_a_bound() -> None:
    """1, 2, 4, 8, 16, 30, 30 seconds between attempts, for the same batch, until it arrives."""
    test = QueueUnderTest(*[AWAY] * 7)
    test.put()

    test.queue.cycle()

    assert test.time.waits[1:] == pytest.approx([1, 2, 4, 8, 16, 30, 30])
    assert test.transport.names == [["0"]] * 8
    assert test.watched.drops == {}


def test_an_arrival_ends_the_row() -> None:
    """After a success the next failure is the first again."""
    test = QueueUnderTest(AWAY, AWAY, SUCCESS, AWAY)
    test.put()
    test.queue.cycle()
    test.put()
    test.queue.cycle()

    assert [seconds for seconds in test.time.waits if seconds is not None] == pytest.approx([1, 1, 2, 1, 1])


def test_a_wake_up_without_reason_does_not_shorten_a_pause() -> None:
    """A put that is late to wake the thread is no reason to try the receiver sooner."""
    test = QueueUnderTest()
    test.put(512)
    attempts: list[float] = []

    def answer() -> Reply:
        attempts.append(test.time.now)
        return AWAY if len(attempts) == 1 else SUCCESS

    test.transport.answer = answer
    test.time.on_tick = test.queue._wake.set

    test.queue.cycle()

    assert attempts == pytest.approx([0.0, 1.0])


def test_half_of_a_pause_is_chance() -> None:
    """Processes that lost their receiver together do not come back together."""
    test = QueueUnderTest()
    timing = test.time.timing()
    shortest = Backoff(Limits(), type(timing)(monotonic=timing.monotonic, wait=timing.wait, share=lambda: 0.0))
    longest = Backoff(Limits(), timing)

    for backoff in (shortest, longest):
        backoff.note(AWAY)

    assert (shortest.not_before, longest.not_before) == (0.5, 1.0)


def test_retry_after_is_honoured() -> None:
    """A receiver that names a time is not tried before it."""
    test = QueueUnderTest(Reply("retry", retry_after_seconds=42.0))
    test.put()

    test.queue.cycle()

    assert test.time.waits[1:] == pytest.approx([42.0])


def test_retry_after_has_a_bound() -> None:
    """A receiver cannot silence us for longer than five minutes at a time."""
    test = QueueUnderTest(Reply("retry", retry_after_seconds=1e9))
    test.put()

    test.queue.cycle()

    assert test.time.waits[1:] == pytest.approx([300.0])


def test_retry_after_holds_for_the_next_batch_too() -> None:
    """The pause is the receiver's: giving a batch up does not end it."""
    test = QueueUnderTest(*[Reply("retry", retry_after_seconds=40.0)] * 2)
    test.put(513)

    test.queue.cycle()
    begin = test.time.now
    test.queue.cycle()

    assert test.watched.drops == {"failed": 512}
    assert test.time.now - begin == pytest.approx(40.0)
    assert [len(batch) for batch in test.transport.sent] == [512, 512, 1]


def test_an_old_batch_gives_way_to_newer_spans() -> None:
    """After 30 seconds of trying a batch is given up when others wait behind it."""
    test = QueueUnderTest(*[AWAY] * 6)
    test.put(513)

    test.queue.cycle()

    assert test.time.now == pytest.approx(31.0)
    assert test.watched.drops == {"failed": 512}
    assert len(test.queue) == 1


def test_an_old_batch_that_stands_in_nobodys_way_is_kept() -> None:
    """A quiet service still tells, ten minutes later, what it did before its receiver went away."""
    test = QueueUnderTest()
    test.put(3)
    test.transport.answer = lambda: Reply("success") if test.time.now > 600 else AWAY

    test.queue.cycle()

    assert test.watched.drops == {}
    assert test.watched.outcomes[-1] == "success"


def test_ten_minutes_without_a_receiver() -> None:
    """Memory stays bounded, every lost span is counted, and the queue recovers by itself."""
    test = QueueUnderTest()
    longest = 0
    back_at = 630.0

    def work() -> None:
        nonlocal longest
        test.put(10)  # 100 a second
        longest = max(longest, len(test.queue))

    test.time.on_tick = work
    test.transport.answer = lambda: AWAY if 30.0 <= test.time.now < back_at else Reply("success")
    test.run_until(back_at + 60.0)
    test.time.on_tick = lambda: None
    while len(test.queue):
        test.queue.cycle()

    assert longest <= 2_048 + 512
    lost = test.watched.drops["queue_full"] + test.watched.drops["failed"]
    delivered = sum(
        len(batch)
        for batch, outcome in zip(test.transport.sent, test.watched.outcomes, strict=True)
        if outcome == "success"
    )
    assert lost > 0
    assert delivered + lost == test.put_so_far
    assert set(test.watched.drops) == {"queue_full", "failed"}
    assert test.watched.outcomes[-1] == "success"
    assert test.watched.outcomes.count("retry") < 40  # ten minutes at one attempt in 15 to 30 seconds


# Closing.


def test_closing_sends_what_is_there() -> None:
    """Nothing is lost where the receiver answers, however many batches wait."""
    test = QueueUnderTest()
    test.put(1_500)

    test.queue.begin_close(in_future(test, 3.0))
    for _ in range(4):
        test.queue.cycle()

    assert [len(batch) for batch in test.transport.sent] == [512, 512, 476]
    assert test.watched.drops == {}
    assert test.time.waits == []


def test_closing_before_a_dead_receiver_makes_one_attempt() -> None:
    """A receiver that is away is asked once more, and what waits is counted."""
    test = QueueUnderTest(*[AWAY] * 100)
    test.put(1_500)

    test.queue.begin_close(in_future(test, 3.0))
    test.queue.cycle()

    assert len(test.transport.sent) == 1
    assert test.watched.drops == {"shutdown": 1_500}
    assert len(test.queue) == 0
    assert test.time.waits == []


def test_closing_cuts_the_timeouts() -> None:
    """A request may take no longer than what is left until the deadline."""
    test = QueueUnderTest()
    test.put(513)

    def slow() -> Reply:
        test.time.now += 1.5
        return Reply("success")

    test.transport.answer = slow
    test.queue.begin_close(in_future(test, 2.0))
    test.queue.cycle()
    test.queue.cycle()

    assert test.transport.timeouts == pytest.approx([2.0, 0.5])


def test_after_the_deadline_nothing_is_sent() -> None:
    """What is left when the time is over is counted, not sent."""
    test = QueueUnderTest()
    test.put(3)

    test.queue.begin_close(test.time.now)
    test.queue.cycle()

    assert test.transport.sent == []
    assert test.watched.drops == {"shutdown": 3}


def test_closing_ends_a_pause() -> None:
    """A queue that waits for its receiver to come back stops waiting at once."""
    test = QueueUnderTest(*[AWAY] * 100)
    test.put(5)

    def close_in_the_pause() -> None:
        if len(test.transport.sent) == 3:
            test.queue.begin_close(in_future(test, 3.0))

    test.time.on_tick = close_in_the_pause
    test.queue.cycle()

    assert len(test.transport.sent) == 4
    assert test.watched.drops == {"shutdown": 5}
    assert test.time.now == pytest.approx(1.0 + 1.0 + 2.0 + 0.1)  # gathered, two pauses, and a tick of the third


def test_a_span_after_closing_is_counted() -> None:
    """Who finishes a span after the end loses it, with a trace in the figures."""
    test = QueueUnderTest()
    test.queue.close(in_future(test, 1.0))

    test.put()

    assert test.watched.drops == {"shutdown": 1}
    assert len(test.queue) == 0


def test_closing_again_does_nothing() -> None:
    """A second call neither counts nor sends, and the transport is closed once."""
    test = QueueUnderTest()
    test.put(4)

    test.queue.close(test.time.now)
    test.queue.close(in_future(test, 5.0))

    assert test.watched.drops == {"shutdown": 4}
    assert test.transport.closed == 1


def test_a_put_that_is_slower_than_the_end_is_counted() -> None:
    """A span whose put began before the closing and was over after it is a dropped one, like those before it."""
    test = QueueUnderTest()

    class Slow(deque[ReadableSpan]):
        def append(self, span: ReadableSpan) -> None:
            test.queue.close(test.time.now)
            super().append(span)

    test.queue._spans = Slow()
    test.put()

    assert test.watched.drops == {"shutdown": 1}
    assert len(test.queue) == 0


# With the thread.


def test_the_thread_sends_and_ends() -> None:
    """A real thread sends what comes, and closing leaves neither thread nor connection."""
    transport, watched = ScriptedTransport(), Watched()
    queue = started(transport, watched)

    queue.put(sample_span("first"))
    wait_for(lambda: transport.sent, SOON_SECONDS)
    queue.put(sample_span("second"))
    close_together([queue], deadline=deadline())

    assert transport.names == [["first"], ["second"]]
    assert transport.closed == 1
    assert watched.drops == {}
    assert export_threads() == []


def test_many_threads_lose_nothing() -> None:
    """Every span that was put from any thread arrives, in whatever order the threads ran."""
    transport, watched = ScriptedTransport(), Watched()
    queue = started(transport, watched)

    def work() -> None:
        for _ in range(200):
            queue.put(sample_span())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    close_together([queue], deadline=deadline())

    assert sum(len(batch) for batch in transport.sent) == 1_600
    assert watched.drops == {}


def test_a_transport_that_blocks_does_not_hold_the_end() -> None:
    """A request that never returns is left behind with what it held, which is counted once."""
    transport, watched, stuck, release = ScriptedTransport(), Watched(), threading.Event(), threading.Event()

    def block() -> Reply:
        stuck.set()
        release.wait(60.0)
        return Reply("failure")

    transport.answer = block
    queue = started(transport, watched)
    queue.put(sample_span())
    assert stuck.wait(SOON_SECONDS)
    queue.put(sample_span())

    queue.close(queue._timing.monotonic() + 0.2)
    counted = dict(watched.drops)
    release.set()
    wait_for(lambda: export_threads() == [], SOON_SECONDS)

    assert counted == {"shutdown": 2}
    assert watched.drops == {"shutdown": 2}
    assert transport.closed == 1


def test_a_thread_that_is_stuck_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the end of the process closes again was given its time already."""
    transport, stuck, release = ScriptedTransport(), threading.Event(), threading.Event()

    def block() -> Reply:
        stuck.set()
        release.wait(60.0)
        return Reply("failure")

    transport.answer = block
    queue = started(transport, Watched())
    queue.put(sample_span())
    assert stuck.wait(SOON_SECONDS)
    queue.close(time.monotonic())
    waits: list[float] = []
    with monkeypatch.context() as patch:
        patch.setattr(queue._thread, "join", waits.append)
        queue.close(deadline())
    release.set()
    wait_for(lambda: export_threads() == [], SOON_SECONDS)

    assert waits == []


def test_the_thread_does_not_trace_its_own_requests() -> None:
    """An instrumented HTTP client makes no span of an export, which would be exported in turn."""
    transport = ScriptedTransport()
    seen: list[bool] = []

    def answer() -> Reply:
        seen.append(is_instrumentation_enabled())
        return Reply("success")

    transport.answer = answer
    queue = started(transport, Watched())
    queue.put(sample_span())
    close_together([queue], deadline=deadline())

    assert seen == [False]


# From 3.12 on a fork beside threads warns; that it is survived is what is shown here.
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_starts_with_an_empty_queue_and_a_thread() -> None:
    """After a fork the parent sends its spans, and the child its own."""
    transport = ScriptedTransport()
    queue = ExportQueue(
        transport, Watched(), redact_span=lambda span: span, limits=Limits(gather_seconds=600.0, batch_spans=3)
    )
    queue.start()
    queue.put(sample_span("parent"))
    reading, writing = os.pipe()

    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        try:
            for name in ("a", "b", "c"):
                queue.put(sample_span(name))
            wait_for(lambda: transport.sent, SOON_SECONDS)
            os.write(writing, ",".join(transport.names[0]).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    told = os.read(reading, 1000).decode()
    os.close(reading)
    close_together([queue], deadline=deadline())

    assert told == "a,b,c"
    assert transport.names == [["parent"]]
