"""Put the sample catalogue into a database through the real service, once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from uuid import NAMESPACE_URL, UUID, uuid5

from prethrift_backend.catalogue import CatalogueService, NewItem
from prethrift_backend.devstack.sample import SampleItem, sample_items

# How many are on their way at once: enough to fill the models' batches, far below their queue.
_AT_ONCE = 32

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:prethrift:sample")


def sample_id(number: int) -> UUID:
    """Return the id of a sample item: always the same, so that a filling that was cut short goes on where it was."""
    return uuid5(_NAMESPACE, str(number))


async def missing_samples(catalogue: CatalogueService, count: int) -> list[int]:
    """Return the numbers of the sample items that the catalogue does not hold."""
    present = await catalogue.existing(sample_id(number) for number in range(count))
    return [number for number in range(count) if sample_id(number) not in present]


async def fill(catalogue: CatalogueService, numbers: list[int], advance: Callable[[], None]) -> None:
    """Ingest the sample items of these numbers, calling ``advance`` after each.

    The first failure ends the filling; what is in by then stays in.
    """
    waiting = _chosen(numbers)

    async def work() -> None:
        for number, sample in waiting:
            await _ingest(catalogue, number, sample)
            advance()

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(work())


def _chosen(numbers: list[int]) -> Iterator[tuple[int, SampleItem]]:
    wanted = set(numbers)
    return ((number, sample) for number, sample in enumerate(sample_items()) if number in wanted)


async def _ingest(catalogue: CatalogueService, number: int, sample: SampleItem) -> None:
    item = NewItem(title=sample.title, description=sample.description, category=sample.category, price=sample.price)
    picture = await asyncio.to_thread(sample.picture_png)
    await catalogue.ingest(item, picture, item_id=sample_id(number))
