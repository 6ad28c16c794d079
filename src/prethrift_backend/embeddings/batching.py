"""Micro-batches: callers hand in one item each, the model is run on many at once."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from prethrift_backend.exceptions import EmbeddingQueueFullError, ModelsNotReadyError

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class BatcherFigures:
    """What a batcher has done and what waits in it.

    ``oldest_wait_seconds`` is how long the first in the queue has waited, 0 when the queue is empty;
    ``waited_seconds_total`` sums the waits of all items that were taken.
    """

    queue_length: int
    in_flight: int
    oldest_wait_seconds: float
    batches_total: int
    items_total: int
    waited_seconds_total: float


@dataclass(slots=True)
class Ticket:
    """What became of one item, for its caller to read when `MicroBatcher.submit` is over, however it ended.

    ``waited_seconds`` and ``batch_size`` are of the batch that took the item; None if none did. ``leads_batch`` is True
    for one ticket of each batch that has any, so that who counts batches counts each once.
    """

    waited_seconds: float | None = None
    batch_size: int | None = None
    leads_batch: bool = False


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[ItemT]):
    item: ItemT
    queued_at: float
    ticket: Ticket | None


class MicroBatcher(Generic[ItemT, ResultT]):
    """Run ``run`` on what waits, up to ``batch_size`` items at a time, one batch after the other.

    There is no artificial delay: a batch is as large as what came in while the one before it ran, so a lone caller
    never waits for company and a crowd is served in large batches.
    """

    def __init__(
        self,
        run: Callable[[Sequence[ItemT]], Awaitable[Sequence[ResultT]]],
        *,
        batch_size: int,
        queue_size: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run = run
        self._batch_size = batch_size
        self._queue_size = queue_size
        self._clock = clock
        # A dict keeps the order and lets a caller who gives up leave from the middle at no cost.
        self._queue: dict[asyncio.Future[ResultT], _Waiting[ItemT]] = {}
        self._in_flight = 0
        self._worker: asyncio.Task[None] | None = None
        self._closed = False
        self._batches = 0
        self._items = 0
        self._waited_seconds = 0.0

    @property
    def figures(self) -> BatcherFigures:
        """What waits and what was done, as of now."""
        oldest = next(iter(self._queue.values()), None)
        return BatcherFigures(
            queue_length=len(self._queue),
            in_flight=self._in_flight,
            oldest_wait_seconds=self._clock() - oldest.queued_at if oldest else 0.0,
            batches_total=self._batches,
            items_total=self._items,
            waited_seconds_total=self._waited_seconds,
        )

    def check_room(self) -> None:
        """Raise EmbeddingQueueFullError when nothing more may wait: ask before preparing an item at some cost."""
        if len(self._queue) >= self._queue_size:
            raise EmbeddingQueueFullError(
                f"{len(self._queue)} embeddings wait: EMBEDDING_QUEUE_SIZE={self._queue_size} is the most; "
                "try again in a moment"
            )

    @property
    def queue_length(self) -> int:
        """How many items wait, and nothing else: may be read in any thread."""
        return len(self._queue)

    async def submit(self, item: ItemT, ticket: Ticket | None = None) -> ResultT:
        """Return the result for ``item``; raise EmbeddingQueueFullError at once when the queue is full.

        A caller who is cancelled takes the item out of the queue; the others of its batch do not notice. When a batch
        fails, each of its callers gets the error. ``ticket`` is filled in on the way.
        """
        self._check_open()
        self.check_room()
        future: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        self._queue[future] = _Waiting(item, self._clock(), ticket)
        if self._worker is None:
            # In a context of its own: it works for all, and would do so in the name of whoever came first.
            self._worker = asyncio.create_task(self._drain(), name="embedding-batches", context=contextvars.Context())
        try:
            return await future
        finally:
            self._queue.pop(future, None)

    async def aclose(self) -> None:
        """Refuse what waits and what is in flight with ModelsNotReadyError."""
        self._closed = True
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.wait([self._worker])
        _fail(list(self._queue), ModelsNotReadyError("the embedding models were closed; the server is stopping"))

    def _check_open(self) -> None:
        if self._closed:
            raise ModelsNotReadyError("the embedding models are closed; the server is stopping")

    async def _drain(self) -> None:
        try:
            while self._queue:
                await self._run_batch(self._take())
        finally:
            self._worker = None

    def _take(self) -> dict[asyncio.Future[ResultT], ItemT]:
        now = self._clock()
        batch: dict[asyncio.Future[ResultT], _Waiting[ItemT]] = {}
        for future in list(islice(self._queue, self._batch_size)):
            waiting = self._queue.pop(future)
            self._waited_seconds += now - waiting.queued_at
            if not future.done():  # its caller was cancelled, and has not run since
                batch[future] = waiting
        _fill_tickets(batch.values(), now)
        return {future: waiting.item for future, waiting in batch.items()}

    async def _run_batch(self, batch: dict[asyncio.Future[ResultT], ItemT]) -> None:
        if not batch:
            return
        self._in_flight = len(batch)
        try:
            results = await self._run(list(batch.values()))
            for future, result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)
        except asyncio.CancelledError:
            _fail(batch, ModelsNotReadyError("the embedding models were closed; the server is stopping"))
            raise
        except Exception as error:  # noqa: BLE001 - whatever went wrong belongs to the callers, not to this task
            _fail(batch, error)
        finally:
            self._in_flight = 0
            self._batches += 1
            self._items += len(batch)


def _fill_tickets(batch: Collection[_Waiting[ItemT]], now: float) -> None:
    is_first = True
    for waiting in batch:
        if waiting.ticket is not None:
            waiting.ticket.waited_seconds = now - waiting.queued_at
            waiting.ticket.batch_size = len(batch)
            waiting.ticket.leads_batch = is_first
            is_first = False


def _fail(futures: Sequence[asyncio.Future[ResultT]] | dict[asyncio.Future[ResultT], ItemT], error: Exception) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)
