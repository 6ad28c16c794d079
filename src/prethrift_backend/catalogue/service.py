"""Take items in, show them, remove them; rows and pictures together or not at all.

A database and a picture store share no transaction. The order of the steps does instead: a picture is stored before
its row and removed after it, so that at any moment whatever a reader can find has its picture. What a crash leaves
behind is a picture without a row, which costs a little space until ``sweep`` finds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy.exc import IntegrityError

from prethrift_backend.catalogue import repository
from prethrift_backend.catalogue.models import Item, StoredPicture
from prethrift_backend.catalogue.pictures import Picture, PictureReader
from prethrift_backend.catalogue.schemas import NewItem
from prethrift_backend.embeddings import Embeddings, ItemVectors
from prethrift_backend.exceptions import ExpectedError, ItemNotFoundError, OperationalError
from prethrift_backend.observability import get_logger
from prethrift_backend.stores import ImageNotFoundError, ImageStore, Postgres, StoredImage

_PREFIX = "items/"
# Arbitrary: keys that one statement of the sweep asks for.
_SWEEP_BATCH = 500

_log = get_logger(__name__)


class ItemExistsError(ExpectedError):
    """An item with the id that was asked for is in the catalogue already."""

    code = "item_exists"


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a sweep found: pictures without an item, and items whose picture is gone."""

    orphaned_keys: tuple[str, ...]
    items_without_picture: tuple[UUID, ...]
    removed_count: int


class CatalogueService:
    """The catalogue; the stores and the models are opened and closed by whoever made them."""

    def __init__(self, postgres: Postgres, images: ImageStore, embeddings: Embeddings) -> None:
        self._postgres = postgres
        self._images = images
        self._embeddings = embeddings
        self._pictures = PictureReader()
        # asyncio keeps only weak references to tasks; a clean-up must outlive the request that caused it.
        self._cleaning: set[asyncio.Task[None]] = set()

    async def ingest(self, new: NewItem, picture: bytes, *, item_id: UUID | None = None) -> Item:
        """Take an item in and return it; if anything fails or is cancelled, neither row nor picture stays.

        Raise the errors of ``normalise_picture`` for the picture, ItemExistsError if ``item_id`` is given and taken,
        and an OperationalError when a store or the models are away.
        """
        chosen_id = item_id or uuid4()
        read = await self._pictures.read(picture)
        vectors = await self._embeddings.embed_item(read.image, new.text)
        stored = _place(chosen_id, read)
        try:
            await self._images.put(stored.key, read.data, media_type=read.media_type)
            item = await self._insert(chosen_id, new, stored, vectors)
        except BaseException:
            await self._finish(self._undo(chosen_id, stored.key))
            raise
        _log.info("item_ingested", item_id=str(item.id), picture_bytes=stored.size_bytes)
        return item

    async def get(self, item_id: UUID) -> Item:
        """Return the item; raise ItemNotFoundError if there is none."""
        async with self._postgres.connect() as connection:
            item = await repository.find_item(connection, item_id)
        if item is None:
            raise _not_found(item_id)
        return item

    async def read_image(self, item_id: UUID) -> StoredImage:
        """Return the item's picture; raise ItemNotFoundError if there is no item, or its picture is gone."""
        item = await self.get(item_id)
        try:
            return await self._images.get(item.picture.key)
        except ImageNotFoundError as error:
            _log.warning("picture_missed", item_id=str(item_id), key=item.picture.key)
            raise ItemNotFoundError(f"the item {str(item_id)!r} has no picture any more: delete it") from error

    async def delete(self, item_id: UUID) -> None:
        """Remove the item, then its picture; raise ItemNotFoundError if there is none.

        A picture that cannot be removed now is left to the sweep: the item is gone either way.
        """
        async with self._postgres.begin() as connection:
            key = await repository.remove_item(connection, item_id)
        if key is None:
            raise _not_found(item_id)
        await self._finish(self._discard_picture(key))
        _log.info("item_deleted", item_id=str(item_id))

    async def existing(self, item_ids: Iterable[UUID]) -> frozenset[UUID]:
        """Return those of the ids that are in the catalogue."""
        async with self._postgres.connect() as connection:
            return await repository.existing_ids(connection, item_ids)

    async def count(self) -> int:
        """Return how many items there are."""
        async with self._postgres.connect() as connection:
            return await repository.count_items(connection)

    async def sweep(self, *, older_than_seconds: float = 3600, remove: bool = False) -> SweepReport:
        """Find pictures without an item and items without a picture, both older than the given age.

        Younger ones may belong to an ingest that is under way. With ``remove``, the pictures are removed; items never.
        """
        moment = datetime.now(UTC) - timedelta(seconds=older_than_seconds)
        # The pictures are listed first: an item that appears meanwhile is younger than any age that makes sense.
        ages = {entry.key: entry.last_modified async for entry in self._images.list_keys(_PREFIX)}
        orphans = await self._without_item([key for key, modified in ages.items() if modified <= moment])
        bare = await self._without_picture(moment, ages.keys())
        for key in orphans:
            _log.warning("orphan_found", key=key)
        if remove:
            for key in orphans:
                await self._images.delete(key)
        return SweepReport(tuple(orphans), tuple(bare), removed_count=len(orphans) if remove else 0)

    async def _insert(self, item_id: UUID, new: NewItem, stored: StoredPicture, vectors: ItemVectors) -> Item:
        try:
            async with self._postgres.begin() as connection:
                return await repository.insert_item(connection, item_id, new=new, picture=stored, vectors=vectors)
        except IntegrityError as error:
            raise ItemExistsError(f"the item {str(item_id)!r} exists already: choose another id") from error

    async def _undo(self, item_id: UUID, key: str) -> None:
        """Remove what an ingest may have left. The row too: a commit may have arrived whose answer did not."""
        try:
            async with self._postgres.begin() as connection:
                await repository.remove_item(connection, item_id, picture_key=key)
        except OperationalError:
            _log.warning("ingest_undo_failed", item_id=str(item_id), key=key)
        await self._discard_picture(key)

    async def _discard_picture(self, key: str) -> None:
        try:
            await self._images.delete(key)
        except OperationalError:
            _log.warning("orphan_left", key=key)

    async def _finish(self, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` to its end even if the caller is cancelled meanwhile."""
        task = asyncio.create_task(work)
        self._cleaning.add(task)
        task.add_done_callback(self._cleaning.discard)
        await asyncio.shield(task)

    async def _without_item(self, keys: list[str]) -> list[str]:
        orphans: list[str] = []
        for start in range(0, len(keys), _SWEEP_BATCH):
            batch = keys[start : start + _SWEEP_BATCH]
            async with self._postgres.connect() as connection:
                known = await repository.existing_picture_keys(connection, batch)
            orphans += [key for key in batch if key not in known]
        return orphans

    async def _without_picture(self, moment: datetime, keys: Iterable[str]) -> list[UUID]:
        listed = frozenset(keys)
        async with self._postgres.begin() as connection:
            pictures = repository.pictures_before(connection, moment)
            return [item_id async for item_id, key in pictures if key not in listed]


def _place(item_id: UUID, picture: Picture) -> StoredPicture:
    # A part of its own for each attempt: undoing a failed one can then never take the picture of another.
    key = f"{_PREFIX}{item_id}/{uuid4().hex}.{picture.extension}"
    return StoredPicture(key, picture.media_type, picture.width, picture.height, len(picture.data))


def _not_found(item_id: UUID) -> ItemNotFoundError:
    return ItemNotFoundError(f"there is no item {str(item_id)!r}: look for it with GET /api/search")
