"""What an item is, and the table that items lie in.

The table is described here for building statements; the revisions in ``stores.migrations`` make it, and a test
compares the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import numpy as np
import orjson
from numpy.typing import NDArray
from pgvector.sqlalchemy import VECTOR
from sqlalchemy import (
    CHAR,
    Column,
    Computed,
    DateTime,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR

CLIP_TYPE = VECTOR(512)
TEXT_TYPE = VECTOR(384)

metadata = MetaData()

items = Table(
    "items",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("category", Text, nullable=False),
    Column("price", Numeric(10, 2), nullable=False),
    Column("currency", CHAR(3), nullable=False, server_default="EUR"),
    Column("picture_key", Text, nullable=False, unique=True),
    Column("picture_media_type", Text, nullable=False),
    Column("picture_width", Integer, nullable=False),
    Column("picture_height", Integer, nullable=False),
    Column("picture_bytes", Integer, nullable=False),
    Column("clip_vector", CLIP_TYPE, nullable=False),
    Column("text_vector", TEXT_TYPE, nullable=False),
    Column("search_words", TSVECTOR, Computed("", persisted=True), nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
)

# The columns that an Item is made of: the vectors are kilobytes that nobody reads back.
ITEM_COLUMNS = tuple(column for column in items.c if column.name not in {"clip_vector", "text_vector", "search_words"})


@dataclass(frozen=True, slots=True)
class StoredPicture:
    """Where an item's picture lies and what it is; the sides are in pixels."""

    key: str
    media_type: str
    width: int
    height: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Item:
    """One thing for sale."""

    id: UUID
    title: str
    description: str
    category: str
    price: Decimal
    currency: str
    picture: StoredPicture
    created_at: datetime


def vector_text(vector: NDArray[np.float32]) -> str:
    """Write ``vector`` as pgvector reads it.

    A vector travels as text and is cast by the server: as a parameter of pgvector's own type, the driver would ask
    the server what that type is, on every new connection. orjson writes 512 numbers in some 10 µs.
    """
    return orjson.dumps(vector, option=orjson.OPT_SERIALIZE_NUMPY).decode()
