"""Every statement about items that is not a search."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Text, cast, delete, func, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection

from prethrift_backend.catalogue.models import (
    CLIP_TYPE,
    ITEM_COLUMNS,
    TEXT_TYPE,
    Item,
    StoredPicture,
    items,
    vector_text,
)
from prethrift_backend.catalogue.schemas import NewItem
from prethrift_backend.embeddings import ItemVectors


async def insert_item(
    connection: AsyncConnection, item_id: UUID, *, new: NewItem, picture: StoredPicture, vectors: ItemVectors
) -> Item:
    """Insert one item and return it as it now is."""
    values = {
        "id": item_id,
        "title": new.title,
        "description": new.description,
        "category": new.category,
        "price": new.price,
        "currency": new.currency,
        "picture_key": picture.key,
        "picture_media_type": picture.media_type,
        "picture_width": picture.width,
        "picture_height": picture.height,
        "picture_bytes": picture.size_bytes,
        "clip_vector": cast(literal(vector_text(vectors.clip), Text), CLIP_TYPE),
        "text_vector": cast(literal(vector_text(vectors.text), Text), TEXT_TYPE),
    }
    result = await connection.execute(insert(items).values(values).returning(*ITEM_COLUMNS))
    return item_of(result.one())


async def find_item(connection: AsyncConnection, item_id: UUID) -> Item | None:
    """Return the item with this id, or None."""
    row = (await connection.execute(select(*ITEM_COLUMNS).where(items.c.id == item_id))).one_or_none()
    return None if row is None else item_of(row)


async def remove_item(connection: AsyncConnection, item_id: UUID, *, picture_key: str | None = None) -> str | None:
    """Remove the item and return its picture's key, or None if there was no such item.

    With ``picture_key``, only if the item has that picture.
    """
    statement = delete(items).where(items.c.id == item_id).returning(items.c.picture_key)
    if picture_key is not None:
        statement = statement.where(items.c.picture_key == picture_key)
    key: str | None = await connection.scalar(statement)
    return key


async def existing_ids(connection: AsyncConnection, item_ids: Iterable[UUID]) -> frozenset[UUID]:
    """Return those of the ids that are in the catalogue."""
    return frozenset((await connection.scalars(select(items.c.id).where(items.c.id.in_(list(item_ids))))).all())


async def existing_picture_keys(connection: AsyncConnection, keys: Collection[str]) -> frozenset[str]:
    """Return those of the keys that an item has its picture under."""
    found = await connection.scalars(select(items.c.picture_key).where(items.c.picture_key.in_(list(keys))))
    return frozenset(found.all())


async def count_items(connection: AsyncConnection) -> int:
    """Return how many items there are."""
    return int(await connection.scalar(select(func.count()).select_from(items)) or 0)


async def pictures_before(connection: AsyncConnection, moment: datetime) -> AsyncIterator[tuple[UUID, str]]:
    """Yield id and picture key of every item made before ``moment``."""
    statement = select(items.c.id, items.c.picture_key).where(items.c.created_at < moment).order_by(items.c.id)
    async with connection.stream(statement) as rows:
        async for row in rows:
            yield row.id, row.picture_key


def item_of(row: Row[Any]) -> Item:
    """Make an Item of a row that has ITEM_COLUMNS."""
    picture = StoredPicture(
        key=row.picture_key,
        media_type=row.picture_media_type,
        width=row.picture_width,
        height=row.picture_height,
        size_bytes=row.picture_bytes,
    )
    return Item(
        id=row.id,
        title=row.title,
        description=row.description,
        category=row.category,
        price=row.price,
        currency=row.currency,
        picture=picture,
        created_at=row.created_at,
    )
