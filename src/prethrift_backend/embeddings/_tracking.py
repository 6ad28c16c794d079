"""What is told of one embedding: its model, how long it waited, and how many were embedded with it."""

from __future__ import annotations

from pathlib import PurePath
from types import TracebackType
from typing import Final, Literal, Self

from prethrift_backend.embeddings.batching import Ticket
from prethrift_backend.embeddings.cache import CacheResult
from prethrift_backend.observability import track_embedding_operation
from prethrift_backend.observability.child_spans import recording_span, report
from prethrift_backend.observability.operations import EMBEDDING_BATCH, EMBEDDING_QUEUE_WAIT

_CACHE: Final = "embedding.cache"


def note_cache_result(result: CacheResult) -> None:
    """Show on the current span what the cache of queries had: a search that asks no model then says why."""
    span = recording_span()
    if span is not None:
        span.set_attribute(_CACHE, result)


class TrackedEmbedding:
    """An embedding operation, as ``async with``; its tickets tell the rest at its end.

    The batcher knows nothing of telemetry, and its worker belongs to no request: what it did is read from the tickets
    by whoever asked, in the trace and for the application that the asking belongs to. ``ticket`` is for the queue of
    the model itself, ``earlier`` for one before it.
    """

    __slots__ = ("_operation", "_type", "earlier", "ticket")

    def __init__(
        self,
        operation: Literal["clip", "text"],
        *,
        content: Literal["image", "text"],
        model: str,
        library_version: str | None,
    ) -> None:
        self.ticket = Ticket()
        self.earlier = Ticket()
        self._type = operation
        self._operation = track_embedding_operation(operation)
        # Of a folder the name alone: where it lies is nobody's business.
        self._operation.add(content=content, model=PurePath(model).name, library_version=library_version)

    async def __aenter__(self) -> Self:
        await self._operation.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._note_batch()
        except Exception as fault:  # noqa: BLE001 - counting an embedding must not fail it
            report(fault)
        finally:
            await self._operation.__aexit__(kind, error, trace)

    def _note_batch(self) -> None:
        waited_seconds, batch_size = self.ticket.waited_seconds, self.ticket.batch_size
        if waited_seconds is None or batch_size is None:  # no batch took it
            return
        waited_seconds += self.earlier.waited_seconds or 0.0
        self._operation.add(queue_wait_ms=round(waited_seconds * 1000, 3), batch_size=batch_size)
        EMBEDDING_QUEUE_WAIT.labels(operation_type=self._type).observe(waited_seconds)
        if self.ticket.leads_batch:
            EMBEDDING_BATCH.labels(operation_type=self._type).observe(batch_size)
