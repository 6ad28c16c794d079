"""Micro-batches: sizes, order, the bounded queue, cancellation and failure. The model is a function of the test."""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from prethrift_backend.embeddings.batching import MicroBatcher, Ticket
from prethrift_backend.exceptions import EmbeddingQueueFullError, ModelsNotReadyError


class Gate:
    """A model that notes its batches and holds each until ``opened`` is set."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.opened = asyncio.Event()
        self.failure: Exception | None = None

    async def run(self, items: Sequence[int]) -> Sequence[int]:
        """Answer each item with its double."""
        self.batches.append(list(items))
        await self.opened.wait()
        if self.failure is not None:
            raise self.failure
        return [item * 2 for item in items]


@pytest_asyncio.fixture
async def gate() -> Gate:
    """Make a model that is closed."""
    return Gate()


@pytest_asyncio.fixture
async def batcher(gate: Gate) -> AsyncIterator[MicroBatcher[int, int]]:
    """Make batches of at most four, and let eight wait."""
    batcher = MicroBatcher(gate.run, batch_size=4, queue_size=8)
    yield batcher
    await batcher.aclose()


async def _submit(batcher: MicroBatcher[int, int], items: Sequence[int]) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(batcher.submit(item)) for item in items]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_a_lone_item_is_run_at_once(batcher: MicroBatcher[int, int], gate: Gate) -> None:
    """One caller is a batch of one, without waiting for company."""
    gate.opened.set()

    assert await batcher.submit(21) == 42
    assert gate.batches == [[21]]


async def test_what_came_in_meanwhile_is_one_batch(batcher: MicroBatcher[int, int], gate: Gate) -> None:
    """Items that arrive while the model is busy are taken together, in the order of their arrival."""
    first = await _submit(batcher, [0])
    others = await _submit(batcher, [1, 2, 3])

    gate.opened.set()

    assert await asyncio.gather(*first, *others) == [0, 2, 4, 6]
    assert gate.batches == [[0], [1, 2, 3]]


async def test_a_batch_has_an_upper_size(batcher: MicroBatcher[int, int], gate: Gate) -> None:
    """More waiting items than the batch size are run in several batches, one after the other."""
    tasks = await _submit(batcher, range(8))
    gate.opened.set()

    await asyncio.gather(*tasks)

    assert [len(batch) for batch in gate.batches] == [4, 4]


async def test_a_full_queue_refuses_at_once(batcher: MicroBatcher[int, int]) -> None:
    """The item that would be one too many is refused, and the text names the setting."""
    await _submit(batcher, range(4))
    await _submit(batcher, range(8))

    with pytest.raises(EmbeddingQueueFullError, match="EMBEDDING_QUEUE_SIZE=8"):
        await batcher.submit(99)


async def test_a_cancelled_caller_leaves_the_queue(batcher: MicroBatcher[int, int], gate: Gate) -> None:
    """An item whose caller gave up is never run; the others get their answers."""
    first = await _submit(batcher, [0])
    leaver, *others = await _submit(batcher, [1, 2, 3])

    leaver.cancel()
    await asyncio.sleep(0)
    gate.opened.set()

    assert await asyncio.gather(*first, *others) == [0, 4, 6]
    assert gate.batches == [[0], [2, 3]]


async def test_a_cancelled_caller_frees_its_place(batcher: MicroBatcher[int, int]) -> None:
    """A full queue has room again as soon as one who waits gives up."""
    await _submit(batcher, range(4))
    leaver, *_ = await _submit(batcher, range(8))

    leaver.cancel()
    await asyncio.sleep(0)

    batcher.check_room()
    assert batcher.figures.queue_length == 7


async def test_a_caller_may_leave_a_batch_in_flight(batcher: MicroBatcher[int, int], gate: Gate) -> None:
    """Cancelling one caller of a running batch does not hurt the rest of it."""
    leaver, *others = await _submit(batcher, [1, 2, 3])

    leaver.cancel()
    await asyncio.sleep(0)
    gate.opened.set()

    assert await asyncio.gather(*others) == [4, 6]
    assert leaver.cancelled()


async def test_a_failed_batch_fails_each_of_its_callers_and_no_other(
    batcher: MicroBatcher[int, int], gate: Gate
) -> None:
    """A failure goes to all who were in the batch; the next batch is run as if nothing had been."""
    gate.failure = ValueError("no")
    gate.opened.set()
    failed = await asyncio.gather(*await _submit(batcher, [1, 2]), return_exceptions=True)
    gate.failure = None

    assert [type(outcome) for outcome in failed] == [ValueError, ValueError]
    assert await batcher.submit(3) == 6


async def test_a_model_that_miscounts_fails_the_batch() -> None:
    """Fewer results than items is a failure of all: an answer must never reach the wrong caller."""

    async def run(items: Sequence[int]) -> Sequence[int]:
        return items[1:]

    batcher = MicroBatcher(run, batch_size=4, queue_size=8)
    outcomes = await asyncio.gather(batcher.submit(1), batcher.submit(2), return_exceptions=True)

    assert isinstance(outcomes[-1], ValueError)


async def test_closing_refuses_what_waits(batcher: MicroBatcher[int, int]) -> None:
    """Callers in flight, in the queue and to come all hear that the models are closed."""
    tasks = await _submit(batcher, range(6))

    await batcher.aclose()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} == {ModelsNotReadyError}
    with pytest.raises(ModelsNotReadyError):
        await batcher.submit(1)


async def test_the_figures_say_what_waits_and_for_how_long(gate: Gate) -> None:
    """Queue length, items in flight and waits come from the clock that was handed in."""
    now = 100.0
    batcher = MicroBatcher(gate.run, batch_size=1, queue_size=8, clock=lambda: now)
    tasks = await _submit(batcher, [1, 2, 3])
    now = 102.5

    waiting = batcher.figures
    gate.opened.set()
    await asyncio.gather(*tasks)
    done = batcher.figures

    assert (waiting.queue_length, waiting.in_flight, waiting.oldest_wait_seconds) == (2, 1, 2.5)
    assert (done.queue_length, done.in_flight, done.oldest_wait_seconds) == (0, 0, 0.0)
    assert (done.batches_total, done.items_total, done.waited_seconds_total) == (3, 3, 5.0)


async def test_tickets_say_what_became_of_each_item(gate: Gate) -> None:
    """A ticket holds the item's own wait and the size of its batch; one ticket of a batch leads it."""
    now = 100.0
    batcher = MicroBatcher(gate.run, batch_size=2, queue_size=8, clock=lambda: now)
    tickets = [Ticket() for _ in range(4)]
    tasks = [asyncio.create_task(batcher.submit(0, tickets[0]))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(batcher.submit(number, tickets[number])) for number in (1, 2, 3)]
    await asyncio.sleep(0)
    assert batcher.queue_length == 3
    now = 100.5
    gate.opened.set()
    await asyncio.gather(*tasks)

    assert tickets == [Ticket(0.0, 1, True), Ticket(0.5, 2, True), Ticket(0.5, 2, False), Ticket(0.5, 1, True)]


