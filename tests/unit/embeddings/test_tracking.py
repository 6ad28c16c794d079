"""What is told of an embedding, with tickets filled in by the test."""

import asyncio

import numpy as np
import pytest
from opentelemetry.trace import get_current_span
from tests.support.span_list import Traced, attributes
from tests.support.waiting import wait_for_async

from prethrift_backend.embeddings import CLIP_DIMENSIONS, TEXT_DIMENSIONS, ModelEmbeddings, Vector
from prethrift_backend.embeddings._tracking import TrackedEmbedding, note_cache_result
from prethrift_backend.embeddings.batching import Ticket
from prethrift_backend.exceptions import ModelsNotReadyError
from prethrift_backend.observability.context import current_request

DEADLINE_SECONDS = 20.0


def _tracked() -> TrackedEmbedding:
    return TrackedEmbedding("clip", content="image", model="/srv/models/clip-ViT-B-32", library_version="5.1")


def _fill(ticket: Ticket, waited_seconds: float, batch_size: int, *, leads: bool = False) -> None:
    ticket.waited_seconds, ticket.batch_size, ticket.leads_batch = waited_seconds, batch_size, leads


async def test_the_span_has_model_wait_and_batch(traced_all: Traced) -> None:
    """The waits of both queues are added up, and of a model's folder the name alone is shown."""
    async with _tracked() as tracked:
        _fill(tracked.earlier, 0.25, 1)
        _fill(tracked.ticket, 0.5, 3)

    assert attributes(traced_all.spans.named("embedding clip")) == {
        "embedding.operation": "clip",
        "embedding.content": "image",
        "embedding.model": "clip-ViT-B-32",
        "embedding.library_version": "5.1",
        "embedding.queue_wait_ms": 750.0,
        "embedding.batch_size": 3,
        "outcome": "success",
    }


async def test_each_wait_is_observed_and_each_batch_once(traced_all: Traced) -> None:
    """Three of one batch are three waits and one batch of three."""
    for place in range(3):
        async with _tracked() as tracked:
            _fill(tracked.ticket, 0.25, 3, leads=place == 0)

    assert traced_all.sample("embedding_queue_wait_seconds_count", operation_type="clip") == 3
    assert traced_all.sample("embedding_queue_wait_seconds_sum", operation_type="clip") == 0.75
    assert traced_all.sample("embedding_batch_size_count", operation_type="clip") == 1
    assert traced_all.sample("embedding_batch_size_sum", operation_type="clip") == 3


async def test_a_caller_who_gives_up_in_a_batch_has_waited_all_the_same(traced_all: Traced) -> None:
    """A cancelled embedding is counted as cancelled, and its wait and batch as they were."""

    async def embed() -> None:
        async with _tracked() as tracked:
            _fill(tracked.ticket, 0.25, 2, leads=True)
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await embed()

    assert attributes(traced_all.spans.named("embedding clip"))["outcome"] == "cancelled"
    assert traced_all.sample("embedding_batch_size_sum", operation_type="clip") == 2


class Models:
    """A models' process that answers when it is told to, and notes whose trace it works in."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.seen: list[bool] = []

    async def request(self, operation: str, fields: dict[str, list[str]]) -> Vector:
        """Answer each text with the same vector."""
        self.seen.append(get_current_span().is_recording() or current_request() is not None)
        await self.opened.wait()
        dimensions = TEXT_DIMENSIONS if operation == "text" else CLIP_DIMENSIONS
        return np.full((len(fields["texts"]), dimensions), dimensions**-0.5, dtype=np.float32)


async def test_searches_at_the_same_time_have_their_own_traces(
    traced_all: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of a batch has its span in its own trace, with the size of the batch; the model works in nobody's trace."""
    models, embeddings = Models(), ModelEmbeddings(clip_model="clip", text_model="text")
    monkeypatch.setattr(embeddings, "_process", models)

    async def search(q: str) -> None:
        with traced_all.request():
            await embeddings.embed_query(q)

    tasks = [asyncio.create_task(search("first"))]
    await wait_for_async(lambda: len(models.seen) == 2, DEADLINE_SECONDS, what="both models work")
    tasks += [asyncio.create_task(search(q)) for q in ("a", "b", "c", "a")]
    waiting = {"clip": 3, "text": 3}
    await wait_for_async(lambda: embeddings.queue_lengths == waiting, DEADLINE_SECONDS, what="three wait for each")
    models.opened.set()
    await asyncio.gather(*tasks)
    await embeddings.aclose()

    clips = traced_all.spans.all_named("embedding clip")
    caches = [attributes(span)["embedding.cache"] for span in traced_all.spans.all_named("server")]
    assert sorted(str(attributes(span)["embedding.batch_size"]) for span in clips) == ["1", "3", "3", "3"]
    assert len({span.context.trace_id for span in clips if span.context}) == 4
    assert {tuple(traced_all.spans.path(span)) for span in clips} == {("server", "embedding clip")}
    assert sorted(map(str, caches)) == ["joined", "miss", "miss", "miss", "miss"]
    assert models.seen == [False] * 4
    assert traced_all.sample("embedding_batch_size_sum", operation_type="text") == 4
    assert traced_all.sample("embedding_batch_size_count", operation_type="text") == 2
    assert traced_all.sample("embedding_queue_wait_seconds_count", operation_type="text") == 4


async def test_without_models_nothing_has_waited(traced_all: Traced) -> None:
    """An embedding that is refused before the queue counts as an error and as no wait; the search says why."""
    embeddings = ModelEmbeddings(clip_model="clip", text_model="text")
    with traced_all.request(), pytest.raises(ModelsNotReadyError):
        await embeddings.embed_query("red hat")
    await embeddings.aclose()

    failed = [span for span in traced_all.spans.spans if attributes(span).get("error.type") == "ModelsNotReadyError"]
    assert {span.name for span in failed} & {"embedding clip", "embedding text"}
    assert attributes(traced_all.spans.named("server"))["embedding.cache"] == "miss"
    assert traced_all.sample("embedding_queue_wait_seconds_count", operation_type="clip") == 0
    assert embeddings.queue_lengths == {"clip": 0, "text": 0}


def test_the_cache_result_goes_nowhere_unsampled(traced_all: Traced) -> None:
    """Outside of a recorded span there is nothing to show it on."""
    note_cache_result("hit")
    with traced_all.request(is_sampled=False):
        note_cache_result("hit")

    assert traced_all.spans.spans == []
