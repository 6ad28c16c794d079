"""The catalogue on a real database and a real S3: rows and pictures together or not at all."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from io import BytesIO
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image

from prethrift_backend.catalogue import CatalogueService, ItemExistsError, NewItem
from prethrift_backend.config import Settings
from prethrift_backend.embeddings import NullEmbeddings
from prethrift_backend.exceptions import (
    DatabaseUnavailableError,
    ImageStoreUnavailableError,
    InvalidPictureError,
    ItemNotFoundError,
)
from prethrift_backend.stores import ImageStore, Postgres

NEW = NewItem(title="Red hat", description="Felt.", category="hat", price=Decimal("9.50"))


def png() -> bytes:
    """Draw a small red picture."""
    buffer = BytesIO()
    Image.new("RGB", (40, 20), "red").save(buffer, "PNG")
    return buffer.getvalue()


@dataclass
class Stores:
    """The two stores of one test."""

    postgres: Postgres
    images: ImageStore

    @property
    def catalogue(self) -> CatalogueService:
        """Make a catalogue over them."""
        return CatalogueService(self.postgres, self.images, NullEmbeddings())

    async def keys(self) -> list[str]:
        """List the pictures."""
        return [entry.key async for entry in self.images.list_keys()]

    async def rows(self) -> int:
        """Count the rows."""
        return await self.catalogue.count()


class _HeldImages:
    """The real store, held still after a put until it is let go."""

    def __init__(self, real: ImageStore) -> None:
        self._real = real
        self.has_put = asyncio.Event()
        self.may_go = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    async def put(self, key: str, data: bytes, *, media_type: str) -> None:
        await self._real.put(key, data, media_type=media_type)
        self.has_put.set()
        await self.may_go.wait()


@pytest.fixture
async def stores(integration_settings: Settings) -> AsyncIterator[Stores]:
    """Open both stores, empty."""
    opened = Stores(Postgres.from_settings(integration_settings), ImageStore.from_settings(integration_settings))
    await opened.images.open()
    yield opened
    await opened.images.aclose()
    await opened.postgres.aclose()


async def test_an_item_comes_back_as_it_was_taken_in(stores: Stores) -> None:
    """What was ingested can be got, with its picture."""
    item = await stores.catalogue.ingest(NEW, png())

    assert await stores.catalogue.get(item.id) == item
    assert (item.title, item.price, item.currency, item.picture.width) == ("Red hat", Decimal("9.50"), "EUR", 40)
    stored = await stores.catalogue.read_image(item.id)
    assert stored.media_type == "image/png"
    assert len(stored.data) == item.picture.size_bytes


async def test_a_deleted_item_leaves_nothing(stores: Stores) -> None:
    """Row and picture are gone, and a second delete finds nothing."""
    item = await stores.catalogue.ingest(NEW, png())
    await stores.catalogue.delete(item.id)

    assert (await stores.rows(), await stores.keys()) == (0, [])
    with pytest.raises(ItemNotFoundError):
        await stores.catalogue.delete(item.id)


async def test_an_unknown_item_is_not_found(stores: Stores) -> None:
    """An id that nobody has raises ItemNotFoundError."""
    with pytest.raises(ItemNotFoundError):
        await stores.catalogue.get(uuid4())


async def test_a_bad_picture_leaves_nothing(stores: Stores) -> None:
    """A broken picture is refused before either store is asked."""
    with pytest.raises(InvalidPictureError):
        await stores.catalogue.ingest(NEW, png()[:60])

    assert (await stores.rows(), await stores.keys()) == (0, [])


async def test_a_failing_picture_store_leaves_no_row(stores: Stores) -> None:
    """When the picture cannot be stored, there is no item."""
    away = ImageStore("no-such-bucket", region="eu-central-1", endpoint_url="http://127.0.0.1:1")
    await away.open()

    with pytest.raises(ImageStoreUnavailableError):
        await CatalogueService(stores.postgres, away, NullEmbeddings()).ingest(NEW, png())
    await away.aclose()

    assert await stores.rows() == 0


async def test_a_failing_database_leaves_no_picture(stores: Stores) -> None:
    """When the row cannot be written, the picture is removed again."""
    away = Postgres("postgresql://nobody@127.0.0.1:1/nothing")

    with pytest.raises(DatabaseUnavailableError):
        await CatalogueService(away, stores.images, NullEmbeddings()).ingest(NEW, png())
    await away.aclose()

    assert await stores.keys() == []


async def test_an_id_that_is_taken_harms_nothing(stores: Stores) -> None:
    """A second ingest under the same id is refused, and the first item keeps its row and picture."""
    item = await stores.catalogue.ingest(NEW, png())
    with pytest.raises(ItemExistsError):
        await stores.catalogue.ingest(NEW, png(), item_id=item.id)

    assert await stores.keys() == [item.picture.key]
    assert await stores.catalogue.existing([item.id, uuid4()]) == {item.id}


async def test_an_ingest_cancelled_after_the_put_leaves_neither(stores: Stores) -> None:
    """A caller who goes away between picture and row leaves no trace."""
    held = _HeldImages(stores.images)
    service = CatalogueService(stores.postgres, held, NullEmbeddings())  # type: ignore[arg-type]  # the real one, held
    task = asyncio.create_task(service.ingest(NEW, png()))
    await held.has_put.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert (await stores.rows(), await stores.keys()) == (0, [])


async def test_an_ingest_cancelled_anywhere_leaves_both_or_neither(stores: Stores) -> None:
    """Wherever the cancellation strikes, every row has its picture and every picture its row."""
    service = stores.catalogue
    for steps in range(0, 300, 12):
        task = asyncio.create_task(service.ingest(NEW, png()))
        for _ in range(steps):
            await asyncio.sleep(0.0002)  # lets the real input and output go on; what is tested is every point, not time
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    report = await service.sweep(older_than_seconds=-3600)
    assert (report.orphaned_keys, report.items_without_picture) == ((), ())
    assert await stores.rows() == len(await stores.keys())


async def test_the_sweep_finds_and_removes_orphans(stores: Stores) -> None:
    """A picture without a row is reported, and removed only when asked; an item without a picture is reported."""
    kept = await stores.catalogue.ingest(NEW, png())
    bare = await stores.catalogue.ingest(NEW, png())
    await stores.images.delete(bare.picture.key)
    await stores.images.put("items/orphan.png", b"", media_type="image/png")

    found = await stores.catalogue.sweep(older_than_seconds=-3600)
    removed = await stores.catalogue.sweep(older_than_seconds=-3600, remove=True)

    assert (found.orphaned_keys, found.items_without_picture) == (("items/orphan.png",), (bare.id,))
    assert (found.removed_count, removed.removed_count) == (0, 1)
    assert await stores.keys() == [kept.picture.key]


async def test_the_sweep_leaves_what_is_young(stores: Stores) -> None:
    """A picture that an ingest may just have put is no orphan yet."""
    await stores.images.put("items/under-way.png", b"", media_type="image/png")

    assert (await stores.catalogue.sweep(remove=True)).orphaned_keys == ()
    assert await stores.keys() == ["items/under-way.png"]


async def test_an_item_whose_picture_is_gone_is_not_found(stores: Stores) -> None:
    """Asking for the picture of such an item is a 404, not a failure."""
    item = await stores.catalogue.ingest(NEW, png())
    await stores.images.delete(item.picture.key)

    with pytest.raises(ItemNotFoundError, match="picture"):
        await stores.catalogue.read_image(item.id)
