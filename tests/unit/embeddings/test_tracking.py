"""What is told of an embedding, with tickets filled in by the test."""

import asyncio
from collections.abc import Iterator

import pytest
from tests.support.span_list import Traced, attributes, traced

from prethrift_backend.embeddings import ModelEmbeddings
from prethrift_backend.embeddings._tracking import TrackedEmbedding, note_cache_result
from prethrift_backend.embeddings.batching import Ticket
from prethrift_backend.exceptions import ModelsNotReadyError


@pytest.fixture
def traced_all() -> Iterator[Traced]:
    """Sample every trace."""
    with traced() as made:
        yield made


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