async def test_an_item_without_a_ticket_does_not_lead(batcher: MicroBatcher[int, int], gate: Gate) -> None:
    """The first ticket leads its batch, wherever it stands in it."""
    ticket = Ticket()
    tasks = [asyncio.create_task(batcher.submit(1)), asyncio.create_task(batcher.submit(2, ticket))]
    gate.opened.set()
    await asyncio.gather(*tasks)

    assert (ticket.batch_size, ticket.leads_batch) == (2, True)


async def test_the_ticket_of_an_item_that_nobody_took_is_blank(batcher: MicroBatcher[int, int]) -> None:
    """A caller who gives up in the queue was in no batch."""
    await _submit(batcher, range(4))
    ticket = Ticket()
    task = asyncio.create_task(batcher.submit(9, ticket))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])

    assert ticket == Ticket()


async def test_the_worker_is_in_no_callers_context() -> None:
    """What is current for the first caller is not current where the batches are run, for this batch or a later one."""
    current = contextvars.ContextVar("current", default="nobody")
    seen = []

    async def run(items: Sequence[int]) -> Sequence[int]:
        seen.append(current.get())
        return items

    batcher = MicroBatcher(run, batch_size=1, queue_size=8)
    current.set("first caller")
    await asyncio.gather(batcher.submit(1), batcher.submit(2))
    await batcher.aclose()

    assert seen == ["nobody", "nobody"]


@given(counts=st.lists(st.integers(1, 9), min_size=1, max_size=5), batch_size=st.integers(1, 5))
def test_each_caller_gets_its_own_answer(counts: list[int], batch_size: int) -> None:
    """Whatever the crowd and the batch size, nobody gets another's answer and no item is run twice."""

    async def crowd() -> tuple[list[int], list[list[int]]]:
        gate = Gate()
        gate.opened.set()
        batcher = MicroBatcher(gate.run, batch_size=batch_size, queue_size=100)
        numbers = iter(range(100))
        tasks = [task for count in counts for task in await _submit(batcher, [next(numbers) for _ in range(count)])]
        return await asyncio.gather(*tasks), gate.batches

    answers, batches = asyncio.run(crowd())

    assert answers == [2 * number for number in range(sum(counts))]
    assert [item for batch in batches for item in batch] == list(range(sum(counts)))
    assert max(len(batch) for batch in batches) <= batch_size
