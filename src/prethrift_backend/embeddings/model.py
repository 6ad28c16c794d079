"""The real embeddings: batches on this side, the models in a process of their own on the other.

Why another process: docs/decisions/0001-models-in-a-child-process.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Self, TypeVar

from PIL import Image

from prethrift_backend.config import Settings
from prethrift_backend.embeddings._probing import (
    CANARY_LIMIT_SECONDS,
    CANARY_TEXT,
    DETAILS,
    Successes,
    canary_faults,
    check_state,
    check_vectors,
)
from prethrift_backend.embeddings._tracking import TrackedEmbedding, note_cache_result
from prethrift_backend.embeddings.batching import BatcherFigures, MicroBatcher
from prethrift_backend.embeddings.cache import CacheFigures, SingleFlightCache
from prethrift_backend.embeddings.pictures import Pixels, cut_to, describe
from prethrift_backend.embeddings.process import ModelFacts, ModelLoadError, ModelProcess
from prethrift_backend.embeddings.protocol import ItemVectors, ModelState, QueryVectors, Vector
from prethrift_backend.exceptions import ModelsNotReadyError, ProbeFailedError
from prethrift_backend.observability import get_logger

FirstT = TypeVar("FirstT")
SecondT = TypeVar("SecondT")

# Arbitrary; above what the models read of a text (77 and 256 tokens), below what would hold the tokenizer up.
_LONGEST_TEXT: Final = 4096

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """When a models' process that ended is started again.

    The n-th start in a row waits ``first_delay_seconds * 2**n``, at most ``longest_delay_seconds``. A process that was
    ready for ``settled_seconds`` begins a new row. After ``most_failed_loads`` loads in a row that never became ready
    there is no further start. All four are arbitrary.
    """

    first_delay_seconds: float = 0.5
    longest_delay_seconds: float = 30.0
    settled_seconds: float = 60.0
    most_failed_loads: int = 5

    def delay_seconds(self, ends_in_a_row: int) -> float:
        """Return the wait before the next start, after so many ends in a row."""
        doublings = min(ends_in_a_row - 1, 20)  # enough for any bound; a power without one overflows some day
        return min(self.first_delay_seconds * 2.0**doublings, self.longest_delay_seconds)


class ModelEmbeddings:
    """Embed with the configured models. ``start`` loads them, ``aclose`` lets go of them; one use, one event loop.

    While the models' process is being started again, calls raise ModelsNotReadyError, except for queries that the
    cache can answer.
    """

    def __init__(
        self,
        *,
        clip_model: str,
        text_model: str,
        batch_size: int = 32,
        queue_size: int = 256,
        cache_size: int = 1024,
        restarts: RestartPolicy | None = None,
    ) -> None:
        self._clip_model = clip_model
        self._text_model = text_model
        self._restarts = restarts or RestartPolicy()
        self._state = ModelState.NOT_LOADED
        self._failure: str | None = None
        self._facts: ModelFacts | None = None
        self._process: ModelProcess | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._settled = asyncio.Event()
        self._closed = False
        self._successes = Successes()
        self._clip_texts = MicroBatcher(self._run_clip_texts, batch_size=batch_size, queue_size=queue_size)
        # One picture at a time: a model takes longer over it, and more threads would compete with the event loop.
        self._cuts = MicroBatcher(self._cut, batch_size=1, queue_size=queue_size)
        self._clip_images = MicroBatcher(self._run_clip_images, batch_size=batch_size, queue_size=queue_size)
        self._texts = MicroBatcher(self._run_texts, batch_size=batch_size, queue_size=queue_size)
        self._queries = SingleFlightCache(self._ask_query, capacity=cache_size)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Build from CLIP_MODEL, TEXT_MODEL, EMBEDDING_BATCH_SIZE and EMBEDDING_QUEUE_SIZE; load nothing yet."""
        return cls(
            clip_model=settings.clip_model,
            text_model=settings.text_model,
            batch_size=settings.embedding_batch_size,
            queue_size=settings.embedding_queue_size,
        )

    @property
    def state(self) -> ModelState:
        """How far the models are."""
        return self._state

    @property
    def failure(self) -> str | None:
        """Why there are no models, as a sentence; None while nothing went wrong."""
        return self._failure

    @property
    def facts(self) -> ModelFacts | None:
        """What the models' process says of itself; None while there is none that is ready."""
        return self._facts

    @property
    def figures(self) -> Mapping[str, BatcherFigures]:
        """What waits and what was done, by kind of request."""
        return {
            "clip_text": self._clip_texts.figures,
            "cut": self._cuts.figures,
            "clip_image": self._clip_images.figures,
            "text": self._texts.figures,
        }

    @property
    def cache_figures(self) -> CacheFigures:
        """How well the cache of query vectors does."""
        return self._queries.figures

    def start(self) -> None:
        """Begin to load the models; return at once. A second call does nothing."""
        if self._closed:
            raise RuntimeError("these embeddings were closed: build new ones")
        if self._supervisor is None:
            self._state = ModelState.LOADING
            self._successes.forget()
            self._supervisor = asyncio.create_task(self._supervise(), name="embedding-supervisor")

    async def wait_ready(self, timeout_seconds: float) -> None:
        """Return once the models answer; raise ModelsNotReadyError when they failed or the time is over."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._settled.wait()
        except TimeoutError as error:
            raise ModelsNotReadyError(
                f"the embedding models are {self._state.value!r} after {timeout_seconds} s; give them more time"
            ) from error
        self._ready_process()

    @property
    def queue_lengths(self) -> Mapping[str, int]:
        """How many inputs wait for each model, pictures that are not cut yet among them; for any thread to read."""
        clip = (self._clip_texts, self._cuts, self._clip_images)
        return {"clip": sum(batcher.queue_length for batcher in clip), "text": self._texts.queue_length}

    async def embed_query(self, text: str) -> QueryVectors:
        """Embed a search text in both spaces; an answer from the cache does not count as an embedding operation."""
        cleaned = _clean(text)
        note_cache_result(self._queries.outlook(cleaned))
        return await self._queries.get(cleaned)

    async def embed_picture(self, image: Image.Image) -> Vector:
        """Embed a picture in the CLIP space, shape (512,)."""
        async with self._tracked("clip", "image") as tracked:
            self._ready_process()
            self._clip_images.check_room()
            pixels = await self._cuts.submit(image, tracked.earlier)
            return await self._clip_images.submit(pixels, tracked.ticket)

    async def embed_item(self, image: Image.Image, text: str) -> ItemVectors:
        """Embed an item's picture in the CLIP space and its text in the text space."""
        clip, words = await _both(self.embed_picture(image), self._embed_text(_clean(text)))
        return ItemVectors(clip=clip, text=words)

    async def probe(self) -> Mapping[str, object]:
        """Tell whether the models answer; return the dimensions of their vectors.

        What they did for somebody within the last minute counts. Only when they were idle is a text embedded for the
        question, on the way that every text takes; it begins no load, and is no embedding operation in the metrics.
        Raise ProbeFailedError: loading, busy (the queue is full), timeout (also when they load for too long),
        wrong_dimension (or not of length 1), or unreachable when there are no models and none will come.
        """
        if self._state is ModelState.LOADING and self._successes.are_overdue:
            raise ProbeFailedError("timeout")
        check_state(self._state)
        if not self._successes.are_recent:
            await self._embed_canary()
        return DETAILS

    async def _embed_canary(self) -> None:
        with canary_faults():
            async with asyncio.timeout(CANARY_LIMIT_SECONDS):
                clip, text = await _both(self._clip_texts.submit(CANARY_TEXT), self._texts.submit(CANARY_TEXT))
        check_vectors(clip=clip, text=text)

    async def aclose(self) -> None:
        """Let go of the models within two seconds; waiting calls get ModelsNotReadyError."""
        self._closed = True
        for batcher in (self._clip_texts, self._cuts, self._clip_images, self._texts):
            await batcher.aclose()
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
        self._state = ModelState.NOT_LOADED
        self._settled.set()

    async def _ask_query(self, text: str) -> QueryVectors:
        clip, words = await _both(self._embed_clip_text(text), self._embed_text(text))
        return QueryVectors(clip=clip, text=words)

    async def _embed_clip_text(self, text: str) -> Vector:
        async with self._tracked("clip", "text") as tracked:
            self._ready_process()
            return await self._clip_texts.submit(text, tracked.ticket)

    async def _embed_text(self, text: str) -> Vector:
        async with self._tracked("text", "text") as tracked:
            self._ready_process()
            return await self._texts.submit(text, tracked.ticket)

    def _tracked(self, operation: Literal["clip", "text"], content: Literal["image", "text"]) -> TrackedEmbedding:
        name = self._clip_model if operation == "clip" else self._text_model
        version = None if self._facts is None else self._facts.versions.get("sentence-transformers")
        return TrackedEmbedding(operation, content=content, model=name, library_version=version)

    async def _run_clip_texts(self, texts: Sequence[str]) -> Sequence[Vector]:
        return self._taken("clip", await self._ready_process().request("clip_text", {"texts": list(texts)}))

    async def _run_texts(self, texts: Sequence[str]) -> Sequence[Vector]:
        return self._taken("text", await self._ready_process().request("text", {"texts": list(texts)}))

    async def _cut(self, images: Sequence[Image.Image]) -> Sequence[Pixels]:
        square_px = self._ready_facts().square_px
        return [await asyncio.to_thread(cut_to, image, square_px) for image in images]

    async def _run_clip_images(self, pictures: Sequence[Pixels]) -> Sequence[Vector]:
        sizes, payload = describe(pictures)
        return self._taken("clip", await self._ready_process().request("clip_image", {"sizes": sizes}, payload))

    def _taken(self, model: str, rows: Vector) -> list[Vector]:
        self._successes.note(model, rows)
        return _split(rows)

    def _ready_process(self) -> ModelProcess:
        if self._process is None:
            reason = f": {self._failure}" if self._failure else "; try again in a moment"
            raise ModelsNotReadyError(f"the embedding models are {self._state.value!r}{reason}")
        return self._process

    def _ready_facts(self) -> ModelFacts:
        self._ready_process()
        if self._facts is None:
            raise RuntimeError("the models' process is ready and has said nothing of itself")
        return self._facts

    async def _supervise(self) -> None:
        ends = failed_loads = 0
        while True:
            began = asyncio.get_running_loop().time()
            error = await self._run_process()
            settled = error is None and asyncio.get_running_loop().time() - began >= self._restarts.settled_seconds
            ends = 1 if settled else ends + 1
            failed_loads = failed_loads + 1 if error else 0
            if error and (error.final or failed_loads >= self._restarts.most_failed_loads):
                self._give_up(failed_loads)
                return
            delay_seconds = self._restarts.delay_seconds(ends)
            _log.warning("embedding_models_lost", reason=self._failure, restart_in_seconds=delay_seconds)
            await asyncio.sleep(delay_seconds)

    async def _run_process(self) -> ModelLoadError | None:
        """Run one process to its end; return why it never became ready, None if it did."""
        process = await ModelProcess.spawn(clip_model=self._clip_model, text_model=self._text_model)
        _log.info("embedding_models_started", worker_pid=process.pid)
        try:
            self._become_ready(process, await process.ready())
            status = await process.wait()
            self._failure = f"the models' process ended with status {status}; it is being started again"
        except ModelLoadError as error:
            self._failure = str(error)
            return error
        finally:
            self._become_unready(process)
            await process.aclose()
        return None

    def _become_ready(self, process: ModelProcess, facts: ModelFacts) -> None:
        self._process, self._facts, self._failure = process, facts, None
        self._state = ModelState.READY
        self._settled.set()
        _log.info(
            "embedding_models_ready",
            worker_pid=facts.pid,
            load_seconds=facts.load_seconds,
            versions=dict(facts.versions),
        )

    def _become_unready(self, process: ModelProcess) -> None:
        self._process = self._facts = None
        self._successes.forget()
        self._state = ModelState.LOADING
        self._settled.clear()
        if not self._closed:
            _log.info("embedding_models_stopped", worker_pid=process.pid, last_lines=process.last_lines)

    def _give_up(self, failed_loads: int) -> None:
        self._state = ModelState.FAILED
        self._settled.set()
        _log.error("embedding_models_failed", reason=self._failure, failed_loads=failed_loads)


def _clean(text: str) -> str:
    # Half a surrogate pair cannot be sent, and would take the rest of its batch down with it.
    return text[:_LONGEST_TEXT].encode(errors="replace").decode()


def _split(rows: Vector) -> list[Vector]:
    """Return the rows one by one, each with memory of its own: a cached row must not keep its whole batch alive."""
    vectors = [row.copy() for row in rows]
    for vector in vectors:
        vector.setflags(write=False)
    return vectors


async def _both(first: Coroutine[Any, Any, FirstT], second: Coroutine[Any, Any, SecondT]) -> tuple[FirstT, SecondT]:
    """Await two at once; when one fails the other is cancelled, and the failure is raised as it was."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = group.create_task(first), group.create_task(second)
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return tasks[0].result(), tasks[1].result()
